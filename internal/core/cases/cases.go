// Package cases reads a control's cases: small hosts written by hand in a
// .txtar beside the control, each with the verdict that must come out.
// docs/format-cases.md describes the format.
package cases

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// A Case is one host and what must be said of it.
type Case struct {
	Name     string
	Verdict  control.Verdict
	Snapshot *snap.Snapshot
	Want     []string // "key: text" assertions, see Check
}

// Taken is the time at which every case's host was read, unless it says so.
var Taken = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

var (
	caseHeader = regexp.MustCompile(`^([^/$!>].*): (pass|fail|ineffective|not-applicable|unknown)$`)
	outHeader  = regexp.MustCompile(`^\$ (.*?)(?: \[(exit \d+|missing|error: .*)\])?$`)
	walkHeader = regexp.MustCompile(`^walk(?: \[error: (.*)\])?$`)
	metaHeader = regexp.MustCompile(`^(! )?(/\S*)(?: (0[0-7]{3,4}))?(?: (\d+):(\d+))?(?: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?(?: -> (\S+))?$`)
)

// Parse reads the cases of one control.
func Parse(data []byte) ([]Case, error) {
	var out []Case
	var shared []txtar.File
	ar := txtar.Parse(data)
	for i := 0; i < len(ar.Files); {
		f := ar.Files[i]
		m := caseHeader.FindStringSubmatch(f.Name)
		if m == nil {
			if len(out) > 0 {
				return nil, fmt.Errorf("%q stands outside a case", f.Name)
			}
			shared = append(shared, f)
			i++
			continue
		}
		c := Case{Name: m[1], Verdict: control.Verdict(m[2])}
		j := i + 1
		for j < len(ar.Files) && !caseHeader.MatchString(ar.Files[j].Name) {
			j++
		}
		files := append(slices.Clone(shared), ar.Files[i+1:j]...)
		if err := c.build(string(f.Data), files); err != nil {
			return nil, fmt.Errorf("case %q: %w", c.Name, err)
		}
		out = append(out, c)
		i = j
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no case: want a part named \"what is planted: verdict\"")
	}
	return out, nil
}

