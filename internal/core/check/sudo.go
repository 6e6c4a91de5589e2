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
	{"sudo.nopasswd", sudoNoPassword,
		"what each account may run without a password as /etc/sudoers and /etc/sudoers.d have it, groups and aliases resolved"},
	{"sudo.nopasswd-commands", sudoCommands,
		"single commands that need no password in /etc/sudoers and /etc/sudoers.d"},
	{"sudo.pty", sudoPTY,
		"use_pty in /etc/sudoers and /etc/sudoers.d"},
	{"sudo.log", sudoLog,
		"logfile, syslog, syslog_goodpri and log_allowed in /etc/sudoers and /etc/sudoers.d"},
	{"sudo.reauth", sudoReauth,
		"!authenticate and exempt_group in /etc/sudoers and /etc/sudoers.d"},
	{"sudo.timeout", sudoTimeout,
		"timestamp_timeout and timestamp_type in /etc/sudoers and /etc/sudoers.d"},
	{"sudo.clear-rules", sudoClearRules,
		"rules in /etc/sudoers and /etc/sudoers.d that take something away with !, are for every account, or have wildcards"},
	{"sudo.understood", sudoUnderstood,
		"the lines of /etc/sudoers and /etc/sudoers.d, and files there whose name sudo passes over"},
	{"sudo.programs", sudoPrograms,
		"the programs that /etc/sudoers and /etc/sudoers.d name, and who may change them"},
	{"sudo.personal-admin", personalAdmin,
		"which accounts of persons may run everything as /etc/sudoers and /etc/sudoers.d have it"},
}

// sudoers returns an outcome when the rules could not be read.
func sudoers(h *fact.Host) (control.Outcome, bool) {
	s := h.Sudo
	if s.State == fact.Absent {
		return control.DoesNotApply("sudo is not set up: " + s.Why), true
	}
	return cannot(s.State, s.Why), s.State != fact.Known
}

// sudoGrants is sudoers for rules about what each account may run.
func sudoGrants(h *fact.Host) (control.Outcome, bool) {
	for _, can := range []func(*fact.Host) (control.Outcome, bool){sudoers, noUsers, noGroups} {
		if o, no := can(h); no {
			return o, true
		}
	}
	return control.Outcome{}, false
}

// complete turns an outcome into unknown when a part of the rules was not
// read: the last that fits counts, and it may be there. A line that was not
// understood may allow more, not less.
func complete(h *fact.Host, o control.Outcome) control.Outcome {
	switch s := h.Sudo; {
	case s.Incomplete != "":
		return control.CannotTell("a part of sudo's rules was not read: "+s.Incomplete, o.Evidence...)
	case o.Verdict == control.Pass && len(s.Unparsed) > 0:
		return control.CannotTell("a line of sudo's rules cannot be understood: " + s.Unparsed[0].String())
	}
	return o
}

func sudoNoPassword(h *fact.Host) control.Outcome {
	return passwordless(h, true, "nobody becomes root without a password", "asked for a password")
}

func sudoCommands(h *fact.Host) control.Outcome {
	return passwordless(h, false, "no single command runs as root without a password", "asked for a password, or a command that root has to run")
}

// passwordless finds what sudo allows without asking for a password: all that
// makes an account root, or else single commands.
func passwordless(h *fact.Host, full bool, pass, wanted string) control.Outcome {
	if o, no := sudoGrants(h); no {
		return o
	}
	var bad []control.Evidence
	reason := ""
	for _, g := range h.Sudo.Grants {
		if g.Password || g.Full != full {
			continue
		}
		if reason == "" {
			reason = fmt.Sprintf("%s may run %s as root without a password: %s", g.User, g.Command, g.Place)
			if full {
				reason = fmt.Sprintf("%s may become root without a password: %s", g.User, g.Place)
			}
		}
		env := ""
		if g.AnyEnv {
			env = " with any environment (SETENV)"
		}
		if g.AnyRoot {
			env += " below any folder (CHROOT)"
		}
		bad = append(bad, control.Saw("sudo for "+g.User, g.Place, g.Command+env+" without a password (by "+g.Via+")", wanted).Of(g.User))
	}
	if len(bad) > 0 {
		o := persistentFail(reason, bad...)
		if len(bad) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(bad)-1)
		}
		return complete(h, o)
	}
	if h.Accounts.Elsewhere != "" {
		return control.CannotTell("not all accounts were compared with sudo's rules: " + h.Accounts.Elsewhere)
	}
	if n := h.Sudo.Netgroup; n != "" {
		return control.CannotTell("who is in the netgroup " + n + ", which sudo's rules name, is not known")
	}
	return complete(h, judged(nil, fmt.Sprintf("%s (%d accounts may use sudo)", pass, len(granted(h)))))
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

