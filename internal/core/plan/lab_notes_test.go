package plan_test

import (
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/snap"
	"picket/lab"
)

// TestNoStepWithoutANote has the journal fail: before the first step, and when the disk is full half way. What cannot be
// noted is not done; going back does not need the journal.
func TestNoStepWithoutANote(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	const box = "/var/lib/picket"
	h.Sh("mkdir -p " + box)
	motd := change.Step{Verb: change.File, Name: "/etc/motd", Before: text(0o644, h.Read("/etc/motd")), After: text(0o644, "Hello\n")}
	for _, tc := range []struct {
		name, first, says string
		steps             []change.Step
	}{
		{"no journal", "ln -s /dev/full TX/journal", "step 001 failed: it cannot be noted\n", []change.Step{motd}},
		{"a full disk", "", "step 003 failed: it cannot be noted\n", []change.Step{motd,
			// What of the journal's last page is free as well.
			{Verb: change.Check, Name: "head -c $((4096 - $(stat -c %s journal) % 4096)) /dev/zero >>journal; head -c 2m /dev/zero >" + box + "/fill || true"},
			{Verb: change.Act, Name: "echo done >>/run/acts"}}},
	} {
		h.Sh("umount " + box + " 2>/dev/null || true; mount -t tmpfs -o size=1m none " + box)
		at := stage(t, h, strings.ReplaceAll(tc.name, " ", "-"), tc.steps)
		h.Sh("true; " + strings.ReplaceAll(tc.first, "TX", at))
		before := whole(h)
		out, code := h.Try("sh", at+"/tx", "apply")
		if code != 5 || !strings.Contains(out, tc.says) {
			t.Errorf("%s: exit code %d, want 5 with %q:\n%s", tc.name, code, tc.says, out)
		}
		same(t, before, whole(h), tc.name)
		if got := h.Sh("cat " + at + "/state; cat /run/acts 2>/dev/null || true"); got != "undone\n" && (len(tc.steps) == 1 || got != "undone\ndone\n") { // on the way back
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

// TestSecretsDoNotStay looks for what a step writes in a transaction's folder, however that ends.
func TestSecretsDoNotStay(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	const token = "tok-8Zr1kQ"
	steps := []change.Step{{Verb: change.File, Name: "/etc/faults.key", After: text(0o600, token+"\n")}, {Verb: change.Check, Name: "[ ! -e /run/no ]"}}
	for _, tc := range []struct{ name, do string }{
		{"applied", "sh TX/tx apply"},
		{"kept", "sh TX/tx apply; sh TX/tx confirm"},
		{"taken back", "sh TX/tx apply; sh TX/tx undo"},
		{"kept and taken back", "sh TX/tx apply; sh TX/tx confirm; sh TX/tx undo"},
		{"failed", ": >/run/no; ! sh TX/tx apply"},
		{"refused", "echo theirs >/etc/faults.key; ! sh TX/tx apply"},
		{"never begun", "sh TX/tx undo"},
		{"killed", "sed -i 's/^file_take() {/&\\n\\tkill -9 $$/' TX/steps; ! sh TX/tx apply; grep -rq " + token + " TX; sh TX/tx undo"},
	} {
		at := stage(t, h, strings.ReplaceAll(tc.name, " ", "-"), steps)
		h.Sh(strings.ReplaceAll(tc.do, "TX", at))
		if got := h.Sh("grep -rl " + token + " " + at + " || true"); got != "" {
			t.Errorf("%s: it is in %s", tc.name, got)
		}
		h.Sh("[ $(sh " + at + "/tx state) = prepared ] || sh " + at + "/tx undo; rm -rf /run/no /etc/faults.key " + at)
	}
}

// TestBootLoaderAfterAPowerCut has what an act has written by itself, such as the menu of the boot loader, go back after a
// power cut as well. Grub cannot run in the lab; what stands for update-grub makes its file of the same settings.
func TestBootLoaderAfterAPowerCut(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh(`mkdir -p /boot/grub; printf 'GRUB_CMDLINE_LINUX="quiet"\n' >/etc/default/grub
cat >/usr/sbin/update-grub <<'END'
#!/bin/sh
. /etc/default/grub
echo "linux /vmlinuz $GRUB_CMDLINE_LINUX" >/boot/grub/grub.cfg
END
chmod 755 /usr/sbin/update-grub; update-grub`)
	h.Reboot()
	was := h.Read("/boot/grub/grub.cfg")
	for _, trial := range []string{"applied", "cut off again while it goes back"} {
		at := stage(t, h, strings.ReplaceAll(trial, " ", "-"), []change.Step{
			{Verb: change.File, Name: "/etc/default/grub", Before: change.Thing{Type: snap.File, Opaque: true}, After: text(0o644, "GRUB_CMDLINE_LINUX=\"quiet audit=1\"\n")},
			{Verb: change.Act, Name: "[ ! -x /usr/sbin/update-grub ] || update-grub"},
		})
		h.Sh("sh " + at + "/tx apply")
		if got := h.Read("/boot/grub/grub.cfg"); got != "linux /vmlinuz quiet audit=1\n" {
			t.Fatalf("%s: applied: %q", trial, got)
		}
		if trial != "applied" {
			h.Sh("sed -i 's/^up() {/&\\n[ -e " + strings.ReplaceAll(at, "/", "\\/") + "\\/again ] || { : >" + strings.ReplaceAll(at, "/", "\\/") + "\\/again; sleep 1000; }/' " + at + "/arm")
			h.PowerCut()
			h.Boot()
			h.Sh("for i in $(seq 600); do [ ! -e " + at + "/again ] || break; sleep 0.1; done; [ $(sh " + at + "/tx state) = undoing ]")
		}
		h.PowerCut()
		h.Boot()
		wentBack(t, h, at)
		if got := h.Read("/boot/grub/grub.cfg") + h.Sh("cat /etc/default/grub"); got != was+"GRUB_CMDLINE_LINUX=\"quiet\"\n" {
			t.Errorf("%s: %s", trial, got)
		}
	}
}
