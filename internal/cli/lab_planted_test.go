package cli_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/core/snap"
	"picket/lab"
)

// A planted case is a bad host of a control's own .txtar that is made of files
// alone, so that a booted host can be made the same.
type planted struct {
	control string
	name    string
	verdict control.Verdict
	files   []*snap.Entry
}

// apart are what cannot be planted by files alone, or not without harm to the
// host that the next ones are planted on.
var apart = []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/proc/", "/sys/", "/run/", "/dev/", "/var/lib/dpkg/", "/etc/fstab",
	"/etc/ssh/", "/etc/pam.d/", "/etc/sudoers", "/etc/ld.so", "/etc/hostname", "/lib/", "/usr/lib/", "/bin/", "/sbin/"}

// elsewhere are controls with cases that do not make this host bad, and why.
var elsewhere = map[string]string{
	"ban/action":                "the program that the case does not have is installed here",
	"ban/ignore-own":            "the host's own jail wins over the file that is planted",
	"keys/certificates":         "the certificates are of the day on which the cases are judged",
	"keys/tls-keys":             "a key stands in the cases in the form without secrets",
	"logging/journal-kept":      "the host's own drop-in wins",
	"logging/journal-limit":     "the host's own drop-in wins",
	"pam/core-dumps":            "the host's own drop-in wins",
	"updates/last-run":          "updates ran on another day than in the cases",
	"updates/reboot-policy":     "the host's own file wins",
	"updates/supported-release": "the cases are of another day",
}

// TestPlanted makes a protected host bad in every way that the controls' own
// cases know and that files alone can make, and wants each found on the booted host,
// by the real program: what a case says of ten lines holds for a whole Debian.
func TestPlanted(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	lived(h)
	list := plantable(t)
	found, missed, rounds := 0, 0, 0
	for len(list) > 0 {
		var now, later []planted
		for _, p := range list {
			if slices.ContainsFunc(now, p.disturbs) || len(now) >= 25 {
				later = append(later, p)
			} else {
				now = append(now, p)
			}
		}
		list = later
		rounds++
		h.Sh(`rm -rf /root/before; mkdir /root/before; cd /; for d in etc home opt srv root usr/local var/www var/log; do [ ! -e $d ] || tar --exclude root/before --exclude root/planted.tar --warning=no-file-changed --numeric-owner -cpf /root/before/$(echo $d | tr / _).tar $d || [ $? = 1 ]; done`)
		plant(t, h, now)
		args := []string{}
		for _, p := range now {
			args = append(args, "--only", p.control)
		}
		r := auditOn(t, h, args...)
		for _, p := range now {
			switch res := result(t, r, p.control); {
			case res.Verdict.Bad():
				found++
			case elsewhere[p.control] != "":
				missed++
			default:
				t.Errorf("%s, %q: not found: %s: %s", p.control, p.name, res.Verdict, res.Reason)
			}
		}
		h.Sh(`cd /; tar -tf /root/planted.tar | while read -r f; do [ -d "$f" ] || rm -f "$f"; done; tar -tf /root/planted.tar | sort -r | while read -r f; do [ ! -d "$f" ] || rmdir "$f" 2>/dev/null || true; done
			for f in /root/before/*.tar; do tar --numeric-owner -xpf $f -C /; done`)
	}
	t.Logf("%d planted faults found in %d rounds, %d are none on this host", found, rounds, missed)
	if found < 100 || missed > 20 {
		t.Errorf("%d faults were found, and %d cases make none here: want at least 100, and at most 20", found, missed)
	}
}

// plantable are the bad cases that are made of files alone.
func plantable(t *testing.T) (out []planted) {
	t.Helper()
	all, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		data, err := readCases(c)
		if err != nil {
			t.Fatal(err)
		}
		list, err := cases.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		for _, tc := range list {
			s := tc.Snapshot
			if !tc.Verdict.Bad() || s.Source.Kind != "local" || !s.Root() || s.Walk != nil || len(s.Denials) > 0 || !onlyPackages(s) {
				continue
			}
			p := planted{control: c.ID, name: tc.Name, verdict: tc.Verdict}
			ok := len(s.Entries) > 0
			for name, e := range s.Entries {
				ok = ok && e.Denied == "" && !slices.ContainsFunc(apart, func(a string) bool { return strings.HasPrefix(name+"/", a) || strings.HasPrefix(name, a) })
				p.files = append(p.files, e)
			}
			if ok {
				out = append(out, p)
			}
		}
	}
	return out
}

// onlyPackages reports whether a case plants no command's answer but a list of
// packages that the host has.
func onlyPackages(s *snap.Snapshot) bool {
	for _, o := range s.Commands {
		if !slices.Equal(o.Argv, fact.DpkgQuery()) {
			return false
		}
		for line := range strings.Lines(string(o.Stdout)) {
			name, _, _ := strings.Cut(line, "\t")
			if !slices.Contains([]string{"openssh-server", "openssh-client", "sudo", "cron", "fail2ban", "nftables", "chrony", "unattended-upgrades", "logrotate", "apparmor", "libpam-runtime", "systemd"}, name) {
				return false
			}
		}
	}
	return true
}

// disturbs reports whether two faults are of one control, or touch the same
// folders.
func (p planted) disturbs(o planted) bool {
	if p.control == o.control {
		return true
	}
	for _, a := range p.files {
		for _, b := range o.files {
			if a.Path == b.Path || path.Dir(a.Path) == path.Dir(b.Path) || strings.HasPrefix(a.Path, b.Path+"/") || strings.HasPrefix(b.Path, a.Path+"/") {
				return true
			}
		}
	}
	return false
}

// plant writes the files of several cases onto the host, with their owners.
func plant(t *testing.T, h *lab.Host, list []planted) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range list {
		slices.SortFunc(p.files, func(a, b *snap.Entry) int { return strings.Compare(a.Path, b.Path) })
		for _, e := range p.files {
			head := &tar.Header{Name: strings.TrimPrefix(e.Path, "/"), Mode: int64(e.Mode), Uid: int(e.UID), Gid: int(e.GID), ModTime: e.MTime, Size: int64(len(e.Content)), Typeflag: tar.TypeReg}
			switch {
			case e.Target != "":
				head.Typeflag, head.Linkname, head.Size = tar.TypeSymlink, e.Target, 0
			case e.Type != snap.File:
				head.Typeflag, head.Size = tar.TypeDir, 0
			}
			if err := w.WriteHeader(head); err != nil {
				t.Fatal(err)
			}
			if head.Size > 0 {
				if _, err := w.Write(e.Content); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h.Write("/root/planted.tar", 0o600, b.String())
	h.Sh("tar --numeric-owner -xpf /root/planted.tar -C /")
}

func readCases(c control.Control) ([]byte, error) {
	return os.ReadFile("../../catalogue/controls/" + c.ID + ".txtar")
}
