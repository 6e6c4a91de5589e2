package check

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var serviceRepairs = map[string]repair{
	"services.root-from-home": repairAsRoot,
}

// nameIt is how an owner decides what cannot be known of a service.
const nameIt = "name it in picket.yaml (policy.services: unit, user, writes, health)"

// repairAsRoot gives each application that runs as root an account of its own, and the files that it writes to.
func repairAsRoot(h *fact.Host, d *change.Draft) error {
	apps, _ := appsAsRoot(h)
	done := 0
	var left []string
	for _, a := range apps {
		why := d.Tried(a.Fact)
		if why != "" {
			why = "it was tried and taken back: " + why
		} else {
			own, reason := planOwn(h, d, a.Fact)
			if why = reason; why == "" {
				if err := own.draft(h, d); err != nil {
					return err
				}
				done++
			}
		}
		if why != "" {
			left = append(left, a.Fact+": "+why)
		}
	}
	switch {
	case done == 0:
		d.Leave("%s", strings.Join(left, "; "))
	case len(left) > 0:
		d.Rest("%s", strings.Join(left, "; "))
	}
	return nil
}

// ownAccount is what a service gets.
type ownAccount struct {
	confined fact.Confined
	user     string
	exists   *fact.User // nil: it is made
	group    string     // Group= of the unit, where it says one
	groups   []string   // that open the devices which it uses
	writes   []string
	low      bool // it listens at a port below 1024
}

// planOwn works out what a service needs to run without root's rights, or why that cannot be known.
func planOwn(h *fact.Host, d *change.Draft, unit string) (own ownAccount, why string) {
	own.user = strings.ToLower(strings.TrimSuffix(unit, ".service"))
	said, _ := d.Policy().Service(unit)
	named := said.User != "" || len(said.Writes) > 0 // a health check alone says nothing of what it needs
	if said.User != "" {
		own.user = said.User
	}
	i := slices.IndexFunc(h.Sandboxes.All, func(c fact.Confined) bool { return c.Own && c.Service.Name == unit })
	run, runs := h.ServiceRuns[unit]
	switch {
	case own.user == "root":
		return own, "policy.services has it run as root"
	case i < 0:
		return own, "its unit is of a package: who made that knows what it needs"
	case !h.Units.Get(unit).Running():
		return own, "it does not run now, so that nobody could see whether it still works with a user of its own"
	case !runs || run.Program == "" || h.Sandboxes.All[i].Now == nil:
		return own, "what it does while it runs could not be read"
	}
	if u, ok := homeOf(h, run.Program, h.Sandboxes.All[i].Service); ok && said.User == "" && !h.Accounts.Human(u) {
		own.user, named = u.Name, true // the application's own account, which its unit does not name
	}
	own.confined, own.writes = h.Sandboxes.All[i], said.Writes
	c := own.confined
	if c.Now["Type"] == "oneshot" || h.Units.Get(unit).Sub != "running" {
		return own, "it is a job that ends, not a service: what it does as root may be what it is there for"
	}
	own.group = run.Group
	if gid, err := strconv.Atoi(own.group); err == nil {
		own.group = h.Accounts.GroupName(gid)
	}
	if own.group == "root" {
		own.group = ""
	}
	if slices.Contains(powers, own.group) {
		return own, "its unit has Group=" + own.group + ", which is as good as root: a user of its own would gain nothing"
	}
	if why = unknowable(c, run, named); why != "" {
		return own, why
	}
	if why = own.account(h, named); why != "" {
		return own, why
	}
	if why = own.devices(h, run); why != "" {
		return own, why
	}
	if len(own.writes) == 0 {
		if own.writes, why = written(c, run); why != "" {
			return own, why
		}
	}
	for _, w := range own.writes {
		if why := givable(h, c.Service, w); why != "" {
			return own, why
		}
	}
	tcp := false
	for _, k := range h.Sockets.Listening {
		if k.Unit.V == unit && k.Process != "systemd" {
			own.low = own.low || k.Port < 1024
			tcp = tcp || k.Proto == "tcp"
		}
	}
	if !tcp && said.Health == "" {
		return own, "it listens at no port, so that nobody could see whether it still works: " + nameIt
	}
	return own, ""
}

// homeOf is the account, but root, in whose home a service's program lies.
func homeOf(h *fact.Host, program string, s fact.Service) (fact.User, bool) {
	for _, u := range h.Accounts.Users {
		in := func(p string) bool { return strings.HasPrefix(p, u.Home+"/") }
		if u.UID != 0 && strings.HasPrefix(u.Home, "/home/") && (in(program) || slices.ContainsFunc(s.Execs, func(x fact.Exec) bool { return slices.ContainsFunc(x.Paths, in) })) {
			return u, true
		}
	}
	return fact.User{}, false
}

