package audit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"picket/internal/core/control"
)

// What one result may hold. A host says as much as it likes; a reader, and
// whatever stores reports, must not drown in it.
const (
	MaxText     = 200 // characters of one value
	MaxReason   = 600 // characters of a reason
	MaxEvidence = 50  // pieces of evidence
)

// bounded cuts what is too long, and makes all of it printable.
func (r *Result) bounded() {
	r.Reason = cut(r.Reason, MaxReason)
	if n := len(r.Evidence); n > MaxEvidence {
		last := control.Evidence{Fact: "more of the same", Found: fmt.Sprintf("%d more", n-MaxEvidence+1)}
		r.Evidence = append(r.Evidence[:MaxEvidence-1:MaxEvidence-1], last)
	}
	kept := make([]control.Evidence, len(r.Evidence))
	for i, e := range r.Evidence {
		kept[i] = control.Evidence{Fact: cut(e.Fact, MaxText), Place: cut(e.Place, MaxText), Found: cut(e.Found, MaxText), Wanted: cut(e.Wanted, MaxReason)}
	}
	r.Evidence = kept
}

// cut keeps the beginning of a text, in one line: what a host has put into a
// name must not move a terminal's cursor.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}
