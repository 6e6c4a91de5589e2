package inventory

import (
	"strings"
	"testing"
)

func TestGuess(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Kind
	}{
		"hosts":             {"# mine\n127.0.0.1 localhost\n192.168.0.100 master\n", KindHosts},
		"inventory/hosts":   {"[workers]\n192.168.0.101 ansible_user=pi\n", KindAnsible},
		"bare":              {"192.168.0.101 ansible_user=pi\n", KindAnsible},
		"addresses":         {"192.168.0.101\n192.168.0.102\n", KindAnsible},
		"names":             {"worker1\nworker2\n", KindAnsible},
		"host-called":       {"host ansible_host=10.0.0.1\n", KindAnsible},
		"x.yaml":            {"Host: worker1\n", KindAnsible},
		"config":            {"ServerAliveInterval 60\n\nHost worker*\n  User pi\n", KindSSH},
		"config.d/lab":      {"host=worker1\nHostname 10.0.0.1\n", KindAnsible}, // ssh takes it too; nobody writes it
		"late":              {"Match all\nUser pi\n", KindSSH},
		"config.ini":        {"[ui]\nport=80\n[cluster.topology]\nleader_hostname=pio\n", KindPioreactor},
		"old.ini":           {"[network.inventory]\npio1=1\n", KindPioreactor},
		"inventory.ini":     {"[leader]\npio ansible_host=10.0.0.1\n", KindAnsible},
		"empty":             {"", KindAnsible},
		"hosts-with-a-word": {"fe80::1 x\n", KindHosts},
	} {
		if got := Guess(name, []byte(c.text)); got != c.want {
			t.Errorf("%s is taken for %s, want %s", name, got, c.want)
		}
	}
	for kind, text := range map[Kind]string{
		KindHosts: "10.0.0.1 n\n", KindSSH: "Host n\n", KindAnsible: "[g]\nn\n", KindPioreactor: "[cluster.addresses]\nn=10.0.0.1\n",
	} {
		if f := Read(kind, "f", []byte(text)); len(f.Nodes) != 1 || f.Nodes[0].Name != "n" {
			t.Errorf("%s: %v %v", kind, nodeLines(f.Nodes), noteLines(f.Notes))
		}
	}
	if len(Kinds()) != 4 {
		t.Error(Kinds())
	}
}

func TestThere(t *testing.T) {
	f := AnsibleINI("/etc/ansible/hosts", []byte("[up]\nworker1 ansible_host=10.0.0.1 ansible_ssh_private_key_file=~/.ssh/lab\nbad!\n"))
	f.Nodes[0].Jump = "gw.lan:22"
	got := f.There("leader")
	if s := nodeLines(got.Nodes); s != "worker1 at=10.0.0.1 jump=gw.lan:22 groups=up" {
		t.Error(s)
	}
	if f.Nodes[0].Identity != "~/.ssh/lab" || f.Nodes[0].At.File != "/etc/ansible/hosts" {
		t.Error("what was given was changed")
	}
	if s := noteLines(got.Notes); !strings.HasPrefix(s, "leader:/etc/ansible/hosts:3: ") || !strings.HasSuffix(s, "\nleader:/etc/ansible/hosts: names private keys, which are files on leader: not used") {
		t.Error(s)
	}
	if got.Nodes[0].At.String() != "leader:/etc/ansible/hosts:2" || got.Groups[0].At.File != "leader:/etc/ansible/hosts" {
		t.Error(got)
	}
}

func TestAnsibleConfig(t *testing.T) {
	for text, want := range map[string]string{
		"[defaults]\ninventory = hosts.ini\n":                        "hosts.ini",
		"[defaults]\ninventory=./a, ~/b ; mine\n[x]\ninventory=no\n": "./a ~/b",
		"inventory=no\n":              "",
		"[defaults]\n#inventory=no\n": "",
		"[defaults]\ninventory=\n":    "",
	} {
		if got := strings.Join(AnsibleConfig([]byte(text)), " "); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestAvahi(t *testing.T) {
	readings(t, "mdns", Avahi, []reading{
		{"two interfaces", "+;eth0;IPv4;Pioreactor worker on pio1;_pio-worker._tcp;local\n" +
			"=;eth0;IPv6;Pioreactor\\032worker\\032on\\032pio1;_pio-worker._tcp;local;pio1.local;fd00::7;4999;\n" +
			"=;eth0;IPv4;Pioreactor\\032worker\\032on\\032pio1;_pio-worker._tcp;local;pio1.local;192.168.0.21;4999;\n" +
			"=;wlan0;IPv4;x;_pio-worker._tcp;local;pio1.local;192.168.1.21;4999;\n" +
			"=;eth0;IPv4;y;_pio-worker._tcp;local;Pio2.local;192.168.0.22;4999;\"a;b\"\n",
			"pio1 at=192.168.0.21 user=pioreactor roles=worker\npio2 at=192.168.0.22 user=pioreactor roles=worker", []string{"mdns:4: pio1 has the address 192.168.1.21 too"}},
		{"no address of use", "=;eth0;IPv6;x;_pio-worker._tcp;local;pio3.local;fe80::1;4999;\n=;lo;IPv4;x;_pio-worker._tcp;local;pio3.local;127.0.0.1;4999;\n",
			"pio3 at=pio3.local user=pioreactor roles=worker", nil},
		{"the address comes later", "=;eth0;IPv6;x;t;local;pio3.local;fe80::1;4999;\n=;eth0;IPv4;x;t;local;pio3.local;10.0.0.3;4999;\n",
			"pio3 at=10.0.0.3 user=pioreactor roles=worker", nil},
		{"hostile", "=;eth0;IPv4;x;t;local;\\045oProxyCommand\\061x.local;10.0.0.3;22;\n=;eth0\n", "", []string{`want a name of letters`, "not what avahi-browse prints"}},
		{"nothing", "", "", nil},
	})
	for in, want := range map[string]string{`a\032b`: "a b", `a\\b`: `a\b`, `a\`: `a\`, `\9`: "9", `\999`: "999"} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzAvahi(f *testing.F) {
	f.Add([]byte("=;eth0;IPv4;x;_pio-worker._tcp;local;pio1.local;192.168.0.21;4999;\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sound(t, Avahi("f", data), data) })
}
