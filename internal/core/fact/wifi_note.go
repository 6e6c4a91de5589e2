package fact

import (
	"crypto/pbkdf2"
	"crypto/sha1" // WPA derives its keys with it
	"encoding/hex"
	"regexp"
	"strings"
)

// What stands in place of a Wi-Fi secret:
//
//	[passphrase]                              none of the guesses is it
//	[passphrase, factory password]            one is
//	[hashed passphrase]                       the 64 digits that WPA derives
//	[hashed passphrase, not checked (…)]
//	[WEP key], [password]                     of EAP, of a user
//
// The guesses are those that an image or a guide comes with.
var wifiGuesses = []struct {
	kind  string
	words []string
}{
	{factory, []string{
		"raspberry", "pioreactor", "ChangeMe", "changeme", "AardvarkBadgerHedgehog", "raspberrypi", "notaraspberry", "octoprint", "recalbox",
		"raspiwifi", "secret passphrase", "my secret passphrase", "mysecretpassphrase",
	}},
	{common, []string{
		"12345678", "123456789", "1234567890", "password", "password1", "qwertyuiop", "11111111", "00000000", "87654321", "passw0rd", "letmein1", "internet",
	}},
}

const (
	networkName    = "the network's own name"
	plainPhrase    = "passphrase"
	hashedPhrase   = "hashed passphrase"
	wepKey         = "WEP key"
	plainPassword  = "password"
	notCheckedHead = "not checked ("
)

// wifiNote is what replaces a passphrase of a network; it is "" for none.
// Hashed ones cost some milliseconds a guess.
func wifiNote(secret, ssid string, more func() bool) string {
	if secret == "" || isNote(secret) {
		return secret
	}
	if psk, err := hex.DecodeString(secret); err == nil && len(psk) == 32 {
		return "[" + hashedPhrase + hashedGuess(psk, ssid, more) + "]"
	}
	for _, g := range wifiGuesses {
		for _, w := range g.words {
			if strings.EqualFold(w, secret) {
				return "[" + plainPhrase + ", " + g.kind + "]"
			}
		}
	}
	if ssid != "" && strings.EqualFold(secret, ssid) {
		return "[" + plainPhrase + ", " + networkName + "]"
	}
	return "[" + plainPhrase + "]"
}

var noteForm = regexp.MustCompile(`^\[(?:` + strings.Join([]string{
	plainPhrase, hashedPhrase, wepKey, plainPassword, "not kept", "[a-z0-9-]{1,13}crypt", "sunmd5", notAHash,
}, "|") + `)(?:, (?:` + strings.Join([]string{
	factory, common, ownName, hostName, noWord, networkName, `not checked \([a-z ]{1,60}\)`,
}, "|") + `))?\]$`)

// isNote tells what already stands in place of a secret. A passphrase in
// square brackets is none.
func isNote(v string) bool { return noteForm.MatchString(v) }

func hashedGuess(psk []byte, ssid string, more func() bool) string {
	if ssid == "" || len(ssid) > 32 {
		return ""
	}
	fits := func(word string) (bool, bool) {
		if more == nil || !more() {
			return false, false
		}
		k, err := pbkdf2.Key(sha1.New, word, []byte(ssid), 4096, 32)
		return err == nil && string(k) == string(psk), true
	}
	const stopped = ", " + notCheckedHead + OutOfTime + ")"
	for _, g := range wifiGuesses {
		for _, w := range g.words {
			switch ok, ran := fits(w); {
			case !ran:
				return stopped
			case ok:
				return ", " + g.kind
			}
		}
	}
	switch ok, ran := fits(ssid); {
	case !ran:
		return stopped
	case ok:
		return ", " + networkName
	}
	return ""
}

// keep reads a note back into a network: how the secret is kept, and whether
// it is one that anybody would try. What is no note is a secret all the same
// and is never copied.
func (n *WifiNetwork) keep(kind, note string) {
	note = strings.Trim(note, `"`)
	if note == "" {
		return
	}
	n.Secret = kind
	inner, ok := strings.CutPrefix(note, "[")
	inner, end := strings.CutSuffix(inner, "]")
	if !ok || !end {
		return
	}
	what, more, _ := strings.Cut(inner, ", ")
	switch what {
	case plainPhrase, hashedPhrase, wepKey, plainPassword:
		n.Secret = what
	default:
		return
	}
	if why, cut := strings.CutPrefix(more, notCheckedHead); cut {
		n.NotChecked = strings.TrimSuffix(why, ")")
		return
	}
	n.Guessed = more
}
