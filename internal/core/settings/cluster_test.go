package settings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/internal/core/inventory"
)

const clusterText = `cluster:
  user: ada
  identity: ~/.ssh/id_ed25519
  port: 2222
  nodes:
    leader: {address: 192.168.1.10, roles: [leader], user: pioreactor, port: 22}
    worker1:
      address: fd00::1
      roles: [worker]
      jump: leader
    worker2: {jump: "pi@gw.example.org:22,leader", groups: [lab], identity: ~/.ssh/other}
    bare:
  groups:
    upper: [bare, worker1]
`

func inventoryOf(t *testing.T, files ...string) inventory.Inventory {
	t.Helper()
	var s Settings
	for i, f := range files {
		if ps := s.Merge(fmt.Sprintf("%c.yaml", 'a'+i), []byte(f)); len(ps) > 0 {
			t.Fatal(ps.Err())
		}
	}
	return s.Inventory()
}

func TestCluster(t *testing.T) {
	got := inventoryOf(t, clusterText)
	at := func(line int) inventory.Place { return inventory.Place{File: "a.yaml", Line: line} }
	key := "~/.ssh/id_ed25519"
	want := inventory.New([]inventory.Node{
		{Name: "leader", Address: "192.168.1.10", User: "pioreactor", Port: 22, Identity: key, Roles: []string{"leader"}, At: at(6)},
		{Name: "worker1", Address: "fd00::1", User: "ada", Port: 2222, Identity: key, Jump: "leader", Roles: []string{"worker"}, Groups: []string{"upper"}, At: at(7)},
		{Name: "worker2", User: "ada", Port: 2222, Identity: "~/.ssh/other", Jump: "pi@gw.example.org:22,leader", Groups: []string{"lab"}, At: at(11)},
		{Name: "bare", User: "ada", Port: 2222, Identity: key, Groups: []string{"upper"}, At: at(12)},
	}, []inventory.Group{{Name: "upper", At: at(14)}, {Name: "lab", At: at(11)}})
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(inventory.Inventory{})); d != "" {
		t.Errorf("- wanted, + got\n%s", d)
	}
	if len(got.Notes()) > 0 {
		t.Error(got.Notes())
	}
	if none := inventoryOf(t, "policy: {}"); len(none.Nodes) > 0 {
		t.Error(none)
	}
}

// A later file wins, key by key, down to those of a node; a group's list is one value.
func TestClusterMerge(t *testing.T) {
	got := inventoryOf(t, clusterText, `cluster:
  port: 22
  nodes:
    worker1: {address: 10.0.0.1, roles: [spare]}
    late: {user: bob}
  groups: {upper: [late]}
`)
	lines := func(inv inventory.Inventory) (out []string) {
		for _, n := range inv.Nodes {
			out = append(out, fmt.Sprintf("%s %s %s %d %s %v %v %s", n.Name, n.Address, n.User, n.Port, n.Jump, n.Roles, n.Groups, n.At))
		}
		return out
	}
	want := []string{
		"leader 192.168.1.10 pioreactor 22  [leader] [] a.yaml:6",
		"worker1 10.0.0.1 ada 22 leader [spare] [] b.yaml:4",
		"worker2  ada 22 pi@gw.example.org:22,leader [] [lab] a.yaml:11",
		"bare  ada 22  [] [] a.yaml:12",
		"late  bob 22  [] [upper] b.yaml:5",
	}
	if d := cmp.Diff(want, lines(got)); d != "" {
		t.Errorf("- wanted, + got\n%s", d)
	}
	// A file with a slip changes nothing of what was there.
	var s Settings
	if ps := s.Merge("a.yaml", []byte(clusterText)); len(ps) > 0 {
		t.Fatal(ps.Err())
	}
	before := lines(s.Inventory())
	if ps := s.Merge("b.yaml", []byte("cluster: {nodes: {worker1: {address: 10.0.0.9, user: x, jump: late}, late: {}}, groups: {upper: [nobody]}}")); len(ps) != 1 {
		t.Error(ps)
	}
	if d := cmp.Diff(before, lines(s.Inventory())); d != "" {
		t.Error(d)
	}
}

