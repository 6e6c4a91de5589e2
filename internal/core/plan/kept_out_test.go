package plan

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// writes is a rule that fails, and whose fix gives files these contents.
type writes map[string]string

func (writes) Evaluate(*fact.Host) control.Outcome {
	return control.Outcome{Verdict: control.Fail, Reason: "it is wrong"}
}
func (w writes) Fix(_ *fact.Host, d *change.Draft) error {
	for _, p := range slices.Sorted(maps.Keys(w)) {
		if err := d.Write(p, 0o644, w[p]); err != nil {
			return err
		}
	}
	d.Do(change.Unit, "other.service", "enable")
	return nil
}

// What a change would keep out is asked of its files, whether or not anything of sshd's is loaded anew; and only what has
// to do with it is left.
func TestKeptOut(t *testing.T) {
	const hash = "$y$j9T$abcdefghijklmnopqrstuv$0123456789012345678901234567890123456789012"
	const drop = "/etc/ssh/sshd_config.d/00-picket.conf"
	for _, tc := range []struct {
		name, sshd, sudoers string
		files               writes
		risk                []string
		guard               string
		card                bool
		left                string // "" where it is done
	}{
		{name: "an option", files: writes{drop: "X11Forwarding no\n"}},
		{name: "a list of users without her", files: writes{drop: "AllowUsers bob\n"}, left: "keep ann out"},
		{name: "her group", sshd: "AllowGroups ann", files: writes{"/etc/group": "root:x:0:\nsudo:x:27:ann\nbob:x:1001:\n"}, left: "keep ann out"},
		{name: "her keys", sshd: "PasswordAuthentication no", files: writes{"/home/ann/.ssh/authorized_keys": "# none\n"}, left: "keep ann out"},
		{name: "her password question", sudoers: "%sudo ALL=(ALL:ALL) NOPASSWD: ALL", files: writes{"/etc/sudoers": "%sudo ALL=(ALL:ALL) ALL\n"}},
		{name: "on a card", sudoers: "%sudo ALL=(ALL:ALL) NOPASSWD: ALL", files: writes{"/etc/sudoers": "%sudo ALL=(ALL:ALL) ALL\n"}, card: true, left: "sudo would ask ann for a password"},
		{name: "her right to become root", files: writes{"/etc/sudoers": "root ALL=(ALL:ALL) ALL\n"}, left: "ann would not become root"},
		{name: "a card's option", files: writes{drop: "X11Forwarding no\n"}, card: true},
		{name: "a card's list of users", files: writes{drop: "AllowUsers bob\n"}, card: true, left: "keep ann out"},
		{name: "a risk on a card", files: writes{"/etc/other": "x\n"}, risk: []string{"lose-ssh"}, card: true, left: "picket apply ssh://USER@HOST --accept-risk lose-ssh` does it"},
		{name: "another risk on a card", files: writes{"/etc/other": "x\n"}, risk: []string{"reboot"}, card: true},
		{name: "root's way on a card", files: writes{"/etc/other": "x\n"}, guard: "sudo-admin-exists", card: true, left: "picket apply ssh://USER@HOST` does it"},
		{name: "root's way", files: writes{"/etc/other": "x\n"}, guard: "sudo-admin-exists"},
		{name: "a card of which nobody knows who comes in", sshd: "Include /nosuch/%h/*", files: writes{drop: "X11Forwarding no\n"}, card: true, left: "on a card no login can prove"},
	} {
		text := strings.NewReplacer("BOB", "[yescrypt]", hash, "[yescrypt]", "SSHD", "Include /etc/ssh/sshd_config.d/*.conf\n"+tc.sshd, "ANN", "").Replace(guarded)
		if tc.sudoers != "" {
			text = strings.Replace(text, "%sudo ALL=(ALL:ALL) ALL", tc.sudoers, 1)
		}
		text += "-- /etc/ssh/sshd_config.d/ 0755 0:0 --\n-- /etc/other --\n\n"
		list, err := cases.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		s := list[0].Snapshot
		if strings.Contains(tc.name, "nobody knows") {
			s.Entries["/etc/ssh/sshd_config"] = &snap.Entry{Path: "/etc/ssh/sshd_config", Type: snap.File, Denied: "only root may read it"}
		}
		all := []control.Control{{ID: "x/y", Rule: tc.files, Risk: tc.risk, Guard: tc.guard}, {ID: "x/z", Rule: writes{"/etc/z": "z\n"}}}
		p := Make(all, s, audit.Evaluate(all, s, audit.Options{Now: s.Taken}), Options{Card: tc.card})
		if got := p.Items[0].Left; (got == "") != (tc.left == "") || !strings.Contains(got, tc.left) {
			t.Errorf("%s: left %q, want %q", tc.name, got, tc.left)
		}
		if !p.Items[1].Changes() {
			t.Errorf("%s: what has nothing to do with it is left: %s", tc.name, p.Items[1].Left)
		}
	}
}
