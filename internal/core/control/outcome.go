package control

import (
	"fmt"

	"picket/internal/core/fact"
)

// Verdict on one control for one host.
type Verdict string

// The verdicts.
const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	Ineffective   Verdict = "ineffective"    // configured, not effective
	NotApplicable Verdict = "not-applicable" // with the reason
	Unknown       Verdict = "unknown"        // something could not be read
	Error         Verdict = "error"          // a bug in Picket
)

// Bad reports whether the verdict is a finding.
func (v Verdict) Bad() bool { return v == Fail || v == Ineffective }

// Valid reports whether it is one of the verdicts.
func (v Verdict) Valid() bool {
	switch v {
	case Pass, Fail, Ineffective, NotApplicable, Unknown, Error:
		return true
	}
	return false
}

// Tri is true, false or not known.
type Tri uint8

// Values of Tri. The zero value is not known.
const (
	Untold Tri = iota
	No
	Yes
)

// TriOf is Yes or No.
func TriOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Ptr is the form in reports: true, false or null.
func (t Tri) Ptr() *bool {
	if t == Untold {
		return nil
	}
	b := t == Yes
	return &b
}

// And is the conjunction; not known wins over yes, no over everything.
func (t Tri) And(u Tri) Tri {
	switch {
	case t == No || u == No:
		return No
	case t == Untold || u == Untold:
		return Untold
	}
	return Yes
}

// Evidence is one thing that was seen and what was wanted instead.
type Evidence struct {
	Fact   string `json:"fact"`   // what: "PasswordAuthentication for user pi"
	Place  string `json:"place"`  // where: "/etc/ssh/sshd_config:57" or "`sshd -T`"
	Found  string `json:"found"`  // "yes"; never a secret
	Wanted string `json:"wanted"` // "no"; "" where found is only context

	// With these the fix is written out. They are no part of a report.
	File    string   `json:"-"` // what FILE stands for; empty: there is none
	Account string   `json:"-"` // what NAME or USER stands for; empty: there is none
	Group   string   `json:"-"` // what GROUP stands for; empty: there is none
	Lines   []string `json:"-"` // what LINES stands for: those of a settings file
}

// Saw makes evidence. The file of the place is what has to be mended.
func Saw(what string, at fact.Place, found, wanted string) Evidence {
	return Evidence{Fact: what, Place: at.String(), Found: found, Wanted: wanted, File: at.Path}
}

// Of says which account it is about.
func (e Evidence) Of(account string) Evidence {
	e.Account = account
	return e
}

// For says which group a file is to have.
func (e Evidence) For(group string) Evidence {
	e.Group = group
	return e
}

// Mend says which file has to be mended, where it is not that of the place.
func (e Evidence) Mend(file string) Evidence {
	e.File = file
	return e
}

// An Outcome is what a rule says of a host.
type Outcome struct {
	Verdict    Verdict
	Configured Tri // the files ask for it
	Effective  Tri // it is in force now
	Persistent Tri // it will hold after a reboot
	Explicit   Tri // it is set somewhere; No: it holds by default
	Reason     string
	Evidence   []Evidence
}

// Passed makes an outcome of a rule that looks at one thing only.
func Passed(reason string, ev ...Evidence) Outcome {
	return Outcome{Verdict: Pass, Effective: Yes, Reason: reason, Evidence: ev}
}

// Failed makes an outcome of a rule that looks at one thing only.
func Failed(reason string, ev ...Evidence) Outcome {
	return Outcome{Verdict: Fail, Effective: No, Reason: reason, Evidence: ev}
}

// IsIneffective makes the outcome of something set up that does nothing.
func IsIneffective(reason string, ev ...Evidence) Outcome {
	return Outcome{Verdict: Ineffective, Configured: Yes, Effective: No, Reason: reason, Evidence: ev}
}

// DoesNotApply makes an outcome with its reason.
func DoesNotApply(reason string) Outcome { return Outcome{Verdict: NotApplicable, Reason: reason} }

// CannotTell makes an unknown outcome; the reason says what was missing and
// how to give it.
func CannotTell(reason string, ev ...Evidence) Outcome {
	return Outcome{Verdict: Unknown, Reason: reason, Evidence: ev}
}

// Missing is the outcome for a value that could not be read.
func Missing[T any](v fact.Value[T]) Outcome {
	if v.State == fact.Denied {
		return CannotTell(v.Why + "; run as root")
	}
	return CannotTell(v.Why)
}

// OwnKernel is for what is about the kernel. In a container that belongs to the
// machine around it: what is bad there does not apply here, where nobody can
// mend it.
func OwnKernel(h *fact.Host, o Outcome) Outcome {
	if outer := h.Time.OuterKernel(); outer != "" && o.Verdict.Bad() {
		return DoesNotApply(o.Reason + "; only the machine that runs this container (" + outer + ") can change that: audit that one")
	}
	return o
}

// Judge derives the verdict from the facets:
//
//	effective now and (so far as is known) after a reboot    pass
//	asked for by the files, but not so now or after a reboot ineffective
//	so now, not asked for, and lost at a reboot              fail
//	not so now                                               fail
//	not known whether so now                                 unknown
//
// On an image nothing is in force now; there, what the files ask for is what
// will hold, and persistent alone decides.
func (o Outcome) Judge() Outcome {
	now := o.Effective
	if now == Untold {
		now = o.Persistent
	}
	switch {
	case now == Yes && o.Persistent != No:
		o.Verdict = Pass
	case now == Untold:
		o.Verdict = Unknown
	case o.Configured == Yes:
		o.Verdict = Ineffective
	default:
		o.Verdict = Fail
	}
	return o
}

// Because sets the reason.
func (o Outcome) Because(format string, args ...any) Outcome {
	o.Reason = fmt.Sprintf(format, args...)
	return o
}

// With adds evidence.
func (o Outcome) With(ev ...Evidence) Outcome {
	o.Evidence = append(o.Evidence, ev...)
	return o
}
