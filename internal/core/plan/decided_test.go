package plan_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
)

// caseOf is a host of a control's cases, and the control.
func caseOf(t *testing.T, id, name string) (control.Control, *snap.Snapshot) {
	t.Helper()
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	data, err := os.ReadFile("../../../catalogue/controls/" + id + ".txtar")
	if err != nil || problems.Err() != nil {
		t.Fatal(err, problems.Err())
	}
	list, err := cases.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	c := slices.IndexFunc(controls, func(c control.Control) bool { return c.ID == id })
	at := slices.IndexFunc(list, func(c cases.Case) bool { return c.Name == name })
	if c < 0 || at < 0 {
		t.Fatalf("there is no %s, %q", id, name)
	}
	return controls[c], list[at].Snapshot
}

// decide plans for one control with what the owner has decided.
func decide(c control.Control, s *snap.Snapshot, p change.Policy) plan.Plan {
	one := []control.Control{c}
	return plan.Make(one, s, audit.Evaluate(one, s, audit.Options{Now: s.Taken}), plan.Options{Policy: p})
}

// laid is a snapshot with the files of a plan.
func laid(s *snap.Snapshot, p plan.Plan) *snap.Snapshot {
	out := s.Clone()
	for _, step := range p.Steps {
		if step.Verb == change.File {
			delete(out.Entries, step.Name)
			out.Put(&snap.Entry{Path: step.Name, Type: step.After.Type, Mode: step.After.Mode, Content: step.After.Content, Size: int64(len(step.After.Content)), Read: true})
		}
	}
	return out
}

// A host that passes is made as its owner has decided, and is left alone where it is so.
func TestUpdateWindow(t *testing.T) {
	c, s := caseOf(t, "updates/automatic", "installed, switched on and running")
	if p := decide(c, s, change.Policy{}); len(p.Items) > 0 {
		t.Errorf("nothing was decided: %+v", p.Items)
	}
	policy := change.Policy{UpdateWindow: "23:00-02:30"}
	p := decide(c, s, policy)
	if len(p.Items) != 1 || p.Items[0].Left != "" || !strings.Contains(p.Items[0].Reason, "policy.updates.window is 23:00-02:30") {
		t.Fatalf("%+v", p.Items)
	}
	got := map[string]string{}
	for _, step := range p.Steps {
		got[step.Name] = string(step.After.Content)
	}
	for path, want := range map[string]string{
		"/etc/systemd/system/apt-daily-upgrade.timer.d/zz-picket.conf": "[Timer]\nOnCalendar=\nOnCalendar=*-*-* 23:00:00\nRandomizedDelaySec=105m\nPersistent=false\n",
		"/etc/apt/apt.conf.d/99zz-picket":                              "Unattended-Upgrade::Automatic-Reboot-Time \"02:30\";\n",
	} {
		if got[path] != change.Head+want {
			t.Errorf("%s is %q, want %q", path, got[path], want)
		}
	}
	after := laid(s, p)
	for key, o := range after.Commands {
		if strings.Contains(key, "apt-config") { // it tells what the files say
			told := *o
			told.Stdout = append(slices.Clone(o.Stdout), "Unattended-Upgrade::Automatic-Reboot-Time \"02:30\";\n"...)
			after.Commands[key] = &told
		}
	}
	if p := decide(c, after, policy); len(p.Items) > 0 {
		t.Errorf("it is as decided: %+v", p.Items)
	}
	other := laid(s, p)
	other.Put(&snap.Entry{Path: "/etc/systemd/system/apt-daily-upgrade.timer.d/zzz.conf", Type: snap.File, Mode: 0o644, Read: true, Content: []byte("[Timer]\nOnCalendar=12:00\n")})
	if p := decide(c, other, policy); len(p.Items) != 1 || !strings.Contains(p.Items[0].Left, "another file would still win: updates are installed at 12:00") {
		t.Errorf("%+v", p.Items)
	}
}

