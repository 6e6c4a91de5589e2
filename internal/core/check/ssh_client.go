package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var sshClientChecks = []Check{
	{"ssh.client-host-keys", sshClientHostKeys,
		"StrictHostKeyChecking and UserKnownHostsFile in /etc/ssh/ssh_config, its drop-ins and ~/.ssh/config"},
	{"ssh.client-agent", sshClientAgent,
		"ForwardAgent in /etc/ssh/ssh_config, its drop-ins and ~/.ssh/config"},
	{"ssh.client-hash", sshClientHash,
		"HashKnownHosts in /etc/ssh/ssh_config, its drop-ins and ~/.ssh/config"},
	{"ssh.client-fits-server", sshClientFits,
		"algorithms in /etc/ssh/ssh_config, its drop-ins and ~/.ssh/config, against what sshd offers (`sshd -T`)"},
}

// clientLines finds lines of the client's files that are wrong.
func clientLines(h *fact.Host, bad func(fact.SSHClientSetting) string, good string) control.Outcome {
	c := h.SSHClient
	var ev []control.Evidence
	for _, s := range c.Settings {
		wanted := bad(s)
		if wanted == "" {
			continue
		}
		where := "for every host"
		if s.Hosts != "" {
			where = "under " + s.Hosts
		}
		ev = append(ev, control.Saw(s.Keyword+" "+where, s.Place, s.Value, wanted))
	}
	if len(ev) > 0 {
		o := control.Failed(fmt.Sprintf("%s is %s (%s)", ev[0].Fact, ev[0].Found, ev[0].Place), ev...)
		if len(ev) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(ev)-1)
		}
		o.Persistent = control.No
		return o
	}
	if c.State != fact.Known {
		return unread(c.State, c.Why)
	}
	o := control.Passed(good)
	o.Persistent = control.Yes
	return o
}

func sshClientHostKeys(h *fact.Host) control.Outcome {
	return clientLines(h, func(s fact.SSHClientSetting) string {
		v := strings.ToLower(s.Value)
		switch {
		case sshNeverLeaves(s.Hosts):
			return ""
		case s.Keyword == "stricthostkeychecking" && (v == "no" || v == "off"):
			return "accept-new, ask or yes"
		case s.Keyword == "userknownhostsfile" && v == "/dev/null":
			return "a file that keeps the keys"
		}
		return ""
	}, "no file turns off the check of host keys")
}

// sshNeverLeaves reports whether a Host line names nothing but what systemd
// (256 and later: /etc/ssh/ssh_config.d/20-systemd-ssh-proxy.conf) connects to
// on the host itself: sockets, virtual machines and containers.
func sshNeverLeaves(hosts string) bool {
	word, names, _ := strings.Cut(hosts, " ")
	return strings.EqualFold(word, "host") && !slices.ContainsFunc(strings.Fields(names), func(n string) bool {
		return !slices.Contains([]string{".host", "machine/.host", "machine/*", "unix/*", "vsock/*", "vsock-mux/*"}, n)
	})
}

func sshClientAgent(h *fact.Host) control.Outcome {
	return clientLines(h, func(s fact.SSHClientSetting) string {
		if s.Keyword == "forwardagent" && !strings.EqualFold(s.Value, "no") {
			return "no"
		}
		return ""
	}, "no file forwards the agent")
}

// sshClientHash looks at the system's file: the first value for every host wins.
func sshClientHash(h *fact.Host) control.Outcome {
	c := h.SSHClient
	if c.System.Missing() {
		return control.Missing(c.System)
	}
	for _, s := range c.Settings {
		if s.Keyword != "hashknownhosts" || s.User != "" || s.Hosts != "" {
			continue
		}
		if strings.EqualFold(s.Value, "yes") {
			o := control.Passed("HashKnownHosts is yes", control.Saw("HashKnownHosts", s.Place, s.Value, ""))
			o.Persistent, o.Explicit = control.Yes, control.Yes
			return o
		}
		o := control.Failed("HashKnownHosts is "+s.Value, control.Saw("HashKnownHosts", s.Place, s.Value, "yes"))
		o.Persistent = control.No
		return o
	}
	if c.State != fact.Known {
		return unread(c.State, c.Why)
	}
	o := control.Failed("HashKnownHosts is no by default", control.Saw("HashKnownHosts", fact.Place{Path: "/etc/ssh/ssh_config"}, "not set", "yes"))
	o.Persistent = control.No
	return o
}

// sshClientFits compares what the client of this host insists on with what its
// own server offers: hosts of a cluster are set up alike, so that what does not
// meet here does not meet between them.
func sshClientFits(h *fact.Host) control.Outcome {
	answers, live, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	var ev []control.Evidence
	pinned := 0
	for _, s := range h.SSHClient.Settings {
		if !slices.Contains([]string{"kexalgorithms", "ciphers", "macs", "hostkeyalgorithms"}, s.Keyword) || strings.IndexAny(s.Value, "+-^") == 0 {
			continue
		}
		pinned++
		v, found := h.SSHD.Option(answers[0], s.Keyword)
		if len(v) == 0 {
			return control.CannotTell(s.Keyword + ": " + found.Unknown)
		}
		offers := strings.Split(v[0], ",")
		meets := slices.ContainsFunc(strings.Split(s.Value, ","), func(p string) bool {
			return slices.ContainsFunc(offers, func(a string) bool { m, _ := path.Match(p, a); return m })
		})
		if !meets {
			ev = append(ev, control.Saw(s.Keyword+" that the client insists on", s.Place, s.Value, "one of "+v[0]))
		}
	}
	switch {
	case len(ev) > 0:
		return facets(control.Failed("ssh on this host insists on "+ev[0].Found+" ("+ev[0].Place+"), which its own server does not offer", ev...), live)
	case h.SSHClient.State != fact.Known:
		return unread(h.SSHClient.State, h.SSHClient.Why)
	case pinned == 0:
		return facets(control.Passed("no client's file insists on certain algorithms"), live)
	}
	return facets(control.Passed("client and server have algorithms in common"), live)
}
