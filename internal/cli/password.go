package cli

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"picket/internal/core/fact"
	"picket/internal/core/passhash"
	"picket/internal/ui"
)

// passwordOptions say where a new password comes from. It never stands in an argument: everybody on a machine sees those.
type passwordOptions struct {
	file     string
	generate bool
}

func (o *passwordOptions) flags(f *pflag.FlagSet, generate string) {
	f.StringVar(&o.file, "password-file", "", "`FILE` whose first line is the new password (default: asked for, twice)")
	f.BoolVar(&o.generate, generate, false, "make up a password, and show it once, on the terminal")
}

// shortest is the least number of letters of a new password.
const shortest = 8

// newPassword gets a password for an account, before the host is changed.
func (p *program) newPassword(o passwordOptions, user string, prompt ui.Prompt) ([]byte, error) {
	switch {
	case o.file != "" && o.generate:
		return nil, usage(errors.New("a password comes from a file or is made up, not both"))
	case o.generate:
		if !ui.Terminal(p.io.Out) {
			return nil, withHint(usage(errors.New("a password that is made up is shown on a terminal only, and this is none")), "--password-file FILE takes one that you have stored")
		}
		return generated(), nil
	case o.file != "":
		data, err := os.ReadFile(o.file)
		if err != nil {
			return nil, usage(fmt.Errorf("--password-file: %w", err))
		}
		line, _, _ := bytes.Cut(data, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), nil
	case !prompt.Possible():
		return nil, withHint(usage(fmt.Errorf("there is no terminal to ask for a password of %s on", user)), "--password-file FILE takes one from a file")
	}
	first, err := prompt.Password("new password of " + user + ": ")
	if err != nil {
		return nil, err
	}
	again, err := prompt.Password("the same once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, usage(errors.New("the two passwords differ"))
	}
	return first, nil
}

// hashed refuses what others would guess, and hashes the rest as the host's own programs do. note says where that is
// not the best that there is.
func hashed(h *fact.Host, user string, password []byte) (hash, note string, err error) {
	host := strings.TrimSpace(h.OS.Hostname.V)
	switch why := fact.Guessable(user, host, string(password)); {
	case why != "":
		return "", "", usage(fmt.Errorf("that password is %s: it is among the first that are tried", strings.TrimPrefix(why, "a ")))
	case utf8.RuneCount(password) < shortest:
		return "", "", usage(fmt.Errorf("that password is short: want %d letters or more", shortest))
	}
	salt := make([]byte, passhash.SaltSize)
	_, _ = rand.Read(salt) // it does not fail
	modern := yescrypt(h)
	if !modern {
		note = "this host is not set to yescrypt: the password is hashed with sha512crypt, 500000 rounds"
	}
	hash, err = passhash.Make(string(password), salt, modern)
	if err != nil {
		err = usage(err)
	}
	return hash, note, err
}

// yescrypt reports whether a host's own programs hash with it, so that it can check what was hashed so.
func yescrypt(h *fact.Host) bool {
	for _, l := range h.Session.PAM["common-password"].V {
		if l.Module == "pam_unix.so" && slices.Contains(l.Args, "yescrypt") {
			return true
		}
	}
	return h.Accounts.Defs["ENCRYPT_METHOD"].V == "YESCRYPT"
}

// letters of a generated password: those that nobody takes for another.
const letters = "abcdefghjkmnpqrstuvwxyz23456789"

// generated is a password of some 99 bits that can be typed.
func generated() []byte {
	var out []byte
	for one := make([]byte, 1); len(out) < 23; {
		if len(out)%6 == 5 {
			out = append(out, '-')
			continue
		}
		_, _ = rand.Read(one) // it does not fail
		if n := int(one[0]); n < 256/len(letters)*len(letters) {
			out = append(out, letters[n%len(letters)])
		}
	}
	return out
}
