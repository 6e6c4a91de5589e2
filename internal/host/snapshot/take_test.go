package snapshot

import (
	"context"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// A fakeTaker answers each round with the same file and the same command.
type fakeTaker struct{ file, stdout string }

var fakeCommand = []string{"apt-config", "dump"}

func (fakeTaker) Source(context.Context) (snap.Source, error) {
	return snap.Source{Kind: "local"}, nil
}

func (f fakeTaker) Round(_ context.Context, _ snap.Manifest, s *snap.Snapshot) error {
	const p = "/etc/wpa_supplicant/wpa_supplicant.conf"
	s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o600, Read: true, Content: []byte(f.file)}
	s.Commands[snap.CommandKey(fakeCommand...)] = &snap.Output{Argv: fakeCommand, Stdout: []byte(f.stdout)}
	return nil
}

func (fakeTaker) Close() error { return nil }

// What a round brings is cleaned before the next question is thought of, from
// a taker of any kind.
func TestSecretsAreReplacedAfterEachRound(t *testing.T) {
	const secret = "hunter2-of-the-lab"
	asked := 0
	look := func(s *snap.Snapshot) {
		t.Helper()
		for p, e := range s.Entries {
			if strings.Contains(string(e.Content), secret) {
				t.Errorf("%s still holds the secret: %s", p, e.Content)
			}
		}
		for key, o := range s.Commands {
			if strings.Contains(string(o.Stdout), secret) {
				t.Errorf("the answer of %s still holds the secret: %s", key, o.Stdout)
			}
		}
	}
	ask := func(s *snap.Snapshot) snap.Manifest {
		look(s)
		if asked++; asked > 2 {
			return snap.Manifest{}
		}
		return snap.Manifest{Commands: []snap.Command{{Argv: fakeCommand}}}
	}
	taker := fakeTaker{
		file:   "network={\n ssid=\"lab\"\n psk=\"" + secret + "\"\n}\n",
		stdout: "Acquire::http::Proxy \"http://me:" + secret + "@proxy:3128\";\n",
	}
	s, err := Take(context.Background(), taker, ask, Options{Now: time.Now})
	if err != nil || asked < 3 {
		t.Fatalf("asked %d times: %v", asked, err)
	}
	look(s)
	if len(s.Commands) != 1 || len(s.Entries) != 1 {
		t.Errorf("%d commands and %d files arrived, want one of each", len(s.Commands), len(s.Entries))
	}
}

// The trying of passwords ends when its time is over, when the audit is
// interrupted and when nobody wants the answer any more.
func TestGuessingEnds(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fresh := func() *guessing {
		return &guessing{ctx: ctx, opt: Options{Memory: NewMemory(), Guess: time.Second, Now: func() time.Time { return now }}}
	}
	g := fresh()
	if !g.more() {
		t.Error("no time while the host is still being read")
	}
	g.finish()
	if !g.more() {
		t.Error("no time right after the reading")
	}
	now = now.Add(time.Second)
	if g.more() {
		t.Error("it goes on after its time")
	}
	g = fresh()
	g.stop()
	if g.more() {
		t.Error("it goes on after stop")
	}
	g = fresh()
	cancel()
	if g.more() {
		t.Error("it goes on after the audit was interrupted")
	}
}

// TestOnlyPermittedCommands: a topic that asks for another is refused before
// any taker is asked.
func TestOnlyPermittedCommands(t *testing.T) {
	ask := func(*snap.Snapshot) snap.Manifest {
		return snap.Manifest{Commands: []snap.Command{{Argv: []string{"rm", "-rf", "/nowhere"}}}}
	}
	s, err := Take(t.Context(), fakeTaker{}, ask, Options{Now: time.Now})
	if s != nil || err == nil || !strings.Contains(err.Error(), "not in the table of permitted ones: rm -rf /nowhere") {
		t.Errorf("%v", err)
	}
	r := runner{path: "/bin:/usr/bin", workers: 1}
	for _, argv := range [][]string{{"rm", "-rf", "/nowhere"}, {"ss", "-Hltunpe", "-K"}, {"systemctl", "show", "--no-pager", "--property=Id", "--now"}, {"sshd", "-T", "-C", "user=$(id);x"}} {
		if o := r.run(t.Context(), []snap.Command{{Argv: argv}})[0]; !strings.Contains(o.Err, "not in the table") {
			t.Errorf("%q was run: %+v", argv, o)
		}
		if text := program(snap.Manifest{Commands: []snap.Command{{Argv: argv}}}, "picket-00", limits{walk: time.Second}); strings.Contains(text, argv[len(argv)-1]+"\n") {
			t.Errorf("%q stands in the program for a shell", argv)
		}
	}
}
