package inventory

import "testing"

const pioSample = `[cluster.topology]
leader_hostname=leader
leader_address=leader.local

[cluster.addresses]
pio01=10.42.0.2
pio02=10.42.0.3
; pio03=10.42.0.4

[mqtt]
username=pioreactor
password=raspberry
`

func TestPioreactor(t *testing.T) {
	readings(t, "config.ini", Pioreactor, []reading{
		{"sample", pioSample, `leader at=leader.local user=pioreactor roles=leader
pio01 at=10.42.0.2 user=pioreactor roles=worker
pio02 at=10.42.0.3 user=pioreactor roles=worker`, nil},
		{"older", "[cluster.topology]\nleader_hostname=pioreactor1\nleader_address=pioreactor1.local\n[cluster.inventory]\npioreactor1=1\npioreactor2=1\npioreactor3=0\n",
			"pioreactor1 at=pioreactor1.local user=pioreactor roles=leader+worker\npioreactor2 at=pioreactor2.local user=pioreactor roles=worker\npioreactor3 at=pioreactor3.local user=pioreactor roles=worker",
			[]string{"config.ini:7: pioreactor3 is not active there"}},
		{"oldest", "[network.topology]\nleader_hostname=leader\nleader_address=10.0.0.1\n[network.inventory]\nw=1\n", "leader at=10.0.0.1 user=pioreactor roles=leader\nw at=w.local user=pioreactor roles=worker", nil},
		{"leader alone", "[cluster.topology]\nleader_hostname = pio\nleader_address : 192.168.1.5\n[cluster.addresses]\npio=192.168.1.6\n", "pio at=192.168.1.5 user=pioreactor roles=leader",
			[]string{"config.ini:5: pio has another address than leader_address says", "names no workers"}},
		{"loopback", "[cluster.topology]\nleader_hostname=pio\nleader_address=localhost\n[cluster.addresses]\nw=127.0.0.1\n", "pio at=pio.local user=pioreactor roles=leader\nw at=w.local user=pioreactor roles=worker",
			[]string{"pio is localhost to itself, which others cannot reach: pio.local is used", "w is 127.0.0.1"}},
		{"slips", "stray=1\n[cluster.topology\nx=y\n[cluster.addresses]\na=10.0.0.1:80\nb=%(c)s\nd\ne=10.0.0.2\n  10.0.0.3\n=x\nw w=1\n", `a at=a.local user=pioreactor roles=worker
b at=b.local user=pioreactor roles=worker
e at=e.local user=pioreactor roles=worker`, []string{":1: a setting before", ":2: a section without", "says no leader_hostname", "want an address alone", "refers to another setting", `"d" has no address`, "e: want the name", "want a name", "want a name"}},
		{"later wins", "[cluster.topology]\nleader_hostname=a\n[cluster.topology]\nleader_hostname=b\n", "b at=b.local user=pioreactor roles=leader", []string{"names no workers"}},
		{"empty", "", "", []string{"says no leader_hostname", "names no workers"}},
	})
}

func FuzzPioreactor(f *testing.F) {
	f.Add([]byte(pioSample))
	f.Add([]byte("[cluster.x]\n=\n a\n[cluster.addresses]\n=\n  b\na:b\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sound(t, Pioreactor("f", data), data) })
}
