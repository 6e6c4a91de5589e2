package check

import (
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/fact"
)

// What a module answers when a stack is played through.
const (
	pamIgnores = "ignore"
	pamAgrees  = "success"
	pamRefuses = "auth_err"
)

// bystanders have no say in who is let in.
var bystanders = []string{
	"pam_env.so", "pam_faildelay.so", "pam_group.so", "pam_cap.so", "pam_warn.so", "pam_echo.so", "pam_motd.so", "pam_mail.so", "pam_nologin.so", "pam_securetty.so",
}

// wrongPassword is the answer of a module to somebody without any proof of who
// they are.
func wrongPassword(l fact.PAMLine) string {
	switch {
	case l.Module == "pam_permit.so":
		return pamAgrees
	case slices.Contains(bystanders, l.Module), l.Module == "pam_faillock.so" && slices.Contains(l.Args, "preauth"):
		return pamIgnores
	}
	return pamRefuses
}

// conditions say yes to whoever meets them, without any proof: to most people,
// or to those on a list.
var conditions = []string{"pam_localuser.so", "pam_shells.so", "pam_listfile.so"}

// takesWrongPassword plays a stack through for somebody without any proof, who
// meets the conditions on the way or does not.
func takesWrongPassword(stack []fact.PAMLine) bool {
	meets := func(l fact.PAMLine) string {
		if slices.Contains(conditions, l.Module) || l.Module == "pam_faillock.so" && slices.Contains(l.Args, "preauth") {
			return pamAgrees
		}
		return wrongPassword(l)
	}
	return letsIn(stack, "auth", wrongPassword) || letsIn(stack, "auth", meets)
}

// stranger is the answer to somebody who is not root, in no group that counts,
// and knows the password.
func stranger(l fact.PAMLine) string {
	switch {
	case l.Module == "pam_wheel.so" && slices.Contains(l.Args, "deny"), slices.Contains(bystanders, l.Module):
		return pamIgnores
	case l.Module == "pam_wheel.so", l.Module == "pam_rootok.so", l.Module == "pam_deny.so", l.Module == "pam_faillock.so" && slices.Contains(l.Args, "authfail"):
		return pamRefuses
	}
	return pamAgrees
}

// letsIn plays the lines of one type through as Linux-PAM does (_pam_dispatch).
func letsIn(stack []fact.PAMLine, kind string, answer func(fact.PAMLine) string) bool {
	good, bad := false, false
	skip := 0
	for _, l := range stack {
		if l.Type != kind {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		said := answer(l)
		switch act := pamAction(l.Control, said); act {
		case "ignore":
		case "ok", "done":
			if said == pamRefuses {
				bad = true // what the module said stands
			}
			good = true
			if act == "done" && !bad {
				return true
			}
		case "die":
			return false
		case "reset":
			good, bad = false, false
		default:
			n, err := strconv.Atoi(act)
			if err != nil || n < 0 {
				bad = true
			}
			skip = n
		}
	}
	return good && !bad
}

// pamAction is what the control of a line makes of an answer.
func pamAction(how, said string) string {
	switch how = strings.ToLower(how); how {
	case "required", "requisite", "sufficient", "binding", "optional":
		if said == pamIgnores {
			return "ignore"
		}
		agrees := map[string]string{"required": "ok", "requisite": "ok", "sufficient": "done", "binding": "done", "optional": "ok"}
		refuses := map[string]string{"required": "bad", "requisite": "die", "sufficient": "ignore", "binding": "bad", "optional": "ignore"}
		if said == pamAgrees {
			return agrees[how]
		}
		return refuses[how]
	}
	otherwise := "bad"
	for _, w := range strings.Fields(strings.Trim(how, "[]")) {
		k, v, _ := strings.Cut(w, "=")
		switch {
		case k == said, said == pamRefuses && k == "perm_denied":
			return v
		case k == "default":
			otherwise = v
		}
	}
	return otherwise
}

// refuses reports whether a line whose module says no ends in a refusal.
func refuses(how string) bool {
	act := pamAction(how, pamRefuses)
	return act == "bad" || act == "die"
}
