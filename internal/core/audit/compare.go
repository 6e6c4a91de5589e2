package audit

import (
	"cmp"
	"slices"

	"picket/internal/core/control"
)

// CompareSchema identifies the JSON form of a [Comparison].
const CompareSchema = "picket.compare/1"

// A Comparison is what differs between two reports: of one host at two times,
// or of two hosts.
type Comparison struct {
	Schema  string   `json:"schema"`
	Before  Compared `json:"before"`
	After   Compared `json:"after"`
	Changes []Change `json:"changes"` // what became worse first
	Same    int      `json:"same"`    // controls that are judged alike
}

// Compared is one side.
type Compared struct {
	Host    Host   `json:"host"`
	Taken   string `json:"taken"` // RFC 3339
	Profile string `json:"profile"`
	Score   int    `json:"score"`
}

// How a control's verdict differs.
const (
	Worse   = "worse"   // it was not bad, and is
	Better  = "better"  // it was bad, and is not
	Lost    = "lost"    // it was known, and is not
	Found   = "found"   // it was not known, and is
	Changed = "changed" // bad as before, for another reason
	Waived  = "waived"  // a waiver came or went
	Added   = "added"   // judged on the second side only
	Gone    = "gone"    // judged on the first side only
)

// changeOrder begins with what a person has to look at first.
var changeOrder = []string{Worse, Lost, Changed, Added, Waived, Found, Better, Gone}

// A Change is one control that differs.
type Change struct {
	Control  string           `json:"control"`
	Title    string           `json:"title"`
	Severity control.Severity `json:"severity"`
	Kind     string           `json:"kind"`
	Was      *Side            `json:"was"` // null: it was not judged
	Is       *Side            `json:"is"`
}

// A Side is a verdict and why.
type Side struct {
	Verdict control.Verdict `json:"verdict"`
	Reason  string          `json:"reason"`
	Waived  bool            `json:"waived"`
}

// Compare says what differs from a to b.
func Compare(a, b Report) Comparison {
	c := Comparison{Schema: CompareSchema, Before: compared(a), After: compared(b), Changes: []Change{}}
	was := map[string]Result{}
	for _, r := range a.Results {
		was[r.Control] = r
	}
	for _, is := range b.Results {
		old, ok := was[is.Control]
		delete(was, is.Control)
		if !ok {
			c.Changes = append(c.Changes, Change{is.Control, is.Title, is.Severity, Added, nil, side(is)})
			continue
		}
		kind := differs(old, is)
		if kind == "" {
			c.Same++
			continue
		}
		c.Changes = append(c.Changes, Change{is.Control, is.Title, is.Severity, kind, side(old), side(is)})
	}
	for _, r := range a.Results {
		if _, left := was[r.Control]; left {
			c.Changes = append(c.Changes, Change{r.Control, r.Title, r.Severity, Gone, side(r), nil})
		}
	}
	slices.SortStableFunc(c.Changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(slices.Index(changeOrder, x.Kind), slices.Index(changeOrder, y.Kind)), y.Severity.Rank()-x.Severity.Rank(), cmp.Compare(x.Control, y.Control))
	})
	return c
}

// Of returns the changes of one kind.
func (c Comparison) Of(kind string) []Change {
	var out []Change
	for _, ch := range c.Changes {
		if ch.Kind == kind {
			out = append(out, ch)
		}
	}
	return out
}

func differs(was, is Result) string {
	unknown := func(r Result) bool { return r.Verdict == control.Unknown || r.Verdict == control.Error }
	switch {
	case is.Verdict.Bad() && !was.Verdict.Bad():
		return Worse
	case was.Verdict.Bad() && !is.Verdict.Bad() && !unknown(is):
		return Better
	case unknown(is) && !unknown(was):
		return Lost
	case unknown(was) && !unknown(is):
		return Found
	case (was.Waiver == nil) != (is.Waiver == nil):
		return Waived
	case is.Verdict.Bad() && (was.Verdict != is.Verdict || was.Reason != is.Reason):
		return Changed
	}
	return ""
}

func side(r Result) *Side { return &Side{r.Verdict, r.Reason, r.Waiver != nil} }

func compared(r Report) Compared {
	return Compared{r.Host, r.Taken.UTC().Format("2006-01-02T15:04:05Z"), r.Profile, r.Score}
}
