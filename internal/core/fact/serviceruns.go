package fact

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// A ServiceRun is what a service of the owner's own does while it runs, as far as its main process shows it: what a fix has to
// know that gives it an account of its own.
type ServiceRun struct {
	PID     int
	Program string       // that the process is, links resolved; "" where that was not seen
	Group   string       // Group= of its unit
	Keeps   []string     // folders that systemd makes for it: StateDirectory=, CacheDirectory=, LogsDirectory=
	Needs   []string     // units that its own wants to run, or to start after
	Writes  []string     // files that it has open to write, but for /dev, /proc, /sys, /run and what is gone
	Devices []snap.Entry // that it has open, but for terminals and those that are open to all
}

// maxServiceRuns bounds the services that are looked at in this way.
const maxServiceRuns = 10

var serviceRunProperties = []string{"Id", "MainPID", "Group", "StateDirectory", "CacheDirectory", "LogsDirectory", "Requires", "Wants", "BindsTo", "After"}

// asRoot are the services of the owner's own that run with root's rights.
func (h *Host) asRoot() (names []string) {
	for _, s := range h.Services.All {
		if s.Root() && h.Units.Get(s.Name).Running() && slices.ContainsFunc(s.Files[:min(len(s.Files), 1)], ownUnit) && len(names) < maxServiceRuns {
			names = append(names, s.Name)
		}
	}
	return names
}

func (h *Host) serviceRunCommand() []string {
	names := h.asRoot()
	if len(names) == 0 {
		return nil
	}
	return append([]string{"systemctl", "show", "--no-pager", "--property=" + strings.Join(serviceRunProperties, ",")}, names...)
}

func askServiceRuns(h *Host, s *snap.Snapshot) (m snap.Manifest) {
	if argv := h.serviceRunCommand(); argv != nil && s.Source.Kind != "image" {
		m.Commands = append(m.Commands, snap.Command{Argv: argv})
	}
	for _, r := range h.ServiceRuns {
		at := "/proc/" + strconv.Itoa(r.PID)
		m.Stats = append(m.Stats, at+"/exe", at+"/fd/*")
		m.Files = append(m.Files, at+"/fdinfo/*")
	}
	return m
}

func parseServiceRuns(h *Host, s *snap.Snapshot) {
	h.ServiceRuns = map[string]ServiceRun{}
	argv := h.serviceRunCommand()
	if argv == nil {
		return
	}
	out, st, _ := s.Run(argv...)
	if st != Known {
		return
	}
	for name, p := range ShownSandboxes(string(out.Stdout)) {
		r := ServiceRun{Group: p["Group"]}
		if r.PID, _ = strconv.Atoi(p["MainPID"]); r.PID <= 0 || !slices.Contains(h.asRoot(), name) {
			continue
		}
		for key, above := range map[string]string{"StateDirectory": "/var/lib/", "CacheDirectory": "/var/cache/", "LogsDirectory": "/var/log/"} {
			for _, d := range strings.Fields(p[key]) {
				d, _, _ = strings.Cut(d, ":")
				r.Keeps = append(r.Keeps, path.Clean(above+d))
			}
		}
		slices.Sort(r.Keeps)
		for _, key := range []string{"Requires", "Wants", "BindsTo", "After"} {
			r.Needs = append(r.Needs, strings.Fields(p[key])...)
		}
		r.open(s)
		h.ServiceRuns[name] = r
	}
}

// open fills in what the process has open.
func (r *ServiceRun) open(s *snap.Snapshot) {
	at := "/proc/" + strconv.Itoa(r.PID)
	if e, st, _ := s.Stat(at + "/exe"); st == Known {
		r.Program = e.Real
	}
	all, _, _ := s.Glob(at + "/fd/*")
	for _, e := range all {
		switch {
		case e.Type == snap.Device && e.Mode&0o006 != 0o006 && !strings.HasPrefix(e.Real, "/dev/pts/") && e.Real != "/dev/tty" && e.Real != "/dev/console":
			r.Devices = append(r.Devices, *e)
		case e.Type == snap.File && e.Real != "" && !below(e.Real, []string{"/dev", "/proc", "/sys", "/run"}) && writes(s, at+"/fdinfo/"+path.Base(e.Path)) && !slices.Contains(r.Writes, e.Real):
			r.Writes = append(r.Writes, e.Real)
		}
	}
	slices.Sort(r.Writes)
}

// writes reports whether something is open to be written: the last digit of its flags says how, as open(2) has it.
func writes(s *snap.Snapshot, fdinfo string) bool {
	e, st, _ := s.File(fdinfo)
	if st != Known {
		return false
	}
	for _, l := range lines(e) {
		if f := l.fields(); len(f) == 2 && f[0] == "flags:" {
			flags, err := strconv.ParseUint(f[1], 8, 64)
			return err == nil && flags&3 != 0
		}
	}
	return false
}
