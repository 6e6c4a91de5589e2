// Package plan works out what is to be done about a report's findings, and
// compiles it to what a host runs: a folder with a shell program, the list of steps,
// and the files that they put there.
package plan

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// The program that a host runs, in its parts: tx.sh is called and reads the others.
//
//go:embed *.sh
var program embed.FS

// parts are the program's files, by their names on the host.
func parts() map[string][]byte {
	out := map[string][]byte{}
	for _, name := range []string{"tx", "steps", "around", "packages", "arm"} {
		out[name], _ = program.ReadFile(name + ".sh") // they are part of the binary
	}
	return out
}

// A Folder is what a transaction consists of on the host: names below
// /var/lib/picket/tx/ID and their contents.
type Folder map[string][]byte

// Compile makes the folder of some steps. It refuses a name that a line of the plan
// cannot hold.
func Compile(steps []change.Step) (Folder, error) {
	f := Folder(parts())
	var plan strings.Builder
	for i, s := range steps {
		n := fmt.Sprintf("%03d", i+1)
		words, err := line(s, n)
		if err != nil {
			return nil, err
		}
		for j, w := range words {
			if strings.ContainsAny(w, "\n\r\x00") {
				return nil, fmt.Errorf("step %s: %q cannot stand in a plan", n, w)
			}
			words[j] = quote(w)
		}
		plan.WriteString("step " + strings.Join(words, " ") + " # " + strings.Join(s.Controls, " ") + "\n")
		if words[0] == "file" {
			f["new/"+n] = s.After.Content
		}
	}
	f["plan"] = []byte(plan.String())
	return f, nil
}

func line(s change.Step, n string) ([]string, error) {
	to := s.After
	rights := []string{fmt.Sprintf("%04o", to.Mode), fmt.Sprint(to.UID), fmt.Sprint(to.GID)}
	switch s.Verb {
	case change.File:
		if !strings.HasPrefix(s.Name, "/") || strings.HasSuffix(s.Name, "/") {
			return nil, fmt.Errorf("step %s: %q is no path of a file", n, s.Name)
		}
		switch {
		case to.Type == "":
			return []string{"gone", n, s.Name, Sum(s.Before)}, nil
		case to.Type == snap.Link:
			return []string{"link", n, s.Name, to.Target, Sum(s.Before)}, nil
		case to.Type == snap.Dir && s.Before.Type == "":
			return append([]string{"dir", n, s.Name}, rights...), nil
		case to.Type == snap.File && !to.Opaque:
			return append(append([]string{"file", n, s.Name}, rights...), Sum(s.Before), Sum(to)), nil
		case s.Before.Type == to.Type:
			kind := string(to.Type)
			if to.Type != snap.File && to.Type != snap.Dir {
				kind = "other"
			}
			return append(append([]string{"mode", n, s.Name}, rights...), kind, fmt.Sprint(s.Before.UID)), nil
		}
		return nil, fmt.Errorf("step %s: %s cannot become a %s", n, s.Name, to.Type)
	case change.Owner:
		if !strings.HasPrefix(s.Name, "/") || len(s.Args) != 5 || slices.ContainsFunc(s.Args[:4], func(id string) bool { _, err := strconv.ParseUint(id, 10, 31); return err != nil }) {
			return nil, fmt.Errorf("step %s: %q and %q do not say whose files become whose", n, s.Name, s.Args)
		}
		return append([]string{"owner", n, s.Name}, s.Args...), nil
	case change.Remove, change.Install, change.Unit:
		words := []string{string(s.Verb), n}
		for _, a := range s.Args {
			if s.Verb != change.Unit && !packageName.MatchString(a) {
				return nil, fmt.Errorf("step %s: %q is no package", n, a)
			}
		}
		if s.Verb == change.Unit {
			words = append(words, s.Name)
		}
		return append(words, s.Args...), nil
	case change.Sysctl:
		if len(s.Args) != 1 {
			return nil, fmt.Errorf("step %s: %s has no value", n, s.Name)
		}
		return []string{"sysctl", n, s.Name, s.Args[0]}, nil
	case change.Mount:
		return []string{"mount", n, s.Name, strings.Join(s.Args, ",")}, nil
	case change.Check, change.Act:
		return append([]string{string(s.Verb), n, s.Name}, s.Args...), nil // with the words for it, if there are any
	}
	return nil, fmt.Errorf("step %s: unknown verb %q", n, s.Verb)
}

// Sum is how a plan tells what lies at a path: "-" nothing, "dir", "link:TARGET", "file" whatever it holds, or the
// SHA-256 of a file's content in hexadecimal digits.
func Sum(t change.Thing) string {
	switch {
	case t.Type == "":
		return "-"
	case t.Type == snap.Dir:
		return "dir"
	case t.Type == snap.Link:
		return "link:" + t.Target
	case t.Opaque:
		return "file"
	}
	sum := sha256.Sum256(t.Content)
	return hex.EncodeToString(sum[:])
}

// packageName is what Debian's policy, 5.6.7, lets a package be called, and its architecture.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?$`)

// quote makes one word of a shell's line.
func quote(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=,:@%+", r)
	}
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
