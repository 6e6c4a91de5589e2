package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/snap"
)

func TestConformance(t *testing.T) {
	before, _ := filepath.Glob("/tmp/[xyz]") // what the hostile names would make
	if os.Getuid() == 0 {
		t.Run("as another user", again)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := plantFor(t, w)
			m := snap.Manifest{Walk: &snap.Walk{
				Roots: []string{p.prefix + "/walk", p.prefix + "/walk"}, UIDs: []int{os.Getuid()}, GIDs: []int{os.Getgid()},
				Skip: []string{p.prefix + "/walk/skip1", p.prefix + "/walk/users/*/store"},
			}}
			for _, c := range conformance {
				for _, f := range c.files {
					m.Files = append(m.Files, p.prefix+f)
				}
				for _, f := range c.stats {
					m.Stats = append(m.Stats, p.prefix+f)
				}
			}
			for _, c := range commands {
				cmd := snap.Command{Argv: c.argv}
				if c.instead != "" {
					cmd.Instead = []string{p.prefix + c.instead}
				}
				m.Commands = append(m.Commands, cmd)
			}
			s := w.take(t, p, m)
			if len(s.Problems) > 0 {
				t.Errorf("problems: %q", s.Problems)
			}
			if s.Source.UID != os.Getuid() {
				t.Errorf("read as %d", s.Source.UID)
			}
			lines := describeAll(s, p.prefix)
			for _, c := range conformance {
				if c.user && os.Getuid() == 0 {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					want := strings.TrimPrefix(c.want, "\n")
					if !w.commands && c.name == "in the place of commands" {
						want += "\n" + `/instead/there: file 0644 me 1 "t"` // nothing runs there
					}
					topic := c.name
					if strings.HasPrefix(topic, "in the") {
						topic = "instead"
					}
					wanted := strings.Split(strings.TrimPrefix(want, "\n"), "\n")
					slices.Sort(wanted)
					if d := cmp.Diff(wanted, about(lines, topic)); want != "" && d != "" {
						t.Errorf("wanted - , got + :\n%s", d)
					}
					for f, state := range c.states {
						if _, st, why := s.File(p.prefix + f); st != state {
							t.Errorf("%q is %v (%s), not %v", f, st, why, state)
						}
					}
				})
			}
			if s.Walk.Err != "" {
				t.Errorf("the walk is incomplete: %s", s.Walk.Err)
			}
			for _, c := range commands {
				want := c.want
				if !w.commands {
					want = `exit -1 "" (` + NoCommands + ")"
				}
				if got := describeOutput(s.Commands[snap.CommandKey(c.argv...)]); got != want {
					t.Errorf("%q: %s\nwant %s", c.argv, got, want)
				}
			}
			if w.commands {
				p.patience = time.Second // with one that never ends, and alone: the others share the machine with all tests
				o := w.take(t, p, snap.Manifest{Commands: []snap.Command{{Argv: []string{"timedatectl", "show"}}}}).Commands["timedatectl show"]
				if o.Err != "no answer after 1s" || o.Exit != -1 {
					t.Errorf("a command that hangs: %s", describeOutput(o))
				}
			}
			if left, _ := filepath.Glob("/tmp/[xyz]"); len(left) > len(before) {
				t.Errorf("a file's name was run: %q", left)
			}
		})
	}
}

// again runs this test in a process of a user who may not read everything.
func again(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openUp(t, dir)
	program := filepath.Join(dir, "test")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := cmpErr(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := cmpErr(os.Mkdir(tmp, 0o755), os.Chown(tmp, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^TestConformance$/^(local|image|ssh_through_(dash|busybox))$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("/denied")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// describeAll writes all that a snapshot says of files, a line each.
func describeAll(s *snap.Snapshot, prefix string) (lines []string) {
	name := func(p string) string {
		p = strings.ReplaceAll(p, prefix, "")
		if strings.ContainsAny(p, "\n \\*['") || !utf8.ValidString(p) {
			return fmt.Sprintf("%q", p)
		}
		return p
	}
	file := func(e *snap.Entry) string {
		var b strings.Builder
		owner := "me"
		if e.UID != os.Getuid() || e.GID != os.Getgid() {
			owner = fmt.Sprintf("%d:%d", e.UID, e.GID)
		}
		fmt.Fprintf(&b, "%s: %s %04o %s", name(e.Path), e.Type, e.Mode, owner)
		if e.Type != snap.Dir {
			fmt.Fprintf(&b, " %d", e.Size)
		}
		if e.Target != "" {
			b.WriteString(" -> " + name(e.Target))
		}
		if e.Real != "" {
			b.WriteString(" = " + name(e.Real))
		}
		if e.Type == snap.File && e.MTime.Unix() != 1700000000 && e.Size < 1<<30 {
			fmt.Fprintf(&b, " at %v", e.MTime)
		}
		if e.Cut {
			b.WriteString(" cut")
		}
		if e.Read {
			b.WriteString(" " + short40(e.Content))
		}
		if e.Denied != "" {
			b.WriteString(" (" + strings.ReplaceAll(e.Denied, prefix, "") + ")")
		}
		return b.String()
	}
	for _, e := range s.Entries {
		lines = append(lines, file(e))
	}
	for p, why := range s.Denials {
		lines = append(lines, strings.ReplaceAll("denied "+p+": "+why, prefix, ""))
	}
	for i := range s.Walk.Found {
		lines = append(lines, "found "+file(&s.Walk.Found[i]))
	}
	slices.Sort(lines)
	return lines
}

func short40(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return fmt.Sprintf("%q", b)
}

// about are the lines that name a case's folder.
func about(lines []string, topic string) (out []string) {
	for _, l := range lines {
		for _, before := range []string{"", `"`, "denied ", "found ", `found "`} {
			if rest, ok := strings.CutPrefix(l, before+"/"+topic); ok && (rest[0] == '/' || rest[0] == ':') {
				out = append(out, l)
			}
		}
	}
	return out
}

func describeOutput(o *snap.Output) string {
	switch {
	case o == nil:
		return "none"
	case o.Missing:
		return "missing"
	}
	s := fmt.Sprintf("exit %d", o.Exit)
	if o.Cut {
		s += " cut"
	}
	s += " " + short40(o.Stdout)
	if o.Stderr != "" {
		s += " stderr " + short40([]byte(o.Stderr))
	}
	if o.Err != "" {
		s += " (" + o.Err + ")"
	}
	return s
}