func (c *Case) build(head string, files []txtar.File) error {
	s := snap.New(snap.Source{Kind: "local", Target: "case"}, Taken)
	s.MarkComplete()
	c.Snapshot = s
	for _, l := range strings.Split(strings.TrimSpace(head), "\n") {
		if l == "" {
			continue
		}
		key, value, _ := strings.Cut(l, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "on":
			s.Source.Kind = value
		case "uid":
			uid, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("uid: %w", err)
			}
			s.Source.UID = uid
		case "taken":
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return fmt.Errorf("taken: %w", err)
			}
			s.Taken = t
		case "packages":
			o := &snap.Output{Argv: fact.DpkgQuery()}
			for _, p := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
				name, version, _ := strings.Cut(p, "=")
				o.Stdout = fmt.Appendf(o.Stdout, "%s\t%s\tamd64\tii \n", name, cmp.Or(version, "1.0"))
			}
			s.Commands[snap.CommandKey(o.Argv...)] = o
		case "reason", "evidence", "configured", "effective", "persistent", "explicit":
			c.Want = append(c.Want, key+": "+value)
		default:
			return fmt.Errorf("unknown line %q", l)
		}
	}
	for _, f := range files {
		if err := c.add(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *Case) add(f txtar.File) error {
	s := c.Snapshot
	if m := walkHeader.FindStringSubmatch(f.Name); m != nil {
		s.Walk = &snap.Walked{Roots: []string{"/"}, Err: m[1]}
		for _, l := range strings.Split(strings.TrimSpace(string(f.Data)), "\n") {
			if l == "" {
				continue
			}
			e, err := entry(l)
			if err != nil {
				return err
			}
			s.Walk.Found = append(s.Walk.Found, *e)
		}
		return nil
	}
	if m := outHeader.FindStringSubmatch(f.Name); m != nil {
		argv := words(m[1])
		if _, err := snap.Permit(argv); err != nil && !fact.IsProbe(argv) {
			return err
		}
		o := &snap.Output{Argv: argv, Stdout: f.Data}
		switch {
		case m[2] == "missing":
			o.Missing = true
		case strings.HasPrefix(m[2], "error: "):
			o.Err = strings.TrimPrefix(m[2], "error: ")
		case m[2] != "":
			o.Exit, _ = strconv.Atoi(strings.TrimPrefix(m[2], "exit "))
		}
		if o.Exit != 0 {
			o.Stderr, o.Stdout = string(f.Data), nil
		}
		s.Commands[snap.CommandKey(argv...)] = o
		return nil
	}
	e, err := entry(f.Name)
	if err != nil {
		return err
	}
	if e.Denied != "" && snap.IsPattern(e.Path) {
		s.Denials[e.Path] = e.Denied // nothing could be seen there
		return nil
	}
	if e.Denied == "" && e.Type == snap.File {
		e.Content, e.Read = f.Data, true
		e.Size = int64(len(f.Data))
	}
	s.Entries[e.Path] = e
	return nil
}

// entry reads "[! ]/path [0644] [uid:gid] [time] [-> target]"; a path that
// ends in a slash is a folder, an exclamation mark means that we may not read it.
func entry(header string) (*snap.Entry, error) {
	m := metaHeader.FindStringSubmatch(header)
	if m == nil {
		return nil, fmt.Errorf("%q is neither a case (name: verdict), a file (/path [0644] [uid:gid] [-> target]) nor a command ($ words)", header)
	}
	e := &snap.Entry{Path: m[2], Type: snap.File, Mode: 0o644, MTime: Taken.AddDate(0, -1, 0)}
	if p := strings.TrimSuffix(e.Path, "/"); p != e.Path && p != "" {
		e.Path, e.Type, e.Mode = p, snap.Dir, 0o755
	}
	if m[3] != "" {
		mode, err := strconv.ParseUint(m[3], 8, 32)
		if err != nil {
			return nil, err
		}
		e.Mode = uint32(mode)
	}
	if m[4] != "" {
		e.UID, _ = strconv.Atoi(m[4])
		e.GID, _ = strconv.Atoi(m[5])
	}
	if m[6] != "" {
		e.MTime, _ = time.Parse(time.RFC3339, m[6])
	}
	if m[7] != "" {
		e.Target, e.Real = m[7], m[7]
		if m[7] == "/dev/null" {
			e.Type = snap.Device
		}
	}
	if m[1] != "" {
		e.Denied = "permission denied: " + e.Path
	}
	return e, nil
}

// words splits a command line; only single quotes group.
func words(s string) []string {
	var out []string
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(part))
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

// Check compares an outcome with what the case wants and returns the
// differences, empty when there are none.
func (c Case) Check(o control.Outcome) []string {
	var diff []string
	if o.Verdict != c.Verdict {
		diff = append(diff, fmt.Sprintf("verdict is %s, want %s (reason: %s)", o.Verdict, c.Verdict, o.Reason))
	}
	if strings.TrimSpace(o.Reason) == "" {
		diff = append(diff, "there is no reason")
	}
	for _, w := range c.Want {
		key, want, _ := strings.Cut(w, ": ")
		var got string
		switch key {
		case "reason":
			got = o.Reason
		case "evidence":
			for _, e := range o.Evidence {
				got += fmt.Sprintf("%s at %s: found %s, wanted %s\n", e.Fact, e.Place, e.Found, e.Wanted)
			}
		case "configured":
			got = tri(o.Configured)
		case "effective":
			got = tri(o.Effective)
		case "persistent":
			got = tri(o.Persistent)
		case "explicit":
			got = tri(o.Explicit)
		}
		if !strings.Contains(got, want) {
			diff = append(diff, fmt.Sprintf("%s does not contain %q:\n%s", key, want, got))
		}
	}
	return diff
}

func tri(t control.Tri) string {
	switch t {
	case control.Yes:
		return "true"
	case control.No:
		return "false"
	}
	return "null"
}
