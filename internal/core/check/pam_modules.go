package check

import (
	"fmt"
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
	return inStack(h, "common-auth", "pam_faillock.so", "pam_faillock.so preauth and authfail", "/etc/security/faillock.conf")
}

func pamQuality(h *fact.Host) control.Outcome {
	if _, there, v := pamModule(h, "common-password", "pam_passwdqc.so"); there {
		return judged(nil, "pam_passwdqc.so is in common-password").With(control.Saw("pam_passwdqc.so", v.Place, "there", ""))
	}
	return inStack(h, "common-password", "pam_pwquality.so", "pam_pwquality.so before pam_unix.so",
		"/etc/security/pwquality.conf", "/etc/security/pwquality.conf.d/*.conf")
}

func pamHistory(h *fact.Host) control.Outcome {
	o := inStack(h, "common-password", "pam_pwhistory.so", "pam_pwhistory.so remember=24", "/etc/security/pwhistory.conf")
	if l, there, _ := pamModule(h, "common-password", "pam_pwhistory.so"); there && arg(l, "remember") == "0" {
		return ineffective("pam_pwhistory is called, and remembers nothing", control.Saw("pam_pwhistory.so", l.Place, "remember=0", "remember=24"))
	}
	return o
}