// unknowable says why nobody can tell what a service does as root.
func unknowable(c fact.Confined, run fact.ServiceRun, named bool) string {
	base := func(p string) string { return strings.TrimRight(path.Base(p), "0123456789.") }
	programs := []string{run.Program}
	for _, x := range c.Service.Execs {
		programs = append(programs, x.Paths...)
	}
	for _, p := range programs {
		switch b := base(p); {
		case slices.Contains([]string{"sudo", "su", "runuser", "doas", "pkexec", "docker", "docker-compose", "podman", "kubectl", "systemctl", "mount", "iptables", "nft", "ip", "modprobe"}, b):
			return "it calls " + b + ", which wants root"
		case !named && (strings.HasPrefix(p, "/home/") || strings.HasPrefix(p, "/root/")):
			return p + " lies in a home, where a user of its own does not come in: move it to /opt, or, if it is to run as whose home that is, " + nameIt
		}
	}
	for _, n := range run.Needs {
		if slices.Contains([]string{"docker.service", "docker.socket", "containerd.service", "podman.socket"}, n) {
			return "it works with " + n + ", whose socket is as good as root: a user of its own would gain nothing"
		}
	}
	if !named && (slices.Contains([]string{"sh", "dash", "bash", "busybox", "zsh"}, base(run.Program)) || strings.HasSuffix(run.Program, ".sh")) {
		return "it is a shell script: what it does as root cannot be known. If it works without, " + nameIt
	}
	return ""
}

// account finds who the service is to be.
func (o *ownAccount) account(h *fact.Host, named bool) string {
	if h.Accounts.State != fact.Known || h.Accounts.GroupState != fact.Known || h.Accounts.Elsewhere != "" {
		return cmp.Or(h.Accounts.Elsewhere, "the lists of accounts could not be read")
	}
	if u, ok := h.Accounts.User(o.user); ok {
		if !named && h.Accounts.Human(u) {
			return o.user + " is an account that people log in with: if it is to run as that, " + nameIt
		}
		if u.UID == 0 {
			return o.user + " is root"
		}
		o.exists = &u
		return ""
	}
	if err := account.CheckName(o.user); err != nil {
		return err.Error() + ": " + nameIt
	}
	return ""
}

// powers are groups whose members are as good as root.
var powers = []string{"root", "disk", "kmem", "mem", "shadow", "docker", "sudo", "adm", "lxd", "libvirt"}

// devices are those that the service has open: their groups let it do so without being root.
func (o *ownAccount) devices(h *fact.Host, run fact.ServiceRun) string {
	for _, e := range run.Devices {
		g := h.Accounts.GroupName(e.GID)
		switch {
		case e.Mode&0o060 == 0 || slices.Contains(powers, g) || !plain(g):
			return "it uses " + e.Real + ", which nobody but root may"
		case !slices.Contains(o.groups, g):
			o.groups = append(o.groups, g)
		}
	}
	return ""
}

// shared are folders that are not one service's alone.
var shared = []string{"/", "/bin", "/boot", "/boot/firmware", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr",
	"/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share", "/usr/sbin", "/usr/share", "/var", "/var/cache", "/var/lib",
	"/var/local", "/var/log", "/var/mail", "/var/opt", "/var/spool", "/var/tmp", "/var/www"}

// maxWrites is at how many places a service writes of which nobody has said so.
const maxWrites = 4

// written are the files and folders that a service writes to: those that its unit names, those that it has open, or where that
// is nothing, the folder of the application.
func written(c fact.Confined, run fact.ServiceRun) (out []string, why string) {
	add := func(p string) {
		if p != "" && !slices.ContainsFunc(out, func(o string) bool { return p == o || strings.HasPrefix(p, o+"/") }) {
			out = append(slices.DeleteFunc(out, func(o string) bool { return strings.HasPrefix(o, p+"/") }), p)
		}
	}
	for _, p := range append(slices.Clone(run.Keeps), strings.Fields(c.Now["ReadWritePaths"])...) {
		if p = path.Clean(strings.TrimLeft(p, "-+")); !slices.Contains(shared, p) {
			add(p)
		}
	}
	if dir := path.Clean(strings.TrimLeft(c.Now["WorkingDirectory"], "!-")); path.IsAbs(dir) && !slices.Contains(shared, dir) {
		add(dir)
	}
	if len(out) == 0 {
		for _, x := range c.Service.Execs {
			for _, p := range x.Paths {
				if parts := strings.Split(p, "/"); x.Key == "ExecStart" && len(parts) > 3 && slices.Contains([]string{"opt", "srv"}, parts[1]) {
					add(strings.Join(parts[:3], "/"))
				}
			}
		}
	}
	for _, f := range run.Writes {
		if dir := path.Dir(f); slices.Contains(shared, dir) {
			add(f)
		} else {
			add(dir)
		}
	}
	if len(out) > maxWrites {
		return nil, fmt.Sprintf("it writes at %d places (%s): which of them are its own only you know: %s", len(out), strings.Join(out, ", "), nameIt)
	}
	slices.Sort(out)
	return out, ""
}

