package inventory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// line is a node as a test writes it: name, address, user:port, key, way, roles, groups.
func line(n Node) string {
	var b strings.Builder
	b.WriteString(n.Name)
	say := func(what, s string) {
		if s != "" {
			fmt.Fprintf(&b, " %s=%s", what, s)
		}
	}
	say("at", n.Address)
	say("user", n.User)
	if n.Port != 0 {
		say("port", fmt.Sprint(n.Port))
	}
	say("key", n.Identity)
	say("jump", n.Jump)
	say("roles", strings.Join(n.Roles, "+"))
	say("groups", strings.Join(n.Groups, "+"))
	return b.String()
}

func nodeLines(nodes []Node) string {
	var out []string
	for _, n := range nodes {
		out = append(out, line(n))
	}
	return strings.Join(out, "\n")
}

func noteLines(notes []Note) string {
	var out []string
	for _, n := range notes {
		out = append(out, n.String())
	}
	return strings.Join(out, "\n")
}

// A reading is a file, what is found in it, and a part of each note.
type reading struct {
	name, text, want string
	notes            []string
}

func readings(t *testing.T, file string, read func(string, []byte) Found, all []reading) {
	t.Helper()
	for _, tc := range all {
		t.Run(tc.name, func(t *testing.T) {
			f := read(file, []byte(tc.text))
			if got := nodeLines(f.Nodes); got != tc.want {
				t.Errorf("found\n%s\nwant\n%s", got, tc.want)
			}
			if len(f.Notes) != len(tc.notes) {
				t.Errorf("%d notes, want %d:\n%s", len(f.Notes), len(tc.notes), noteLines(f.Notes))
			}
			for i := range min(len(f.Notes), len(tc.notes)) {
				if got := f.Notes[i].String(); !strings.Contains(got, tc.notes[i]) {
					t.Errorf("note %q, want %q", got, tc.notes[i])
				}
			}
			if f.File != file {
				t.Errorf("file is %q", f.File)
			}
			for _, n := range f.Nodes {
				if n.At.File != file || n.At.Line < 1 {
					t.Errorf("%s has the place %s", n.Name, n.At)
				}
			}
		})
	}
}

func sample() Inventory {
	return New([]Node{
		{Name: "master", Address: "192.168.0.100", Roles: []string{Leader}},
		{Name: "worker1", Address: "192.168.0.101", Roles: []string{Worker}, Groups: []string{"lab"}},
		{Name: "worker2", Address: "192.168.0.102", Roles: []string{Worker}},
		{Name: "again", Address: "192.168.0.101", Port: 22, At: Place{"p.yaml", 7}},
		{Name: "nat1", Address: "192.168.0.1", Port: 2201},
		{Name: "nat2", Address: "192.168.0.1", Port: 2202},
		{Name: "far", Address: "192.168.0.101", Jump: "gw.example.org"},
		{Name: "lab6", Address: "fd00::A"},
		{Name: "lab6b", Address: "FD00:0::a"},
	}, []Group{{Name: "upper", Nodes: []string{"worker2", "worker1", "nobody"}}, {Name: "bare"}})
}

func TestSelect(t *testing.T) {
	inv := sample()
	for words, want := range map[string]string{
		"worker1":         "worker1",
		"worker2 worker1": "worker2 worker1",
		"upper":           "worker1 worker2",
		"lab":             "worker1",
		"worker":          "worker1 worker2",
		"worker1 upper":   "worker1 worker2",
		"leader worker":   "master worker1 worker2",
		"again":           "again",
		"again worker1":   "again",
		"worker1 again":   "worker1",
		"all":             "master worker1 worker2 nat1 nat2 far lab6",
		"far all":         "far master worker1 worker2 nat1 nat2 lab6",
		"nat1 nat2 nat1":  "nat1 nat2",
	} {
		got, err := inv.Select(strings.Fields(words))
		var names []string
		for _, n := range got {
			names = append(names, n.Name)
		}
		if s := strings.Join(names, " "); err != nil || s != want {
			t.Errorf("%s: %s, %v; want %s", words, s, err, want)
		}
	}
	for words, want := range map[string]string{
		"worker11":      `no node, group or role is called "worker11"; did you mean "worker1"?`,
		"uper":          `did you mean "upper"?`,
		"master laeder": `did you mean "leader"?`,
		"al":            `did you mean "all"?`,
		"quite-else":    `no node, group or role is called "quite-else"`,
		"bare":          `the group "bare" has no nodes`,
		"":              `no node was named; "all" means every one`,
	} {
		got, err := inv.Select(strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("%q: %v, %v; want %s", words, got, err, want)
		}
	}
	var unknown Unknown
	if _, err := inv.Select([]string{"worker11"}); !errors.As(err, &unknown) || unknown.Near != "worker1" {
		t.Errorf("%#v", unknown)
	}
	_, err := Inventory{}.Select([]string{"all"})
	if !errors.As(err, new(Empty)) || !strings.Contains(err.Error(), "the cluster has no nodes") {
		t.Error(err)
	}
}

func TestNotes(t *testing.T) {
	got := noteLines(sample().Notes())
	for _, want := range []string{
		"p.yaml:7: again is the same machine as worker1 (192.168.0.101, port 22); together they are taken once",
		"lab6b is the same machine as lab6",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 2 {
		t.Errorf("%d notes:\n%s", n, got)
	}
	odd := New([]Node{{Name: "worker", Roles: []string{Worker}}, {Name: "pio2", Roles: []string{Worker}}, {Name: "leader", Roles: []string{Leader}}}, nil)
	if got := noteLines(odd.Notes()); got != "worker is a node and a role of pio2 too; the word means the node alone" {
		t.Error(got)
	}
}

func TestHops(t *testing.T) {
	for in, want := range map[string]string{
		"gw":                          "gw",
		"ada@gw:2222":                 "ada@gw:2222",
		"gw.example.org, pi@10.0.0.1": "gw.example.org,pi@10.0.0.1",
		"ssh://pi@gw:22/":             "pi@gw:22",
		"fd00::1":                     "fd00::1",
		"[fd00::1]":                   "fd00::1",
		"pi@[fd00::1]:2222":           "pi@[fd00::1]:2222",
		"a,b,c,d,e,f,g,h,i":           "!want at most 8",
		"":                            "!want a host",
		"gw,":                         "!want a host",
		"gw:":                         "!want a port",
		"gw:ssh":                      "!want a port",
		"pi:raspberry@gw":             "!want no password",
		"-oProxyCommand=x":            "!want a host",
		"[gw]:22":                     "!want a host",
		"[fd00::1":                    "!want a",
		"a b":                         "!want a host",
		"@gw":                         "!want the name of one user",
		"x;reboot":                    "!want a host",
	} {
		hops, err := Hops(in)
		got := written(hops)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != want && (want[0] != '!' || !strings.HasPrefix(got, want)) {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if strings.Contains(got, "raspberry") {
			t.Errorf("%q shows a password", in)
		}
	}
}

func TestCircle(t *testing.T) {
	for in, want := range map[string]string{
		"a:b b:c c:":      "",
		"a:a":             "a a",
		"x: a:b b:c c:a":  "a b c a",
		"a:b,c b: c:pi@a": "a c a",
		"a:gw.lan":        "",
	} {
		var nodes []Node
		for _, f := range strings.Fields(in) {
			name, jump, _ := strings.Cut(f, ":")
			nodes = append(nodes, Node{Name: name, Jump: jump})
		}
		if _, way := Circle(nodes); strings.Join(way, " ") != want {
			t.Errorf("%s: %v, want %s", in, way, want)
		}
	}
}
