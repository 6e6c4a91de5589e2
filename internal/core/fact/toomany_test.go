package fact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// A host has more of something than is kept. What is left out may be what
// matters, and is never taken for absent.

// made is a host with these files and answers, and nothing else.
func made(files map[string]string, answers ...snap.Output) *Host {
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	s.MarkComplete()
	for p, text := range files {
		s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o440, Read: true, Content: []byte(text)})
	}
	for _, o := range answers {
		s.Commands[snap.CommandKey(o.Argv...)] = &o
	}
	return Parse(s)
}

func TestTooManySockets(t *testing.T) {
	ss := func(lines string) Sockets {
		return made(nil, snap.Output{Argv: ssList, Stdout: []byte(lines)}).Sockets
	}
	const one = "udp   UNCONN 0      0          127.0.0.1:5353      0.0.0.0:*\n"
	if k := ss(one); k.State != Known || len(k.Listening) != 1 {
		t.Errorf("one: %v %s", k.State, k.Why)
	}
	if k := ss(strings.Repeat(one, maxSockets) + "tcp   LISTEN 0      511          0.0.0.0:6379      0.0.0.0:*\n"); k.State != Unknown || k.Why != tooManySockets {
		t.Errorf("%v %q, %d sockets", k.State, k.Why, len(k.Listening))
	}
	if k := ss("tcp   LISTEN 0      511          everywhere      0.0.0.0:*\n" + one); k.State != Unknown || !strings.Contains(k.Why, "everywhere") {
		t.Errorf("%v %q", k.State, k.Why)
	}
	proc := "  sl  local_address rem_address   st\n" + strings.Repeat("   0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n", maxSockets+1)
	k := made(map[string]string{"/proc/net/tcp": proc}, snap.Output{Argv: ssList, Missing: true}).Sockets
	if k.State != Unknown || k.Why != tooManySockets {
		t.Errorf("from /proc: %v %q", k.State, k.Why)
	}
}

// TestTooManyRules: the rule that opens a port may be the last one.
func TestTooManyRules(t *testing.T) {
	text := "*filter\n:INPUT DROP [0:0]\n" + strings.Repeat("-A INPUT -s 192.0.2.1/32 -j DROP\n", ruleset.MaxRules) + "-A INPUT -j ACCEPT\n-A INPUT -j ACCEPT\nCOMMIT\n"
	chains := ruleset.ParseIptables(text, Place{}, "ip")
	if n := len(chains[0].Rules); n != ruleset.MaxRules+1 || chains[0].Rules[0].Verdict != "other" {
		t.Errorf("%d rules, the first %+v", n, chains[0].Rules[0])
	}
}

func TestTooMuchSudo(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\namy:x:1000:1000::/home/amy:/bin/bash\n"
	incomplete := func(sudoers string, more ...string) string {
		files := map[string]string{"/etc/passwd": passwd, "/etc/group": "root:x:0:\namy:x:1000:\n", "/etc/sudoers": sudoers}
		for i := 0; i+1 < len(more); i += 2 {
			files[more[i]] = more[i+1]
		}
		return made(files).Sudo.Incomplete
	}
	nested := func(kind, last string) string {
		var b strings.Builder
		for i := range maxAlias + 2 {
			fmt.Fprintf(&b, "%s_Alias A%d = A%d\n", kind, i, i+1)
		}
		fmt.Fprintf(&b, "%s_Alias A%d = %s\n", kind, maxAlias+2, last)
		return b.String()
	}
	var commands strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&commands, "/bin/c%d, ", i)
	}
	chain := []string{}
	for i := range maxSudoDepth + 2 {
		chain = append(chain, fmt.Sprintf("/etc/s%d", i), fmt.Sprintf("@include /etc/s%d\n", i+1))
	}
	chain = append(chain, fmt.Sprintf("/etc/s%d", maxSudoDepth+2), "amy ALL = NOPASSWD: ALL\n")
	for name, got := range map[string]string{
		"rules":    incomplete(strings.Repeat("root ALL = /bin/true\n", maxSudoRules) + "amy ALL = NOPASSWD: ALL\n"),
		"files":    incomplete("@include /etc/s0\n", chain...),
		"users":    incomplete(nested("User", "amy") + "A0 ALL = NOPASSWD: ALL\n"),
		"hosts":    incomplete(nested("Host", "ALL")+"amy A0 = NOPASSWD: ALL\n", "/etc/hostname", "leader\n"),
		"commands": incomplete(nested("Cmnd", "ALL") + "amy ALL = NOPASSWD: A0\n"),
		"a list":   incomplete("Cmnd_Alias MANY = " + commands.String() + "ALL\namy ALL = NOPASSWD: MANY\n"),
	} {
		if got == "" {
			t.Errorf("too many %s: nothing is said", name)
		}
	}
	if got := incomplete("amy ALL = NOPASSWD: ALL\n"); got != "" {
		t.Errorf("one rule: %s", got)
	}
}

func TestTooManyHomes(t *testing.T) {
	passwd, group := "root:x:0:0:root:/root:/bin/bash\n", "root:x:0:\n"
	for i := range maxHomes + 1 {
		passwd += fmt.Sprintf("u%d:x:%d:%d::/home/u%d:/bin/bash\n", i, 1000+i, 1000+i, i)
		group += fmt.Sprintf("u%d:x:%d:\n", i, 1000+i)
	}
	h := made(map[string]string{"/etc/passwd": passwd, "/etc/group": group})
	if why := h.Keys.Unseen(fmt.Sprintf("u%d", maxHomes)); why == "" {
		t.Error("the keys of the last account are said to be known")
	}
	if why := h.Keys.Unseen("u0"); why != "" {
		t.Errorf("the keys of the first: %s", why)
	}
}

func TestTooManyAddresses(t *testing.T) {
	one := `{"local":"192.0.2.1","prefixlen":24},`
	h := made(nil, snap.Output{Argv: ipAddr, Stdout: []byte(`[{"ifname":"eth0","addr_info":[` + strings.Repeat(one, maxAddrs) + `{"local":"198.51.100.7","prefixlen":24}]}]`)})
	if h.Network.State != Unknown || h.Network.Why == "" {
		t.Errorf("%v with %d addresses", h.Network.State, len(h.Network.Addresses))
	}
}