func TestSlipsOfCluster(t *testing.T) {
	for in, want := range map[string]string{
		"usr: pi":                              `a.yaml:1:11: unknown key "usr"; did you mean "user"?`,
		"user: 'a b'":                          `a.yaml:1:17: want the name of one user, found "a b"`,
		"user: -x":                             `want the name of one user`,
		"port: 0":                              `want a port from 1 to 65535, found "0"`,
		"identity: ''":                         `want the file of a private key`,
		"identity: ~/.ssh/id_ed25519.pub":      `"~/.ssh/id_ed25519.pub" is the public half`,
		"nodes: [a]":                           `a.yaml:1:18: want key: value pairs`,
		"nodes: a":                             `want key: value pairs`,
		"nodes: {a: 10.0.0.1}":                 `a.yaml:1:22: want key: value pairs, found "10.0.0.1"; did you mean {address: 10.0.0.1}?`,
		"nodes: {a: [x]}":                      `want key: value pairs, found a list`,
		"nodes: {a: {adress: x}}":              `a.yaml:1:23: unknown key "adress"; did you mean "address"?`,
		"nodes: {a: {port: 99999}}":            `want a port from 1 to 65535, found "99999"`,
		"nodes: {a: {address: 'x y'}}":         `want the name or address of a host, found "x y"`,
		"nodes: {a: {address: '10.0.0.1:22'}}": `want an address alone, found "10.0.0.1:22"; the port is a key of its own`,
		"nodes: {a: {address: pi@b}}":          `the user is a key of its own`,
		"nodes: {a: {address: '[fd00::1]'}}":   `an IPv6 address stands without brackets`,
		"nodes: {a: {}, a: {}}":                `a.yaml:1:26: "a" is set twice`,
		"nodes: {a: {}, A: {}}":                `a.yaml:1:26: "A" and "a" are one name`,
		"nodes: {'a b': {}}":                   `a.yaml:1:19: want a name of letters, digits, dots, - and _, found "a b"`,
		"nodes: {all: {}}":                     `"all" has a meaning of its own as a target`,
		"nodes: {local: {}}":                   `"local" has a meaning of its own as a target`,
		"nodes: {a: {roles: worker}}":          `want a list of names, as [worker]`,
		"nodes: {a: {roles: []}}":              `an empty list decides nothing`,
		"nodes: {a: {roles: [x, x]}}":          `a.yaml:1:34: "x" stands there twice`,
		"nodes: {a: {roles: [all]}}":           `"all" has a meaning`,
		"nodes: {a: {groups: [b c]}}":          `want a name of letters`,
		"nodes: {a: {groups: [b]}, b: {}}":     `a.yaml:1:32: the group "b" is called like the node "b"`,
		"nodes: {a: {jump: a}}":                `a.yaml:1:29: "a" is reached through itself`,
		"nodes: {a: {jump: pi@a}}":             `"a" is reached through itself`,
		"nodes: {a: {jump: b}, b: {jump: a}}":  `a.yaml:1:29: "a" is reached through itself: a → b → a`,
		"nodes: {a: {jump: gat}, gate: {}}":    `a.yaml:1:29: no node is called "gat"; did you mean "gate"?; a host that is no node is written gat:22`,
		"nodes: {a: {jump: 'pi@B:2'}, b: {}}":  `no node is called "B"; did you mean "b"?`,
		"nodes: {a: {jump: 'pi:x@b'}}":         `want no password there`,
		"nodes: {a: {jump: [b]}}":              `want a host as user@host:port`,
		"nodes: {a: {}}, groups: {g: [b]}":     `a.yaml:1:40: no node is called "b"`,
		"nodes: {ab1: {}}, groups: {g: [ab2]}": `no node is called "ab2"; did you mean "ab1"?`,
		"nodes: {a: {}}, groups: {a: [a]}":     `a.yaml:1:36: the group "a" is called like the node "a"`,
		"nodes: {a: {}}, groups: {all: [a]}":   `"all" has a meaning`,
		"nodes: {a: {}}, groups: {g: []}":      `an empty list decides nothing`,
		"nodes: {a: {}}, groups: {g: [a, a]}":  `"a" stands there twice`,
		"nodes: {a: {}}, groups: {g: a}":       `a.yaml:1:39: want a list of nodes`,
		"groups: [g]":                          `want key: value pairs`,
		"nodes: {a: {}}, groups: {'g h': [a]}": `want a name of letters`,
		"groups: {g: [a]}":                     `no node is called "a"`,
	} {
		var s Settings
		err := s.Merge("a.yaml", []byte("cluster: {"+in+"}")).Err()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
		if n := len(s.Inventory().Nodes); n > 0 {
			t.Errorf("%s was taken all the same", in)
		}
	}
	// Of two files each is right, and both together are not.
	for _, tc := range []struct{ a, b, want string }{
		{"nodes: {a: {}}, groups: {g: [a]}", "nodes: {g: {}}", `a.yaml:1:36: the group "g" is called like the node "g"`},
		{"nodes: {a: {jump: b}, b: {}}", "nodes: {b: {jump: a}}", `reached through itself`},
		{"nodes: {a: {}}", "groups: {g: [c]}", `b.yaml:1:24: no node is called "c"`},
	} {
		var s Settings
		if ps := s.Merge("a.yaml", []byte("cluster: {"+tc.a+"}")); len(ps) > 0 {
			t.Fatal(ps.Err())
		}
		if err := s.Merge("b.yaml", []byte("cluster: {"+tc.b+"}")).Err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
}

// same compares inventories by all that is not where they come from.
func same(a, b inventory.Inventory) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(inventory.Inventory{}), cmpopts.IgnoreTypes(inventory.Place{}))
}