// givable says why what lies at a path must not become a service's own.
func givable(h *fact.Host, s fact.Service, p string) string {
	switch {
	case slices.Contains(shared, p):
		return "it writes to " + p + ", which is not its own: " + nameIt
	case !plain(p):
		return fmt.Sprintf("it writes to %q, which a unit cannot name", p)
	}
	for _, top := range []string{"/usr", "/bin", "/sbin", "/lib", "/boot", "/dev", "/proc", "/sys", "/etc/systemd", "/etc/picket", "/var/lib/picket", "/var/lib/dpkg", "/var/lib/systemd"} {
		if strings.HasPrefix(p+"/", top+"/") && !strings.HasPrefix(p, "/usr/local/") {
			return "it writes to " + p + ", which is the system's"
		}
	}
	e, st, _ := h.Snap.Stat(p)
	if st == fact.Known && (e.Type != snap.Dir && e.Type != snap.File || e.Target != "" || e.Real != "" && e.Real != p) {
		return "it writes to " + p + ", which is a link: name where it leads in policy.services"
	}
	// Whoever owns it decides what root runs there.
	for _, r := range h.RootRuns() {
		if own := r.By == s.Name && !slices.ContainsFunc(s.Execs, func(x fact.Exec) bool { return x.Privileged && slices.Contains(x.Paths, r.Path) }); !own && (r.Path == p || strings.HasPrefix(r.Path, p+"/")) {
			return fmt.Sprintf("%s, which it writes to, holds %s, which %s has root run or obey", p, r.Path, r.By)
		}
	}
	for _, o := range h.Services.All {
		if o.Name != s.Name && slices.ContainsFunc(o.Execs, func(x fact.Exec) bool {
			return slices.ContainsFunc(x.Paths, func(q string) bool { return strings.HasPrefix(q, p+"/") })
		}) {
			return fmt.Sprintf("%s, which it writes to, is that of %s too: %s", p, o.Name, nameIt)
		}
	}
	return ""
}

func plain(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._@+-", r))
	}) < 0
}

// draft makes the account, gives it the files, and has the service start as it.
func (o ownAccount) draft(h *fact.Host, d *change.Draft) error {
	unit := o.confined.Service.Name
	var uid, gid int
	if o.exists != nil {
		uid, gid = o.exists.UID, o.exists.GID
	} else {
		id, err := account.AddSystem(d, o.user, int(h.Snap.Taken.Unix()/86400), h.Accounts.Def("SYS_UID_MIN", 100), h.Accounts.Def("SYS_UID_MAX", 999))
		if err != nil {
			return err
		}
		uid, gid = id, id
		d.Do(change.Check, account.Check, account.CheckWords)
	}
	group := h.Accounts.GroupName(gid)
	if o.exists == nil {
		group = o.user
	}
	lines := []string{"User=" + o.user, "Group=" + group}
	groups := o.groups
	if o.group != "" && o.group != group {
		groups = append([]string{o.group}, groups...)
	}
	if len(groups) > 0 {
		lines = append(lines, "SupplementaryGroups="+strings.Join(groups, " "))
	}
	if o.low {
		lines = append(lines, "AmbientCapabilities=CAP_NET_BIND_SERVICE")
	}
	for _, w := range o.writes {
		lines = append(lines, "ReadWritePaths=-"+w)
		d.Do(change.Owner, w, change.Hands(0, 0, uid, gid, unit)...)
	}
	if err := d.Write(fact.UserDropIn(unit), 0o644, change.Head+"[Service]\n"+strings.Join(lines, "\n")+"\n"); err != nil {
		return err
	}
	d.Do(change.Unit, unit, "restart")
	d.Note("%s", o.confined.Scored(o.confined.With(lines)))
	return nil
}
