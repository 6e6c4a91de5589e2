package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var sudoRepairs = map[string]repair{
	"sudo.pty": func(h *fact.Host, d *change.Draft) error { return saySudo(d, sudoPTY, "Defaults use_pty") },
	"sudo.log": func(h *fact.Host, d *change.Draft) error {
		return saySudo(d, sudoLog, "Defaults log_allowed", "Defaults syslog=authpriv", "Defaults syslog_goodpri=notice")
	},
	"sudo.timeout": func(h *fact.Host, d *change.Draft) error {
		return saySudo(d, sudoTimeout, "Defaults timestamp_timeout=15", "Defaults timestamp_type=tty")
	},
	"sudo.reauth": func(h *fact.Host, d *change.Draft) error {
		return saySudo(d, sudoReauth, "Defaults authenticate", "Defaults !exempt_group")
	},
	"sudo.nopasswd": repairNoPassword,
}

// sudoFile is the last that /etc/sudoers reads, as it is by default: of sudo's settings the last wins. A name with a dot
// would not be read.
const sudoFile = "/etc/sudoers.d/zz-picket"

// saySudo adds settings for all, and leaves it to a person where that would not hold.
func saySudo(d *change.Draft, judge func(*fact.Host) control.Outcome, lines ...string) error {
	if err := d.Add(sudoFile, 0o440, lines...); err != nil {
		return err
	}
	return holds(judge, d)
}

// repairNoPassword takes NOPASSWD out of the lines that give all of root.
func repairNoPassword(h *fact.Host, d *change.Draft) error {
	var files []string
	lines := map[string][]int{}
	for _, g := range h.Sudo.Grants {
		if g.Password || !g.Full {
			continue
		}
		if ps := h.Accounts.Passwords; !ps.Known() {
			d.Leave("whether %s has a password that works is not known: %s", g.User, ps.Why)
			return nil
		} else if p := ps.V[g.User]; !p.Usable() {
			d.Leave("%s has no password that works, and would not become root any more: give it one (sudo passwd %s), or, if nobody works as %s any more, take its line out (sudo visudo -f %s)", g.User, g.User, g.User, g.Place.Path)
			return nil
		}
		if g.Place.Line == 0 || !strings.HasPrefix(g.Place.Path, "/etc/sudoers") {
			d.Leave("%s lets %s become root without a password, and is not Picket's to change", g.Place, g.User)
			return nil
		}
		if !slices.Contains(files, g.Place.Path) {
			files = append(files, g.Place.Path)
		}
		lines[g.Place.Path] = append(lines[g.Place.Path], g.Place.Line)
	}
	for _, f := range files {
		if err := d.Edit(f, 0o440, func(was []byte) ([]byte, error) {
			all := strings.SplitAfter(string(was), "\n")
			for _, n := range lines[f] {
				if n > len(all) {
					return nil, fmt.Errorf("there is no line %d", n)
				}
				all[n-1] = strings.ReplaceAll(strings.ReplaceAll(all[n-1], "NOPASSWD: ", ""), "NOPASSWD:", "")
			}
			return []byte(strings.Join(all, "")), nil
		}); err != nil {
			return err
		}
	}
	return holds(sudoNoPassword, d)
}
