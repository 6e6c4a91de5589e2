package passhash

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"strings"

	"github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
)

// SaltSize is how many random bytes Make wants.
const SaltSize = 16

// sha512Rounds are a hundred times crypt(3)'s own, some 0.3 s on a board. Older hosts know nothing better.
const sha512Rounds = maxRounds

// Make hashes a password: with yescrypt as Debian sets it since its release 11, or else with sha512crypt, which every
// host knows. salt is random.
func Make(password string, salt []byte, withYescrypt bool) (string, error) {
	switch {
	case len(salt) != SaltSize || bytes.Equal(salt, make([]byte, SaltSize)):
		return "", errors.New("the salt is not random")
	case password == "" || len(password) > maxLength || strings.ContainsAny(password, "\x00\n\r"):
		return "", fmt.Errorf("want a password of 1 to %d bytes in one line", maxLength)
	}
	if withYescrypt {
		h, err := yescrypt.Hash([]byte(password), fmt.Appendf(nil, "$y$%s$%s", yescrypt.EncodeSetting(0, 12, 32), yescrypt.Encode64(salt)))
		return string(h), err
	}
	letters := make([]byte, SaltSize)
	for i, b := range salt {
		letters[i] = alphabet[b&0x3f]
	}
	return fmt.Sprintf("$6$rounds=%d$%s$%s", sha512Rounds, letters, crypt.KeySHACrypt(sha512.New, []byte(password), letters, sha512Rounds)), nil
}
