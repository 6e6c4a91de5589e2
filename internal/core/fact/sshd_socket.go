package fact

import (
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// sshSocketFiles that say where ssh.socket listens; a file in /etc takes the
// place of the one in /usr/lib, the drop-ins add to it.
var sshSocketFiles = []string{"/etc/systemd/system/ssh.socket", "/usr/lib/systemd/system/ssh.socket"}

// parseSocket finds whether ssh.socket listens in sshd's place, and where.
func (d *SSHD) parseSocket(h *Host, s *snap.Snapshot) {
	k := &d.Socket
	show, st, _ := s.Run(sshShow...)
	if unit := properties(show)["ssh.socket"]; st == Known && unit != nil {
		k.Place = By(sshShow...)
		k.InUse = Is(unit["ActiveState"] == "active", k.Place)
		// Listen=0.0.0.0:22 (Stream) [::]:22 (Stream)
		for _, f := range strings.Fields(unit["Listen"]) {
			if !strings.HasPrefix(f, "(") {
				k.add(f)
			}
		}
		return
	}
	if s.Source.Kind != "image" {
		u := h.Units.Get("ssh.socket")
		k.InUse = Not[bool](u.Active.State, u.Active.Why)
		if u.Active.Known() {
			k.InUse = Is(u.Running(), u.Active.Place)
		}
	} else {
		_, st, why := s.Stat("/etc/systemd/system/sockets.target.wants/ssh.socket")
		k.InUse = Not[bool](st, why)
		if st == Known || st == Absent {
			k.InUse = Is(st == Known, Place{Path: "/etc/systemd/system/sockets.target.wants/ssh.socket"})
		}
	}
	var files []*snap.Entry
	for _, p := range sshSocketFiles {
		if e, st, _ := s.File(p); st == Known {
			files = append(files, e)
			break
		}
	}
	drops, st, why := s.Glob("/etc/systemd/system/ssh.socket.d/*.conf")
	if st == Denied {
		k.Hidden = why
	}
	for _, e := range append(files, drops...) {
		if e.Denied != "" {
			k.Hidden = e.Denied
		}
		for _, l := range lines(e) {
			key, value, ok := strings.Cut(l.text, "=")
			if !ok || strings.TrimSpace(key) != "ListenStream" {
				continue
			}
			if value = strings.TrimSpace(value); value == "" {
				k.Ports = nil // an empty value takes back the earlier ones
				continue
			}
			k.add(value)
			k.Place = l.at
		}
	}
}

// add takes the port of 22, 0.0.0.0:22 or [::]:22.
func (k *SSHSocket) add(listen string) {
	port := listen[strings.LastIndex(listen, ":")+1:]
	if port != "" && !slices.Contains(k.Ports, port) {
		k.Ports = append(k.Ports, port)
	}
}
