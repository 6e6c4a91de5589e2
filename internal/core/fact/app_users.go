package fact

import (
	"regexp"
	"strings"

	"picket/internal/core/passhash"
)

// mosquittoHash tells the hashes of mosquitto_passwd from those of crypt(3),
// which begin alike.
var mosquittoHash = regexp.MustCompile(`^\$(?:6|7\$\d{1,7})\$[A-Za-z0-9+/]{12,24}={0,2}\$[A-Za-z0-9+/]{86}==$`)

// readAppUsers reads lines of name:hash, as of htpasswd and mosquitto_passwd.
func readAppUsers(r *appReader, text string) {
	for i, l := range splitText(text) {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		name, h, ok := strings.Cut(l, ":")
		if !ok || name == "" || len(name) > 100 {
			r.fail(i+1, "not a line of name:password")
			continue
		}
		h, _, _ = strings.Cut(h, ":")
		r.add(i+1, userNote(name, h, r.sec), true, name)
	}
}

// quickGuesses are tried where checking one takes a moment only.
func quickGuess(user string, fits func(string) bool) string {
	for _, g := range guesses(user, "") {
		if fits(g.word) {
			return g.kind
		}
	}
	return ""
}

func apr1Guess(user, h string) string {
	return quickGuess(user, func(w string) bool { return passhash.VerifyAPR1(h, w) })
}

func mosquittoGuess(user, h string) string {
	if strings.HasPrefix(h, "$7$") {
		n, _, _ := strings.Cut(h[3:], "$")
		if len(n) > 4 {
			return "" // more rounds than an audit has time for
		}
	}
	return quickGuess(user, func(w string) bool { return passhash.VerifyMosquitto(h, w) })
}

// splitText cuts a text into lines without their ends.
func splitText(text string) []string {
	ls := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, l := range ls {
		ls[i] = strings.TrimSuffix(l, "\r")
	}
	return ls
}
