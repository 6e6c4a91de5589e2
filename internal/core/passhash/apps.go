package passhash

import (
	"bytes"
	"crypto/md5" // what Apache's hashes are made of
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"strconv"
	"strings"
)

// VerifyAPR1 reports whether guess is the password of a hash of Apache's
// htpasswd, $apr1$salt$hash.
func VerifyAPR1(h, guess string) bool {
	salt, want, ok := strings.Cut(strings.TrimPrefix(h, "$apr1$"), "$")
	if !ok || len(want) != 22 || len(salt) > 8 || len(guess) > maxLength {
		return false
	}
	pw := []byte(guess)
	inner := md5.Sum([]byte(guess + salt + guess))
	b := []byte(guess + "$apr1$" + salt)
	for n := len(pw); n > 0; n -= 16 {
		b = append(b, inner[:min(n, 16)]...)
	}
	for n := len(pw); n > 0; n >>= 1 {
		if n&1 != 0 {
			b = append(b, 0)
		} else {
			b = append(b, guess[0])
		}
	}
	sum := md5.Sum(b)
	for i := range 1000 {
		var buf bytes.Buffer
		odd := i&1 != 0
		if odd {
			buf.Write(pw)
		} else {
			buf.Write(sum[:])
		}
		if i%3 != 0 {
			buf.WriteString(salt)
		}
		if i%7 != 0 {
			buf.Write(pw)
		}
		if odd {
			buf.Write(sum[:])
		} else {
			buf.Write(pw)
		}
		sum = md5.Sum(buf.Bytes())
	}
	var out []byte
	put := func(v uint32, n int) {
		for range n {
			out = append(out, alphabet[v&0x3f])
			v >>= 6
		}
	}
	for _, t := range [][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}} {
		put(uint32(sum[t[0]])<<16|uint32(sum[t[1]])<<8|uint32(sum[t[2]]), 4)
	}
	put(uint32(sum[11]), 2)
	return same(string(out), want)
}

// VerifyMosquitto reports whether guess is the password of a hash of
// mosquitto_passwd: $7$iterations$salt$hash or $6$salt$hash, in base64.
func VerifyMosquitto(h, guess string) bool {
	f := strings.Split(h, "$")
	if len(f) < 4 || f[0] != "" || len(guess) > maxLength {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(f[len(f)-2])
	want, err2 := base64.StdEncoding.DecodeString(f[len(f)-1])
	if err1 != nil || err2 != nil {
		return false
	}
	switch {
	case f[1] == "6" && len(f) == 4:
		sum := sha512.Sum512(append([]byte(guess), salt...))
		return same(string(sum[:]), string(want))
	case f[1] == "7" && len(f) == 5:
		n, err := strconv.Atoi(f[2])
		if err != nil || n < 1 || n > maxRounds {
			return false
		}
		key, err := pbkdf2.Key(sha512.New, guess, salt, n, sha512.Size)
		return err == nil && same(string(key), string(want))
	}
	return false
}
