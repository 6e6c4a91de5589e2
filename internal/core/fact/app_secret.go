package fact

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"picket/internal/core/passhash"
)

// What stands in place of a secret of an application:
//
//	[secret, factory value]                what it ships with, or a guide
//	[secret, a common password]
//	[secret, base64 of a factory value]
//	[secret, base64 of user:password]
//	[secret, base64]
//	[secret, Vault token]
//	[secret, hashed with bcrypt]
//	[secret, 8 to 15 characters]
//
// A reference to a variable or a file is no secret and stays.
const (
	secretHead    = "[secret, "
	SecretFactory = "factory value"
	SecretUserPw  = "base64 of user:password"
	SecretBase64  = "base64"
	SecretVault   = "Vault token"
	SecretHashed  = "hashed with "
)

// AppSecret is what is known of a secret: the text of its note.
func AppSecret(v string) (what string, ok bool) {
	what, ok = strings.CutPrefix(v, secretHead)
	return strings.TrimSuffix(what, "]"), ok
}

var (
	secretNote   = regexp.MustCompile(`^\[secret, [a-zA-Z0-9:,() -]{1,80}\]$`)
	appReference = regexp.MustCompile(`^(?:\[\[\s*\w+\s*\]\]|\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|\{\{[^{}]{1,80}\}\}|%\(\w+\)s|\{env\.\w+\}|\{\$\w+\}|\$__(?:env|file)\{[^{}]{1,200}\}|/(?:[\w.-]+/)+[\w.-]+|(?:[\w.-]+/)*[\w-]+\.(?:key|pem|crt))$`)
	appSecretKey = regexp.MustCompile(`(?i)(pass(?:wor[dt]|wd|phrase|code)?$|passwo?r?d|passphrase|secret|token|api[_-]?keys?$|apikey|private[_-]?key|access[_-]?key|psk$|[_-]key$|jwt|bearer|credential|unseal|keys_b(?:ase)?64|auth[_-]?key|^pwd$|_pw$)`)
	appNoSecret  = regexp.MustCompile(`(?i)(_?(file|path|dir|folder|command|cmd|url|uri|type|ttl|timeout|policy|expiry|length|enabled|rounds?|prefix|name|method|port|format)s?$|^max_|_max_|tokens$|^tokens?_per|^password_file|^auth\.)`)
	appHash      = regexp.MustCompile(`\$argon2(?:id|i|d)\$[^\s'"]+|\$(?:apr1|scrypt|pbkdf2[a-z0-9-]*|y|gy|7|6|5|1|2[abxy])\$[^\s'":,;)]+`)
	tokenLike    = regexp.MustCompile(`^[A-Za-z0-9+/_=-]{20,}$`)
	vaultToken   = regexp.MustCompile(`\b(?:hv[sbr]\.[A-Za-z0-9_-]{20,}|[sbr]\.[A-Za-z0-9]{24}(?:\.[A-Za-z0-9]+)?)(?:\b|$)`)
	authWord     = regexp.MustCompile(`(?i)\b(basic|bearer)(\s+)([^\s"']+)`)
)

const maxAppValue = 2000

// factoryValues are all that images, packages and guides ship, for any account.
var factoryValues = func() map[string]bool {
	out := map[string]bool{"public": true, "private": true, "Admin": true, "pisovereign": true, "vault": true, "grafana": true}
	for _, ws := range factoryPairs {
		for _, w := range ws {
			out[w] = true
		}
	}
	for _, w := range factoryWords {
		out[w] = true
	}
	return out
}()

// keepName is a part of a setting's name, bounded; a key may be a secret only
// where somebody took a file of another format for settings.
func keepName(k string) string {
	if len(k) > 200 {
		return "[long name]"
	}
	return maskWords(k)
}

// keepValue is the value of a setting, or the note for a secret.
func keepValue(key []string, v string, text bool, sec Secrets) string {
	v = strings.TrimSpace(v)
	switch {
	case v == "", secretNote.MatchString(v), isNote(v), v == "true", v == "false", v == "null", v == Hidden:
		return v
	case len(v) > 64<<10:
		return "[long text]"
	}
	if secretKey(key) && (text || len(v) > 0) {
		return noteOf(key, v)
	}
	if h := hashKind(v); h != "" && !strings.Contains(v, " ") {
		return secretHead + SecretHashed + h + "]"
	}
	if strings.Contains(v, "PRIVATE KEY") {
		return secretHead + "a private key]"
	}
	if len(v) > maxAppValue {
		return "[long text]"
	}
	return maskWords(hideSecrets(v))
}

// secretKey tells by its name whether a setting is a secret. What lies in
// something of such a name is one too, unless its own name says otherwise.
func secretKey(key []string) bool {
	last := true
	for _, k := range slices.Backward(key) {
		if number(k) && k != "" {
			continue
		}
		plain := appNoSecret.MatchString(k)
		if appSecretKey.MatchString(k) && !plain || strings.Contains(k, "community") {
			return true
		}
		if last && plain {
			return false
		}
		last = false
	}
	return false
}

