package cli

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// reached is a host that was reached at an address, from another.
type reached struct {
	snapshot.Taker
	there, here string
}

func (r reached) Ends() (there, here netip.Addr) {
	return netip.MustParseAddr(r.there), netip.MustParseAddr(r.here)
}

// TestProbeThroughATunnel: what ssh -L leads to is not tried: the other ports of
// that address are those of this machine.
func TestProbeThroughATunnel(t *testing.T) {
	for _, ends := range []reached{{there: "127.0.0.1", here: "127.0.0.1"}, {there: "192.168.1.20", here: "192.168.1.20"}, {there: "::1", here: "::1"}, {there: "127.0.0.2", here: "127.0.0.1"}} {
		s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
		for _, c := range [][]string{
			{"ss -Hltunpe", "tcp LISTEN 0 128 0.0.0.0:1 0.0.0.0:* users:((\"sshd\",pid=1,fd=3)) ino:1 sk:1 <->\n"},
			{"ip -j addr", `[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},{"ifname":"eth0","addr_info":[{"family":"inet","local":"192.168.1.20","prefixlen":24}]}]`},
			{"ip -j route", "[]"}, {"ip -j -6 route", "[]"},
		} {
			s.Commands[c[0]] = &snap.Output{Argv: strings.Fields(c[0]), Stdout: []byte(c[1])}
		}
		var told bytes.Buffer
		p := &program{io: ui.IO{Err: &told}, now: time.Now}
		progress := ui.NewProgress(&told, "", p.now)
		defer progress.Stop()
		before := len(s.Commands)
		p.probe(context.Background(), "host", takeOptions{probe: probeRun, router: true}, ends, s, progress)
		if problems := strings.Join(s.Problems, "\n"); !strings.HasPrefix(problems, "nothing was tried: ") || !strings.Contains(problems, "reached at") || len(s.Commands) != before || told.Len() > 0 {
			t.Errorf("%+v: %s; %d answers; told %q", ends, problems, len(s.Commands)-before, told.String())
		}
	}
}