func TestRender(t *testing.T) {
	hosts := inventory.Hosts("/etc/hosts", []byte("192.168.0.100 master\n192.168.0.101 worker1\nfd00::1 cam\n"))
	ssh := inventory.SSHConfig("/home/ada/.ssh/config", []byte("Host far\n HostName 192.168.7.7\n ProxyJump gw\n IdentityFile \"~/.ssh/my \\\"key\\\"\"\nHost gw\n HostName gw.example.org\n Port 2200\nHost *\n User ada\n"))
	ini := inventory.AnsibleINI("inv.ini", []byte("[pis]\nmaster ansible_user=ada\nworker1 ansible_user=ada\ncam ansible_user=ada\n[true]\ncam\n"))
	inv := inventory.Merge(hosts, ssh, ini)
	want := `cluster:
  user: ada
  nodes:
    master: {address: 192.168.0.100, roles: [leader]}                                # /etc/hosts:1
    worker1: {address: 192.168.0.101, roles: [worker]}                               # /etc/hosts:2
    cam: {address: "fd00::1"}                                                        # /etc/hosts:3
    far: {address: 192.168.7.7, identity: "~/.ssh/my \"key\"", jump: gw}             # /home/ada/.ssh/config:1
    gw: {address: gw.example.org, port: 2200}                                        # /home/ada/.ssh/config:5
  groups:
    pis: [master, worker1, cam]
    true: [cam]
`
	text := string(Render(inv))
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if squeeze(text) != squeeze(want) {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	back := inventoryOf(t, text)
	if d := same(inv, back); d != "" {
		t.Error(d)
	}
	if again := string(Render(inventoryOf(t, clusterText))); same(inventoryOf(t, clusterText), inventoryOf(t, again)) != "" {
		t.Error(again)
	}
	if none := string(Render(inventory.Inventory{})); none != "cluster: {}\n" || len(inventoryOf(t, none).Nodes) > 0 {
		t.Error(none)
	}
	odd := inventory.New([]inventory.Node{{Name: "null", At: inventory.Place{File: "a\nb: \x1b c", Line: 1}}, {Name: "1e3", Identity: "C:\\keys\\ä key"}}, nil)
	if d := same(odd, inventoryOf(t, string(Render(odd)))); d != "" {
		t.Errorf("%s\n%s", Render(odd), d)
	}
}

// FuzzRender: whatever other programs' files hold, what is made of them is
// written as settings that are right and that say the same.
func FuzzRender(f *testing.F) {
	f.Add([]byte("10.0.0.1 a\n10.0.0.2 b c\n"), []byte("Host a gw\n HostName 10.0.0.9\n ProxyJump b,gw,x\nHost *\n ProxyJump gw\n"), []byte("[a]\nx[1:3] ansible_ssh_common_args='-J a'\n[b:children]\na\n[null]\ny\n"))
	f.Add([]byte("fd00::1 a.b\n"), []byte("Host A\n User x\\y\n IdentityFile '~/a \\' b: #'\n"), []byte("g: {hosts: {'a[1:2]': {ansible_host: fd00::2}}, children: {h: {hosts: b}}}"))
	f.Fuzz(func(t *testing.T, hosts, ssh, ansible []byte) {
		inv := inventory.Merge(inventory.Hosts("h", hosts), inventory.SSHConfig("s", ssh), inventory.AnsibleINI("i", ansible), inventory.AnsibleYAML("y", ansible), inventory.Pioreactor("p", ssh))
		text := Render(inv)
		if len(text) > 1<<20 {
			return
		}
		var s Settings
		if ps := s.Merge("f.yaml", text); len(ps) > 0 {
			t.Fatalf("%v\n%s", ps.Err(), text)
		}
		if d := same(inv, s.Inventory()); d != "" {
			t.Errorf("%s\n%s", text, d)
		}
	})
}
