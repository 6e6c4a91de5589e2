// Package pinned is the lines of known_hosts files: which key a host has been
// seen with, under which names. It reads and changes them as text, so that
// what it does not know stays as it is.
package pinned

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// A Key is the public key of a host as it stands in a line.
type Key struct {
	Type string // ssh-ed25519
	Blob string // in base64
}

// Fingerprint is what ssh-keygen -l shows of the key, SHA256:….
func (k Key) Fingerprint() string {
	b, err := base64.StdEncoding.DecodeString(k.Blob)
	if err != nil {
		return "no key"
	}
	sum := sha256.Sum256(b)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// A Line is one key of a file, with the names that it holds for.
type Line struct {
	N       int      // from 1
	Marker  string   // @cert-authority, @revoked; empty: a key of a host
	Names   []string // as written; a hashed one stands alone
	Key     Key
	Comment string
}

// Lines are those of a file that hold a key, as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT.
func Lines(data []byte) (out []Line) {
	n := 0
	for text := range bytes.Lines(data) {
		n++
		if l, ok := parse(string(text)); ok {
			l.N = n
			out = append(out, l)
		}
	}
	return out
}

func parse(text string) (l Line, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return l, false
	}
	f := strings.Fields(text)
	if f[0][0] == '@' {
		l.Marker, f = f[0], f[1:]
	}
	if len(f) < 3 {
		return l, false
	}
	if _, err := base64.StdEncoding.DecodeString(f[2]); err != nil {
		return l, false
	}
	for name := range strings.SplitSeq(f[0], ",") {
		if name != "" {
			l.Names = append(l.Names, name)
		}
	}
	l.Key, l.Comment = Key{f[1], f[2]}, strings.Join(f[3:], " ")
	return l, len(l.Names) > 0
}

func (l Line) String() string {
	f := []string{strings.Join(l.Names, ","), l.Key.Type, l.Key.Blob}
	if l.Marker != "" {
		f = slices.Insert(f, 0, l.Marker)
	}
	if l.Comment != "" {
		f = append(f, l.Comment)
	}
	return strings.Join(f, " ")
}

// Wild reports whether the line holds for all hosts that are called like a pattern.
func (l Line) Wild() bool {
	return slices.ContainsFunc(l.Names, func(n string) bool { return strings.ContainsAny(n, "*?!") })
}

// Holds reports whether the line is about a host of this name, which is
// written as HOST, or as [HOST]:PORT where the port is not 22.
func (l Line) Holds(name string) bool {
	yes := false
	for _, n := range l.Names {
		n, not := strings.CutPrefix(n, "!")
		if !same(n, name) {
			continue
		}
		if not {
			return false
		}
		yes = true
	}
	return yes
}

// same compares one name of a line with that of a host.
func same(written, name string) bool {
	switch {
	case hashed(written):
		return rehash(written, name) == written || rehash(written, strings.ToLower(name)) == written
	case strings.ContainsAny(written, "*?"):
		return glob(strings.ToLower(written), strings.ToLower(name))
	}
	return strings.EqualFold(written, name) || strings.EqualFold(written, "["+name+"]:22")
}

func hashed(name string) bool { return strings.HasPrefix(name, "|1|") }

// rehash hashes a name with the salt of another, |1|SALT|HASH.
func rehash(like, name string) string {
	f := strings.Split(like, "|")
	if len(f) != 4 {
		return ""
	}
	salt, err := base64.StdEncoding.DecodeString(f[2])
	if err != nil {
		return ""
	}
	h := hmac.New(sha1.New, salt)
	h.Write([]byte(name))
	f[3] = base64.StdEncoding.EncodeToString(h.Sum(nil))
	return strings.Join(f, "|")
}

// glob knows * and ? and nothing else.
func glob(pattern, s string) bool {
	at, star, back := 0, -1, 0
	for i := 0; i < len(s); {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, back = at, i
			at++
		case at < len(pattern) && (pattern[at] == '?' || pattern[at] == s[i]):
			at++
			i++
		case star >= 0:
			back++
			at, i = star+1, back
		default:
			return false
		}
	}
	return strings.Trim(pattern[at:], "*") == ""
}

// Name is how a file calls a host that is reached at a port.
func Name(host string, port int) string {
	if port == 0 || port == 22 {
		return host
	}
	return "[" + host + "]:" + strconv.Itoa(port)
}
