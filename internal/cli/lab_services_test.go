package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"picket/lab"
)

// counter is a service that counts its calls in its working folder. What it does besides, at its start and at each call, comes with it.
const counter = `use IO::Socket::INET;
my ($port, $start, $call) = @ARGV;
eval $start; die $@ if $@;
my $s = IO::Socket::INET->new(LocalPort => $port, Listen => 5, ReuseAddr => 1) or die "port: $!";
while (my $c = $s->accept) {
	my $l = <$c>;
	my $ok = eval { die if $call && !eval $call; open my $f, ">>", "calls" or die; print $f "one\n"; close $f; -s "calls" };
	print $c $ok ? "HTTP/1.0 200 OK\r\n\r\n$ok\n" : "HTTP/1.0 500 Broken\r\n\r\n"; close $c;
}
`

const ask = `#!/usr/bin/perl
use IO::Socket::INET;
my $c = IO::Socket::INET->new("127.0.0.1:".shift) or exit 1;
print $c "GET / HTTP/1.0\n";
exit <$c> !~ / 200 /;
`

// TestOwnUser has services that run as root get accounts of their own: one that works with it keeps it, one that does not start
// and one that starts and does not do its work go back, and the others with them only as far as they are the same.
func TestOwnUser(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Write("/usr/local/bin/ask", 0o755, ask)
	service := func(name, args string) {
		h.Write("/opt/"+name+"/bin/"+name+"d", 0o755, counter)
		h.Write("/etc/systemd/system/"+name+".service", 0o644, "[Service]\nWorkingDirectory=/opt/"+name+"/data\nExecStart=/usr/bin/perl /opt/"+name+"/bin/"+name+"d "+args+"\n[Install]\nWantedBy=multi-user.target\n")
		h.Sh("mkdir -p /opt/" + name + "/data; systemctl daemon-reload; systemctl enable --now " + name)
	}
	service("nio", "80")
	service("needy", `8081 'open my $f, "<", "/etc/shadow" or die "no"'`)
	service("sly", `8182 '' '-r "/etc/shadow"'`)
	service("web", `8083 '' '-r "/etc/shadow"'`)
	for _, port := range []string{"80", "8081", "8182", "8083"} {
		h.Sh("ask " + port)
	}
	h.Sh("chown operator /opt/nio/data; touch /opt/nio/data/theirs; chown operator: /opt/nio/data/theirs; chown root /opt/nio/data; chmod 600 /opt/nio/data/calls")
	state := func() string {
		return h.Sh(`find /etc /opt -not -path '*picket*' -printf '%p %U:%G %m %y\n' | sort; find /etc -type f -not -path '*picket*' -exec sha256sum {} + | sort; systemctl is-active nio needy sly web; grep -h Uid /proc/$(systemctl show -P MainPID nio)/status`)
	}
	before := state()
	was := h.Sh("systemd-analyze security nio --no-pager | tail -1")
	config := filepath.Join(t.TempDir(), "picket.yaml")
	if err := os.WriteFile(config, []byte("policy:\n  services:\n    - {unit: sly.service, health: ask 8182}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := verb(t, h, "apply", "TARGET", "--config", config, "--only", "services/apps-not-root,services/own-sandboxed", "--yes")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	flat := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"the exposure of nio.service, as systemd-analyze security scores it, is 9.6 now and becomes 9",
		"taken back: needy.service: ", "taken back: sly.service: the health check of sly.service worked before and does not any more",
		"taken back: web.service: port 8083 (web.service) worked before and does not any more: it answers with status 500",
		"systemd-analyze security nio.service: 9.6 before, ", "done and kept as",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	now := regexp.MustCompile(`nio\.service: 9\.6 before, (\d\.\d) now`).FindStringSubmatch(flat)
	is := h.Sh("systemd-analyze security nio --no-pager | tail -1")
	if !strings.Contains(was, "9.6") || len(now) == 0 || !strings.Contains(is, now[1]) {
		t.Errorf("systemd says %q before and %q after; we say %v", was, is, now)
	}
	if got := h.Sh("for u in nio needy sly web; do ps -o user= $(systemctl show -P MainPID $u); done; cd /opt; stat -c '%n %U:%G %a' nio nio/bin/niod nio/data nio/data/calls nio/data/theirs sly/data needy/data; " +
		"getent passwd nio; getent passwd needy sly web | wc -l; getent shadow nio | cut -d: -f2; ask 80; ask 8081; ask 8182; ask 8083; sort -u /opt/nio/data/calls; pwck -rq; cat /etc/systemd/system/nio.service.d/zz-picket-user.conf"); !regexp.MustCompile(
		`^nio\nroot\nroot\nroot\nnio root:root 755\nnio/bin/niod root:root 755\nnio/data nio:nio 755\nnio/data/calls nio:nio 600\nnio/data/theirs operator:operator 644\nsly/data root:root 755\nneedy/data root:root 755\n` +
			`nio:x:(\d{3}):(\d{3})::/nonexistent:/usr/sbin/nologin\n0\n!\*\none\n# .*\n\[Service\]\nUser=nio\nGroup=nio\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nReadWritePaths=-/opt/nio/data\n$`).MatchString(got) {
		t.Errorf("then it is\n%s", got)
	}
	if t.Failed() {
		t.Log(out)
	}
	// What it needs it needs after a start as well.
	h.Reboot()
	h.Sh("for i in $(seq 50); do ! ask 80 || break; sleep 0.2; done; ask 80")
	await(t, "its neighbours know its new card", func() bool { out, code = verb(t, h, "history", "TARGET"); return code == 0 })
	kept := regexp.MustCompile(`(?m)^(\d{8}-\d{6}\S*) +confirmed`).FindAllStringSubmatch(out, -1)
	if len(kept) == 0 {
		t.Fatalf("nothing is kept:\n%s", out)
	}
	for _, m := range kept {
		if out, code = verb(t, h, "rollback", m[1], "TARGET"); code != 0 {
			t.Errorf("rollback: exit code %d\n%s", code, out)
		}
	}
	same2(t, before, state())
	h.Sh("ask 80")
}
