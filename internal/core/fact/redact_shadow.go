package fact

import (
	"strings"

	"picket/internal/core/passhash"
	"picket/internal/core/snap"
)

// Guessed is whether a file is one whose passwords are tried, or what is needed
// to try them.
func Guessed(p string) bool {
	return p == "/etc/shadow" || p == "/etc/passwd" || p == "/etc/hostname"
}

// redactShadow replaces the hashes of passwd, shadow and their backups by what
// a rule needs: the kind of hash, and whether the first passwords that anybody
// would try fit it. The forms, with the marks that lock a password before them:
//
//	[yescrypt]                                none of the guesses fits
//	[yescrypt, factory password]              one does
//	[yescrypt, not checked (ran out of time)] not all were tried
//	[not a hash]                              no password fits
//
// A line that has not the form of the file may hold anything and goes whole.
func redactShadow(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	fields := 9
	if strings.HasPrefix(e.Path, "/etc/passwd") {
		fields = 7
	}
	var out []string
	var suspects []*suspect
	at := map[int]*suspect{} // by line
	for i, l := range rawLines(e.Content) {
		f := strings.Split(l, ":")
		if len(f) != fields || len(f[0]) > 256 || strings.HasPrefix(f[0], "$") {
			out = append(out, notKept(l, len(f)))
			continue
		}
		lock, h := marks(f[1])
		switch {
		case h == "" || h == "x" && fields == 7:
		case passhash.Scheme(h) == "":
			f[1] = lock + "[" + notAHash + "]"
		case lock != "":
			f[1] = lock + "[" + passhash.Scheme(h) + ", not checked (locked)]"
		default:
			at[i] = &suspect{user: f[0], hash: h}
			suspects = append(suspects, at[i])
		}
		if fields == 9 {
			for j := 2; j < len(f); j++ {
				if !number(f[j]) {
					f[j] = "[not a number]"
				}
			}
		}
		out = append(out, strings.Join(f, ":"))
	}
	host := ""
	if name := firstLine(s, "/etc/hostname"); name.Known() {
		host = name.V
	}
	t := newTrial(suspects, host, sec)
	fill := func(form func(*suspect) string) []byte {
		for i, su := range at {
			f := strings.Split(out[i], ":")
			f[1] = form(su)
			out[i] = strings.Join(f, ":")
		}
		return joinLines(out)
	}
	backup := strings.HasSuffix(e.Path, "-") // its hashes are nobody's password any more
	switch {
	case backup || sec.More == nil:
		t.run(func() bool { return false })
	case sec.Later == nil || len(suspects) == 0:
		t.run(sec.More)
	default:
		sec.Later(Guesses{Try: t.work, Finish: func() {
			t.finish()
			e.Content = fill((*suspect).String)
		}})
		// Who reads on meanwhile sees neither a hash nor an answer.
		return fill(func(su *suspect) string { return "[" + passhash.Scheme(su.hash) + ", not checked (being tried)]" })
	}
	return fill((*suspect).String)
}

// String is the form that replaces the hash.
func (s *suspect) String() string {
	kind := passhash.Scheme(s.hash)
	switch {
	case s.guessed != "":
		return "[" + kind + ", " + s.guessed + "]"
	case s.why == notAHash:
		return "[" + notAHash + "]"
	case s.why != "":
		return "[" + kind + ", not checked (" + s.why + ")]"
	}
	return "[" + kind + "]"
}

// redactGroup replaces the passwords of groups; nobody needs more of them than
// that there is one.
func redactGroup(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	var out []string
	for _, l := range rawLines(e.Content) {
		f := strings.Split(l, ":")
		if len(f) != 4 || strings.HasPrefix(f[0], "$") {
			out = append(out, notKept(l, len(f)))
			continue
		}
		if lock, h := marks(f[1]); h != "" && h != "x" {
			kind := passhash.Scheme(h)
			if kind == "" {
				kind = notAHash
			}
			f[1] = lock + "[" + kind + "]"
		}
		out = append(out, strings.Join(f, ":"))
	}
	return joinLines(out)
}

// notKept stands for a line that is not of the file's form. Empty lines,
// comments and the plus sign of NIS hold nothing.
func notKept(l string, fields int) string {
	switch t := strings.TrimSpace(l); {
	case t == "" || t == "+":
		return t
	case strings.HasPrefix(t, "+") && strings.Trim(t, "+:") == "":
		return t
	}
	return lineNotKept + plural(fields, "field") + "]"
}

const lineNotKept = "[line not kept, "

func rawLines(content []byte) []string {
	s := strings.TrimSuffix(string(content), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func joinLines(ls []string) []byte {
	if len(ls) == 0 {
		return nil
	}
	return []byte(strings.Join(ls, "\n") + "\n")
}

// number allows an empty field, as in shadow.
func number(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return len(s) < 12 && strings.Trim(s, "0123456789") == ""
}
