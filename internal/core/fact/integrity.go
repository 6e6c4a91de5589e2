package fact

import (
	"regexp"
	"strings"

	"picket/internal/core/snap"
)

// SecureBootVariable is where the kernel shows whether the firmware checks
// what it starts; the rest of the name is the UEFI forum's.
const SecureBootVariable = "/sys/firmware/efi/efivars/SecureBoot-*"

func askIntegrity(h *Host, _ *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: []string{SecureBootVariable}, Stats: []string{"/sys/firmware/efi"}}
	if has := h.Packages.Has("aide"); !has.Known() || has.V {
		m.Files = append(m.Files, "/etc/aide/aide.conf", "/etc/aide/aide.conf.d/*")
		m.Stats = append(m.Stats, "/var/lib/aide/aide.db", "/var/lib/aide/aide.db.new")
	}
	return m
}

// A Forward is a setting of rsyslog that sends the log to another machine.
type Forward struct {
	TLS   bool
	Place Place
}

var forwardOld = regexp.MustCompile(`^[^#$]\S*\s+(@@?\S+|:omrelp:\S+)`)

// forwards finds what rsyslog sends elsewhere, in its old and new form. The old
// form encrypts only where the whole configuration says so.
func (l *Logging) forwards(s *snap.Snapshot) {
	tls := false
	for _, p := range []string{"/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"} {
		es, _, _ := s.Glob(p)
		for _, e := range es {
			if !e.Read {
				continue
			}
			open := ""
			at := Place{}
			for _, ln := range lines(e) {
				t := strings.ToLower(uncomment(ln.text, "#"))
				tls = tls || strings.HasPrefix(t, "$actionsendstreamdrivermode 1")
				if open != "" && len(open) < 4096 {
					t = open + " " + t
				} else {
					at = ln.at
				}
				if open = ""; strings.Contains(t, "action(") && !strings.Contains(t, ")") {
					open = t
					continue
				}
				switch {
				case len(l.Forwards) >= 100:
				case strings.Contains(t, "action(") && (strings.Contains(t, `"omfwd"`) || strings.Contains(t, `"omrelp"`)):
					on := strings.Contains(t, `streamdrivermode="1"`) || strings.Contains(t, `"omrelp"`) && strings.Contains(t, `tls="on"`)
					l.Forwards = append(l.Forwards, Forward{on, at})
				case forwardOld.MatchString(t):
					l.Forwards = append(l.Forwards, Forward{false, at})
				}
			}
		}
	}
	for i := range l.Forwards {
		l.Forwards[i].TLS = l.Forwards[i].TLS || tls
	}
}
