package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var pam = []Check{
	{"pam.unix", pamUnix,
		"the lines of /etc/pam.d/common-auth, common-account and the others"},
	{"pam.nullok", pamNullOK,
		"nullok in /etc/pam.d/common-auth and the other common files, and in the files of sshd, login, su and sudo"},
	{"pam.services", pamServices,
		"what the stacks of sshd, login, su and sudo (/etc/pam.d) answer to a wrong password"},
	{"pam.su", suRestricted,
		"pam_wheel in /etc/pam.d/su"},
	{"pam.core-dumps", coreDumps,
		"core in /etc/security/limits.conf and /etc/security/limits.d, and /etc/systemd/coredump.conf"},
	{"pam.faillock", pamLockout,
		"pam_faillock in /etc/pam.d/common-auth, and /etc/security/faillock.conf"},
	{"pam.quality", pamQuality,
		"pam_pwquality in /etc/pam.d/common-password, and /etc/security/pwquality.conf with its drop-ins"},
	{"pam.history", pamHistory,
		"pam_pwhistory in /etc/pam.d/common-password, and /etc/security/pwhistory.conf"},
}

func pamUnix(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	for _, name := range []string{"common-auth", "common-account", "common-password", "common-session"} {
		stack := h.Session.PAM[name]
		if stack.Missing() {
			return cannot(stack.State, stack.Why)
		}
		if !slices.ContainsFunc(stack.V, func(l fact.PAMLine) bool { return l.Module == "pam_unix.so" }) {
			bad = append(bad, control.Saw("PAM stack "+name, fact.Place{Path: "/etc/pam.d/" + name}, "without pam_unix", "pam_unix.so"))
		} else if name == "common-auth" && takesWrongPassword(stack.V) {
			bad = append(bad, control.Saw("PAM stack "+name, fact.Place{Path: "/etc/pam.d/" + name}, "a wrong password is let in as well", "pam_deny.so after pam_unix.so, and no pam_permit.so before it"))
		}
	}
	return judged(bad, "pam_unix is in every common stack")
}

func pamNullOK(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	for _, name := range []string{"common-auth", "common-account", "common-password", "common-session"} {
		stack := h.Session.PAM[name]
		if stack.Missing() {
			return cannot(stack.State, stack.Why)
		}
		for _, l := range stack.V {
			if l.Module == "pam_unix.so" && slices.Contains(l.Args, "nullok") {
				bad = append(bad, control.Saw("pam_unix", l.Place, "nullok: an empty password is let in", "no nullok"))
			}
		}
	}
	for _, name := range fact.PAMServices {
		stack := h.Session.PAM[name]
		if stack.State == fact.Absent {
			continue
		}
		if stack.Missing() {
			return cannot(stack.State, stack.Why)
		}
		for _, l := range stack.V { // what it includes was told above
			if l.Module == "pam_unix.so" && slices.Contains(l.Args, "nullok") && l.Place.Path == "/etc/pam.d/"+name {
				bad = append(bad, control.Saw("pam_unix", l.Place, "nullok: an empty password is let in", "no nullok"))
			}
		}
	}
	return judged(bad, "an empty password is refused wherever one is asked for")
}

// pamServices plays through what each service that asks for a password does
// with a wrong one.
func pamServices(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	asked := 0
	for _, name := range fact.PAMServices {
		stack := h.Session.PAM[name]
		switch {
		case stack.State == fact.Absent:
			continue
		case stack.Missing():
			return cannot(stack.State, stack.Why)
		}
		if asked++; takesWrongPassword(stack.V) {
			bad = append(bad, control.Saw("PAM stack "+name, fact.Place{Path: "/etc/pam.d/" + name}, "a wrong password is let in as well", "refused"))
		}
	}
	if asked == 0 {
		return control.DoesNotApply("no service asks PAM for a password")
	}
	return judged(bad, fmt.Sprintf("%d services refuse a wrong password", asked))
}

