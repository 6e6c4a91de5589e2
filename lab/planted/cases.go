package planted

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// A Case is a bad host of a control's own .txtar that is made of files alone,
// so that a booted host can be made the same.
type Case struct {
	Control string
	Name    string
	Verdict control.Verdict

	files []*snap.Entry
}

// apart are what cannot be planted by files alone, or not without harm to the
// host that the next ones are planted on.
var apart = []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/proc/", "/sys/", "/run/", "/dev/", "/var/lib/dpkg/", "/etc/fstab",
	"/etc/ssh/", "/etc/pam.d/", "/etc/sudoers", "/etc/ld.so", "/etc/hostname", "/lib/", "/usr/lib/", "/bin/", "/sbin/"}

// Cases are the bad cases of some controls that are made of files alone; dir is
// where the controls lie.
func Cases(dir string, controls []control.Control) (out []Case, err error) {
	for _, c := range controls {
		data, err := os.ReadFile(filepath.Join(dir, c.ID+".txtar"))
		if err != nil {
			return nil, err
		}
		list, err := cases.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ID, err)
		}
		for _, tc := range list {
			s := tc.Snapshot
			if !tc.Verdict.Bad() || s.Source.Kind != "local" || !s.Root() || s.Walk != nil || len(s.Denials) > 0 || !onlyPackages(s) {
				continue
			}
			p := Case{Control: c.ID, Name: tc.Name, Verdict: tc.Verdict}
			ok := len(s.Entries) > 0
			for name, e := range s.Entries {
				ok = ok && e.Denied == "" && !slices.ContainsFunc(apart, func(a string) bool { return strings.HasPrefix(name+"/", a) || strings.HasPrefix(name, a) })
				p.files = append(p.files, e)
			}
			if ok {
				slices.SortFunc(p.files, func(a, b *snap.Entry) int { return strings.Compare(a.Path, b.Path) })
				out = append(out, p)
			}
		}
	}
	return out, nil
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

// Batch takes from a list what can be planted together, n at most: no two of one
// control, none in the folders of another.
func Batch(list []Case, n int) (now, later []Case) {
	for _, p := range list {
		if len(now) >= n || slices.ContainsFunc(now, p.disturbs) {
			later = append(later, p)
		} else {
			now = append(now, p)
		}
	}
	return now, later
}

// disturbs reports whether two faults are of one control, or touch the same
// folders.
func (p Case) disturbs(o Case) bool {
	if p.Control == o.Control {
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

// Where the files of cases are put on the host, and what it had before.
const (
	Archive = "/root/planted.tar"
	before  = "/root/before"
)

// Scripts for a shell of root on the host. Keep comes first; then the archive is
// put there; Plant and Remove follow.
const (
	Keep = `rm -rf ` + before + `; mkdir ` + before + `; cd /; for d in etc home opt srv root usr/local var/www var/log; do
		[ ! -e $d ] || tar --exclude root/before --exclude root/planted.tar --warning=no-file-changed --numeric-owner -cpf ` + before + `/$(echo $d | tr / _).tar $d || [ $? = 1 ]; done`
	Plant  = `tar --numeric-owner -xpf ` + Archive + ` -C /`
	Remove = `cd /; tar -tf ` + Archive + ` | while read -r f; do [ -d "$f" ] || rm -f "$f"; done
		tar -tf ` + Archive + ` | sort -r | while read -r f; do [ ! -d "$f" ] || rmdir "$f" 2>/dev/null || true; done
		for f in ` + before + `/*.tar; do tar --numeric-owner -xpf $f -C /; done`
)

// Files are a tar of what some cases plant, with owners and modes.
func Files(list []Case) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range list {
		for _, e := range p.files {
			head := &tar.Header{Name: strings.TrimPrefix(e.Path, "/"), Mode: int64(e.Mode), Uid: e.UID, Gid: e.GID, ModTime: e.MTime, Size: int64(len(e.Content)), Typeflag: tar.TypeReg}
			switch {
			case e.Target != "":
				head.Typeflag, head.Linkname, head.Size = tar.TypeSymlink, e.Target, 0
			case e.Type != snap.File:
				head.Typeflag, head.Size = tar.TypeDir, 0
			}
			if err := w.WriteHeader(head); err != nil {
				return nil, err
			}
			if head.Size > 0 {
				if _, err := w.Write(e.Content); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// None are controls with cases that do not make the protected host bad, and why.
var None = map[string]string{
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
