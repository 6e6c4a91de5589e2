package harden

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"picket/internal/host/shell"
)

// A Mention is a line of a host's settings, jobs or scripts that names an account or its home.
type Mention struct {
	Path string
	Line int
	Text string // as it is: it may hold a secret
}

// maxMentions is how many lines are told.
const maxMentions = 300

// Mentions looks for an account in what root and services run by: below /etc and /usr/local, and the jobs of cron and at. The files
// of the accounts themselves are left out. user is a plain name, see account.CheckName.
func Mentions(ctx context.Context, sh shell.Shell, user, home string) ([]Mention, error) {
	meant := func(s string) string { return strings.NewReplacer(".", `\.`, "+", `\+`).Replace(s) }
	pattern := "(^|[^A-Za-z0-9_./-])" + meant(user) + "($|[^A-Za-z0-9_.-])"
	if strings.HasPrefix(home, "/") && strings.Trim(home, "/") != "" && !strings.ContainsAny(home, `*?[](){}|^$\'`) {
		pattern += "|" + meant(home) + "($|[^A-Za-z0-9_.-])"
	}
	program := `cd / && find /etc /usr/local /var/spool/cron/crontabs /var/spool/cron/atjobs -xdev \( -path /etc/ssl -o -path /etc/alternatives -o -path '/usr/local/lib/python*' -o -path '*/node_modules' -o -path '*/.git' \) -prune -o ` +
		`-type f -size -512k ! -path '/etc/passwd*' ! -path '/etc/shadow*' ! -path '/etc/group*' ! -path '/etc/gshadow*' ! -path '/etc/subuid*' ! -path '/etc/subgid*' ` +
		`-exec grep -nE -e '` + pattern + `' /dev/null {} + 2>/dev/null | head -n ` + strconv.Itoa(maxMentions+1) + `; ` +
		`[ ! -e '/var/spool/cron/crontabs/` + user + `' ] || echo '/var/spool/cron/crontabs/` + user + `:0:'; [ ! -e '/var/lib/systemd/linger/` + user + `' ] || echo '/var/lib/systemd/linger/` + user + `:0:'`
	out, exit, err := sh.Run(ctx, program, nil, nil)
	if err == nil && exit > 1 {
		err = errors.New("exit status " + strconv.Itoa(exit))
	}
	if err != nil {
		return nil, fmt.Errorf("what names %s cannot be looked for: %w", user, err)
	}
	var all []Mention
	for l := range strings.Lines(string(out)) {
		file, rest, ok := strings.Cut(strings.TrimSuffix(l, "\n"), ":")
		number, text, ok2 := strings.Cut(rest, ":")
		n, err := strconv.Atoi(number)
		if ok && ok2 && err == nil && strings.HasPrefix(file, "/") { // grep says of a binary file that it matches
			all = append(all, Mention{file, n, strings.TrimSpace(text)})
		}
	}
	return all, nil
}
