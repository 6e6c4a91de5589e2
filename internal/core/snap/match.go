package snap

import (
	"path"
	"strings"
)

// Match is path.Match with the shell's rule for names that begin with a dot.
func Match(pattern, p string) bool { return each(pattern, p, MatchName) }

// MatchName matches one component.
func MatchName(pattern, name string) bool {
	if !IsPattern(pattern) {
		return pattern == name
	}
	if strings.HasPrefix(name, ".") && !dotted(pattern) {
		return false
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// within reports whether everything that inner, a path or a pattern, can match
// is matched by outer too. It may say no where a longer look would say yes.
func within(outer, inner string) bool {
	return each(outer, inner, func(o, i string) bool {
		if o == i || !IsPattern(i) {
			return o == i || MatchName(o, i)
		}
		return o == "*" && !dotted(i)
	})
}

// overlap reports whether one path could be matched by both. It may say yes
// where a longer look would say no.
func overlap(a, b string) bool {
	return each(a, b, func(x, y string) bool {
		switch {
		case x == y:
			return true
		case !IsPattern(x):
			return MatchName(y, x)
		case !IsPattern(y):
			return MatchName(x, y)
		}
		return dotted(x) == dotted(y)
	})
}

// below reports whether p, a path or a pattern, lies under the folder dir.
func below(dir, p string) bool {
	n := strings.Count(dir, "/")
	for i := range len(p) {
		if p[i] != '/' {
			continue
		}
		if n--; n < 0 {
			return overlap(dir, p[:i])
		}
	}
	return false
}

// dotted reports whether a component names only files that begin with a dot.
func dotted(c string) bool { return strings.HasPrefix(c, ".") || strings.HasPrefix(c, `\.`) }

// each compares two paths component by component.
func each(a, b string, same func(a, b string) bool) bool {
	for {
		ca, ra, moreA := strings.Cut(a, "/")
		cb, rb, moreB := strings.Cut(b, "/")
		if moreA != moreB || !same(ca, cb) {
			return false
		}
		if !moreA {
			return true
		}
		a, b = ra, rb
	}
}

// IsPattern reports whether s holds a wildcard.
func IsPattern(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '*' || c == '?' || c == '[' {
			return true
		}
	}
	return false
}

// Literal makes a manifest's pattern of a path that came from the host and
// may hold characters that are wildcards.
func Literal(p string) string {
	parts := strings.Split(p, "/")
	for i, c := range parts {
		if IsPattern(c) {
			parts[i] = literal.Replace(c)
		}
	}
	return strings.Join(parts, "/")
}

var literal = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// FileLimit is how many bytes of a file are kept.
func FileLimit(path string) int64 {
	if path == "/var/lib/dpkg/status" {
		return 16 << 20
	}
	return MaxFile
}
