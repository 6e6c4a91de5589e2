package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var services = []Check{
	{"services.root-runs-user-files", rootRunsUserFiles,
		"what the services and cron jobs of root start, read or obey (/etc/systemd/system, /etc/cron.d, `systemctl show`), and who may change those files and the folders above them"},
	{"services.python", pythonEnvironments,
		"which Python the services of this host's own start (/etc/systemd/system, `systemctl show`), and whether a pyvenv.cfg lies beside it"},
	{"services.secrets-in-units", secretsInUnits,
		"names such as PASSWORD and TOKEN in the units of this host's own (/etc/systemd/system); the values are hidden"},
	{"services.root-from-home", rootFromHome,
		"User of services whose program lies in /home, /opt or /srv, and of those of this host's own that stay and lie in /usr/local or /var/lib (/etc/systemd/system)"},
}

// rootRunsUserFiles finds what root runs or obeys and somebody else can
// change: T22.
func rootRunsUserFiles(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	unseen := ""
	runs := h.RootRuns()
	for _, r := range runs {
		writers, unknown := h.Writers(r.Path)
		if unknown != "" {
			unseen = unknown
		}
		for _, w := range writers {
			what := fmt.Sprintf("%s of %s: %s", r.What, r.By, r.Path)
			found := fmt.Sprintf("%s can write it (mode %04o)", w.Who, w.Mode)
			if w.Path != r.Path {
				found = fmt.Sprintf("%s can write %s (mode %04o)", w.Who, w.Path, w.Mode)
			}
			bad = append(bad, control.Saw(what, r.Place, found, "only root can write it and the folders above it"))
			break
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Failed(bad[0].Fact+": "+bad[0].Found, bad[:min(len(bad), maxFound)]...)
		if len(bad) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(bad)-1)
		}
		o.Persistent = control.No
		return o
	case h.Services.State != fact.Known:
		return control.CannotTell("the services could not be read: " + h.Services.Why)
	case h.Accounts.GroupState != fact.Known && len(runs) > 0:
		return unread(h.Accounts.GroupState, h.Accounts.GroupWhy) // who may write as a member
	case h.Cron.State != fact.Known:
		return control.CannotTell("not all cron tables could be read: " + asRoot(h, h.Cron.Why))
	case unseen != "":
		return control.CannotTell(asRoot(h, unseen))
	case len(runs) == 0:
		return control.DoesNotApply("no service and no cron job runs as root here")
	}
	o := control.Passed(fmt.Sprintf("%d programs, scripts and units that root uses can be changed by root only", len(runs)))
	o.Persistent = control.Yes
	return o
}

// rootFromHome finds services that run as root from somebody's home folder:
// an application that was meant to have a user of its own.
func rootFromHome(h *fact.Host) control.Outcome {
	if h.Services.State != fact.Known {
		return control.CannotTell("the services could not be read: " + h.Services.Why)
	}
	bad, checked := appsAsRoot(h)
	if len(bad) > 0 {
		o := control.Failed(fmt.Sprintf("%s %s", bad[0].Fact, bad[0].Found), bad...)
		o.Persistent = control.No
		return o
	}
	o := control.Passed(fmt.Sprintf("none of %d services runs an application of yours as root", checked))
	o.Persistent = control.Yes
	return o
}

// appsAsRoot are those services, and how many were looked at.
func appsAsRoot(h *fact.Host) (bad []control.Evidence, checked int) {
	for _, s := range h.Services.All {
		checked++
		if !s.Root() {
			continue
		}
		i := slices.IndexFunc(s.Execs, func(x fact.Exec) bool {
			return x.Key == "ExecStart" && slices.ContainsFunc(x.Paths, func(p string) bool {
				return strings.HasPrefix(p, "/home/") || strings.HasPrefix(p, "/opt/") || strings.HasPrefix(p, "/srv/") ||
					(strings.HasPrefix(p, "/usr/local/") || strings.HasPrefix(p, "/var/lib/")) && staysOn(h, s.Name)
			})
		})
		if i >= 0 {
			x := s.Execs[i]
			bad = append(bad, control.Saw(s.Name, x.Place, "runs "+strings.Join(x.Paths, " ")+" as root", "a user of its own (User=)"))
		}
	}
	return bad, checked
}

// staysOn is whether a service of the owner's own is one that goes on running,
// and no job such as a backup, which may well need to be root.
func staysOn(h *fact.Host, name string) bool {
	return slices.ContainsFunc(h.Sandboxes.All, func(c fact.Confined) bool {
		return c.Own && c.Service.Name == name && c.Now["Type"] != "" && c.Now["Type"] != "oneshot"
	})
}

// pythonEnvironments wants the owner's services to run a Python of their own,
// so that an upgrade of Debian does not change theirs, nor pip Debian's.
func pythonEnvironments(h *fact.Host) control.Outcome {
	if h.Services.State != fact.Known {
		return control.CannotTell("the services could not be read: " + h.Services.Why)
	}
	if h.Sockets.State != fact.Known && h.Snap.Source.Kind != "image" {
		return control.CannotTell("what listens could not be read: " + h.Sockets.Why)
	}
	all := h.Pythons()
	var bad []control.Evidence
	unseen := ""
	for _, p := range all {
		switch {
		case p.Env.Missing():
			unseen = p.Env.Why
		case !p.Env.V:
			bad = append(bad, control.Saw(p.Service, p.Place, "runs "+p.Program+", which is the system's", "the python of an environment of its own (venv)"))
		}
	}
	switch {
	case len(bad) == 0 && unseen != "":
		return control.CannotTell(asRoot(h, unseen))
	case len(all) == 0:
		return control.DoesNotApply("no service of this host's own runs Python")
	}
	return judged(bad, fmt.Sprintf("all %d services that run Python have an environment of their own", len(all)))
}

// secretsInUnits finds credentials in unit files, which everybody may read.
func secretsInUnits(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	read, unseen := 0, ""
	for _, pattern := range []string{"/etc/systemd/system/*", "/etc/systemd/system/*.d/*.conf", "/usr/local/lib/systemd/system/*"} {
		es, st, why := h.Snap.Glob(pattern)
		if st == fact.Denied || st == fact.Unknown {
			unseen = why
		}
		for _, e := range es {
			if e.Denied != "" {
				unseen = e.Denied
			}
			if !e.Read || e.Target != "" {
				continue
			}
			read++
			for i, line := range strings.Split(string(e.Content), "\n") {
				t := strings.TrimSpace(line)
				before, _, ok := strings.Cut(t, fact.Hidden)
				if !ok || strings.HasPrefix(t, "#") || strings.HasPrefix(t, ";") {
					continue
				}
				name := before
				if j := strings.LastIndexAny(strings.TrimRight(before, "= :"), " \t\"'="); j >= 0 {
					name = before[j+1:]
				}
				bad = append(bad, control.Saw("credential in a unit", fact.At(e.Path, i+1),
					strings.TrimRight(name, "=: ")+" is written out", "in a file that only the service can read (EnvironmentFile= or LoadCredential=)"))
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("%s: %s", bad[0].Place, bad[0].Found), bad...)
	case unseen != "":
		return control.CannotTell(asRoot(h, unseen))
	case read == 0:
		return control.DoesNotApply("this host has no unit files of its own")
	}
	return control.Passed("no unit file in /etc/systemd/system holds a credential")
}

// asRoot adds what helps to see more, where it would.
func asRoot(h *fact.Host, why string) string {
	if h.Snap.Root() || strings.Contains(why, "run as root") {
		return why
	}
	return why + "; run as root"
}