// The radio is told the country that was decided, wherever it is told one, and what is right is left alone.
func TestWifiCountry(t *testing.T) {
	for _, tc := range []struct{ name, path, want string }{
		{"nobody tells it", "/etc/modprobe.d/zz-picket.conf", change.Head + "options cfg80211 ieee80211_regdom=SE\n"},
		{"as raspi-config does it beside NetworkManager", "/boot/firmware/cmdline.txt", "console=tty1 root=PARTUUID=0a1b2c3d-02 rootwait cfg80211.ieee80211_regdom=SE\n"},
		{"two that do not agree", "/boot/firmware/cmdline.txt", "console=tty1 root=PARTUUID=0a1b2c3d-02 rootwait cfg80211.ieee80211_regdom=SE\n"},
	} {
		c, s := caseOf(t, "wifi/country", tc.name)
		for _, e := range s.Entries {
			e.Redact = false // what secrets it holds is not asked here
		}
		for _, item := range decide(c, s, change.Policy{}).Items {
			if !strings.Contains(item.Left, "policy.wifi.country") {
				t.Errorf("%s: nothing was decided: %+v", tc.name, item)
			}
		}
		policy := change.Policy{WifiCountry: "SE"}
		p := decide(c, s, policy)
		if len(p.Items) != 1 || p.Items[0].Left != "" {
			t.Fatalf("%s: %+v", tc.name, p.Items)
		}
		got := map[string]string{}
		for _, step := range p.Steps {
			got[step.Name] = string(step.After.Content)
		}
		if got[tc.path] != tc.want {
			t.Errorf("%s: %s is %q, want %q", tc.name, tc.path, got[tc.path], tc.want)
		}
		if text, is := got["/etc/wpa_supplicant/wpa_supplicant.conf"]; is && !strings.HasPrefix(text, "country=SE\nnetwork={") {
			t.Errorf("%s: wpa_supplicant.conf is %q", tc.name, text)
		}
		if again := decide(c, laid(s, p), policy); len(again.Items) > 0 {
			t.Errorf("%s: it is as decided: %+v", tc.name, again.Items)
		}
	}
}

// SSH comes to a port that was decided besides the one that it has, and leaves that only for who came in by the new one.
func TestSSHPort(t *testing.T) {
	c, s := caseOf(t, "ssh/socket-port", "sshd listens by itself")
	if p := decide(c, s, change.Policy{SSHPort: 2222}); len(p.Items) > 0 {
		t.Errorf("it listens there: %+v", p.Items)
	}
	p := decide(c, s, change.Policy{SSHPort: 2022})
	if len(p.Items) != 1 || p.Items[0].Left != "" || p.Opens != 2022 {
		t.Fatalf("opens %d, %+v", p.Opens, p.Items)
	}
	for _, step := range p.Steps {
		if step.Name == change.SSHDFile && string(step.After.Content) != change.Head+"Port 2022\n" {
			t.Errorf("%s is %q", step.Name, step.After.Content)
		}
	}
	both := laid(s, p)
	for key, o := range both.Commands {
		if strings.HasPrefix(key, "sshd") {
			told := *o
			told.Stdout = []byte("port 2022\nport 2222\n")
			both.Commands[key] = &told
		}
	}
	if p := decide(c, both, change.Policy{SSHPort: 2022}); len(p.Items) != 1 || !strings.Contains(p.Items[0].Left, "picket apply ssh://USER@HOST:2022 --accept-risk lose-ssh") {
		t.Errorf("by the old port: %+v", p.Items)
	}
	both.Source.Kind, both.Source.Target = "ssh", "ssh://ann@host:2022"
	p = decide(c, both, change.Policy{SSHPort: 2022})
	var main string
	for _, step := range p.Steps {
		if step.Name == "/etc/ssh/sshd_config" {
			main = string(step.After.Content)
		}
	}
	if len(p.Items) != 1 || p.Opens != 0 || !strings.Contains(main, "\n# picket: Port 2222\n") {
		t.Errorf("by the new port: opens %d, sshd_config is %q: %+v", p.Opens, main, p.Items)
	}

	// What another control does to the same file moves its lines.
	late := both.Clone()
	delete(late.Entries, "/etc/ssh/sshd_config")
	late.Put(&snap.Entry{Path: "/etc/ssh/sshd_config", Type: snap.File, Mode: 0o644, Content: []byte("Port 2222\nUsePAM yes\nInclude /etc/ssh/sshd_config.d/*.conf\n"), Read: true})
	first, _ := caseOf(t, "ssh/include-first", "as Debian installs it")
	two := []control.Control{c, first}
	p = plan.Make(two, late, audit.Evaluate(two, late, audit.Options{Now: late.Taken}), plan.Options{Policy: change.Policy{SSHPort: 2022}})
	main = ""
	for _, step := range p.Steps {
		if step.Name == "/etc/ssh/sshd_config" {
			main = string(step.After.Content)
		}
	}
	if want := "Include /etc/ssh/sshd_config.d/*.conf\n# picket: Port 2222\nUsePAM yes\n# picket: Include /etc/ssh/sshd_config.d/*.conf\n"; main != want {
		t.Errorf("with the folder first: sshd_config is %q, want %q: %+v", main, want, p.Items)
	}
}
