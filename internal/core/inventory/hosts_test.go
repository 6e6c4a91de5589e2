package inventory

import (
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	readings(t, "/etc/hosts", Hosts, []reading{
		// As the cluster guide has it written on its master, below what Debian puts there.
		{"guide", `127.0.0.1	localhost
::1		localhost ip6-localhost ip6-loopback
ff02::1		ip6-allnodes
ff02::2		ip6-allrouters

127.0.1.1	master
192.168.0.100	master
192.168.0.101	worker1
192.168.0.102	worker2
#192.168.0.103	worker3
192.168.0.104	worker4 # by the window
`, `master at=192.168.0.100 roles=leader
worker1 at=192.168.0.101 roles=worker
worker2 at=192.168.0.102 roles=worker
worker4 at=192.168.0.104 roles=worker`, nil},
		{"other names", "10.1.0.5\tnas.lan nas\n100.101.1.2 pi-tail\nfd12::7 cam\n169.254.3.4 link\n192.168.0.110 coworker-pc\n",
			"nas.lan at=10.1.0.5\npi-tail at=100.101.1.2\ncam at=fd12::7\nlink at=169.254.3.4\ncoworker-pc at=192.168.0.110",
			[]string{`/etc/hosts:1: nas.lan is called "nas" too`}},
		{"guide's name behind another", "192.168.0.101 pi-a.lan Worker1 w1\n", "Worker1 at=192.168.0.101 roles=worker", []string{`Worker1 is called "pi-a.lan w1" too`}},
		{"twice", "192.168.0.101 worker1\nfd00::1 worker1\n192.168.0.101 worker1\n", "worker1 at=192.168.0.101 roles=worker",
			[]string{"/etc/hosts:2: worker1 has the address fd00::1 too; that of line 1 is used"}},
		{"lists against advertising", "0.0.0.0 ads.example.com\n:: ads.example.com\nfe00::0 ip6-localnet\n255.255.255.255 broadcasthost\n", "", nil},
		{"public", "93.184.216.34 example.com\n", "", []string{`"example.com" (93.184.216.34) is an address of the public network`}},
		{"rubbish", "192.168.0.300 worker1\n192.168.0.1\nworker2\n10.0.0.1 -x\n10.0.0.2 all\n10.0.0.3 a;b\n", "", []string{
			"/etc/hosts:1: does not begin with an address", "/etc/hosts:2: 192.168.0.1 has no name", "/etc/hosts:3: does not begin",
			`want a name of letters`, `"all" has a meaning of its own`, `want a name of letters`}},
		{"carriage returns and a mark", "\ufeff192.168.0.101 worker1\r\n192.168.0.102 worker2\r\n", "worker1 at=192.168.0.101 roles=worker\nworker2 at=192.168.0.102 roles=worker", nil},
		{"empty", "", "", nil},
		{"no text", "\x7fELF\x00\x00", "", []string{"no text"}},
	})
}

func TestTooMuch(t *testing.T) {
	var b strings.Builder
	for i := range 12_000 {
		b.WriteString("10.0." + itoa(i/250) + "." + itoa(i%250+1) + " n" + itoa(i) + "\n")
	}
	f := Hosts("h", []byte(b.String()))
	if len(f.Nodes) != MaxNodes || len(f.Notes) != 1 || !strings.Contains(f.Notes[0].Text, "more than 10000 nodes") {
		t.Errorf("%d nodes, %d notes", len(f.Nodes), len(f.Notes))
	}
	f = Hosts("h", []byte(strings.Repeat("x\n", 1000)))
	if len(f.Notes) != maxNotes+1 || f.Notes[maxNotes].Text != "800 more of such notes" {
		t.Errorf("%d notes", len(f.Notes))
	}
	f = Hosts("h", make([]byte, 2<<20))
	if len(f.Notes) != 1 || !strings.Contains(f.Notes[0].Text, "larger than") {
		t.Error(f.Notes)
	}
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n192.168.0.100 master # x\nfd00::1%eth0 a b c\n"))
	f.Add([]byte("fd00::%!\x01 a\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sound(t, Hosts("f", data), data) })
}
