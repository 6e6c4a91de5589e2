// Package fact turns a snapshot into typed values of one host. One file a
// topic: what it asks for, and how the answer is parsed. All of it is pure.
package fact

import (
	"slices"

	"picket/internal/core/snap"
)

// Host is everything known of one host. A topic that could not be read has
// values that say so; a nil or zero topic is never an answer.
type Host struct {
	Snap *snap.Snapshot // for rules about plain files: modes, presence

	exposed []Exposed // what Exposure has worked out

	OS       OS
	Packages Packages
	Accounts Accounts
	Units    Units
	Sudo     Sudo
	SSHD     SSHD
	Sysctl   Sysctl
	Modules  Modules
	Mounts   Mounts
	Walk     Walk
	Boot     Boot
	AppArmor AppArmor
	Services Services
	Cron     Cron
	Updates  Updates
	Time     Time
	Logging  Logging
	Ban      Ban
	Firewall Firewall
	Sockets  Sockets
	Network  Network
	Around   Around
	Docker   Docker
	Composed Composed
	Wifi     Wifi
	Pi       Pi
	Auditd   Auditd

	Sandboxes   Sandboxes
	ServiceRuns map[string]ServiceRun // by the name of the unit

	AutoLogins AutoLogins

	SSHClient SSHClient
	Logins    Logins
	Keys      Keys
	Session   Session
	TLS       TLS

	Apps Apps
}

// A topic is one subject: what it still wants to read, given what is known so
// far, and how it fills its part of Host.
type topic struct {
	name  string
	ask   func(h *Host, s *snap.Snapshot) snap.Manifest
	parse func(h *Host, s *snap.Snapshot)
}

// topics in the order in which they are parsed; a later one may use what an
// earlier one found.
var topics = []topic{
	{"os", askOS, parseOS},
	{"packages", askPackages, parsePackages},
	{"accounts", askAccounts, parseAccounts},
	{"units", askUnits, parseUnits},
	{"sudo", askSudo, parseSudo},
	{"sshd", askSSHD, parseSSHD},
	{"sysctl", askSysctl, parseSysctl},
	{"router", askRouter, func(*Host, *snap.Snapshot) {}},
	{"modules", askModules, parseModules},
	{"mounts", askMounts, parseMounts},
	{"walk", askWalk, parseWalk},
	{"boot", askBoot, parseBoot},
	{"apparmor", askAppArmor, parseAppArmor},
	{"secret-files", askSecretFiles, func(*Host, *snap.Snapshot) {}},
	{"services", askServices, parseServices},
	{"cron", askCron, parseCron},
	{"updates", askUpdates, parseUpdates},
	{"time", askTime, parseTime},
	{"logging", askLogging, parseLogging},
	{"ban", askBan, parseBan},
	{"root-runs", askRootRuns, parseRootRuns},
	{"network", askNetwork, parseNetwork},
	{"around", askAround, parseAround},
	{"docker", askDocker, parseDocker},
	{"compose", askCompose, parseCompose},
	{"firewall", askFirewall, parseFirewall},
	{"sockets", askSockets, parseSockets},
	{"wifi", askWifi, parseWifi},
	{"raspberry pi", askPi, parsePi},
	{"card", askCard, func(*Host, *snap.Snapshot) {}},
	{"auto-login", askAutoLogin, parseAutoLogin},
	{"ssh client", askSSHClient, parseSSHClient},
	{"logins", askLogins, parseLogins},
	{"session", askSession, parseSession},
	{"tls", askTLS, parseTLS},
	{"integrity", askIntegrity, func(*Host, *snap.Snapshot) {}},
	{"sandboxes", askSandboxes, parseSandboxes},
	{"service runs", askServiceRuns, parseServiceRuns},
	{"auditd", askAuditd, parseAuditd},
	{"apps", askApps, parseApps},
	{"prometheus", askSeries, func(*Host, *snap.Snapshot) {}},
	{"keys", askKeys, parseKeys}, // last, as it may be led to any file
}

// Parse reads all topics from a snapshot.
func Parse(s *snap.Snapshot) *Host {
	h := &Host{Snap: s}
	for _, t := range topics {
		t.parse(h, s)
	}
	return h
}

// Ask returns what is still to be read from a host, given what has been.
// It is empty when nothing more is needed.
func Ask(s *snap.Snapshot) snap.Manifest { return askTopics(s, topics) }

// AskExposure is Ask for what [Host.Exposure] needs alone.
func AskExposure(s *snap.Snapshot) snap.Manifest {
	return askTopics(s, slices.DeleteFunc(slices.Clone(topics), func(t topic) bool {
		return !slices.Contains([]string{"os", "packages", "accounts", "units", "network", "firewall", "sockets"}, t.name)
	}))
}

// AskTrust is Ask for who can become whom alone: accounts, keys, sudo, sshd, and by what a copied card is known.
func AskTrust(s *snap.Snapshot) snap.Manifest {
	return askTopics(s, slices.DeleteFunc(slices.Clone(topics), func(t topic) bool {
		return !slices.Contains([]string{"os", "packages", "accounts", "units", "sudo", "sshd", "network", "raspberry pi", "logins", "keys"}, t.name)
	}))
}

func askTopics(s *snap.Snapshot, topics []topic) snap.Manifest {
	h := Parse(s)
	var m snap.Manifest
	for _, t := range topics {
		one := t.ask(h, s)
		// What another topic reads as well is kept as that one needs it.
		one.Keys = slices.DeleteFunc(one.Keys, func(p string) bool {
			return slices.ContainsFunc(m.Files, func(pattern string) bool { return snap.Match(pattern, p) })
		})
		m.Add(one)
	}
	return m.Minus(s)
}
