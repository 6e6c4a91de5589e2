package fact

import (
	"bytes"
	"regexp"

	"picket/internal/core/snap"
)

// wordSecret is name=value with a secret: of a network disk in fstab, of a
// credential on the kernel's command line. A value that is a path says where
// the secret is, not what, and stays.
var wordSecret = regexp.MustCompile(`(?i)([\w.-]*(?:pass|passwd|password|secret|token|psk|set_credential(?:_binary)?)=)(?:"(?:\\.|[^"\\\n])*"|[^\s,"/](?:[^\s,]*[^\s,"])?)`)

// redactWords replaces the values of words that name a secret.
func redactWords(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	return []byte(hideWords(string(e.Content)))
}

// userSecret is how mount.cifs takes both in one: user=amy%…
var userSecret = regexp.MustCompile(`(?i)(\b(?:user|username)=[^\s,%]*%)[^\s,]+`)

func hideWords(text string) string {
	text = wordSecret.ReplaceAllString(text, "${1}"+Hidden)
	return hideURLs(userSecret.ReplaceAllString(text, "${1}"+Hidden))
}

var grubHash = regexp.MustCompile(`^(\s*password(?:_pbkdf2)?\s+\S+).*`)

// redactGrub keeps the lines that rules read, without the password or its hash.
func redactGrub(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	ls := bytes.Split(e.Content, []byte("\n"))
	for i, l := range ls {
		f := bytes.Fields(l)
		if len(f) == 0 {
			continue
		}
		switch {
		case bytes.HasPrefix(f[0], []byte("password")):
			ls[i] = grubHash.ReplaceAll(l, []byte("${1} [secret]"))
		case string(f[0]) == "linux", string(f[0]) == "set", string(f[0]) == "menuentry":
			ls[i] = []byte(hideWords(string(l)))
		default:
			ls[i] = nil // the lines keep their numbers
		}
	}
	return bytes.Join(ls, []byte("\n"))
}
