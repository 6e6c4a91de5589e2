package inventory

import (
	"strings"
	"testing"
)

// sound is what holds of all that a reader finds: names and addresses that can
// be typed, groups of nodes that are there, a place for each.
func sound(t *testing.T, f Found, data []byte) {
	t.Helper()
	// YAML has other ends of lines too, and may miss something behind the last.
	n := strings.Count(strings.NewReplacer("\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data)), "\n") + 2
	whole(t, f.Nodes, f.Groups)
	for _, note := range f.Notes {
		if note.At.File != "f" || note.At.Line < 0 || note.At.Line > n || note.Text == "" {
			t.Errorf("note %+v of %d lines", note, n)
		}
	}
	for _, node := range f.Nodes {
		if node.At.File != "f" || node.At.Line < 1 || node.At.Line > n {
			t.Errorf("%s stands at %+v", node.Name, node.At)
		}
	}
	inv := Merge(f, f)
	whole(t, inv.Nodes, inv.Groups)
	if name, way := Circle(inv.Nodes); name != "" {
		t.Errorf("a circle %v", way)
	}
	for _, g := range inv.Groups {
		if _, ok := inv.Node(g.Name); ok || len(g.Nodes) == 0 {
			t.Errorf("group %+v", g)
		}
	}
	if len(inv.Nodes) > 0 {
		if _, err := inv.Select([]string{All}); err != nil {
			t.Error(err)
		}
	}
	inv.Notes()
}

func whole(t *testing.T, nodes []Node, groups []Group) {
	t.Helper()
	names := map[string]bool{}
	for _, n := range nodes {
		for _, err := range []error{CheckName(n.Name), CheckAddress(n.Host())} {
			if err != nil {
				t.Error(err)
			}
		}
		if n.User != "" && CheckUser(n.User) != nil || n.Identity != "" && CheckIdentity(n.Identity) != nil || n.Port < 0 || n.Port > 65535 || n.Address == n.Name {
			t.Errorf("%+v", n)
		}
		if n.Jump != "" {
			if hops, err := Hops(n.Jump); err != nil || written(hops) != n.Jump {
				t.Errorf("%q: %v", n.Jump, err)
			}
		}
		if names[n.Name] {
			t.Errorf("%s is there twice", n.Name)
		}
		names[n.Name] = true
	}
	for _, g := range groups {
		if err := CheckName(g.Name); err != nil {
			t.Error(err)
		}
		for _, n := range g.Nodes {
			if !names[n] {
				t.Errorf("%s of %s is no node", n, g.Name)
			}
		}
	}
}

func TestMerge(t *testing.T) {
	hosts := Hosts("/etc/hosts", []byte("192.168.0.100 master\n192.168.0.101 worker1\n192.168.0.102 worker2\n192.168.0.1 router\n"))
	ssh := SSHConfig("config", []byte("Host w1\n HostName 192.168.0.101\n User pi\nHost worker2\n HostName 192.168.0.202\n User pi\n Port 2222\nHost vm\n HostName 192.168.0.1\n Port 2201\nHost far\n ProxyJump w1,gate\nHost *\n IdentityFile ~/.ssh/cluster\n"))
	ini := AnsibleINI("inv.ini", []byte("[pis]\nw1 ansible_user=ada\nmaster\nworker2 ansible_port=2222\n[router]\nvm\n"))
	inv := Merge(hosts, ssh, ini)
	want := `master at=192.168.0.100 roles=leader groups=pis
worker1 at=192.168.0.101 user=pi key=~/.ssh/cluster roles=worker groups=pis
worker2 at=192.168.0.102 user=pi port=2222 key=~/.ssh/cluster roles=worker groups=pis
router at=192.168.0.1
vm at=192.168.0.1 port=2201 key=~/.ssh/cluster
far key=~/.ssh/cluster jump=worker1,gate:22`
	if got := nodeLines(inv.Nodes); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	notes := []string{
		"config:1: w1 is worker1 of /etc/hosts:2 by another name",
		"config:4: worker2 has the address 192.168.0.202 here and 192.168.0.102 in /etc/hosts:3, which is used",
		"config:8: vm has the address of router (/etc/hosts:4), at another port or by another way: perhaps the same machine",
		"inv.ini:2: w1 has the user ada here and pi in config:1, which is used",
		"config:11: far is reached through gate, which is no node: taken as the host gate:22",
		"inv.ini:5: the group router is left out: a node is called router",
	}
	if got := noteLines(inv.Notes()); got != strings.Join(notes, "\n") {
		t.Errorf("%s\nwant\n%s", got, strings.Join(notes, "\n"))
	}
}

func TestMergeWays(t *testing.T) {
	inv := Merge(SSHConfig("c", []byte("Host gw\n HostName 10.0.0.1\nHost a\n ProxyJump b\nHost b\n ProxyJump A\nHost *\n ProxyJump GW\n")))
	if got, want := nodeLines(inv.Nodes), "gw at=10.0.0.1\na\nb jump=a"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := noteLines(inv.Notes()), "c:1: gw would be reached through itself: its way is left out\nc:3: a would be reached in a circle, a → b → a: its way is left out"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// What nobody says of an address is weaker than what somebody does.
func TestMergeGuess(t *testing.T) {
	pio := Pioreactor("config.ini", []byte("[cluster.topology]\nleader_hostname=lead\n[cluster.inventory]\npio1=1\n"))
	hosts := Hosts("hosts", []byte("10.0.0.7 pio1\n"))
	for _, inv := range []Inventory{Merge(pio, hosts), Merge(hosts, pio)} {
		n, _ := inv.Node("pio1")
		if line(n) != "pio1 at=10.0.0.7 user=pioreactor roles=worker" || len(inv.Notes()) != 0 {
			t.Errorf("%s\n%s", line(n), noteLines(inv.Notes()))
		}
	}
	// A host that Ansible calls by its mDNS name is the same node.
	inv := Merge(pio, AnsibleINI("i", []byte("[p]\npio1.local ansible_user=pi\n")))
	if got := nodeLines(inv.Nodes); got != "lead at=lead.local user=pioreactor roles=leader\npio1 at=pio1.local user=pioreactor roles=worker groups=p" {
		t.Error(got)
	}
}

func TestMergeCapitals(t *testing.T) {
	inv := Merge(AnsibleINI("i", []byte("[g]\nWeb\nweb ansible_port=23\n")))
	if got := nodeLines(inv.Nodes) + "\n" + noteLines(inv.Notes()); got != "Web port=23 groups=g\ni:3: web is taken for Web of i:2: capitals make no difference between hosts" {
		t.Error(got)
	}
}

// No note and no node holds what the files' secrets are.
func TestNothingSecret(t *testing.T) {
	for _, f := range []Found{
		Pioreactor("f", []byte(pioSample)),
		AnsibleINI("f", []byte("[g]\na ansible_password=raspberry\nb ansible_ssh_common_args='-o ProxyCommand=\"sshpass -p raspberry ssh x\"'\nansible_password=raspberry\n[g:vars]\nansible_pass raspberry\nansible_pass: raspberry=\n[g:children]\nx=raspberry\n")),
		AnsibleYAML("f", []byte("g:\n  hosts:\n    a: {ansible_password: raspberry, ansible_port: {x: raspberry}}\n  password: raspberry\nansible_password: raspberry\n")),
		SSHConfig("f", []byte("Host a\n ProxyCommand sshpass -p raspberry ssh -W %h:%p x\nHost b\n ProxyJump pi:raspberry@x\n IdentityFile \"raspberry\n")),
	} {
		if all := nodeLines(f.Nodes) + noteLines(f.Notes); strings.Contains(all, "raspberry") {
			t.Error(all)
		}
	}
}
