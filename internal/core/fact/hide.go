package fact

import (
	"regexp"
	"strings"

	"picket/internal/core/snap"
)

// Hidden stands for a secret that was taken out.
const Hidden = "[secret]"

var (
	secretWord   = `[A-Za-z0-9_.-]*(?i:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credentials?)[A-Za-z0-9_.-]*`
	secretValue  = `("[^"\n]*"|'[^'\n]*'|[^\s"';&|)]+)`
	secretAssign = regexp.MustCompile(`(` + secretWord + `)(\s*=\s*)` + secretValue)
	secretOption = regexp.MustCompile(`(--?` + secretWord + `)([ \t]+)` + secretValue)
	secretURL    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'"]*:)([^\s/@'"]+)(@)`)
	notSecret    = regexp.MustCompile(`(?i)(file|path|dir|folder|command|cmd|url|type|name|ttl|timeout|length|policy|expiry)$`)
)

// hideSecrets replaces what looks like a credential in text that a person or
// a program wrote: values of assignments and options whose name says so, and
// passwords in addresses. Paths and references to variables stay.
func hideSecrets(text string) string {
	hide := func(re *regexp.Regexp) {
		text = re.ReplaceAllStringFunc(text, func(m string) string {
			g := re.FindStringSubmatch(m)
			name, value := g[1], strings.Trim(g[3], `"'`)
			if notSecret.MatchString(name) || value == "" || value == Hidden ||
				strings.HasPrefix(value, "/") || strings.HasPrefix(value, "$") || strings.HasPrefix(value, "%") || strings.HasPrefix(value, "-") {
				return m
			}
			return name + g[2] + Hidden
		})
	}
	hide(secretAssign)
	hide(secretOption)
	return secretURL.ReplaceAllString(text, "${1}"+Hidden+"${3}")
}

// hideInFile is a redaction for files whose secrets stand in assignments.
func hideInFile(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	return []byte(hideSecrets(string(e.Content)))
}

// hideInOutput takes secrets out of the answer of a command that repeats what
// files say.
func hideInOutput(o *snap.Output) {
	o.Stdout = []byte(hideSecrets(string(o.Stdout)))
}
