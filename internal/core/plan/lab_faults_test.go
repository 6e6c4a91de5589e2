package plan_test

import (
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/lab"
)

// TestFaultsOfTheHost has the host itself fail in ways that no step can foresee. do is run with the transaction's folder as
// TX; what it says is compared, and its exit code. Afterwards the old state is there, or the new one where that is said.
func TestFaultsOfTheHost(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	const box = "/var/lib/picket"
	h.Sh("mkdir -p " + box)
	for _, tc := range []struct {
		name        string
		first       string // before it is laid there
		do          string
		code        int
		says        []string
		isNew       bool
		then, after string // to have it as it was: after which it is taken back, and at the end
	}{
		{name: "no room where it is kept, while it goes back", first: "mount -t tmpfs -o size=1m none " + box,
			do: "sh TX/tx apply && sh TX/tx confirm && { head -c 2m /dev/zero >" + box + "/fill || true; } && sh TX/tx undo && sh TX/tx state", says: []string{"undone\n"}, after: "umount " + box},
		{name: "not even the room that it has kept", first: "mount -t tmpfs -o size=1m none " + box,
			do:   "sh TX/tx apply && sh TX/tx confirm && rm TX/old/room && { head -c 2m /dev/zero >" + box + "/fill || true; } && sh TX/tx undo",
			code: 4, says: []string{"there is no room in /var/lib/picket/tx: make some first"}, then: "rm " + box + "/fill; sh TX/tx undo; [ $(sh TX/tx state) = undone ]", after: "umount " + box},
		{name: "an immutable file", first: "chattr +i /etc/motd", do: "sh TX/tx apply", code: 4, says: []string{"/etc/motd is immutable: chattr -i -a /etc/motd first"}, after: "chattr -i /etc/motd"},
		{name: "an immutable folder", first: "chattr +i /etc/ssh/sshd_config.d", do: "sh TX/tx apply", code: 4, says: []string{"/etc/ssh/sshd_config.d is immutable"}, after: "chattr -i /etc/ssh/sshd_config.d"},
		{name: "a file that was made immutable since", do: "sh TX/tx apply && sh TX/tx confirm && chattr +i /etc/motd && sh TX/tx undo", code: 6, says: []string{"/etc/motd"},
			then: "chattr -i /etc/motd; grep -q stuck TX/state; sh TX/tx undo; [ $(sh TX/tx state) = undone ]"},
		{name: "no systemd", do: `echo 2 >TX/within; unshare -m sh -c 'mount -t tmpfs none /run/systemd; sh TX/tx apply'; [ $(cat /etc/motd) = Hello ] && while [ -e TX/armed ]; do sleep 0.1; done; sh TX/tx state`,
			says: []string{"there is no systemd here: it goes back by itself, but not after a power cut\n", "undone\n"}},
		{name: "no systemd, confirmed", do: `echo 2 >TX/within; unshare -m sh -c 'mount -t tmpfs none /run/systemd; sh TX/tx apply; sh TX/tx confirm'; sleep 4; sh TX/tx state`,
			says: []string{"confirmed\n"}, isNew: true},
		{name: "a clock that jumps", do: "sh TX/tx apply; systemctl show -p TimersMonotonic 'picket-back-*.timer'; systemctl show -p TimersCalendar 'picket-back-*.timer' | grep -c . || true", isNew: true,
			says: []string{"TimersMonotonic={ OnActiveUSec=2min ", "}\n0\n"}}, // no timer waits for a time of day
		{name: "a root that can only be read", do: "unshare -m sh -c 'mount -o remount,bind,ro /; sh TX/tx apply'", code: 4, says: []string{"cannot be written to"}},
		{name: "a root that can only be read, when it is to go back", do: "sh TX/tx apply && sh TX/tx confirm && unshare -m sh -c 'mount -o remount,bind,ro /; sh TX/tx undo'", code: 4, says: []string{"cannot be written to"}, isNew: true},
		{name: "a root that can only be read, and a place of its own to keep it", first: "mount -t tmpfs none " + box,
			do: "sh TX/tx apply && sh TX/tx confirm && unshare -m sh -c 'mount -o remount,bind,ro /; sh TX/tx undo'", code: 6, says: []string{"Read-only file system"}, isNew: true, after: "umount " + box},
		{name: "two at once", do: `cp -a TX ` + box + `/tx/other; echo "step check 009 'touch /run/there; while [ -e /run/there ]; do sleep 0.1; done' # x" >>TX/plan
			sh TX/tx apply & while [ ! -e /run/there ]; do sleep 0.1; done
			sh ` + box + `/tx/other/tx apply; echo other $?; sh TX/tx apply; echo same $?; rm /run/there; wait; sh TX/tx state; rm -r ` + box + `/tx/other`,
			says: []string{"another change of this host is running\nother 4\nanother change of this host is running\nsame 4\n", "applied\n"}, isNew: true},
		{name: "nobody listens any more", do: "{ sleep 0.5; sh TX/tx apply 2>&1; echo $? >/run/code; } | true; cat /run/code; sh TX/tx state; grep -o 'goes back: .*' TX/journal",
			says: []string{"5\nundone\ngoes back: whoever began it is gone\n"}},
		{name: "it is taken back while it takes its steps", do: `printf '%s\n' "step check 008 'touch /run/there; sleep 3' # x" "step check 009 'touch /run/after' # x" >>TX/plan; rm -f /run/there /run/after
			{ sh TX/tx apply; echo "apply $?" >/run/code; } & while [ ! -e /run/there ]; do sleep 0.1; done
			sh TX/tx undo; echo "undo $?"; wait; cat /run/code; sh TX/tx state; ! [ -e /run/after ]`,
			says: []string{"undo 0\napply 5\nundone\n"}},
		{name: "another change goes back when it is due", do: `sleep 300 & innocent=$!; sed -i -e 's/lock 60/lock 2/' -e 's/sleep 10/sleep 1/' TX/arm; echo 2 >TX/within; sh TX/tx apply; echo $innocent >TX/pid
			flock ` + box + `/tx/lock sleep 12; for i in $(seq 200); do [ -e TX/armed ] || break; sleep 0.1; done; sh TX/tx state; kill $innocent && echo lives`,
			says: []string{"undone\nlives\n"}},
		{name: "a step that hangs when it is due", do: `sed -i -e 's/lock 60/lock 2/' -e 's/sleep 10/sleep 1/' TX/arm; echo "step check 009 'touch /run/there; sleep 300' # x" >>TX/plan; rm -f /run/there
			(cd TX && exec sh ./tx apply) & while [ ! -e /run/there ]; do sleep 0.1; done; timeout 60 sh TX/tx late; sh TX/tx state`,
			says: []string{"undone\n"}},
		{name: "the session ends", do: "setsid sh TX/tx apply & sleep 0.3; kill -HUP -- -$! || kill -HUP $!; wait; sh TX/tx state", says: []string{"applied\n"}, isNew: true},
	} {
		h.Sh("true; " + tc.first)
		at := stage(t, h, strings.NewReplacer(" ", "-", ",", "").Replace(tc.name), []change.Step{
			{Verb: change.File, Name: "/etc/motd", Before: text(0o644, h.Read("/etc/motd")), After: text(0o644, "Hello\n")},
			{Verb: change.File, Name: "/etc/ssh/sshd_config.d/00-picket.conf", After: text(0o600, "MaxAuthTries 3\n")},
		})
		in := func(script string) string { return strings.ReplaceAll(script, "TX", at) }
		before := whole(h)
		out, code := h.Try("sh", "-c", in(tc.do))
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", tc.name, code, tc.code, out)
		}
		for _, says := range tc.says {
			if !strings.Contains(out, says) {
				t.Errorf("%s: it does not say %q:\n%s", tc.name, says, out)
			}
		}
		h.Sh("true; " + in(tc.then))
		if tc.isNew {
			if got := h.Sh("cat /etc/motd /etc/ssh/sshd_config.d/00-picket.conf"); got != "Hello\nMaxAuthTries 3\n" {
				t.Errorf("%s: not the new state: %s", tc.name, got)
			}
			if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
				t.Errorf("%s: undo: %d\n%s", tc.name, code, out)
			}
		}
		h.Sh("true; " + tc.after)
		same(t, before, whole(h), tc.name)
	}
}
