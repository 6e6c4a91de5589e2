package fact

import (
	"iter"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Hidden stands for a secret that was taken out.
const Hidden = "[secret]"

var (
	secretWord  = `(?:[A-Za-z0-9_.-]*(?i:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credentials?)[A-Za-z0-9_.-]*|[A-Za-z0-9_.-]*[_.-]` + shortWord + `|\b` + shortWord + `)`
	shortWord   = `(?i:pass|pwd|psk)`
	secretValue = `((?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\\.|[^\s"'\\])+|["'][^\n]*)`
	// A line of its own: all that follows is the value, blanks and all.
	secretLine = regexp.MustCompile(`(?m)^([ \t]*(?:export[ \t]+)?` + secretWord + `)([ \t]*=[ \t]*)([^\n]+)$`)
	// Quotes around name and value: Environment="DB_PASSWORD=two words".
	secretDouble = regexp.MustCompile(`("` + secretWord + `)(=)((?:\\.|[^"\\\n])*)`)
	secretSingle = regexp.MustCompile(`('` + secretWord + `)(=)([^'\n]*)`)
	secretAssign = regexp.MustCompile(`(` + secretWord + `)(\s*=\s*)` + secretValue)
	secretOption = regexp.MustCompile(`(--?` + secretWord + `)([ \t]+)` + secretValue)
	// What programs take after a letter: curl -u amy:…, mosquitto_pub -P …
	secretShort = []shortOption{
		{"curl", regexp.MustCompile(`\bcurl\b[^\n]*?[ \t](-u|--user)([= \t]*["']?[^\s:"']*:)([^\s"']+)`)},
		{"sshpass", regexp.MustCompile(`\bsshpass[ \t]+(-p)([ \t]*)` + secretValue)},
		{"mosquitto_", regexp.MustCompile(`\bmosquitto_(?:pub|sub|rr)\b[^\n]*?[ \t](-P)([ \t]+)` + secretValue)},
		{"mysql", regexp.MustCompile(`\bmysql[a-z-]*[ \t](?:[^\n]*?[ \t])?(-p)()([^\s"'-][^\s"']*)`)},
		{"mariadb", regexp.MustCompile(`\bmariadb[a-z-]*[ \t](?:[^\n]*?[ \t])?(-p)()([^\s"'-][^\s"']*)`)},
	}
	secretHeader = regexp.MustCompile(`(?i)(authorization|x-[a-z-]*(?:key|token)|cookie)([ \t]*:[ \t]*(?:(?:basic|bearer|digest|token)[ \t]+)?)([^\s"']+)`)
	secretURL    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'"]*:)([^\s/'"]+)(@)`)
	// A token stands where a name would: https://ghp_…@github.com.
	tokenURL  = regexp.MustCompile(`(?i)(https?://)([^\s/:@'"]{12,})(@)`)
	notSecret = regexp.MustCompile(`(?i)(file|path|dir|folder|command|cmd|url|type|name|ttl|timeout|length|policy|expiry)$`)
)

var secretName = regexp.MustCompile(`^` + secretWord + `$`)

// NamesSecret reports whether the value of a variable of this name is a
// credential, and not where one is to be found.
func NamesSecret(name string) bool {
	return secretName.MatchString(name) && !notSecret.MatchString(name)
}

// A shortOption finds what follows a letter; there is none without the word.
type shortOption struct {
	word string
	form *regexp.Regexp
}

// secretStems are what the expressions above look for, in lower case: a line
// without any of them holds no name of a secret. Most lines are such, and the
// expressions are slow: on a small board they would take most of an audit.
var secretStems = []string{"pass", "pwd", "psk", "secret", "token", "key", "credential", "authorization", "cookie"}

// hideSecrets replaces what looks like a credential in text that a person or
// a program wrote: values of assignments and options whose name says so, and
// passwords in addresses. Paths and references to variables stay. Where a value
// ends is not always clear; then too much is hidden, not too little.
func hideSecrets(text string) string {
	text = hideURLs(text) // first: an assignment's value may be an address
	var b strings.Builder
	for part := range statements(text) {
		if mentionsSecret(part) {
			part = hideInStatement(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// hideInStatement is hideSecrets for what one statement says.
func hideInStatement(text string) string {
	for _, re := range []*regexp.Regexp{secretLine, secretDouble, secretSingle, secretAssign, secretOption, secretHeader} {
		text = hideMatches(re, text)
	}
	for _, o := range secretShort {
		if strings.Contains(text, o.word) {
			text = hideMatches(o.form, text)
		}
	}
	return text
}

// mentionsSecret reports whether hideInStatement could find anything.
func mentionsSecret(text string) bool {
	for _, o := range secretShort {
		if strings.Contains(text, o.word) {
			return true
		}
	}
	// The two letters outside ASCII that (?i) takes for s and k.
	text = strings.ReplaceAll(strings.ToLower(text), "ſ", "s")
	return slices.ContainsFunc(secretStems, func(stem string) bool { return strings.Contains(text, stem) })
}

// statements splits text after those newlines that no expression above goes
// across: all but the ones before or after an equals sign.
func statements(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		from, at := 0, 0 // at is where the next newline is looked for
		for {
			n := strings.IndexByte(text[at:], '\n')
			if n < 0 {
				break
			}
			before := strings.TrimRight(text[from:at+n], blanks)
			rest := strings.TrimLeft(text[at+n:], blanks)
			next := len(text) - len(rest)
			if !strings.HasSuffix(before, "=") && !strings.HasPrefix(rest, "=") {
				end := strings.LastIndexByte(text[:next], '\n') + 1
				if !yield(text[from:end]) {
					return
				}
				from = end
			}
			at = next
		}
		if from < len(text) {
			yield(text[from:])
		}
	}
}

// blanks are what \s stands for in an expression.
const blanks = " \t\n\f\r"

// hideURLs replaces the passwords of addresses.
func hideURLs(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	// Neither goes over the end of a line, and few lines have one.
	var b strings.Builder
	for l := range strings.Lines(text) {
		if at := strings.Index(l, "://"); at >= 0 && strings.Contains(l[at:], "@") {
			l = secretURL.ReplaceAllString(l, "${1}"+Hidden+"${3}")
			l = tokenURL.ReplaceAllString(l, "${1}"+Hidden+"${3}")
		}
		b.WriteString(l)
	}
	return b.String()
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

// hideInCommands is for files in which a name like passwd_tries is a setting
// of its own, and only commands and addresses may hold a secret.
func hideInCommands(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	return []byte(hideURLs(hideMatches(secretOption, string(e.Content))))
}

// hideInOutput takes secrets out of the answer of a command that repeats what
// files say.
func hideInOutput(o *snap.Output) {
	o.Stdout = []byte(hideSecrets(string(o.Stdout)))
}
