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

// Guessable says why a password is one that somebody would try first, "" where it is not.
func Guessable(user, host, password string) string {
	for _, g := range guesses(user, host) {
		if g.word == password {
			return g.kind
		}
	}
	return ""
}

// A suspect is one account's hash, and what trying the guesses gave.
type suspect struct {
	user, hash string
	guessed    string // the kind of the first guess that fits
	why        string // why the guesses were not tried to the end
}

// OutOfTime is why a password was not tried with all guesses.
const OutOfTime = "ran out of time"

// notAHash stands for a field that no password fits.
const notAHash = "not a hash"

// Parallel is how many guesses are checked at a time. One yescrypt of Debian's
// takes 16 MiB.
const Parallel = 2

// A trial tries the guesses on some accounts. The first guess of everybody
// comes before the second of anybody, so that what is most likely is known
// when time runs out; which guess is reported does not depend on who was
// faster.
type trial struct {
	list    []*suspect
	words   [][]guess // for each suspect
	longest int
	verify  func(hash, guess string) (bool, error)

	mu       sync.Mutex
	found    []int // index of the guess that fits; the number of guesses while there is none
	who, nth int   // the next to be tried
}

func newTrial(list []*suspect, host string, sec Secrets) *trial {
	t := &trial{list: list, verify: sec.verify}
	for _, s := range list {
		words := guesses(s.user, host)
		t.words = append(t.words, words)
		t.found = append(t.found, len(words))
		t.longest = max(t.longest, len(words))
	}
	return t
}

// run tries all and fills in guessed and why of the suspects.
func (t *trial) run(more func() bool) {
	var wg sync.WaitGroup
	for range Parallel {
		wg.Go(func() { t.work(more) })
	}
	wg.Wait()
	t.finish()
}

// next is the suspect and the guess that are due.
func (t *trial) next(more func() bool) (who, nth int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; t.nth < t.longest; t.who, t.nth = 0, t.nth+1 {
		for ; t.who < len(t.list); t.who++ {
			if t.nth >= len(t.words[t.who]) || t.nth > t.found[t.who] || t.list[t.who].why != "" {
				continue
			}
			if !more() {
				t.giveUp()
				return 0, 0, false
			}
			t.who++
			return t.who - 1, t.nth, true
		}
	}
	return 0, 0, false
}

// giveUp marks the accounts of which not all guesses were tried.
func (t *trial) giveUp() {
	for i, s := range t.list {
		due := t.nth // the next guess of this account
		if i < t.who {
			due++
		}
		if s.why == "" && due < len(t.words[i]) && t.found[i] == len(t.words[i]) {
			s.why = OutOfTime
		}
	}
}

// work tries guesses while there are any. Several may work at once.
func (t *trial) work(more func() bool) {
	for {
		i, n, ok := t.next(more)
		if !ok {
			return
		}
		fits, err := t.verify(t.list[i].hash, t.words[i][n].word)
		t.mu.Lock()
		switch {
		case errors.Is(err, passhash.ErrFormat):
			t.list[i].why = notAHash
		case err != nil:
			t.list[i].why = err.Error()
		case fits:
			t.found[i] = min(t.found[i], n)
		}
		t.mu.Unlock()
	}
}

// finish fills in what was found, when nobody works any more.
func (t *trial) finish() {
	for i, s := range t.list {
		if n := t.found[i]; n < len(t.words[i]) {
			s.guessed, s.why = t.words[i][n].kind, ""
		}
	}
}

// marks splits what locks a password from the hash behind it.
func marks(field string) (lock, rest string) {
	rest = strings.TrimLeft(field, "!*")
	return field[:len(field)-len(rest)], rest
}
