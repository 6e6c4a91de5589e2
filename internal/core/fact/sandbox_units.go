package fact

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Sandboxes are those of services that other hosts reach, or that are the
// owner's own, as systemd has them.
type Sandboxes struct {
	State State
	Why   string
	All   []Confined
}

// Confined is one service and its sandbox.
type Confined struct {
	Service Service
	Own     bool     // its unit is not of a package
	Network []Socket // where other hosts reach it
	Now     Sandbox
}

// SandboxProperties are what the score is made of, and what a drop-in has to
// know.
var SandboxProperties = []string{
	"Id", "DefaultDependencies", "User", "DynamicUser", "SupplementaryGroups", "PrivateDevices", "PrivateMounts", "PrivateNetwork", "PrivateTmp", "PrivateUsers",
	"ProtectControlGroups", "ProtectKernelModules", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectClock", "ProtectHome", "ProtectHostname",
	"ProtectSystem", "RootDirectory", "RootImage", "LockPersonality", "MemoryDenyWriteExecute", "NoNewPrivileges", "CapabilityBoundingSet",
	"AmbientCapabilities", "UMask", "KeyringMode", "ProtectProc", "ProcSubset", "NotifyAccess", "RemoveIPC", "Delegate", "RestrictRealtime",
	"RestrictSUIDSGID", "RestrictNamespaces", "RestrictAddressFamilies", "SystemCallArchitectures", "SystemCallFilter", "IPAddressDeny",
	"IPAddressAllow", "DevicePolicy", "DeviceAllow", "WorkingDirectory", "ReadWritePaths", "Type",
}

// picketUnits are Picket's: they change the host, or load its packet filter, and are there while a change waits.
var picketUnits = []string{"picket-back.service", "picket-first.service", "picket-firewall.service"}

// maxSandboxes bounds the services that are looked at in this way.
const maxSandboxes = 60

// confined lists them, without what systemd says.
func (h *Host) confined() []Confined {
	var out []Confined
	for _, s := range h.Services.All {
		c := Confined{Service: s, Own: slices.ContainsFunc(s.Files[:min(len(s.Files), 1)], ownUnit) && !slices.Contains(picketUnits, s.Name)}
		for _, k := range h.Sockets.Listening {
			if k.Unit.V == s.Name && k.Exposed() {
				c.Network = append(c.Network, k)
			}
		}
		if (c.Own || len(c.Network) > 0) && len(out) < maxSandboxes {
			out = append(out, c)
		}
	}
	return out
}

// environment is the file that marks the environment (venv) of a Python that is
// run, whether it is there or not; "" where none is run.
func (x Exec) environment() string {
	if x.Key != "ExecStart" || len(x.Paths) == 0 || strings.TrimRight(path.Base(x.Paths[0]), "0123456789.") != "python" {
		return ""
	}
	return path.Join(path.Dir(path.Dir(x.Paths[0])), "pyvenv.cfg")
}

// A Python is one that a service of the owner's own runs.
type Python struct {
	Service, Program string
	Env              Value[bool] // it is one of an environment of its own
	Place            Place
}

// Pythons lists them.
func (h *Host) Pythons() []Python {
	var out []Python
	for _, c := range h.confined() {
		for _, x := range c.Service.Execs {
			if cfg := x.environment(); c.Own && cfg != "" {
				_, st, why := h.Snap.Stat(cfg)
				p := Python{c.Service.Name, x.Paths[0], Value[bool]{V: st == Known, State: st, Why: why}, x.Place}
				if st == Absent {
					p.Env = Is(false, x.Place)
				}
				out = append(out, p)
			}
		}
	}
	return out
}

func ownUnit(f string) bool {
	return strings.HasPrefix(f, "/etc/systemd/system/") || strings.HasPrefix(f, "/usr/local/lib/systemd/system/")
}

func (h *Host) sandboxCommand() []string {
	list := h.confined()
	if len(list) == 0 {
		return nil
	}
	argv := []string{"systemctl", "show", "--no-pager", "--property=" + strings.Join(SandboxProperties, ",")}
	for _, c := range list {
		argv = append(argv, c.Service.Name)
	}
	return argv
}

