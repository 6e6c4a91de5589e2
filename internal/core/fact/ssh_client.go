package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sshwords"
)

// SSHClient is what the files of the ssh command say, the system's and those
// of the accounts that a person may use.
type SSHClient struct {
	State    State // Known when all files were read
	Why      string
	System   Value[bool] // the system's files were read
	Settings []SSHClientSetting
}

// SSHClientSetting is one line.
type SSHClientSetting struct {
	Keyword string // in lower case
	Value   string
	Hosts   string // the Host or Match line that it stands under; "" for all
	User    string // whose file it is; "" for the system's
	Place   Place
}

// sshClientKept are the options that are read; of a person's own file nothing
// else is kept.
var sshClientKept = []string{
	"stricthostkeychecking", "forwardagent", "hashknownhosts", "userknownhostsfile", "kexalgorithms", "ciphers", "macs", "hostkeyalgorithms",
}

func sshClientFiles(h *Host) map[string]string {
	out := map[string]string{}
	for _, u := range h.Accounts.Users {
		if (u.UID == 0 || u.UID >= 1000) && u.LoginShell() && path.IsAbs(u.Home) && path.Clean(u.Home) == u.Home &&
			u.Home != "/" && !snap.IsPattern(u.Home) {
			out[u.Home+"/.ssh/config"] = u.Name
		}
	}
	return out
}

func askSSHClient(h *Host, _ *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: []string{"/etc/ssh/ssh_config", "/etc/ssh/ssh_config.d/*.conf"}}
	for p := range sshClientFiles(h) {
		m.Files = append(m.Files, p)
	}
	return m
}

func parseSSHClient(h *Host, s *snap.Snapshot) {
	c := &h.SSHClient
	c.State = Known
	if h.Accounts.State != Known {
		c.State, c.Why = h.Accounts.State, h.Accounts.Why // whose files there are
	}
	drops, st, why := s.Glob("/etc/ssh/ssh_config.d/*.conf")
	if st == Denied {
		c.State, c.Why = st, why
	}
	// Debian's ssh_config includes the folder first.
	hidden := ""
	if st == Denied {
		hidden = why
	}
	for _, e := range drops {
		c.read(s, e.Path, "")
		if e.Denied != "" {
			hidden = e.Denied
		}
	}
	before := c.State
	c.read(s, "/etc/ssh/ssh_config", "")
	c.System = Is(true, Place{Path: "/etc/ssh/ssh_config"})
	if hidden != "" {
		c.System = Not[bool](Denied, hidden)
	} else if c.State != before {
		c.System = Not[bool](c.State, c.Why)
	}
	homes := sshClientFiles(h)
	var paths []string
	for p := range homes {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		c.read(s, p, homes[p])
	}
}

func (c *SSHClient) read(s *snap.Snapshot, p, user string) {
	e, st, why := s.File(p)
	if st == Absent {
		return
	}
	if st != Known {
		c.State, c.Why = st, why
		return
	}
	hosts := ""
	for _, l := range lines(e) {
		word, rest := sshwords.First(strings.TrimSpace(l.text))
		key := strings.ToLower(word)
		switch {
		case key == "host" && strings.TrimSpace(rest) == "*":
			hosts = ""
		case key == "host" || key == "match":
			hosts = word + " " + strings.TrimSpace(rest)
		case slices.Contains(sshClientKept, key):
			if args, ok := sshwords.Args(rest); ok && len(args) > 0 {
				c.Settings = append(c.Settings, SSHClientSetting{key, args[0], hosts, user, l.at})
			}
		}
	}
}

// redactSSHClient keeps of a person's file what rules read; the other lines
// (host names, commands, users) become empty, so that lines keep their number.
func redactSSHClient(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	var b strings.Builder
	for _, l := range lines(e) {
		word, _ := sshwords.First(strings.TrimSpace(l.text))
		key := strings.ToLower(word)
		if key == "host" || key == "match" || slices.Contains(sshClientKept, key) {
			b.WriteString(l.text)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
