package settings

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/inventory"
)

func TestAdd(t *testing.T) {
	found := inventory.New([]inventory.Node{
		{Name: "leader", Address: "10.0.0.1", User: "pi", Roles: []string{"leader"}, At: inventory.Place{File: "hosts", Line: 3}},
		{Name: "worker1", Address: "10.0.0.2", Roles: []string{"worker"}, Groups: []string{"up"}},
	}, nil)
	const both = "leader: {address: 10.0.0.1, user: pi, roles: [leader]}    # hosts:3\n"
	for _, c := range []struct{ name, before, after string }{
		{"empty", "", "cluster:\n  nodes:\n    " + both + "    worker1: {address: 10.0.0.2, roles: [worker]}\n  groups:\n    up: [worker1]\n"},
		{"only a comment", "# mine", "# mine\n\ncluster:\n  nodes:\n    " + both + "    worker1: {address: 10.0.0.2, roles: [worker]}\n  groups:\n    up: [worker1]\n"},
		{"no cluster", "policy:\n  fail-on: high # mine", "policy:\n  fail-on: high # mine\n\ncluster:\n  nodes:\n    " + both + "    worker1: {address: 10.0.0.2, roles: [worker]}\n  groups:\n    up: [worker1]\n"},
		{"nodes in the middle", "cluster:\n   nodes:\n      a: {address: 10.0.0.9}   # the first\n      b:\n         address: 10.0.0.8\n         # of b\n\n   # of the groups\n   groups: {up: [a]}\npolicy: {}\n",
			"cluster:\n   nodes:\n      a: {address: 10.0.0.9}   # the first\n      b:\n         address: 10.0.0.8\n         # of b\n      leader: {address: 10.0.0.1, user: pi, roles: [leader]}       # hosts:3\n      worker1: {address: 10.0.0.2, roles: [worker], groups: [up]}\n\n   # of the groups\n   groups: {up: [a]}\npolicy: {}\n"},
		{"what holds for all", "cluster:\n  user: pi\n  nodes:\n    a:", "cluster:\n  user: pi\n  nodes:\n    a:\n    leader: {address: 10.0.0.1, roles: [leader]}                 # hosts:3\n    worker1: {address: 10.0.0.2, roles: [worker], groups: [up]}\n"},
		{"no nodes yet", "cluster:\n  user: pi   # everywhere\n\npolicy: {}\n", "cluster:\n  user: pi   # everywhere\n  nodes:\n    leader: {address: 10.0.0.1, roles: [leader]}                 # hosts:3\n    worker1: {address: 10.0.0.2, roles: [worker], groups: [up]}\n\npolicy: {}\n"},
		{"some are there", "cluster:\n  nodes:\n    LEADER: {address: 10.0.0.1}\n", "cluster:\n  nodes:\n    LEADER: {address: 10.0.0.1}\n    worker1: {address: 10.0.0.2, roles: [worker], groups: [up]}\n"},
		{"all are there", "cluster: {nodes: {leader: {address: 10.0.0.1}, other: {address: 10.0.0.2}}}", "cluster: {nodes: {leader: {address: 10.0.0.1}, other: {address: 10.0.0.2}}}"},
	} {
		got, err := Add("picket.yaml", []byte(c.before), found)
		if err != nil || strings.ReplaceAll(string(got.Text), " ", "") != strings.ReplaceAll(c.after, " ", "") {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got.Text, c.after)
			continue
		}
		if again, err := Add("picket.yaml", got.Text, found); err != nil || string(again.Text) != string(got.Text) || len(again.Nodes) > 0 || again.There != 2 {
			t.Errorf("%s: a second time it is\n%s", c.name, again.Text)
		}
		kept := strings.Split(string(got.Text), "\n")
		for l := range strings.Lines(c.before) {
			if !slices.Contains(kept, strings.TrimSuffix(l, "\n")) {
				t.Errorf("%s: the line %q is gone", c.name, l)
			}
		}
	}
	for name, c := range map[string][2]string{
		"cluster in brackets":  {"cluster: {user: pi}\n", "its cluster is written in brackets"},
		"nodes in brackets":    {"cluster:\n  nodes: {a: {}}\n", "its cluster.nodes are written in brackets"},
		"all in brackets":      {"{policy: {fail-on: high}}", "is one value in brackets"},
		"a group of that name": {"cluster:\n  nodes:\n    a:\n  groups: {worker1: [a]}\n", "with the nodes below it would be wrong: "},
		"a value over lines":   {"cluster:\n  nodes:\n    a: {address: 10.0.0.9,\n  user: pi}\n", "with the nodes below it would be wrong: "},
	} {
		var hand ByHand
		_, err := Add("picket.yaml", []byte(c[0]), found)
		if !errors.As(err, &hand) || !strings.Contains(err.Error(), "picket.yaml: "+c[1]) || !strings.Contains(hand.Lines, "worker1: {") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Add("picket.yaml", []byte("cluser: {}"), found); err == nil || !strings.Contains(err.Error(), "picket.yaml:1:1") {
		t.Error(err)
	}
	got, err := Add("picket.yaml", []byte("cluster:\n  nodes:\n    leader: {address: 10.0.0.7, user: ada}\n"), found)
	if err != nil || len(got.Notes) != 1 || got.Notes[0].String() != "picket.yaml:3: leader is there already and stays as it is: the address 10.0.0.7 there, and 10.0.0.1 is found; the user ada there, and pi is found" {
		t.Error(got.Notes, err)
	}
}

// FuzzAdd: whatever was there is there afterwards, and the file can be read.
func FuzzAdd(f *testing.F) {
	f.Add("policy: {}\ncluster:\n  nodes:\n    a: {address: 10.0.0.9}\n  groups: {up: [a]}\n")
	f.Add("cluster:\n  nodes:\n    a: {address: 10.0.0.9,\n  user: pi}\n")
	f.Add("cluster:\n# x\n  user: pi\n...\n")
	f.Add("policy:\n  skip:\n    - |\n      cluster:\n        nodes:\n")
	found := inventory.New([]inventory.Node{{Name: "n1", Address: "10.0.0.1", User: "pi"}, {Name: "n2"}}, nil)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Add("f", []byte(text), found)
		if err != nil {
			return
		}
		var s Settings
		if ps := s.Merge("f", got.Text); len(ps) > 0 {
			t.Fatalf("%v\n%s", ps.Err(), got.Text)
		}
		if n := len(s.Inventory().Nodes); n < 2 && len(got.Nodes) == 2 {
			t.Fatalf("%d nodes in\n%s", n, got.Text)
		}
		lines := strings.Split(string(got.Text), "\n")
		for l := range strings.Lines(text) {
			if !slices.Contains(lines, strings.TrimSuffix(l, "\n")) {
				t.Fatalf("the line %q is gone from\n%s", l, got.Text)
			}
		}
	})
}