func askSandboxes(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{}
	for _, c := range h.confined() {
		for _, x := range c.Service.Execs {
			if cfg := x.environment(); c.Own && cfg != "" {
				m.Stats = append(m.Stats, cfg)
			}
		}
	}
	if argv := h.sandboxCommand(); argv != nil && s.Source.Kind != "image" {
		m.Commands = append(m.Commands, snap.Command{Argv: argv})
	}
	return m
}

func parseSandboxes(h *Host, s *snap.Snapshot) {
	b := &h.Sandboxes
	b.All = h.confined()
	switch {
	case s.Source.Kind == "image":
		b.State, b.Why = Unknown, "an image has no systemd to ask"
		return
	case h.Services.State != Known:
		b.State, b.Why = h.Services.State, "the services could not be read: "+h.Services.Why
		return
	case h.Sockets.State != Known:
		b.State, b.Why = h.Sockets.State, "what listens could not be read: "+h.Sockets.Why
		return
	case len(b.All) == 0:
		b.State = Known
		return
	}
	out, st, why := s.Run(h.sandboxCommand()...)
	if b.State, b.Why = st, why; st != Known {
		return
	}
	shown := ShownSandboxes(string(out.Stdout))
	for i := range b.All {
		if b.All[i].Now = shown[b.All[i].Service.Name]; b.All[i].Now == nil || b.All[i].Now["UMask"] == "" {
			b.State, b.Why = Unknown, "systemd did not show the settings of "+b.All[i].Service.Name
		}
	}
}

// ShownSandboxes reads the blocks of `systemctl show`, by the unit's name.
func ShownSandboxes(text string) map[string]Sandbox {
	shown := map[string]Sandbox{}
	for _, block := range strings.Split(strings.ToValidUTF8(text, "\uFFFD"), "\n\n") {
		one := Sandbox{}
		for _, l := range strings.Split(block, "\n") {
			if k, v, ok := strings.Cut(l, "="); ok && one[k] == "" {
				one[k] = v
			}
		}
		shown[one["Id"]] = one.mounts()
	}
	return shown
}

// hardware are the groups that open devices to a service.
var hardware = []string{"gpio", "i2c", "spi", "dialout", "video", "render", "audio", "input", "plugdev", "tty", "disk", "kmem", "bluetooth"}

// DropIn is what would confine the service more and let it do its work, as
// far as its unit tells what that is: the lines of a drop-in, and the score
// with them.
func (c Confined) DropIn(h *Host) (lines []string, score int) {
	with := map[string]string{}
	add := func(key, value string) {
		lines = append(lines, key+"="+value)
		with[key] = value
	}
	yes := func(keys ...string) {
		for _, k := range keys {
			if !c.Now.on(k) {
				add(k, "yes")
			}
		}
	}
	programs := c.programs()
	runs := func(names ...string) bool {
		return slices.ContainsFunc(programs, func(p string) bool { return slices.Contains(names, strings.TrimRight(path.Base(p), "0123456789.")) })
	}
	engine := runs("dockerd", "containerd", "podman", "systemd-nspawn", "lxcfs", "libvirtd", "k", "kubelet")
	if engine {
		return nil, c.Now.Exposure() // it builds the sandboxes of others
	}
	root := c.Service.Root()
	if !runs("sudo", "su", "runuser", "doas", "sshd") {
		yes("NoNewPrivileges", "RestrictSUIDSGID")
	}
	yes("PrivateTmp", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "LockPersonality", "RestrictRealtime")
	if !root {
		yes("ProtectHostname")
	}
	if c.Now["SystemCallArchitectures"] == "" {
		add("SystemCallArchitectures", "native")
	}
	if !runs("chromium", "firefox", "bwrap", "unshare", "snap", "flatpak") && (c.Now["RestrictNamespaces"] == "" || c.Now["RestrictNamespaces"] == "no") {
		add("RestrictNamespaces", "yes")
	}
	if c.Now["RestrictAddressFamilies"] == "" && !root {
		add("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK")
	}
	if !root && !c.hardware(h) {
		yes("PrivateDevices", "ProtectClock")
	}
	c.files(h, programs, add)
	if c.Now["ProtectProc"] == "default" && !root {
		add("ProtectProc", "invisible")
	}
	if n := c.Now["UMask"]; n == "0022" || n == "0002" || n == "0000" {
		add("UMask", "0027")
	}
	if !root && c.Now["CapabilityBoundingSet"] != "" && len(strings.Fields(c.Now["CapabilityBoundingSet"])) > 20 && !runs("sudo", "su", "runuser") {
		set := strings.ToUpper(c.Now["AmbientCapabilities"])
		lines = append(lines, "CapabilityBoundingSet="+set)
		with["CapabilityBoundingSet"] = strings.ToLower(set)
	}
	if c.Now["SystemCallFilter"] == "" && !root {
		lines = append(lines, "SystemCallFilter=@system-service")
		with["SystemCallFilter"] = "chown setpriority" // what of it counts in the score
	}
	return lines, c.Now.With(with).mounts().Exposure()
}

