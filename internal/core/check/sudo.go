package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var sudo = []Check{
	{"sudo.nopasswd", sudoNoPassword},
	{"sudo.pty", sudoPTY},
	{"sudo.log", sudoLog},
	{"sudo.reauth", sudoReauth},
	{"sudo.timeout", sudoTimeout},
	{"sudo.clear-rules", sudoClearRules},
	{"sudo.understood", sudoUnderstood},
	{"sudo.programs", sudoPrograms},
	{"sudo.personal-admin", personalAdmin},
}

// sudoers returns an outcome when the rules could not be read.
func sudoers(h *fact.Host) (control.Outcome, bool) {
	s := h.Sudo
	if s.State == fact.Absent {
		return control.DoesNotApply("sudo is not set up: " + s.Why), true
	}
	return cannot(s.State, s.Why), s.State != fact.Known
}

// complete turns a pass into unknown when a part of the rules was not read or
// not understood.
func complete(h *fact.Host, o control.Outcome) control.Outcome {
	switch s := h.Sudo; {
	case o.Verdict != control.Pass:
		return o
	case s.Incomplete != "":
		return control.CannotTell("a part of sudo's rules was not read: " + s.Incomplete)
	case len(s.Unparsed) > 0:
		return control.CannotTell("a line of sudo's rules cannot be understood: " + s.Unparsed[0].String())
	}
	return o
}

func sudoNoPassword(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	if o, no := noUsers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, g := range h.Sudo.Grants {
		if g.Password {
			continue
		}
		found := g.Command + " without a password"
		if g.Full {
			found += ", which makes it root"
		}
		bad = append(bad, control.Saw("sudo for "+g.User, g.Place, found, "its password is asked"))
	}
	slices.SortStableFunc(bad, func(a, b control.Evidence) int {
		return strings.Count(b.Found, "makes it root") - strings.Count(a.Found, "makes it root")
	})
	return complete(h, judged(bad, fmt.Sprintf("sudo asks for the password (%d accounts may use it)", len(granted(h)))))
}

// granted are the accounts that may run something as root.
func granted(h *fact.Host) []string {
	var out []string
	for _, g := range h.Sudo.Grants {
		if !slices.Contains(out, g.User) {
			out = append(out, g.User)
		}
	}
	return out
}

func sudoPTY(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	d, ok := h.Sudo.Global("use_pty")
	switch {
	case !ok:
		return complete(h, judged([]control.Evidence{control.Saw("use_pty", fact.Place{Path: "/etc/sudoers"}, "not set", "Defaults use_pty")}, ""))
	case d.Op == "!":
		return judged([]control.Evidence{control.Saw("use_pty", d.Place, "turned off", "Defaults use_pty")}, "")
	}
	for _, s := range h.Sudo.Settings {
		if s.Name == "use_pty" && s.Op == "!" && s.Scope != 0 {
			return judged([]control.Evidence{control.Saw("use_pty", s.Place, "turned off for some", "Defaults use_pty, for all")}, "")
		}
	}
	o := complete(h, judged(nil, "commands run in a terminal of their own").With(control.Saw("use_pty", d.Place, "set", "")))
	o.Explicit = control.Yes
	return o
}

func sudoLog(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	if d, ok := h.Sudo.Global("logfile"); ok && d.Op != "!" && d.Value != "" {
		o := complete(h, judged(nil, "sudo writes to "+d.Value).With(control.Saw("logfile", d.Place, d.Value, "")))
		o.Explicit = control.Yes
		return o
	}
	if d, ok := h.Sudo.Global("syslog"); ok && d.Op == "!" {
		return judged([]control.Evidence{control.Saw("syslog", d.Place, "turned off, and there is no logfile", "a log of every use of sudo")}, "")
	}
	o := complete(h, judged(nil, "sudo writes to the system's log, as it does by default"))
	o.Explicit = control.No
	return o
}

func sudoReauth(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, d := range h.Sudo.Settings {
		if d.Name == "authenticate" && d.Op == "!" {
			bad = append(bad, control.Saw("authenticate", d.Place, "turned off", "no such line"))
		}
	}
	return complete(h, judged(bad, "no line turns the password question off"))
}

func sudoTimeout(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	var bad []control.Evidence
	minutes, set := "15", false
	for _, d := range h.Sudo.Settings {
		switch d.Name {
		case "timestamp_timeout":
			if d.Scope == 0 {
				minutes, set = d.Value, true
			}
			if n, err := strconv.ParseFloat(d.Value, 64); d.Op != "!" && (err != nil || n < 0 || n > 15) {
				bad = append(bad, control.Saw(d.Name, d.Place, d.Value+" minutes", "0 to 15"))
			}
		case "timestamp_type":
			if d.Value == "global" {
				bad = append(bad, control.Saw(d.Name, d.Place, "global: one login's password serves all of them", "tty"))
			}
		}
	}
	o := complete(h, judged(bad, "the password is asked again after "+minutes+" minutes"))
	o.Explicit = control.TriOf(set)
	return o
}

