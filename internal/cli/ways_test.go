package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/inventory"
	"picket/internal/core/trust"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

func (n nodes) walker(t *testing.T) *walker {
	t.Helper()
	p, ssh := n.sitting(t)
	w := p.walker(ssh)
	t.Cleanup(w.close)
	return w
}

// TestAWayThatWasNotGone: what has no time left has not held, but where the end that is not changed is away.
func TestAWayThatWasNotGone(t *testing.T) {
	t.Parallel()
	w := newNodes(t).walker(t)
	hangs := way{from: "a", to: "away", program: "exec sleep 20", walker: w}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := hangs.path("away").Try(ctx); err == nil {
		t.Error("a way that was not gone to its end holds")
	}
	if err := hangs.path("away").Try(ctx); err == nil {
		t.Error("a way that was never begun holds")
	}
	if err := hangs.path("a").Try(ctx); err != nil {
		t.Errorf("the change of one host is blamed for another that is away: %v", err)
	}
	if n := len(w.at("a").slots); n != 0 {
		t.Errorf("%d slots are not given back", n)
	}
}

// TestAWaysNeighbour: what ends with the time of one way is not the end of another from the same host.
func TestAWaysNeighbour(t *testing.T) {
	t.Parallel()
	w := newNodes(t).walker(t)
	if _, _, err := w.run(t.Context(), "a", "true", nil); err != nil {
		t.Fatal(err)
	}
	came := make(chan error, 1)
	go func() { came <- way{from: "a", to: "b", program: "exec sleep 2", walker: w}.path("b").Try(t.Context()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := (way{from: "a", to: "b", program: "exec sleep 20", walker: w}).path("a").Try(ctx); err == nil {
		t.Error("it has come to no end, and holds")
	}
	if err := <-came; err != nil {
		t.Errorf("its neighbour: %v", err)
	}
}

// TestAwayShowsNothing: where an end is away, the other's change is not to blame, and its other ways are not waited for.
func TestAwayShowsNothing(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	w, file := n.walker(t), filepath.Join(t.TempDir(), "gone")
	for _, tc := range []struct {
		to, program string
		good        bool
	}{{"b", "false", false}, {"away", "echo x >>" + file + "; false", true}, {"away", "echo x >>" + file + "; false", true}, {"b", "true", true}} {
		if err := (way{from: "a", to: tc.to, program: tc.program, walker: w}).path("a").Try(t.Context()); (err == nil) != tc.good {
			t.Errorf("to %s: %v", tc.to, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func edge(from, to string) trust.Edge { return trust.Edge{From: from, To: to, How: trust.Key} }

// TestKeysGood: an account is tried where its key lets in, and nowhere else; what is left out for another reason is told.
func TestKeysGood(t *testing.T) {
	bound, locked, sudo := edge("backup@l", "pi@w1"), edge("pi@l", "root@w1"), edge("pi@l", "root@w2")
	bound.Only, locked.Needs, sudo.How = "rrsync /", "the passphrase of the key", trust.Sudo
	same := locked
	same.To = "pi@w1"
	good, unknown := trusted{m: trust.Map{Edges: []trust.Edge{
		edge("pi@l", "pi@w1"), edge("pi@l", "pi@w1"), edge("pi@l", "ada@w1"), edge("pi@l", "pi@w2"), edge("pi@l", "pi@w3"), edge("pi@other", "pi@w2"), bound, locked, same, sudo,
	}}}.logins("l", []inventory.Node{{Name: "w1"}, {Name: "w2"}})
	if got := fmt.Sprint(good); got != "[{pi w1 [pi ada]} {pi w2 [pi]}]" {
		t.Error(got)
	}
	want := []string{
		"whether backup of l comes in as pi (a key lets it run one command there, which is not run) at w1",
		"whether pi of l comes in as root (that needs the passphrase of the key) at w1",
	}
	if !slices.Equal(unknown, want) {
		t.Errorf("%q", unknown)
	}
	var many []trust.Edge
	for c := 'a'; c < 'a'+mostAccounts+2; c++ {
		many = append(many, edge(string(c)+"@l", "pi@w1"), edge(string(c)+"@l", "pi@w2"))
	}
	good, unknown = trusted{m: trust.Map{Edges: many}}.logins("l", []inventory.Node{{Name: "w1"}, {Name: "w2"}})
	if len(good) != 2*mostAccounts || !slices.Equal(unknown, []string{"whom i, j of l reach: of one leader 8 accounts are tried"}) {
		t.Errorf("%v, %q", good, unknown)
	}
}

// A stage is a host that has a few programs and no others.
func stage(t *testing.T, programs map[string]string, real ...string) *walker {
	t.Helper()
	dir := t.TempDir()
	for _, name := range real {
		at, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(at, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, does := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+does+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	w := (&program{now: time.Now}).walker(sshOptions{})
	w.at("l").sh = shell.Local()
	return w
}

type deaf struct{ ui.Teller }

func (deaf) Say(string) {}

// TestLoginsBanNobody: no account is tried that a node does not have, the second name only where the first did not turn the account
// away, and a node that turns logins away is left alone.
func TestLoginsBanNobody(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	w := stage(t, map[string]string{
		"su":      `account=$3; shift 3; ACCOUNT=$account exec /bin/sh "$@"`, // su -s /bin/sh ACCOUNT -c …
		"timeout": `shift; exec "$@"`,
		"ssh": `case $1 in -G)
	echo user $([ $ACCOUNT = other ] && echo nobody || echo pi); echo kexalgorithms a,b; exit ;;
esac
for to; do case $to in w*) break ;; esac; done
echo $ACCOUNT $to >>` + log + `
case $ACCOUNT/$to in
good/w1 | good/w1.lan | good/w2.lan) ;;
good/w2) echo 'ssh: Could not resolve hostname w2' >&2; exit 255 ;;
*) echo "pi@$to: Permission denied (publickey)." >&2; exit 255 ;;
esac`,
	}, "sh", "awk", "sed")
	var edges []trust.Edge
	for _, account := range []string{"bad1", "bad2", "bad3", "good", "other"} {
		edges = append(edges, edge(account+"@l", "pi@w1"))
	}
	edges = append(edges, edge("good@l", "pi@w2"))
	f, err := w.logins(t.Context(), inventory.Node{Name: "l"}, []inventory.Node{{Name: "w1", Address: "w1.lan"}, {Name: "w2", Address: "w2.lan"}, {Name: "w3"}}, trusted{m: trust.Map{Edges: edges}}, deaf{})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(log)
	tried := slices.Sorted(strings.Lines(string(b)))
	if want := []string{"bad1 w1\n", "bad2 w1\n", "good w2\n", "good w2.lan\n"}; !slices.Equal(tried, want) {
		t.Errorf("tried: %q", tried)
	}
	if len(f.ways) != 1 || f.ways[0].name != "ssh w2.lan from l as good" || !slices.Equal(f.ways[0].offers["kexalgorithms"], []string{"a", "b"}) || f.says != "reaches 1 of 3 over SSH as good" {
		t.Errorf("%+v, %s", f.ways, f.says)
	}
	if len(f.unknown) != 2 || !strings.HasPrefix(f.unknown[0], "whether w1 comes in as bad3 of l: it turned 2 logins away") || !strings.Contains(f.unknown[1], "as good of l") {
		t.Errorf("%q", f.unknown)
	}
}

// TestWhatCouldNotBeAsked: a bound that leaves something out, and a program that is missing, are told.
func TestWhatCouldNotBeAsked(t *testing.T) {
	var all strings.Builder
	for port := 1001; port <= 1018; port++ {
		fmt.Fprintf(&all, "LISTEN 0 128 0.0.0.0:%d 0.0.0.0:*\nLISTEN 0 128 [::]:%[1]d [::]:*\n", port)
	}
	w := stage(t, map[string]string{"ss": "echo 'LISTEN 0 128 127.0.0.1:25 0.0.0.0:*\n" + all.String() + "'"}, "awk", "sort")
	ports, unknown, err := w.served(t.Context(), "l", deaf{})
	if err != nil || len(ports) != mostPorts || ports[0] != "1001" || !slices.Equal(unknown, []string{"who reaches l at 1017, 1018: the lowest 16 ports of a leader are tried"}) {
		t.Errorf("%v, %q, %v", ports, unknown, err)
	}
	w = stage(t, map[string]string{"ss": "exit 1"}, "awk", "sort")
	if _, _, err := w.served(t.Context(), "l", deaf{}); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("ss that fails: %v", err)
	}
	w = stage(t, nil, "awk", "sort")
	if _, _, err := w.served(t.Context(), "l", deaf{}); err == nil || !strings.Contains(err.Error(), "l has no ss") {
		t.Errorf("no ss: %v", err)
	}
	if _, err := w.reached(t.Context(), inventory.Node{Name: "l"}, []inventory.Node{{Name: "m"}}, map[string][]string{"m": {"22"}}, deaf{}); err == nil || !strings.Contains(err.Error(), "l has no bash") {
		t.Errorf("no bash: %v", err)
	}
}

// TestKeysElsewhere: the key that a client's settings name is looked at, wherever it lies.
func TestKeysElsewhere(t *testing.T) {
	home := t.TempDir()
	for file, text := range map[string]string{".ssh/config": "Host *\n  IdentityFile ~/.ssh/id_usual\n\tidentityfile = \"~/keys/my key\"\nIdentityFile ~/keys/none\nIdentityFile " + home + "/.ssh/deep/bad\n", "keys/my key": "", ".ssh/id_usual": "", ".ssh/deep/bad": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := stage(t, map[string]string{
		"getent":     "echo www:x:33:33::" + home + ":/usr/sbin/nologin; echo pi:x:1000:1000::" + home + ":/bin/bash",
		"ssh-keygen": `case $2 in */bad) exit 1 ;; esac; echo "256 SHA256:abc a comment (ED25519)"`,
	}, "cat", "sed", "sort", "awk")
	lines, err := w.lines(t.Context(), "l", []string{"ssh-keygen", "awk"}, keysElsewhere, nil)
	if want := []string{"pi ? " + home + "/.ssh/deep/bad", "pi SHA256:abc " + home + "/keys/my key"}; err != nil || !slices.Equal(slices.Sorted(slices.Values(lines)), want) {
		t.Errorf("%q, %v", lines, err)
	}
}
