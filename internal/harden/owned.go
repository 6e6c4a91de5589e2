package harden

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/host/shell"
)

// maxOwned is how many files change hands in steps of their own, each with its way back.
const maxOwned = 3000

// Owned are the files and folders below a folder, itself included, of an account or its group. Links have no owner that
// matters and are left out. Files that have other names as well, which may lie anywhere, and those that run as their
// owner are left to a person: only their paths are given.
func Owned(ctx context.Context, sh shell.Shell, folder string, uid, gid int) (all []*snap.Entry, left []string, err error) {
	at := "'" + string(bytes.ReplaceAll([]byte(folder), []byte("'"), []byte(`'\''`))) + "'"
	out, exit, err := sh.Run(ctx, fmt.Sprintf(`find %s -xdev \( -uid %d -o -gid %d \) \( -type f -printf 'f %%m %%U %%G %%n %%p\0' -o -type d -printf 'd %%m %%U %%G 1 %%p\0' \)`, at, uid, gid), nil, nil)
	if err == nil && exit != 0 {
		err = errors.New("find fails")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("what lies in %s cannot be listed: %w", folder, err)
	}
	for rec := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		f := bytes.SplitN(rec, []byte(" "), 6)
		if len(f) != 6 {
			continue
		}
		if len(all) == maxOwned {
			return nil, nil, fmt.Errorf("%s holds more than %d files: `sudo chown -hR --from=%d NAME: %s` gives it away, without a way back", folder, maxOwned, uid, folder)
		}
		if bytes.ContainsAny(f[5], "\n\r") {
			return nil, nil, fmt.Errorf("%q has a line break in its name: rename it first", f[5])
		}
		mode, err := strconv.ParseUint(string(f[1]), 8, 16)
		u, err1 := strconv.Atoi(string(f[2]))
		g, err2 := strconv.Atoi(string(f[3]))
		if err := errors.Join(err, err1, err2); err != nil {
			return nil, nil, fmt.Errorf("what lies in %s cannot be listed: %w", folder, err)
		}
		if f[0][0] == 'f' && (string(f[4]) != "1" || mode&0o6000 != 0) {
			left = append(left, string(f[5]))
			continue
		}
		e := &snap.Entry{Path: string(f[5]), Type: snap.File, Mode: uint32(mode), UID: u, GID: g}
		if f[0][0] == 'd' {
			e.Type = snap.Dir
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *snap.Entry) int { return strings.Compare(a.Path, b.Path) })
	return all, left, nil
}

// running has mine print the processes of an account, but for those of containers, which have numbers of their own.
const running = `mine() {
	grep -lE '^Uid:.*[[:space:]]%[1]d([[:space:]]|$)' /proc/[0-9]*/status 2>/dev/null | while read -r f; do
		[ "$(readlink "${f%%/status}/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] || basename "${f%%/status}"
	done
}
`

// Serving are the services of a host that run as an account: they would be started anew. It fails where the program that asks
// was itself started from a login of that account.
func Serving(ctx context.Context, sh shell.Shell, uid int) (units []string, err error) {
	out, exit, err := sh.Run(ctx, fmt.Sprintf(running+`p=$$ all=$(mine)
while [ "${p:-0}" -gt 1 ]; do
	! printf '%%s\n' "$all" | grep -qx "$p" || exit 17
	p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status")
done
for p in $all; do
	sed -n 's#.*/system\.slice/\(.*/\)\{0,1\}\([^/]*\.service\)\(/.*\)\{0,1\}$#\2#p' "/proc/$p/cgroup" 2>/dev/null
done | sort -u | grep -vxE '(cron|atd|ssh|sshd)\.service' || true`, uid), nil, nil)
	switch {
	case err == nil && exit == 17:
		return nil, errors.New("this is a login of that account: log in as the other one")
	case err == nil && exit != 0:
		err = fmt.Errorf("exit status %d", exit)
	}
	if err != nil {
		return nil, fmt.Errorf("what runs as it cannot be listed: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// End ends the logins of an account that is closed, and all that still runs as it.
func End(ctx context.Context, sh shell.Shell, name string, uid int) error {
	said := ""
	_, exit, err := sh.Run(ctx, fmt.Sprintf(running+`loginctl terminate-user '%[2]s' 2>/dev/null
for try in 1 2 3 4 5 6 7 8; do
	all=$(mine)
	[ -n "$all" ] || exit 0
	[ "$try" -lt 3 ] || kill -KILL $all 2>/dev/null # until then it may end by itself
	sleep 1
done
for p in $all; do printf '%%s ' "$p" "$(tr -d '\0' <"/proc/$p/comm")"; done >&2
exit 1`, uid, name), nil, func(l string) { said = l })
	if err == nil && exit != 0 {
		err = errors.New(strings.TrimSpace(said) + " does not end")
	}
	if err != nil {
		return fmt.Errorf("what runs as %s: %w", name, err)
	}
	return nil
}