func sudoClearRules(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, r := range h.Sudo.Rules {
		if r.Not {
			bad = append(bad, control.Saw("sudo rule", r.Place, "takes "+r.Name+" away: a copy of it under another name works", "a list of what is allowed"))
		}
		for _, w := range r.Who {
			if w.Name == "ALL" && !w.Not {
				bad = append(bad, control.Saw("sudo rule", r.Place, "is for every account", "named accounts or groups"))
			}
		}
	}
	for _, g := range h.Sudo.Grants {
		if strings.ContainsAny(g.Command, "*?[") {
			bad = append(bad, control.Saw("sudo for "+g.User, g.Place, g.Command+": a wildcard fits more than it seems", "full paths and arguments"))
		}
	}
	return complete(h, judged(bad, "the rules say plainly who may run what"))
}

func sudoUnderstood(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, p := range h.Sudo.Unparsed {
		bad = append(bad, control.Saw("line of sudoers", p.Place, p.Text, "a line that sudo understands"))
	}
	for _, p := range h.Sudo.Ignored {
		if strings.HasSuffix(p.Place.Path, "~") || strings.Contains(p.Place.Path, ".dpkg-") {
			continue // a copy that is meant to do nothing
		}
		bad = append(bad, control.Saw("file of sudo's rules", p.Place, p.Text, "a file that sudo reads"))
	}
	if len(bad) == 0 {
		return complete(h, judged(nil, fmt.Sprintf("sudo reads all of its %d files", len(h.Sudo.Files))))
	}
	o := control.IsIneffective(fmt.Sprintf("%s: %s", bad[0].Place, bad[0].Found), bad...)
	o.Persistent = control.No
	return o
}

// sudoPrograms finds what root runs for an account and somebody else may
// change: the program, or a folder above it.
func sudoPrograms(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	var bad []control.Evidence
	seen := 0
	for _, g := range h.Sudo.Grants {
		p := g.Program()
		if p == "" || g.Command == "ALL" {
			continue
		}
		seen++
		for _, above := range parents(p) {
			e, st, _ := h.Snap.Stat(above)
			if st != fact.Known || e.UID == 0 && (e.Mode&0o022 == 0 || e.Mode&0o1000 != 0 || e.Mode&0o002 == 0 && e.GID == 0) {
				continue
			}
			who := "owner " + h.Accounts.UserName(e.UID)
			if e.UID == 0 {
				who = "group " + h.Accounts.GroupName(e.GID)
			}
			bad = append(bad, control.Saw("sudo for "+g.User, g.Place, fmt.Sprintf("%s, where %s (mode %04o, %s) can be changed", p, above, e.Mode, who), "a program that only root can change"))
			break
		}
	}
	if seen == 0 && len(bad) == 0 {
		return complete(h, judged(nil, "no rule names single programs"))
	}
	return complete(h, judged(bad, "the programs that sudo allows can be changed by root only"))
}

// parents are a path and every folder above it but the root.
func parents(p string) []string {
	var out []string
	for p != "" {
		out = append(out, p)
		p = p[:strings.LastIndexByte(p, '/')]
	}
	return out
}

func personalAdmin(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		if o.Verdict == control.NotApplicable {
			return judged([]control.Evidence{control.Saw("sudo", fact.Place{Path: "/etc/sudoers"}, "not installed", "sudo, and a person's account that may use it")}, "")
		}
		return o
	}
	if o, no := noUsers(h); no {
		return o
	}
	for _, g := range h.Sudo.Grants {
		u, ok := h.Accounts.User(g.User)
		if !ok || !g.Full || !h.Accounts.Human(u) || slices.Contains(factoryNames, u.Name) {
			continue
		}
		if p, known := h.Accounts.Passwords.V[u.Name]; known && !p.Usable() && len(h.Keys.Authorized[u.Name]) == 0 {
			continue // nobody can log in with it
		}
		return judged(nil, u.Name+" may become root").With(control.Saw("sudo for "+u.Name, g.Place, g.Command, ""))
	}
	if h.Sudo.Incomplete != "" {
		return control.CannotTell("a part of sudo's rules was not read: " + h.Sudo.Incomplete)
	}
	return judged([]control.Evidence{control.Saw("sudo", fact.Place{Path: "/etc/sudoers"}, "no account named by its owner may become root", "a person's own account with sudo")}, "")
}
