package fact

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Logging is where the host's logs go.
type Logging struct {
	Journald  []Setting
	State     State // of Journald
	Why       string
	Storage   Value[string] // as configured: auto, persistent, volatile, none
	Folder    Value[bool]   // /var/log/journal exists
	OnDisk    Value[bool]   // journald writes there now
	Receivers []Receiver    // what takes log messages from the network
	Imjournal bool          // rsyslog reads the journal by itself
	Forwards  []Forward     // what rsyslog sends elsewhere
	Rsyslog   State         // of Receivers and Forwards
	Upload    Value[string] // where systemd-journal-upload sends the journal
}

// A Receiver is a setting of rsyslog that opens a port.
type Receiver struct {
	Module string // imudp, imtcp, imrelp
	Place  Place
}

func askLogging(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{
		Files: append(append(SystemdFiles("journald.conf"), SystemdFiles("journal-upload.conf")...), "/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"),
		Stats: []string{
			"/var/log/journal", "/var/log/journal/*/system.journal", "/run/log/journal/*/system.journal",
			"/var/log/*", "/var/log",
		},
	}
}

func parseLogging(h *Host, s *snap.Snapshot) {
	l := &h.Logging
	l.Journald, l.State, l.Why = SystemdConf(s, "journald.conf")
	l.Storage = Not[string](l.State, l.Why)
	if l.State == Known {
		// journald passes over a value that it does not know, also in capitals.
		known := slices.DeleteFunc(slices.Clone(l.Journald), func(s Setting) bool {
			return s.Key == "Storage" && !slices.Contains([]string{"", "auto", "persistent", "volatile", "none"}, s.Value)
		})
		l.Storage = Last(known, "Journal", "Storage")
	}
	e, st, why := s.Stat("/var/log/journal")
	l.Folder = Value[bool]{V: st == Known && e.Type == snap.Dir, State: st, Why: why, Place: Place{Path: "/var/log/journal"}}
	if st == Absent {
		l.Folder.State = Known
	}
	l.OnDisk = Not[bool](Unknown, "nothing runs on an image")
	if s.Source.Kind != "image" {
		disk, st, why := s.Glob("/var/log/journal/*/system.journal")
		memory, _, _ := s.Glob("/run/log/journal/*/system.journal")
		switch {
		case len(disk) > 0 && len(memory) == 0:
			l.OnDisk = Is(true, Place{Path: disk[0].Path})
		case len(memory) > 0:
			l.OnDisk = Is(false, Place{Path: memory[0].Path})
		case st == Denied || st == Unknown:
			l.OnDisk = Not[bool](st, why)
		default:
			l.OnDisk = Not[bool](Unknown, "there is no journal, on disk or in memory")
		}
	}
	l.receivers(s)
	l.forwards(s)
	upload, st, why := SystemdConf(s, "journal-upload.conf")
	if l.Upload = Not[string](st, why); st == Known {
		l.Upload = Last(upload, "Upload", "URL")
	}
}

// receivers finds the inputs that rsyslog opens, in its old and new form.
func (l *Logging) receivers(s *snap.Snapshot) {
	l.Rsyslog = Known
	for _, p := range []string{"/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"} {
		es, st, _ := s.Glob(p)
		if st == Denied || st == Unknown {
			l.Rsyslog = st
		}
		for _, e := range es {
			if e.Denied != "" {
				l.Rsyslog = Denied
			}
			if !e.Read {
				continue
			}
			open, at := "", Place{} // input( whose parameters go on below
			near := ""              // the address that the old form binds to from here on
			for _, ln := range lines(e) {
				t := strings.ToLower(uncomment(ln.text, "#"))
				if open == "" || len(open) > 4096 {
					at = ln.at
				} else {
					t = open + " " + t
				}
				if open = ""; strings.HasPrefix(t, "input(") && !strings.Contains(t, ")") {
					open = t
					continue
				}
				l.Imjournal = l.Imjournal || strings.Contains(t, `"imjournal"`) || strings.HasPrefix(t, "$modload imjournal")
				if a, ok := strings.CutPrefix(t, "$udpserveraddress"); ok {
					near = strings.TrimSpace(a)
				}
				for m, old := range rsyslogInputs {
					opens := strings.HasPrefix(t, "input(") && strings.Contains(t, `"`+m+`"`) && !loopback(inputAddress.FindStringSubmatch(t)) ||
						strings.HasPrefix(t, old) && !(m == "imudp" && loopback([]string{"", near}))
					if opens && len(l.Receivers) < 100 {
						l.Receivers = append(l.Receivers, Receiver{m, at})
					}
				}
			}
		}
	}
}

// rsyslogInputs open a port: the module, and the line of its old form.
var rsyslogInputs = map[string]string{
	"imudp": "$udpserverrun", "imtcp": "$inputtcpserverrun", "imptcp": "$inputptcpserverrun", "imrelp": "$inputrelpserverrun", "imgssapi": "$inputgssserverrun",
}

var inputAddress = regexp.MustCompile(`\baddress="([^"]*)"`)

// loopback reports whether what a pattern found is an address of this host only.
func loopback(found []string) bool {
	if len(found) < 2 {
		return false
	}
	a, err := netip.ParseAddr(found[1])
	return found[1] == "localhost" || err == nil && a.IsLoopback()
}
