// Package passhash checks one guess against one password hash as crypt(5)
// writes it. It refuses hashes whose parameters would cost too much: a shadow
// file may come from a hostile host.
package passhash

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"hash"
	"strconv"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/bcrypt"
)

// ErrCost is returned for a hash that would take too long or too much memory
// to check.
var ErrCost = errors.New("too expensive to check")

// ErrKind is returned for a hash of a kind that cannot be checked here.
var ErrKind = errors.New("this kind of hash cannot be checked")

// ErrFormat is returned for what looks like a hash of a known kind and is not
// one. No password fits it.
var ErrFormat = errors.New("not a valid hash")

// Limits of what is run. The defaults of Debian 12 are yescrypt with 16 MiB
// and sha512crypt with 5000 rounds; what people set on purpose stays well
// below these.
const (
	maxMemory = 64 << 20 // bytes, yescrypt
	maxRounds = 500_000  // sha256crypt and sha512crypt
	maxCost   = 12       // bcrypt
	maxLength = 512      // characters of a hash, and bytes of a guess
)

// Scheme names the kind of a hash: yescrypt, gost-yescrypt, scrypt,
// sha512crypt, sha256crypt, bcrypt, md5crypt, sha1crypt, sunmd5, descrypt. It is "" for
// what is no hash.
func Scheme(h string) string {
	for _, s := range []struct{ prefix, name string }{
		{"$y$", "yescrypt"}, {"$gy$", "gost-yescrypt"}, {"$7$", "scrypt"},
		{"$6$", "sha512crypt"}, {"$5$", "sha256crypt"}, {"$1$", "md5crypt"},
		{"$2a$", "bcrypt"}, {"$2b$", "bcrypt"}, {"$2y$", "bcrypt"}, {"$2x$", "bcrypt"},
		{"$sha1", "sha1crypt"}, {"$md5", "sunmd5"}, {"_", "descrypt"},
	} {
		if strings.HasPrefix(h, s.prefix) && (s.name != "descrypt" || len(h) == 20 && all64(h[1:])) {
			return s.name
		}
	}
	if len(h) == 13 && all64(h) {
		return "descrypt"
	}
	return ""
}

// Verify reports whether guess is the password of h.
func Verify(h, guess string) (bool, error) {
	if len(h) > maxLength || len(guess) > maxLength {
		return false, ErrCost
	}
	switch Scheme(h) {
	case "yescrypt":
		return verifyYescrypt(h, guess)
	case "sha512crypt":
		return verifySHA(h, guess, "$6$", sha512.New)
	case "sha256crypt":
		return verifySHA(h, guess, "$5$", sha256.New)
	case "bcrypt":
		return verifyBcrypt(h, guess)
	case "md5crypt":
		return verifyMD5(h, guess)
	}
	return false, ErrKind
}

func verifyYescrypt(h, guess string) (bool, error) {
	// $y$ j N r $ salt $ hash, where N and r are one character each. Others
	// (parallel, more time, a ROM) exist and no Linux distribution makes them.
	f := strings.Split(h, "$")
	if len(f) != 5 || len(f[4]) != 43 || !all64(f[2]+f[3]+f[4]) {
		return false, ErrFormat
	}
	if len(f[2]) != 3 || f[2][0] != 'j' {
		return false, ErrKind
	}
	logN, r := strings.IndexByte(alphabet, f[2][1])+1, strings.IndexByte(alphabet, f[2][2])+1
	if logN > 30 || 128*r<<logN > maxMemory {
		return false, ErrCost
	}
	got, err := yescrypt.Hash([]byte(guess), []byte(h))
	if err != nil {
		return false, ErrKind
	}
	return same(string(got), h), nil
}

func verifySHA(h, guess, prefix string, sum func() hash.Hash) (bool, error) {
	rest := strings.TrimPrefix(h, prefix)
	rounds := 5000
	if v, ok := strings.CutPrefix(rest, "rounds="); ok {
		n, tail, _ := strings.Cut(v, "$")
		r, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return false, ErrFormat
		}
		if r > maxRounds {
			return false, ErrCost
		}
		if r < 1000 {
			return false, ErrFormat // crypt(3) refuses fewer
		}
		rounds, rest = int(r), tail
	}
	salt, want, ok := strings.Cut(rest, "$")
	if !ok || strings.Contains(want, "$") || len(salt) > 16 {
		return false, ErrFormat
	}
	return same(string(crypt.KeySHACrypt(sum, []byte(guess), []byte(salt), rounds)), want), nil
}

func verifyMD5(h, guess string) (bool, error) {
	salt, want, ok := strings.Cut(strings.TrimPrefix(h, "$1$"), "$")
	if !ok || len(want) != 22 || len(salt) > 8 {
		return false, ErrFormat
	}
	return same(string(crypt.KeyMD5Crypt([]byte(guess), []byte(salt))), want), nil
}

func verifyBcrypt(h, guess string) (bool, error) {
	cost, err := bcrypt.Cost([]byte(h))
	switch {
	case err != nil || len(h) != 60:
		return false, ErrFormat
	case strings.HasPrefix(h, "$2x$"):
		return false, ErrKind // an old bug kept on purpose: other hashes
	case cost > maxCost:
		return false, ErrCost
	}
	err = bcrypt.CompareHashAndPassword([]byte(h), []byte(guess))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, ErrFormat
	}
	return err == nil, nil
}

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func all64(s string) bool {
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
