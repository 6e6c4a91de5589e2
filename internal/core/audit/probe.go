package audit

import (
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// tried lays what was tried over what was read. One attempt that succeeded and
// should not have is proof, whatever the files say. One that was refused is proof of
// that one way only: it is told, and makes nothing pass.
func tried(o control.Outcome, all []fact.Tried) control.Outcome {
	if o.Verdict == control.NotApplicable || len(all) == 0 {
		return o
	}
	var proof, rest []control.Evidence
	unsure := false
	for _, t := range all {
		e := control.Evidence{Fact: "tried: " + t.What, Place: t.To, Found: t.Answer}
		switch {
		case t.Why != "":
			e.Found = t.Why
		case t.Bad:
			e.Place, e.Wanted = t.To+", from "+t.From, t.Wanted
			if !t.Unsure {
				proof = append(proof, e)
				continue
			}
			unsure = true
		default:
			e.Place = t.To + ", from " + t.From
		}
		rest = append(rest, e)
	}
	switch {
	case len(proof) == 0 && unsure && o.Verdict == control.Pass:
		return control.CannotTell("what was read says: "+o.Reason+". An answer at its port says otherwise, and it is not known who listens there", append(o.Evidence, rest...)...)
	case len(proof) == 0:
		return o.With(rest...)
	}
	o.Evidence = append(append(proof, o.Evidence...), rest...)
	switch o.Verdict {
	case control.Pass:
		o.Configured, o.Effective, o.Verdict = control.Yes, control.No, control.Ineffective
		o = o.Because("it was tried, and it is not so, though what was read says: %s", o.Reason)
	case control.Unknown:
		o.Effective, o.Verdict = control.No, control.Fail
		o = o.Because("it was tried: %s gave %s", proof[0].Fact[len("tried: "):], proof[0].Found)
	default:
		o.Effective = control.No
		o = o.Because("%s; tried, and so it is", o.Reason)
	}
	return o
}