func suRestricted(h *fact.Host) control.Outcome {
	stack := h.Session.PAM["su"]
	switch {
	case stack.State == fact.Absent:
		return control.DoesNotApply(stack.Why)
	case !stack.Known():
		return cannot(stack.State, stack.Why)
	}
	if letsIn(stack.V, "auth", stranger) {
		return judged([]control.Evidence{control.Saw("su", fact.Place{Path: "/etc/pam.d/su"}, "every account may try", "auth required pam_wheel.so use_uid group=…")}, "")
	}
	for _, l := range stack.V {
		if l.Type != "auth" || l.Module != "pam_wheel.so" || slices.Contains(l.Args, "deny") || !refuses(l.Control) {
			continue
		}
		group := arg(l, "group")
		if group == "" {
			group = "root"
			if slices.ContainsFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.Name == "wheel" }) {
				group = "wheel"
			}
		}
		return judged(nil, fmt.Sprintf("only members of %s may use su", group)).With(control.Saw("pam_wheel", l.Place, "group "+group, ""))
	}
	return judged([]control.Evidence{control.Saw("su", fact.Place{Path: "/etc/pam.d/su"}, "every account may try", "auth required pam_wheel.so use_uid group=…")}, "")
}

// coreDumps wants the limit for everybody, and systemd's collector, where it
// is installed, to keep nothing.
func coreDumps(h *fact.Host) control.Outcome {
	limits, unread := lastLimit(h)
	if unread != "" {
		return control.CannotTell(unread)
	}
	var bad []control.Evidence
	if limits.value != "0" {
		found := limits.value
		if found == "" {
			found = "no hard limit for everybody"
		}
		bad = append(bad, control.Saw("core size", limits.at, found, "* hard core 0"))
	}
	bad = append(bad, limits.lifted...)
	has := h.Packages.Has("systemd-coredump")
	if !has.Known() && len(bad) == 0 {
		return control.Missing(has)
	}
	if has.V {
		value, at := "external, as it is not set", fact.Place{Path: "/etc/systemd/coredump.conf"}
		files := []string{"/etc/systemd/coredump.conf"}
		drop, st, why := h.Snap.Glob("/etc/systemd/coredump.conf.d/*.conf")
		if st == fact.Denied || st == fact.Unknown {
			return cannot(st, why)
		}
		for _, e := range drop {
			files = append(files, e.Path)
		}
		for _, f := range files {
			e, st, why := h.Snap.File(f)
			if st == fact.Denied || st == fact.Unknown {
				return cannot(st, why)
			}
			if st != fact.Known {
				continue
			}
			for i, l := range strings.Split(string(e.Content), "\n") {
				if v, ok := strings.CutPrefix(strings.ReplaceAll(l, " ", ""), "Storage="); ok {
					value, at = strings.TrimSpace(v), fact.At(f, i+1)
				}
			}
		}
		if value != "none" {
			bad = append(bad, control.Saw("Storage of systemd-coredump", at, value, "none"))
		}
	}
	return judged(bad, "no memory of a program is written to disk when it crashes")
}

type limit struct {
	value  string
	at     fact.Place
	lifted []control.Evidence // for some, whose own lines win over those for everybody
}

// lastLimit is the hard limit of core files for everybody: pam_limits reads
// limits.conf, then limits.d, and the last line counts.
func lastLimit(h *fact.Host) (limit, string) {
	out := limit{at: fact.Place{Path: "/etc/security/limits.d"}}
	files := []string{"/etc/security/limits.conf"}
	drop, st, why := h.Snap.Glob("/etc/security/limits.d/*.conf")
	if st == fact.Denied || st == fact.Unknown {
		return out, why
	}
	for _, e := range drop {
		files = append(files, e.Path)
	}
	for _, f := range files {
		e, st, why := h.Snap.File(f)
		if st == fact.Denied || st == fact.Unknown {
			return out, why
		}
		if st != fact.Known {
			continue
		}
		for i, l := range strings.Split(string(e.Content), "\n") {
			text, _, _ := strings.Cut(l, "#")
			w := strings.Fields(text)
			if len(w) != 4 || !strings.EqualFold(w[1], "hard") && w[1] != "-" || !strings.EqualFold(w[2], "core") {
				continue
			}
			if w[0] == "*" {
				out.value, out.at = w[3], fact.At(f, i+1)
				continue
			}
			seen := control.Saw("core size for "+w[0], fact.At(f, i+1), w[3], "0")
			out.lifted = slices.DeleteFunc(out.lifted, func(e control.Evidence) bool { return e.Fact == seen.Fact })
			if w[3] != "0" {
				out.lifted = append(out.lifted, seen)
			}
		}
	}
	return out, ""
}