// With is the service with settings of a drop-in on top, a line each.
func (c Confined) With(lines []string) Confined {
	set := map[string]string{}
	for _, l := range lines {
		k, v, setting := strings.Cut(l, "=")
		switch {
		case !setting || strings.HasPrefix(l, "#"):
		case k == "AmbientCapabilities":
			set[k] = strings.ToLower(v)
		case k == "ReadWritePaths" || k == "SupplementaryGroups": // these add up
			set[k] = strings.TrimSpace(c.Now[k] + " " + v)
		case k == "User":
			c.Service.User = v
			set[k] = v
		default:
			set[k] = v
		}
	}
	c.Now = c.Now.With(set).mounts()
	return c
}

// Scored says how a drop-in changes the score.
func (c Confined) Scored(then Confined) string {
	return fmt.Sprintf("the exposure of %s, as systemd-analyze security scores it, is %s now and becomes %s", c.Service.Name, Tenths(c.Now.Exposure()), Tenths(then.Now.Exposure()))
}

// Tenths is a score as systemd-analyze writes it.
func Tenths(n int) string { return fmt.Sprintf("%d.%d", n/10, n%10) }

// UserDropIn is the file that has a service run as an account of its own.
func UserDropIn(unit string) string { return "/etc/systemd/system/" + unit + ".d/zz-picket-user.conf" }

// files adds what keeps the service from files that are not its own.
func (c Confined) files(h *Host, programs []string, add func(key, value string)) {
	dir := strings.TrimPrefix(c.Now["WorkingDirectory"], "!")
	if dir == "~" || dir == "[not set]" {
		dir = ""
	}
	home := slices.ContainsFunc(append(slices.Clone(programs), append(c.Service.EnvFiles, dir)...), func(p string) bool {
		return strings.HasPrefix(p, "/home/") || strings.HasPrefix(p, "/root/") || p == "/root"
	})
	writes := dir != "" && dir != "/" && !strings.HasPrefix(dir, "/usr/") && plainFolder(dir)
	switch c.Now["ProtectSystem"] {
	case "strict":
	case "full":
		if writes && !c.Service.Root() {
			add("ProtectSystem", "strict")
			add("ReadWritePaths", dir)
		}
	default:
		if writes && !c.Service.Root() {
			add("ProtectSystem", "strict")
			add("ReadWritePaths", dir)
		} else {
			add("ProtectSystem", "full")
		}
	}
	if now := c.Now["ProtectHome"]; now == "" || now == "no" {
		switch {
		case !home:
			add("ProtectHome", "yes")
		case writes && !c.Service.Root():
			add("ProtectHome", "read-only")
		}
	}
}

func plainFolder(p string) bool {
	return strings.IndexFunc(p, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r))
	}) < 0
}

func (c Confined) programs() []string {
	var out []string
	for _, x := range c.Service.Execs {
		out = append(out, x.Paths...)
	}
	return out
}

// hardware is whether the service has devices open, or its account may use some.
func (c Confined) hardware(h *Host) bool {
	if len(h.ServiceRuns[c.Service.Name].Devices) > 0 {
		return true
	}
	groups := strings.Fields(c.Now["SupplementaryGroups"])
	for _, g := range h.Accounts.Groups {
		if slices.Contains(g.Members, c.Service.User) {
			groups = append(groups, g.Name)
		}
	}
	return c.Now["DeviceAllow"] != "" || slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(hardware, g) })
}
