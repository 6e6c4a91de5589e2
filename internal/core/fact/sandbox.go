package fact

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Sandbox is what systemd keeps a service from, as properties of
// `systemctl show`: NoNewPrivileges → yes.
type Sandbox map[string]string

// An exposure is one row of the table by which `systemd-analyze security`
// judges (systemd 252, src/analyze/analyze-security.c): its weight, how bad
// the worst is, and how bad this is; ok is false where it does not apply.
type exposure struct {
	weight, worst int
	bad           func(Sandbox) (int, bool)
}

func flag(property string, weight int) exposure {
	return exposure{weight, 1, func(s Sandbox) (int, bool) { return one(!s.on(property)), true }}
}

func graded(property string, weight, worst int, values map[string]int) exposure {
	return exposure{weight, worst, func(s Sandbox) (int, bool) {
		if v, ok := values[s[property]]; ok {
			return v, true
		}
		return worst, true
	}}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// early leaves a row out for services that start before the file systems are
// there.
func early(e exposure) exposure {
	bad := e.bad
	e.bad = func(s Sandbox) (int, bool) {
		n, ok := bad(s)
		return n, ok && s["DefaultDependencies"] != "no"
	}
	return e
}

func caps(weight int, names ...string) exposure {
	return exposure{weight, 1, func(s Sandbox) (int, bool) {
		have := strings.Fields(s["CapabilityBoundingSet"])
		return one(slices.ContainsFunc(names, func(n string) bool { return slices.Contains(have, "cap_"+n) })), true
	}}
}

func namespace(name string, weight int) exposure {
	return exposure{weight, 1, func(s Sandbox) (int, bool) {
		v := s["RestrictNamespaces"] // those that are left
		return one(v == "" || v == "no" || slices.Contains(strings.Fields(v), name)), true
	}}
}

func family(weight int, names ...string) exposure {
	return exposure{weight, 1, func(s Sandbox) (int, bool) {
		return one(slices.ContainsFunc(names, s.family)), true
	}}
}

// family tells whether sockets of a family may be made.
func (s Sandbox) family(name string) bool {
	v := s["RestrictAddressFamilies"]
	list, not := strings.CutPrefix(v, "~")
	return v == "" || slices.Contains(strings.Fields(list), name) != not
}

var otherFamily = exposure{1250, 1, func(s Sandbox) (int, bool) {
	v := s["RestrictAddressFamilies"]
	if v == "" || v[0] == '~' {
		return 1, true
	}
	return one(slices.ContainsFunc(strings.Fields(v), func(f string) bool {
		return !slices.Contains([]string{"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "none"}, f)
	})), true
}}

func calls(weight int, group string) exposure {
	return exposure{weight, 10, func(s Sandbox) (int, bool) {
		v := s["SystemCallFilter"]
		if v == "" {
			return 10, true
		}
		list, not := strings.CutPrefix(v, "~")
		listed := map[string]bool{}
		for _, c := range strings.Fields(list) {
			c, _, _ = strings.Cut(c, ":")
			listed[c] = true
		}
		offends := slices.ContainsFunc(systemCalls[group], func(c string) bool { return listed[c] != not })
		switch {
		case !offends:
			return 0, true
		case not:
			return 10, true
		}
		return 9, true
	}}
}

var exposures = []exposure{
	{2000, 10, func(s Sandbox) (int, bool) {
		if s["User"] == "nobody" {
			return 9, true
		}
		return 10 * one(s.root()), true
	}},
	{200, 1, func(s Sandbox) (int, bool) { return one(s["SupplementaryGroups"] != ""), !s.root() }},
	flag("PrivateDevices", 1000), flag("PrivateMounts", 1000), flag("PrivateNetwork", 2500), early(flag("PrivateTmp", 1000)), flag("PrivateUsers", 1000),
	flag("ProtectControlGroups", 1000), flag("ProtectKernelModules", 1000), flag("ProtectKernelTunables", 1000), flag("ProtectKernelLogs", 1000),
	flag("ProtectClock", 1000),
	early(graded("ProtectHome", 1000, 10, map[string]int{"yes": 0, "tmpfs": 1, "read-only": 5})),
	flag("ProtectHostname", 50),
	early(graded("ProtectSystem", 1000, 10, map[string]int{"strict": 0, "full": 3, "yes": 5})),
	early(exposure{200, 1, func(s Sandbox) (int, bool) {
		return one((s["RootDirectory"] == "" || s["RootDirectory"] == "/") && s["RootImage"] == ""), true
	}}),
	flag("LockPersonality", 100), flag("MemoryDenyWriteExecute", 100), flag("NoNewPrivileges", 1000),
	caps(1500, "sys_admin"), caps(1500, "setuid", "setgid", "setpcap"), caps(1500, "sys_ptrace"), caps(1000, "sys_time"), caps(1000, "net_admin"),
	caps(1000, "sys_rawio"), caps(1000, "sys_module"), caps(500, "audit_control", "audit_read", "audit_write"), caps(500, "syslog"),
	caps(500, "sys_nice", "sys_resource"), caps(500, "mknod"), caps(1000, "chown", "fsetid", "setfcap"),
	caps(1000, "dac_override", "dac_read_search", "fowner", "ipc_owner"), caps(500, "kill"), caps(500, "net_bind_service", "net_broadcast", "net_raw"),
	caps(100, "sys_boot"), caps(100, "mac_admin", "mac_override"), caps(75, "linux_immutable"), caps(50, "ipc_lock"), caps(50, "sys_chroot"),
	caps(25, "block_suspend"), caps(25, "wake_alarm"), caps(25, "lease"), caps(25, "sys_tty_config"), caps(25, "sys_pacct"), caps(25, "bpf"),
	{100, 10, func(s Sandbox) (int, bool) {
		mask, err := strconv.ParseUint(s["UMask"], 8, 16)
		switch {
		case err != nil || mask&0o002 == 0:
			return 10, true
		case mask&0o004 == 0:
			return 5, true
		case mask&0o020 == 0:
			return 2, true
		case mask&0o040 == 0:
			return 1, true
		}
		return 0, true
	}},
	graded("KeyringMode", 1000, 1, map[string]int{"private": 0}),
	graded("ProtectProc", 1000, 3, map[string]int{"noaccess": 1, "invisible": 0, "ptraceable": 0}),
	graded("ProcSubset", 10, 1, map[string]int{"pid": 0}),
	{1000, 1, func(s Sandbox) (int, bool) { return one(s["NotifyAccess"] == "all"), true }},
	{100, 1, func(s Sandbox) (int, bool) { return one(!s.on("RemoveIPC")), !s.root() }},
	{100, 1, func(s Sandbox) (int, bool) { return one(s.on("Delegate")), true }},
	flag("RestrictRealtime", 500), flag("RestrictSUIDSGID", 1000),
	namespace("user", 1500), namespace("mnt", 500), namespace("ipc", 500), namespace("pid", 500), namespace("cgroup", 500), namespace("net", 500), namespace("uts", 100),
	family(1500, "AF_INET", "AF_INET6"), family(25, "AF_UNIX"), family(200, "AF_NETLINK"), family(1000, "AF_PACKET"), otherFamily,
	{1000, 10, func(s Sandbox) (int, bool) {
		switch v := s["SystemCallArchitectures"]; {
		case v == "":
			return 10, true
		case slices.Contains(strings.Fields(v), "native"):
			return 0, true
		}
		return 8, true
	}},
	calls(1000, "swap"), calls(250, "obsolete"), calls(1000, "clock"), calls(250, "cpu-emulation"), calls(1000, "debug"), calls(1000, "mount"),
	calls(1000, "module"), calls(1000, "raw-io"), calls(1000, "reboot"), calls(700, "privileged"), calls(700, "resources"),
	{1000, 10, func(s Sandbox) (int, bool) {
		deny := strings.Fields(s["IPAddressDeny"])
		if !(slices.Contains(deny, "0.0.0.0/0") && slices.Contains(deny, "::/0")) {
			return 10, true
		}
		allow := strings.Fields(s["IPAddressAllow"])
		switch {
		case slices.ContainsFunc(allow, func(a string) bool { return a != "127.0.0.0/8" && a != "::1/128" }):
			return 5, true
		case len(allow) > 0:
			return 2, true
		}
		return 0, true
	}},
	{1000, 10, func(s Sandbox) (int, bool) {
		switch {
		case s["DevicePolicy"] != "strict" && s["DevicePolicy"] != "closed":
			return 10, true
		case s["DeviceAllow"] != "":
			return 5, true
		}
		return 0, true
	}},
	{500, 1, func(s Sandbox) (int, bool) { return one(s["AmbientCapabilities"] != ""), true }},
}

func (s Sandbox) on(property string) bool { return s[property] == "yes" }

// root is whether the service has root's rights, as the tool sees it.
func (s Sandbox) root() bool {
	return s["User"] == "root" || s["User"] == "0" || s["User"] == "" && !s.on("DynamicUser")
}

// Exposure is the score of `systemd-analyze security` in tenths: 0 for a
// service that can do nothing to the host, 100 for one that can do all.
func (s Sandbox) Exposure() int {
	bad, all := 0, 0
	for _, e := range exposures {
		n, ok := e.bad(s)
		if !ok {
			continue
		}
		bad += (n*e.weight + e.worst - 1) / e.worst
		all += e.weight
	}
	return (bad*100 + all - 1) / all
}

// With is the sandbox with settings of a drop-in on top, and with what those
// take along: systemd takes a right away that a setting makes pointless.
func (s Sandbox) With(settings map[string]string) Sandbox {
	out := maps.Clone(s)
	maps.Copy(out, settings)
	drop := func(names ...string) {
		have := strings.Fields(out["CapabilityBoundingSet"])
		out["CapabilityBoundingSet"] = strings.Join(slices.DeleteFunc(have, func(c string) bool {
			return slices.Contains(names, strings.TrimPrefix(c, "cap_"))
		}), " ")
	}
	imply := func(values map[string]string) {
		for k, v := range values {
			if out[k] == "" || out[k] == "no" {
				out[k] = v
			}
		}
	}
	if out.on("DynamicUser") {
		imply(map[string]string{"NoNewPrivileges": "yes", "RestrictSUIDSGID": "yes", "ProtectHome": "read-only", "PrivateTmp": "yes", "RemoveIPC": "yes"})
		out["ProtectSystem"] = "strict"
	}
	if out.on("PrivateDevices") {
		drop("mknod", "sys_rawio")
		if out["DevicePolicy"] == "" || out["DevicePolicy"] == "auto" {
			out["DevicePolicy"] = "closed"
		}
	}
	if out.on("ProtectKernelModules") {
		drop("sys_module")
	}
	if out.on("ProtectKernelLogs") {
		drop("syslog")
	}
	if out.on("ProtectClock") {
		drop("sys_time", "wake_alarm")
		if out["DeviceAllow"] == "" {
			out["DeviceAllow"] = "char-rtc r"
		}
	}
	return out
}

// mounts says of a service that runs what systemd-analyze says of it, and not
// of a file: that a setting which needs mounts of its own gives it those.
func (s Sandbox) mounts() Sandbox {
	set := func(property string) bool { return s[property] != "" && s[property] != "no" }
	if s.on("PrivateDevices") || s.on("PrivateTmp") || s.on("ProtectControlGroups") || s.on("ProtectKernelTunables") || s.on("ProtectKernelModules") ||
		set("ProtectHome") || set("ProtectSystem") || s["RootImage"] != "" {
		s["PrivateMounts"] = "yes"
	}
	return s
}
