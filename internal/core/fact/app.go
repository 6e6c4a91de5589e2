package fact

import (
	"path"
	"slices"
	"strings"
	"sync"

	"picket/catalogue"
	"picket/internal/core/app"
	"picket/internal/core/snap"
)

// Apps are the applications that Picket knows, and which of them the host has.
type Apps struct {
	All []App // by name
}

// App is one application as the host has it.
type App struct {
	app.App
	State State    // Known: the host has it; Absent: it does not
	Why   string   // for any state but Known
	Sign  string   // what it was recognised by
	files []appDir // what lies where its settings lie
}

// An appDir is what one pattern of an application's settings gave.
type appDir struct {
	group string
	files []AppFile
	state State // Denied or Unknown when a part of it could not be seen
	why   string
}

// An AppFile is one settings file of an application.
type AppFile struct {
	Entry    *snap.Entry
	Settings []AppSetting // in the order of the file
	State    State        // Known when it was read and understood
	Why      string
}

// KnownApps are those of the catalogue.
func KnownApps() []app.App { return knownApps() }

var knownApps = sync.OnceValue(func() []app.App {
	all, problems := app.Load(catalogue.Apps())
	if err := problems.Err(); err != nil {
		panic("the applications are broken: " + err.Error()) // a test reads them
	}
	return all
})

// AppNames are the applications that Picket knows.
func AppNames() []string {
	var out []string
	for _, a := range knownApps() {
		out = append(out, a.Name)
	}
	return out
}

// Get returns an application by its name.
func (as Apps) Get(name string) App {
	for _, a := range as.All {
		if a.Name == name {
			return a
		}
	}
	return App{State: Absent, Why: "there is no application of the name " + name}
}

// Found are the applications that the host has.
func (as Apps) Found() []App {
	return slices.DeleteFunc(slices.Clone(as.All), func(a App) bool { return a.State != Known })
}

// Files are the settings files of a group in rising precedence: as the
// application's patterns name them, and by name within one.
func (a App) Files(group string) []AppFile {
	var out []AppFile
	for _, d := range a.files {
		if d.group == group {
			out = append(out, d.files...)
		}
	}
	return out
}

// Unread is why a part of a group's settings is not known, "" when all is.
func (a App) Unread(group string) string {
	for _, d := range a.files {
		if d.group != group {
			continue
		}
		if d.why != "" {
			return d.why
		}
		for _, f := range d.files {
			if f.State != Known && f.State != Absent {
				return f.Why
			}
		}
	}
	return ""
}

// Value is what a merged group sets last for a key.
func (a App) Value(group string, key ...string) Value[string] {
	out := Not[string](Absent, strings.Join(key, ".")+" is not set")
	if why := a.Unread(group); why != "" {
		return Not[string](Unknown, why)
	}
	for _, f := range a.Files(group) {
		if s, ok := f.Last(key...); ok {
			out = Is(s.Value, s.Place)
		}
	}
	return out
}

func askApps(h *Host, _ *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for _, a := range h.Apps.All {
		for _, s := range a.Recognise.Signs() {
			if s.File != "" {
				m.Stats = append(m.Stats, s.File)
			}
		}
		if a.State != Known {
			continue
		}
		m.Stats = append(m.Stats, a.Look...)
		for _, s := range a.App.Settings {
			for _, p := range s.Files {
				m.Files = append(m.Files, p)
				m.Stats = append(m.Stats, path.Dir(p))
			}
		}
	}
	return m
}

func parseApps(h *Host, s *snap.Snapshot) {
	for _, known := range knownApps() {
		a := App{App: known}
		a.State, a.Sign, a.Why = recognise(h, s, known.Recognise)
		if a.State == Known {
			for group, settings := range known.Settings {
				for _, p := range settings.Files {
					a.files = append(a.files, readAppDir(s, group, settings.Format, p))
				}
			}
		}
		h.Apps.All = append(h.Apps.All, a)
	}
}

// recognise looks for the signs. What could not be seen leaves it open only
// where it would decide.
func recognise(h *Host, s *snap.Snapshot, r app.Recognise) (st State, by, why string) {
	unseen := ""
	for _, sign := range r.All {
		got, name, reason := lookFor(h, s, sign)
		switch got {
		case Known:
			by = name
		case Absent:
			return Absent, "", reason
		default:
			unseen = reason
		}
	}
	if unseen != "" {
		return Unknown, "", unseen
	}
	if len(r.Any) == 0 {
		return Known, by, ""
	}
	for _, sign := range r.Any {
		got, name, reason := lookFor(h, s, sign)
		switch {
		case got == Known:
			return Known, name, ""
		case got != Absent:
			unseen = reason
		case why == "":
			why = reason
		}
	}
	if unseen != "" {
		return Unknown, "", unseen
	}
	return Absent, "", why
}

