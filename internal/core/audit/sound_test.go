package audit_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/core/snap"
)

// An input is one thing that a host was asked for: a path, a command, the walk.
type input struct {
	kind, key string
}

func (i input) String() string { return i.kind + " " + i.key }

// instead are the files that stand in for a command on an image.
var instead = func() map[string][]string {
	out := map[string][]string{}
	for _, c := range fact.Ask(snap.New(snap.Source{Kind: "image"}, cases.Taken)).Commands {
		out[c.Key()] = c.Instead
	}
	return out
}()

// inputs of a snapshot, in order.
func inputs(s *snap.Snapshot) []input {
	var out []input
	for _, p := range slices.Sorted(maps.Keys(s.Entries)) {
		out = append(out, input{"path", p})
	}
	for _, k := range slices.Sorted(maps.Keys(s.Commands)) {
		out = append(out, input{"command", k})
	}
	if s.Walk != nil {
		out = append(out, input{"walk", ""})
	}
	return out
}

// copyOf is a snapshot that may be changed.
func copyOf(s *snap.Snapshot) *snap.Snapshot {
	c := snap.New(s.Source, s.Taken)
	c.MarkComplete()
	maps.Copy(c.Entries, s.Entries)
	maps.Copy(c.Commands, s.Commands)
	maps.Copy(c.Denials, s.Denials)
	c.Walk = s.Walk
	return c
}

// hidden are the ways in which we may not get to see an input.
func hidden(s *snap.Snapshot, in input) map[string]*snap.Snapshot {
	out := map[string]*snap.Snapshot{}
	switch in.kind {
	case "path":
		gone := copyOf(s)
		delete(gone.Entries, in.key)
		gone.Denials[in.key] = "run as root to read " + in.key
		out["hidden"] = gone
		if e := s.Entries[in.key]; e.Read {
			closed := copyOf(s)
			c := *e
			c.Read, c.Content, c.Denied = false, nil, "run as root to read "+in.key
			closed.Entries[in.key] = &c
			out[unreadable] = closed
			if len(e.Content) > 0 {
				short := copyOf(s)
				c := *e
				c.Content, c.Cut = e.Content[:len(e.Content)/2], true
				short.Entries[in.key] = &c
				out[cutOff] = short
			}
		}
	case "command":
		for how, o := range map[string]snap.Output{
			"without an answer": {Err: "no answer after 10s"},
			"failing":           {Exit: 1, Stderr: "cannot do that now\n"},
			"garbled":           {Stdout: []byte("<!doctype html>\nno such page\n")},
		} {
			if how == "failing" && slices.Contains(exitTells, in.key) {
				continue
			}
			odd := copyOf(s)
			o.Argv = s.Commands[in.key].Argv
			odd.Commands[in.key] = &o
			for _, p := range instead[in.key] {
				if s.Source.Kind != "image" {
					odd.Denials[p] = p + " was not read" // it is only where no command can run
				}
			}
			out[how] = odd
		}
	case "walk":
		late := copyOf(s)
		late.Walk = &snap.Walked{Roots: s.Walk.Roots, Err: "ran out of time after 20s"}
		out["cut short"] = late
	}
	return out
}

// exitTells are the commands whose answer is that they fail.
var exitTells = []string{"sshd -t", "fail2ban-client status"}

const (
	unreadable = "not readable"
	cutOff     = "cut off in the middle"
)

// same reports whether two snapshots that differ in one input at most do not differ.
func same(a, b *snap.Snapshot, in input) bool {
	switch in.kind {
	case "path":
		return reflect.DeepEqual(a.Entries[in.key], b.Entries[in.key])
	case "command":
		return reflect.DeepEqual(a.Commands[in.key], b.Commands[in.key])
	}
	return reflect.DeepEqual(a.Walk, b.Walk)
}

// others are what the input might have been as well: not there, or as in
// another case of the same control; each once, and never as it is.
//
// Where only the content is hidden, what can be seen of the file stays.
func others(s *snap.Snapshot, in input, how string, all []cases.Case) map[string]*snap.Snapshot {
	out := map[string]*snap.Snapshot{}
	put := func(name string, change func(*snap.Snapshot)) {
		c := copyOf(s)
		change(c)
		for _, had := range out { // cases have much in common
			if same(had, c, in) {
				return
			}
		}
		if !same(s, c, in) {
			out[name] = c
		}
	}
	for i, o := range all {
		name := fmt.Sprintf("as in %q", all[i].Name)
		switch in.kind {
		case "path":
			if e := o.Snapshot.Entries[in.key]; e != nil && e.Denied == "" {
				put(name, func(c *snap.Snapshot) {
					if how == unreadable || how == cutOff {
						seen := *s.Entries[in.key]
						seen.Content, seen.Size = e.Content, e.Size
						e = &seen
					}
					c.Entries[in.key] = e
				})
			}
		case "command":
			if r := o.Snapshot.Commands[in.key]; r != nil && r.Err == "" && !r.Missing {
				put(name, func(c *snap.Snapshot) { c.Commands[in.key] = r })
			}
		case "walk":
			if o.Snapshot.Walk != nil {
				put(name, func(c *snap.Snapshot) { c.Walk = o.Snapshot.Walk })
			}
		}
	}
	if in.kind == "path" && how != unreadable && how != cutOff {
		put("absent", func(c *snap.Snapshot) { delete(c.Entries, in.key) })
	}
	return out
}

