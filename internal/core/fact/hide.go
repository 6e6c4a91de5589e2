package fact

import (
	"regexp"
	"strings"

	"picket/internal/core/snap"
)

// Hidden stands for a secret that was taken out.
const Hidden = "[secret]"

var (
	secretWord  = `[A-Za-z0-9_.-]*(?i:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credentials?)[A-Za-z0-9_.-]*`
	secretValue = `((?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\\.|[^\s"'\\])+|["'][^\n]*)`
	// A line of its own: all that follows is the value, blanks and all.
	secretLine = regexp.MustCompile(`(?m)^([ \t]*(?:export[ \t]+)?` + secretWord + `)([ \t]*=[ \t]*)([^\n]+)$`)
	// Quotes around name and value: Environment="DB_PASSWORD=two words".
	secretDouble = regexp.MustCompile(`("` + secretWord + `)(=)((?:\\.|[^"\\\n])*)`)
	secretSingle = regexp.MustCompile(`('` + secretWord + `)(=)([^'\n]*)`)
	secretAssign = regexp.MustCompile(`(` + secretWord + `)(\s*=\s*)` + secretValue)
	secretOption = regexp.MustCompile(`(--?` + secretWord + `)([ \t]+)` + secretValue)
	// fail2ban-client -d: ['set', 'jail', 'action', 'cloudflare', 'cftoken', 'value'].
	secretListed = regexp.MustCompile(`(['"]` + secretWord + `['"])(,[ \t]*['"])((?:\\.|[^'"\\\n])+)`)
	secretURL    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'"]*:)([^\s/@'"]+)(@)`)
	notSecret    = regexp.MustCompile(`(?i)(file|path|dir|folder|command|cmd|url|type|name|ttl|timeout|length|policy|expiry)$`)
)

// hideSecrets replaces what looks like a credential in text that a person or
// a program wrote: values of assignments and options whose name says so, and
// passwords in addresses. Paths and references to variables stay. Where a value
// ends is not always clear; then too much is hidden, not too little.
func hideSecrets(text string) string {
	for _, re := range []*regexp.Regexp{secretLine, secretDouble, secretSingle, secretAssign, secretOption, secretListed} {
		text = hideMatches(re, text)
	}
	return secretURL.ReplaceAllString(text, "${1}"+Hidden+"${3}")
}

// hideMatches replaces the third group of every match, the value, unless the
// first, the name, or the value itself show that it is no secret.
func hideMatches(re *regexp.Regexp, text string) string {
	var b strings.Builder
	for {
		g := re.FindStringSubmatchIndex(text)
		if g == nil {
			b.WriteString(text)
			return b.String()
		}
		name, value := text[g[2]:g[3]], text[g[6]:g[7]]
		bare := strings.TrimLeft(value, `"'`)
		end := g[6] // where to look on: what is kept may hold other assignments
		switch {
		case strings.HasPrefix(bare, Hidden):
			end += len(value) - len(bare) + len(Hidden)
			b.WriteString(text[:end])
		case notSecret.MatchString(name), strings.Trim(value, `"' `) == "", strings.ContainsRune("/$%-", rune(bare[0])):
			b.WriteString(text[:end])
		default:
			b.WriteString(text[:end])
			b.WriteString(Hidden)
			kept := strings.TrimRight(value, ";&|)")
			end += max(len(kept), 1)
		}
		text = text[end:]
	}
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