// ptyByDefault is the version of sudo since which use_pty need not be set.
var ptyByDefault = [3]int{1, 9, 14}

func sudoPTY(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	for _, s := range h.Sudo.Settings {
		if s.Name == "use_pty" && s.Op == "!" && s.Scope != 0 {
			return judged([]control.Evidence{control.Saw("use_pty", s.Place, "turned off for some", "Defaults use_pty, for all")}, "")
		}
	}
	d, ok := h.Sudo.Global("use_pty")
	switch {
	case ok && d.Op == "!":
		return judged([]control.Evidence{control.Saw("use_pty", d.Place, "turned off", "Defaults use_pty")}, "")
	case ok:
		o := complete(h, judged(nil, "commands run in a terminal of their own").With(control.Saw("use_pty", d.Place, "set", "")))
		o.Explicit = control.Yes
		return o
	case h.Packages.State != fact.Known:
		return control.CannotTell("use_pty is not set, and whether sudo does so by itself depends on its version: " + h.Packages.Why)
	}
	version := h.Packages.All["sudo"].Version
	if v, ok := upstream(version); ok && slices.Compare(v[:], ptyByDefault[:]) >= 0 {
		o := complete(h, judged(nil, "sudo "+version+" gives commands a terminal of their own by itself"))
		o.Explicit = control.No
		return o
	}
	return complete(h, judged([]control.Evidence{control.Saw("use_pty", fact.Place{Path: "/etc/sudoers"}, "not set", "Defaults use_pty")}, ""))
}

// upstream reads 1.9.13p3-1+deb12u1 as 1, 9, 13.
func upstream(version string) (v [3]int, ok bool) {
	if _, after, epoch := strings.Cut(version, ":"); epoch {
		version = after
	}
	for i, part := range strings.SplitN(version, ".", 3) {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil {
			return v, false
		}
		v[i], ok = n, i > 0
	}
	return v, ok
}

// sudoLog wants every use of sudo to leave a trace: in the system's log, which
// is so by default, or in a file of its own.
func sudoLog(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	off := func(s fact.SudoSetting) bool { return s.Op == "!" || s.Name == "syslog_goodpri" && s.Value == "none" }
	for _, s := range slices.Concat(inForce(h, "log_allowed"), inForce(h, "syslog"), inForce(h, "syslog_goodpri")) {
		if off(s) && (s.Name == "log_allowed" || s.Scope != 0) {
			found := "turned off"
			if s.Scope != 0 {
				found += " for some"
			}
			return judged([]control.Evidence{control.Saw(s.Name, s.Place, found, "a log of every use of sudo")}, "")
		}
	}
	if d, ok := h.Sudo.Global("logfile"); ok && d.Op != "!" && d.Value != "" {
		o := complete(h, judged(nil, "sudo writes to "+d.Value).With(control.Saw("logfile", d.Place, d.Value, "")))
		o.Explicit = control.Yes
		return o
	}
	for _, name := range []string{"syslog", "syslog_goodpri"} {
		if d, ok := h.Sudo.Global(name); ok && off(d) {
			return judged([]control.Evidence{control.Saw(name, d.Place, "turned off, and there is no logfile", "a log of every use of sudo")}, "")
		}
	}
	o := complete(h, judged(nil, "sudo writes to the system's log, as it does by default"))
	o.Explicit = control.No
	return o
}

// inForce are the settings that count: the last one for everybody, and each
// that is for some.
func inForce(h *fact.Host, name string) []fact.SudoSetting {
	var out []fact.SudoSetting
	if d, ok := h.Sudo.Global(name); ok {
		out = append(out, d)
	}
	for _, d := range h.Sudo.Settings {
		if d.Name == name && d.Scope != 0 {
			out = append(out, d)
		}
	}
	return out
}