// lookFor looks for one sign.
func lookFor(h *Host, s *snap.Snapshot, sign app.Sign) (st State, name, why string) {
	switch {
	case sign.File != "":
		es, st, why := s.Glob(sign.File)
		if len(es) > 0 {
			return Known, es[0].Path, ""
		}
		return st, "", why
	case sign.Package != "":
		has := h.Packages.Has(sign.Package)
		if !has.Known() {
			return has.State, "", has.Why
		}
		return found(has.V, "package "+sign.Package)
	case sign.Unit != "":
		u := h.Units.Get(sign.Unit)
		if u.Exists {
			return Known, sign.Unit, ""
		}
		if h.Units.State == Absent {
			return Absent, "", "there is no systemd"
		}
		return u.FileState.State, "", u.FileState.Why
	case sign.Account != "":
		if h.Accounts.State != Known {
			return Unknown, "", h.Accounts.Why
		}
		_, ok := h.Accounts.User(sign.Account)
		return found(ok, "account "+sign.Account)
	}
	if sign.Image != "" {
		return hasImage(h, s, sign.Image)
	}
	return listens(h, sign.Process)
}

// hasImage looks for an image among containers that run and services of
// compose files.
func hasImage(h *Host, s *snap.Snapshot, image string) (State, string, string) {
	for _, u := range h.ComposeUnits() {
		if u.Container != nil && ImageName(u.Container.Config.Image) == image {
			return Known, "container " + u.Container.Label(), ""
		}
		if u.Service != nil && ImageName(u.Service.Container.Config.Image) == image {
			return Known, u.Service.Label(), ""
		}
	}
	docker := h.HasDocker()
	has := docker.V
	engine := h.Units.Get("docker.service")
	off := engine.Active.Known() && !engine.Running()
	switch {
	case !docker.Known():
		return Unknown, "", docker.Why
	case has && s.Source.Kind != "image" && !h.Docker.Containers.Known() && !off:
		return Unknown, "", "which containers run is not known: " + h.Docker.Containers.Why
	case has && h.Composed.State != Known:
		return Unknown, "", h.Composed.Why
	}
	for _, p := range h.Composed.Projects {
		if why := p.Unread(); why != "" {
			return Unknown, "", why
		}
	}
	return Absent, "", "no container is of the image " + image
}

func found(ok bool, what string) (State, string, string) {
	if ok {
		return Known, what, ""
	}
	return Absent, "", "there is no " + what
}

// listens looks for a process among those that listen. Nothing runs on an
// image, and who is not root does not see everybody's.
func listens(h *Host, process string) (State, string, string) {
	unseen := ""
	for _, k := range h.Sockets.Listening {
		switch k.Process {
		case process:
			return Known, process + " at " + k.Where(), ""
		case "":
			unseen = "run as root to see who listens at " + k.Where()
		}
	}
	switch {
	case h.Snap.Source.Kind == "image":
	case h.Sockets.State != Known:
		return h.Sockets.State, "", h.Sockets.Why
	case unseen != "" && !h.Snap.Root():
		return Unknown, "", unseen
	}
	return Absent, "", "no " + process + " listens"
}

// readAppDir reads the files of one pattern.
func readAppDir(s *snap.Snapshot, group, format, pattern string) appDir {
	d := appDir{group: group}
	es, st, why := s.Glob(pattern)
	if st == Denied || st == Unknown {
		d.state, d.why = st, why
	}
	for _, e := range es {
		f := AppFile{Entry: e}
		switch _, f.State, f.Why = s.File(e.Path); {
		case format == "text" && s.Entries[e.Path].Cut:
			f.Settings, _ = appSettings(s.Entries[e.Path], format) // what was seen is there
		case f.State != Known:
		case e.Type == snap.Dir:
			continue
		default:
			if f.Settings, f.Why = appSettings(e, format); f.Why != "" {
				f.State = Unknown
			}
		}
		d.files = append(d.files, f)
	}
	return d
}
