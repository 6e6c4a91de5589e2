package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"picket/internal/core/fact"
	"picket/lab"
)

// TestExposureOnHost holds our score of every service of a booted host to what
// systemd says there, and the score that is promised for a drop-in to what it
// says once the drop-in is in place and the service runs with it.
func TestExposureOnHost(t *testing.T) {
	h := lab.Start(t, lab.Debian)
	h.Write("/etc/systemd/system/meter.service", 0o644, "[Service]\nUser=operator\nWorkingDirectory=/srv\nExecStart=/usr/bin/perl /srv/meter.pl\n[Install]\nWantedBy=multi-user.target\n")
	h.Write("/srv/meter.pl", 0o644, `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 8123, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) { open my $f, ">>", "/srv/log/calls" or die; print $f "one\n"; close $f; print $c "21 degrees\n"; close $c }
`)
	h.Sh("mkdir /srv/log; chown operator /srv/log")
	h.Sh("systemctl daemon-reload; systemctl enable --now meter.service")
	compare := func() map[string]fact.Sandbox {
		t.Helper()
		var rows []struct{ Unit, Exposure string }
		if err := json.Unmarshal([]byte(h.Sh("systemd-analyze security --no-pager --json=short")), &rows); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range rows {
			if !strings.Contains(r.Unit, "@") {
				names = append(names, r.Unit)
			}
		}
		shown := fact.ShownSandboxes(h.Run("systemctl", append([]string{"show", "--no-pager", "--property=" + strings.Join(fact.SandboxProperties, ",")}, names...)...))
		for _, r := range rows {
			if one := shown[r.Unit]; one != nil {
				if got := fmt.Sprintf("%d.%d", one.Exposure()/10, one.Exposure()%10); got != r.Exposure {
					t.Errorf("%s: we say %s, systemd says %s: %v", r.Unit, got, r.Exposure, one)
				}
			}
		}
		if len(names) < 10 {
			t.Errorf("only %d services", len(names))
		}
		return shown
	}
	shown := compare()
	one := fact.Confined{Own: true, Now: shown["meter.service"], Service: fact.Service{
		Name: "meter.service", User: "operator", Execs: []fact.Exec{{Key: "ExecStart", Paths: []string{"/usr/bin/perl", "/srv/meter.pl"}}},
	}}
	lines, promised := one.DropIn(&fact.Host{})
	h.Write("/etc/systemd/system/meter.service.d/sandbox.conf", 0o644, "[Service]\n"+strings.Join(lines, "\n")+"\n")
	h.Sh("systemctl daemon-reload; systemctl restart meter.service; sleep 2; systemctl is-active meter.service")
	if got := compare()["meter.service"].Exposure(); got != promised {
		t.Errorf("the drop-in was to give %d, it gives %d:\n%s", promised, got, strings.Join(lines, "\n"))
	}
	if out := h.Sh(`perl -MIO::Socket::INET -e 'my $c = IO::Socket::INET->new("127.0.0.1:8123") or die; print <$c>'; cat /srv/log/calls`); out != "21 degrees\none\n" {
		t.Errorf("with its drop-in the service answers %q", out)
	}
}
