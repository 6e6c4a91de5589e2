package fact

import (
	"strings"

	"picket/internal/core/snap"
)

// LastOf is the last value of a key in settings files, given in rising
// precedence; patterns are read in the order of names. Formats: ini (sections,
// key = value), assignment (KEY=value of a shell) and words (Key value).
func LastOf(s *snap.Snapshot, format string, patterns []string, section, key string) Value[string] {
	out := Not[string](Absent, key+" is not set")
	for _, p := range patterns {
		es, st, why := s.Glob(p)
		if st == Unknown || st == Denied {
			return Not[string](st, why)
		}
		for _, e := range es {
			if e.Denied != "" {
				return Not[string](Denied, e.Denied)
			}
			if !e.Read {
				continue
			}
			if v := lastIn(e, format, section, key); v.Known() {
				out = v
			}
		}
	}
	return out
}

func lastIn(e *snap.Entry, format, section, key string) Value[string] {
	out := Not[string](Absent, key+" is not set")
	in := ""
	for _, l := range lines(e) {
		t := strings.TrimSpace(l.text)
		if t == "" || t[0] == '#' || t[0] == ';' {
			continue
		}
		if format == "ini" && t[0] == '[' && strings.HasSuffix(t, "]") {
			in = t[1 : len(t)-1]
			continue
		}
		if format == "ini" && !strings.EqualFold(in, section) {
			continue
		}
		var k, v string
		if format == "words" {
			k, v = word(uncomment(t, "#"))
		} else {
			var ok bool
			if k, v, ok = strings.Cut(t, "="); !ok {
				continue
			}
			k = strings.TrimPrefix(strings.TrimSpace(k), "export ")
		}
		if strings.EqualFold(k, key) {
			v = strings.TrimSpace(v)
			if format != "ini" {
				v = unquote(uncomment(v, "#"))
			}
			out = Is(v, l.at)
		}
	}
	return out
}
