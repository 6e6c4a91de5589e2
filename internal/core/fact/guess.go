package fact

import (
	"errors"
	"strings"
	"sync"

	"picket/internal/core/passhash"
)

// A guess is one password that somebody would try first, and how a person may
// be told of it. The password itself is never shown.
type guess struct{ word, kind string }

const (
	factory  = "factory password"
	common   = "a common password"
	ownName  = "the account's own name"
	hostName = "the host's name"
	noWord   = "an empty password"
)

// factoryPairs are what makers of images and applications ship: account to
// passwords.
var factoryPairs = map[string][]string{
	"pi":         {"raspberry", "notaraspberry"},
	"pioreactor": {"raspberry", "notaraspberry"},
	"root":       {"raspberry", "toor", "1234", "dietpi", "changeme"},
	"admin":      {"secret", "raspberry", "changeme", "password"},
	"dietpi":     {"dietpi"},
	"debian":     {"temppwd"},
	"orangepi":   {"orangepi"},
	"osmc":       {"osmc"},
	"volumio":    {"volumio"},
	"vagrant":    {"vagrant"},
	"Admin":      {"Admin"},
	"User":       {"User"},
	"Guest":      {"Guest"},
}

// factoryWords are tried for every account.
var factoryWords = []string{
	"raspberry", "notaraspberry", "pioreactor", "changeme", "secret", "admin", "root", "Admin", "User", "Guest",
}

// commonWords are tried last.
var commonWords = []string{
	"password", "123456", "1234", "12345678", "raspberrypi", "qwerty", "letmein", "toor", "test", "guest",
}

// guesses for one account, most likely first, without duplicates.
func guesses(user, host string) []guess {
	var out []guess
	seen := map[string]bool{}
	add := func(kind string, words ...string) {
		for _, w := range words {
			if !seen[w] && len(w) <= 64 {
				seen[w] = true
				out = append(out, guess{w, kind})
			}
		}
	}
	add(factory, factoryPairs[user]...)
	add(ownName, user)
	add(factory, factoryWords...)
	if host != "" {
		add(hostName, host)
	}
	add(common, commonWords...)
	add(noWord, "")
	return out
}

// A suspect is one account's hash, and what trying the guesses gave.
type suspect struct {
	user, hash string
	guessed    string // the kind of the first guess that fits
	why        string // why the guesses were not tried to the end
}

// notAHash stands for a field that no password fits.
const notAHash = "not a hash"

// parallel is how many guesses are checked at a time. One yescrypt of Debian's
// takes 16 MiB.
const parallel = 2

// tryGuesses fills in guessed and why of all suspects. The first guess of
// everybody comes before the second of anybody, so that what is most likely is
// known when time runs out; which guess is reported does not depend on who
// was faster.
func tryGuesses(list []*suspect, host string, more func() bool) {
	type state struct {
		words []guess
		found int // index of the guess that fits; len(words) while there is none
	}
	states := make([]state, len(list))
	longest := 0
	for i, s := range list {
		words := guesses(s.user, host)
		states[i] = state{words, len(words)}
		longest = max(longest, len(words))
	}
	var mu sync.Mutex
	who, nth := 0, 0
	next := func() (int, int, bool) {
		mu.Lock()
		defer mu.Unlock()
		for ; nth < longest; who, nth = 0, nth+1 {
			for ; who < len(list); who++ {
				st := &states[who]
				if nth >= len(st.words) || nth > st.found || list[who].why != "" {
					continue
				}
				if !more() {
					for i, s := range list {
						due := nth // the next guess of this account
						if i < who {
							due++
						}
						if s.why == "" && due < len(states[i].words) && states[i].found == len(states[i].words) {
							s.why = "ran out of time"
						}
					}
					return 0, 0, false
				}
				who++
				return who - 1, nth, true
			}
		}
		return 0, 0, false
	}
	work := func() {
		for {
			i, n, ok := next()
			if !ok {
				return
			}
			fits, err := passhash.Verify(list[i].hash, states[i].words[n].word)
			mu.Lock()
			switch {
			case errors.Is(err, passhash.ErrFormat):
				list[i].why = notAHash
			case err != nil:
				list[i].why = err.Error()
			case fits:
				states[i].found = min(states[i].found, n)
			}
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(work)
	}
	wg.Wait()
	for i, s := range list {
		if n := states[i].found; n < len(states[i].words) {
			s.guessed, s.why = states[i].words[n].kind, ""
		}
	}
}

// marks splits what locks a password from the hash behind it.
func marks(field string) (lock, rest string) {
	rest = strings.TrimLeft(field, "!*")
	return field[:len(field)-len(rest)], rest
}