// sound are the places where something else that is read as well makes the
// verdict right without the input, by a pattern of "control input".
var sound = map[string]string{
	"boot/no-weakening path /boot/grub/grub.cfg": "Debian closes grub.cfg to users; /etc/default/grub, of which it is made, stands in for it",
	"mounts/* path /proc/1/mountinfo":            "users may not read it; our own mounts are those of the host but in a sandbox",
	"updates/* command apt-config dump":          "apt's files are read too and say the same; these cases plant only what apt-config printed",
	"app/pioreactor-login command probe *":       "an attempt that was not made shows nothing; what was read decides, as without --probe",
	"network/llmnr command ss -Hltunpe":          "the case is an image, which has no sockets to ask for",
}

func known(where string, used map[string]bool) bool {
	for p := range sound {
		if before, after, ok := strings.Cut(p, "*"); p == where || ok && strings.HasPrefix(where, before) && strings.HasSuffix(where, after) {
			used[p] = true
			return true
		}
	}
	return false
}

// TestFailsClosed takes from every host of every case one thing after the
// other, as if we were not allowed to see it. What is not seen must never make
// a verdict better, nor keep it good where what is hidden may be what makes it
// bad.
func TestFailsClosed(t *testing.T) {
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	var mu sync.Mutex
	tried, used := 0, map[string]bool{}
	hide := func(c control.Control) {
		data, err := os.ReadFile(filepath.Join(controlsDir, c.ID+".txtar"))
		if err != nil {
			t.Error(err)
			return
		}
		list, err := cases.Parse(data)
		if err != nil {
			t.Error(err)
			return
		}
		judge := func(s *snap.Snapshot) control.Outcome { return audit.Outcome(c, fact.Parse(s)) }
		for _, tc := range list {
			before := judge(tc.Snapshot)
			for i, in := range inputs(tc.Snapshot) {
				if i%every != 0 {
					continue
				}
				bads := map[bool]string{} // by whether the file itself is seen, which is all that others asks of how
				for how, s := range hidden(tc.Snapshot, in) {
					var worse string // a host that looks the same without the input, and is bad
					if before.Verdict == control.Pass {
						part := how == unreadable || how == cutOff
						if _, ok := bads[part]; !ok {
							bad := ""
							for name, o := range others(tc.Snapshot, in, how, list) {
								if (bad == "" || name < bad) && judge(o).Verdict.Bad() {
									bad = name
								}
							}
							bads[part] = bad
						}
						worse = bads[part]
					}
					after := judge(s)
					mu.Lock()
					tried++
					what := ""
					switch {
					case after.Verdict == control.Error:
						what = "is an error"
					case before.Verdict.Bad() && after.Verdict == control.Pass, before.Verdict.Bad() && after.Verdict == control.NotApplicable:
						what = fmt.Sprintf("was %s and becomes %s", before.Verdict, after.Verdict)
					case before.Verdict == control.Unknown && after.Verdict == control.Pass:
						what = "was unknown and becomes pass"
					case before.Verdict == control.Pass && after.Verdict == control.NotApplicable:
						what = "was pass and becomes not-applicable"
					case before.Verdict == control.Pass && after.Verdict.Bad():
						what = "was pass and becomes " + string(after.Verdict)
					case worse != "" && after.Verdict == control.Pass:
						what = "stays pass, though the host could be bad: " + worse
					}
					if what != "" && !known(c.ID+" "+in.String(), used) {
						t.Errorf("%s, %q, %s %s: %s (%s)", c.ID, tc.Name, strings.TrimSpace(in.String()), how, what, after.Reason)
					}
					mu.Unlock()
				}
			}
		}
	}
	next := make(chan control.Control, len(controls))
	for _, c := range controls {
		next <- c
	}
	close(next)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for c := range next {
				hide(c)
			}
		})
	}
	all.Wait()
	t.Logf("%d things hidden", tried)
	for p := range sound {
		if !used[p] && every == 1 {
			t.Errorf("the exception %q is not needed", p)
		}
	}
	if tried < 1000/every {
		t.Errorf("only %d things were hidden", tried)
	}
}
