package plan_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/lab"
	"picket/lab/leftout"
)

// TestOwnersThereAndBack gives files to another account and back: what somebody else had stays theirs, what came meanwhile goes
// along, and what could give away more than it says is refused.
func TestOwnersThereAndBack(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		leftout.Missing(t, "no busybox")
	}
	h.CopyIn(busybox, "/bb/busybox")
	h.Sh(`mkdir -p '/opt/nio/data/a b' /opt/nio/spool /etc/systemd/system; cd /opt/nio
		printf x >data/db; printf y >'data/a b/new
line'; ln -s /etc/shadow data/link; printf z >bin; chmod 4755 bin; ln /etc/motd data/motd; printf m >mine; printf g >group; printf p >pi; chmod 3770 spool
		printf s >theirs; printf s >groups; chown 998:997 mine theirs; chown 0:997 group groups; chown 1000:1000 pi; chmod 4755 theirs; chmod 2755 groups
		printf '[Service]\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/nio.service; systemctl daemon-reload; systemctl start nio`)
	owners := func() string {
		return h.Sh(`find /opt/nio /etc/shadow /etc/motd -printf '%p %U:%G %m %i %T@\n' | sort; systemctl is-active nio || true`)
	}
	give := func(at string) []change.Step {
		return []change.Step{{Verb: change.Owner, Name: at, Args: change.Hands(0, 0, 998, 997, "nio.service")}, {Verb: change.Unit, Name: "nio.service", Args: []string{"restart"}}}
	}
	h.Sh("touch -d @1 /opt/nio/data")
	before := owners()
	for _, sh := range shells {
		at := stage(t, h, sh.name, give("/opt/nio"))
		h.Sh(strings.ReplaceAll(sh.prepare, "TX", at))
		if out, code := h.Try("sh", "-c", sh.run+" "+at+"/tx apply"); code != 0 {
			t.Fatalf("%s: apply: %d\n%s", sh.name, code, out)
		}
		if got, want := h.Sh(`cd /opt/nio; stat -c '%n %u:%g %a' . data data/db data/a* data/a*/* data/link bin data/motd mine group pi spool; stat -c '%u %n' /etc/shadow /etc/motd; systemctl is-active nio`),
			". 998:997 755\ndata 998:997 755\ndata/db 998:997 644\ndata/a b 998:997 755\ndata/a b/new\nline 998:997 644\ndata/link 998:997 777\nbin 0:0 4755\ndata/motd 0:0 644\n"+
				"mine 998:997 644\ngroup 998:997 644\npi 1000:1000 644\nspool 998:997 3770\n0 /etc/shadow\n0 /etc/motd\nactive\n"; got != want {
			t.Errorf("%s: applied:\n%s\nwant\n%s", sh.name, got, want)
		}
		h.Sh("printf n >/opt/nio/data/since; chown 998:997 /opt/nio/data/since")
		if out, code := h.Try("sh", "-c", sh.run+" "+at+"/tx undo"); code != 0 {
			t.Fatalf("%s: undo: %d\n%s", sh.name, code, out)
		}
		if got := h.Sh("stat -c %u:%g /opt/nio/data/since; rm /opt/nio/data/since; touch -d @1 /opt/nio/data; systemctl is-active nio"); got != "0:0\nactive\n" {
			t.Errorf("%s: what came meanwhile, and the service: %s", sh.name, got)
		}
		same(t, before, owners(), sh.name+": undone")
	}
	const others = "others can write to /opt/nio/data"
	for _, c := range []struct{ what, want string }{
		{"chmod 777 /opt/nio/data", others},
		{"chmod 775 /opt/nio/data; chgrp 1000 /opt/nio/data", others},
		{"chmod 755 /opt/nio/data; chown 1000 /opt/nio/data", others},
		{"mv /opt/nio /opt/there; ln -s there /opt/nio", "/opt/nio is not there, or is a link"},
	} {
		h.Sh(c.what)
		at := stage(t, h, "refused", give("/opt/nio"))
		if out, code := h.Try("sh", at+"/tx", "apply"); code != 4 || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d, %s", c.what, code, out)
		}
		h.Sh("rm -r " + at)
	}
}

// TestOwnersFollowNoLink has the account that gets files exchange their folder for a link, right before they become its own and
// right before they are taken back.
func TestOwnersFollowNoLink(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh(`useradd -r nio; mkdir -p /srv/d /opt/nio/data; echo secret >/srv/d/shadow; echo log >/opt/nio/data/shadow; chown nio /opt/nio /opt/nio/data
		echo more >/opt/nio/data/more; chown nio: /opt/nio/data/more; mv /usr/bin/chown /usr/bin/change-owner
		cat >/usr/bin/chown <<'END'
#!/bin/sh
[ ! -e /run/strike ] || { rm /run/strike; mv /opt/nio/data /opt/nio/was; ln -s /srv/d /opt/nio/data; }
exec change-owner "$@"
END
		chmod 755 /usr/bin/chown`)
	var uid, gid int
	if _, err := fmt.Sscan(h.Sh("id -u nio; id -g nio"), &uid, &gid); err != nil {
		t.Fatal(err)
	}
	const victim = "stat -c '%n %U:%G' /srv/d/shadow"
	at := stage(t, h, "links", []change.Step{{Verb: change.Owner, Name: "/opt/nio", Args: change.Hands(0, 0, uid, gid, "")}})
	for _, verb := range []string{"apply", "undo"} {
		h.Sh(": >/run/strike")
		if verb == "undo" {
			h.Sh("change-owner nio: /srv/d/shadow") // which is theirs
		}
		before := h.Sh(victim)
		out, _ := h.Try("sh", at+"/tx", verb)
		if got := h.Sh("ls /run/strike 2>/dev/null || true"); got != "" {
			t.Errorf("%s: no chown was seen\n%s", verb, out)
		}
		same(t, before, h.Sh(victim), verb+": what lies elsewhere")
		h.Sh("rm /opt/nio/data; mv /opt/nio/was /opt/nio/data")
	}
	if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
		t.Errorf("undo after that: %d\n%s", code, out)
	}
	if got := h.Sh("stat -c %U /opt/nio/data/shadow"); got != "root\n" { // whoever moves what is theirs may lose it
		t.Errorf("in the end it is %s's", got)
	}
}