func sudoReauth(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, d := range inForce(h, "authenticate") {
		if d.Op == "!" {
			bad = append(bad, control.Saw("authenticate", d.Place, "turned off", "no such line"))
		}
	}
	for _, d := range inForce(h, "exempt_group") {
		if d.Op != "!" {
			bad = append(bad, control.Saw("exempt_group", d.Place, "the group "+strings.TrimPrefix(d.Value, "%")+" is never asked", "no such line"))
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
	for _, d := range inForce(h, "timestamp_timeout") {
		if d.Op == "!" {
			d.Value = "0"
		}
		if d.Scope == 0 {
			minutes, set = d.Value, true
		}
		n, err := strconv.ParseFloat(d.Value, 64)
		switch {
		case err != nil || n > 15:
			bad = append(bad, control.Saw(d.Name, d.Place, d.Value+" minutes", "0 to 15"))
		case n < 0:
			bad = append(bad, control.Saw(d.Name, d.Place, d.Value+": never asked again", "0 to 15"))
		}
	}
	for _, d := range inForce(h, "timestamp_type") {
		if d.Value == "global" {
			bad = append(bad, control.Saw(d.Name, d.Place, "global: a password typed once serves every session of the user", "tty"))
		}
	}
	pass := "the password is asked again after " + minutes + " minutes"
	if n, err := strconv.ParseFloat(minutes, 64); err == nil && n == 0 {
		pass = "the password is asked every time"
	}
	o := complete(h, judged(bad, pass))
	o.Explicit = control.TriOf(set)
	return o
}

func sudoClearRules(h *fact.Host) control.Outcome {
	if o, no := sudoGrants(h); no {
		return o
	}
	var bad []control.Evidence
	for _, r := range h.Sudo.Rules {
		for _, name := range h.Sudo.Takes(r) {
			bad = append(bad, control.Saw("sudo rule", r.Place, "takes "+name+" away: a copy of it under another name works", "a list of what is allowed"))
		}
		for _, w := range r.Who {
			if w.Name == "ALL" && !w.Not {
				bad = append(bad, control.Saw("sudo rule", r.Place, "is for every account", "named accounts or groups"))
			}
		}
	}
	for _, g := range h.Sudo.Grants {
		if wild(g.Command) {
			bad = append(bad, control.Saw("sudo for "+g.User, g.Place, g.Command+": a wildcard fits more than it seems", "full paths and arguments"))
		}
	}
	return complete(h, judged(bad, "the rules say plainly who may run what"))
}

// wild reports whether the path or the arguments of a command have a wildcard;
// a regular expression from ^ to $ says exactly what it fits.
func wild(command string) bool {
	p, args, _ := strings.Cut(command, " ")
	return slices.ContainsFunc([]string{p, args}, func(w string) bool {
		return strings.ContainsAny(w, "*?[") && !strings.HasPrefix(w, "^")
	})
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
	if o, no := sudoGrants(h); no {
		return o
	}
	var bad []control.Evidence
	unseen, seen := "", 0
	for _, g := range h.Sudo.Grants {
		for _, p := range g.Programs() {
			seen++
			who, why := h.Writers(p)
			if why != "" {
				unseen = why
			}
			if len(who) == 0 {
				continue
			}
			found := fmt.Sprintf("%s, which %s can change", p, who[0].Who)
			if who[0].Path != p {
				found = fmt.Sprintf("%s, but %s can change %s", p, who[0].Who, who[0].Path)
			}
			bad = append(bad, control.Saw("sudo for "+g.User, g.Place, found+fmt.Sprintf(" (mode %04o)", who[0].Mode), "a program that only root can change").Mend(who[0].Path))
		}
	}
	switch {
	case len(bad) > 0:
	case unseen != "":
		return control.CannotTell(unseen)
	case seen == 0:
		return complete(h, judged(nil, "no rule names single programs"))
	}
	return complete(h, judged(bad, "the programs that sudo allows can be changed by root only"))
}

func personalAdmin(h *fact.Host) control.Outcome {
	if o, no := sudoers(h); no {
		if o.Verdict == control.NotApplicable {
			return judged([]control.Evidence{control.Saw("sudo", fact.Place{Path: "/etc/sudoers"}, "not installed", "sudo, and a person's account that may use it")}, "")
		}
		return o
	}
	if o, no := sudoGrants(h); no {
		return o
	}
	unseen := ""
	for _, g := range h.Sudo.Grants {
		u, ok := h.Accounts.User(g.User)
		if !ok || !g.Full || !h.Accounts.Human(u) || slices.Contains(factoryNames, u.Name) {
			continue
		}
		switch in, why := canEnter(h, u); {
		case in:
			return judged(nil, u.Name+" may become root").With(control.Saw("sudo for "+u.Name, g.Place, g.Command, ""))
		case why != "":
			unseen = why
		}
	}
	switch {
	case unseen != "":
		return control.CannotTell(unseen)
	case h.Accounts.Elsewhere != "":
		return control.CannotTell("not all accounts are known: " + h.Accounts.Elsewhere)
	case h.Sudo.Incomplete != "":
		return control.CannotTell("a part of sudo's rules was not read: " + h.Sudo.Incomplete)
	}
	return judged([]control.Evidence{control.Saw("sudo", fact.Place{Path: "/etc/sudoers"}, "no account named by its owner may become root", "a person's own account with sudo")}, "")
}