// noteOf is the note for a secret.
func noteOf(key []string, v string) string {
	if appReference.MatchString(v) {
		return v
	}
	note := func(what string) string { return secretHead + what + "]" }
	user := ""
	if len(key) > 1 {
		user = key[len(key)-2] // {"Admin": {"password": …}}
	}
	if slices.Contains(factoryPairs[user], v) || factoryValues[v] {
		return note(SecretFactory)
	}
	if slices.Contains(commonWords, v) {
		return note(common)
	}
	if h := hashKind(v); h != "" {
		return note(SecretHashed + h)
	}
	if vaultToken.MatchString(v) {
		return note(SecretVault)
	}
	if plain, ok := unbase64(v); ok {
		name, _, pair := strings.Cut(plain, ":")
		switch {
		case slices.Contains(factoryPairs[user], plain) || factoryValues[plain]:
			return note("base64 of a " + SecretFactory)
		case pair && name != "" && len(v)%4 == 0:
			return note(SecretUserPw)
		case len(v)%4 == 0:
			return note(SecretBase64)
		}
	}
	switch n := utf8.RuneCountInString(v); {
	case n < 8:
		return note("shorter than 8 characters")
	case n < 16:
		return note("8 to 15 characters")
	}
	return note("16 characters or more")
}

// hashKind names the kind of a hashed password, "" for what is none.
func hashKind(v string) string {
	for _, k := range []string{"argon2id", "argon2i", "argon2d", "apr1", "pbkdf2"} {
		if strings.HasPrefix(v, "$"+k) {
			return k
		}
	}
	if len(v) > 12 && v[0] == '$' || len(v) == 20 && v[0] == '_' {
		return passhash.Scheme(v)
	}
	return ""
}

// unbase64 decodes a text that is one in base64: letters and signs that can be
// typed.
func unbase64(v string) (string, bool) {
	b, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(b) < 3 || !utf8.Valid(b) {
		return "", false
	}
	s := string(b)
	return s, strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// maskWords takes out of a text what is a secret by its looks.
func maskWords(v string) string {
	v = appHash.ReplaceAllStringFunc(v, func(h string) string { return Hidden })
	v = vaultToken.ReplaceAllString(v, Hidden)
	v = authWord.ReplaceAllStringFunc(v, func(m string) string {
		g := authWord.FindStringSubmatch(m)
		if tokenLike.MatchString(g[3]) || len(g[3]) > 11 && strings.ContainsAny(g[3], "0123456789=") {
			return g[1] + g[2] + Hidden
		}
		return m
	})
	if !strings.ContainsFunc(v, unicode.IsDigit) {
		return v
	}
	words := strings.Split(v, " ")
	for i, w := range words {
		bare := strings.Trim(w, `"'`)
		if tokenLike.MatchString(bare) && randomLooking(bare) {
			words[i] = strings.Replace(w, bare, Hidden, 1)
		}
	}
	return strings.Join(words, " ")
}

// randomLooking tells letters of both cases and digits thrown together from a
// path or a name.
func randomLooking(w string) bool {
	lower, upper, digit := 0, 0, 0
	for _, r := range w {
		switch {
		case unicode.IsLower(r):
			lower++
		case unicode.IsUpper(r):
			upper++
		case unicode.IsDigit(r):
			digit++
		}
	}
	hex := strings.Trim(strings.ToLower(w), "0123456789abcdef") == "" && len(w) >= 32
	return hex || !strings.HasPrefix(w, "/") && lower > 2 && upper > 2 && digit > 1
}

// userNote is what stands for a password in a file of name:hash.
func userNote(user, h string, sec Secrets) string {
	switch {
	case h == "" || isNote(h) || secretNote.MatchString(h):
		return h
	case strings.HasPrefix(h, "$apr1$"):
		return secretHead + guessedHash("apr1", apr1Guess(user, h)) + "]"
	case mosquittoHash.MatchString(h):
		return secretHead + guessedHash("mosquitto", mosquittoGuess(user, h)) + "]"
	case passhash.Scheme(h) != "" && h[0] == '$':
		kind := passhash.Scheme(h)
		note := hashNote(user, h, sec)
		if strings.Contains(note, factory) {
			kind += ", " + factory
		}
		return secretHead + SecretHashed + kind + "]"
	case strings.HasPrefix(h, "{SHA}"):
		return secretHead + SecretHashed + "sha1]"
	case passhash.Scheme(h) == "descrypt":
		return secretHead + SecretHashed + "descrypt]"
	case factoryValues[h] || slices.Contains(factoryPairs[user], h):
		return secretHead + SecretFactory + "]"
	}
	return fmt.Sprintf("%snot hashed]", secretHead)
}

func guessedHash(kind, guess string) string {
	if guess != "" {
		return SecretHashed + kind + ", " + guess
	}
	return SecretHashed + kind
}
