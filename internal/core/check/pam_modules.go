package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// pamModule finds the first line of a module in a stack.
func pamModule(h *fact.Host, stack, module string) (fact.PAMLine, bool, fact.Value[[]fact.PAMLine]) {
	v := h.Session.PAM[stack]
	for _, l := range v.V {
		if l.Module == module {
			return l, true, v
		}
	}
	return fact.PAMLine{}, false, v
}

// arg is the value of name=value among a module's arguments.
func arg(l fact.PAMLine, name string) string {
	for _, a := range l.Args {
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v
		}
	}
	return ""
}

// inStack judges that a module is part of a stack. settings is the file with
// its settings: one that is written and a module that nobody calls is the
// work of somebody who believes to be protected.
func inStack(h *fact.Host, stack, module, wanted string, settings ...string) control.Outcome {
	l, there, v := pamModule(h, stack, module)
	if v.Missing() {
		return cannot(v.State, v.Why)
	}
	if there {
		return judged(nil, module+" is in "+stack).With(control.Saw(module, l.Place, strings.Join(append([]string{l.Control}, l.Args...), " "), ""))
	}
	ev := control.Saw("PAM stack "+stack, fact.Place{Path: "/etc/pam.d/" + stack}, "without "+module, wanted)
	for _, file := range settings {
		es, _, _ := h.Snap.Glob(file)
		for _, e := range es {
			if !e.Read {
				continue
			}
			for i, line := range strings.Split(string(e.Content), "\n") {
				if t := strings.TrimSpace(line); t != "" && t[0] != '#' {
					return ineffective(fmt.Sprintf("%s has settings, but no login calls %s", e.Path, module),
						control.Saw("setting", fact.At(e.Path, i+1), t, "a line of "+module+" in /etc/pam.d/"+stack), ev)
				}
			}
		}
	}
	return judged([]control.Evidence{ev}, "")
}

func pamLockout(h *fact.Host) control.Outcome {
	o := inStack(h, "common-auth", "pam_faillock.so", "pam_faillock.so preauth and authfail", "/etc/security/faillock.conf")
	if o.Verdict != control.Pass {
		return o
	}
	counts, refuses := false, false
	deny, at := "", fact.Place{}
	for _, l := range h.Session.PAM["common-auth"].V {
		if l.Module != "pam_faillock.so" {
			continue
		}
		counts = counts || slices.Contains(l.Args, "authfail")
		refuses = refuses || slices.Contains(l.Args, "preauth") || slices.Contains(l.Args, "authsucc")
		if v := arg(l, "deny"); v != "" {
			deny, at = v, l.Place
		}
	}
	ev := control.Saw("pam_faillock.so", h.Session.PAM["common-auth"].Place, "called once", "preauth before pam_unix.so, authfail after it")
	switch {
	case !counts:
		return ineffective("pam_faillock is called, and counts no wrong password: there is no authfail", ev)
	case !refuses:
		return ineffective("pam_faillock counts wrong passwords and refuses nobody: there is neither preauth nor authsucc", ev)
	}
	if deny == "" {
		var unread control.Outcome
		if deny, at, unread = lastSetting(h, "deny", "/etc/security/faillock.conf"); unread.Verdict == control.Unknown {
			return unread
		}
	}
	if deny == "0" {
		return ineffective("pam_faillock is called, and deny is 0: no account is ever locked", control.Saw("deny", at, "0", "5 or so"))
	}
	return o
}

// lastSetting is the last value of "name = value" in the files.
func lastSetting(h *fact.Host, name string, patterns ...string) (value string, at fact.Place, unread control.Outcome) {
	for _, p := range patterns {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			return "", at, cannot(st, why)
		}
		for _, e := range es {
			if _, st, why := h.Snap.File(e.Path); st == fact.Denied || st == fact.Unknown {
				return "", at, cannot(st, why)
			}
			for i, l := range strings.Split(string(e.Content), "\n") {
				text, _, _ := strings.Cut(l, "#")
				if k, v, ok := strings.Cut(text, "="); ok && strings.TrimSpace(k) == name {
					value, at = strings.TrimSpace(v), fact.At(e.Path, i+1)
				}
			}
		}
	}
	return value, at, unread
}

func pamQuality(h *fact.Host) control.Outcome {
	if _, there, v := pamModule(h, "common-password", "pam_passwdqc.so"); there {
		return judged(nil, "pam_passwdqc.so is in common-password").With(control.Saw("pam_passwdqc.so", v.Place, "there", ""))
	}
	files := []string{"/etc/security/pwquality.conf.d/*.conf", "/etc/security/pwquality.conf"} // the last one wins
	o := inStack(h, "common-password", "pam_pwquality.so", "pam_pwquality.so before pam_unix.so", files...)
	if o.Verdict != control.Pass {
		return o
	}
	enforcing, at, unread := lastSetting(h, "enforcing", files...)
	if l, _, _ := pamModule(h, "common-password", "pam_pwquality.so"); arg(l, "enforcing") != "" {
		enforcing, at = arg(l, "enforcing"), l.Place
	} else if unread.Verdict == control.Unknown {
		return unread
	}
	if enforcing == "0" {
		return ineffective("pam_pwquality is called, and enforcing is 0: it warns and takes every password", control.Saw("enforcing", at, "0", "1"))
	}
	return o
}

func pamHistory(h *fact.Host) control.Outcome {
	if l, _, _ := pamModule(h, "common-password", "pam_unix.so"); arg(l, "remember") != "" && arg(l, "remember") != "0" {
		return judged(nil, "pam_unix remembers "+arg(l, "remember")+" old passwords").With(control.Saw("pam_unix.so", l.Place, "remember="+arg(l, "remember"), ""))
	}
	o := inStack(h, "common-password", "pam_pwhistory.so", "pam_pwhistory.so remember=24", "/etc/security/pwhistory.conf")
	if l, there, _ := pamModule(h, "common-password", "pam_pwhistory.so"); there && arg(l, "remember") == "0" {
		return ineffective("pam_pwhistory is called, and remembers nothing", control.Saw("pam_pwhistory.so", l.Place, "remember=0", "remember=24"))
	}
	return o
}
