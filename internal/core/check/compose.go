package check

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// containers makes a rule about each container that runs and each service of a
// compose file: what it finds of one is bad. keys are those of the file that
// decide. What a container and its service have in common is told once.
func containers(does, wanted, keys string, bad func(fact.Container) []string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		if o, ok := noContainers(h); !ok {
			return o
		}
		r := &containerRule{h: h, does: does, wanted: wanted, keys: strings.Fields(keys), bad: bad}
		units := h.ComposeUnits()
		for _, u := range units {
			r.judge(u)
		}
		if len(r.ev) > 0 {
			return r.failed()
		}
		return r.fine(units)
	}
}

// A containerRule collects what is found.
type containerRule struct {
	h            *fact.Host
	does, wanted string
	keys         []string
	bad          func(fact.Container) []string

	ev      []control.Evidence
	first   string // the reason
	running bool   // something that runs has it
	file    bool   // a compose file asks for it
	mended  int    // what runs so and no longer would, by its file
	open    string // why something is not known

	containers, services int // how many have something bad; what runs is a container
}

func (r *containerRule) note(why string) {
	if r.open == "" {
		r.open = why
	}
}

// judge compares what runs with what its compose file says.
func (r *containerRule) judge(u fact.ComposeUnit) {
	var now, next []string
	before := len(r.ev)
	s := u.Service
	if u.Container != nil {
		now = r.bad(*u.Container)
	}
	image := false // the file leaves it to the image
	if s != nil {
		next = r.bad(s.Container)
		image = slices.ContainsFunc(r.keys, s.ByImage)
		if open := s.Open(r.keys...); open != "" {
			r.note(s.Label() + ": " + open)
		}
		unsure := s.Unsure()
		if unsure != "" {
			r.note(s.Label() + ": " + unsure)
			next, image = nil, true
		} else if image {
			next = nil
			if u.Container == nil {
				r.note(s.Label() + " does not run, and its image says what holds")
			}
		}
	}
	for _, what := range now {
		r.running = true
		place := r.h.Docker.Containers.Place
		name, file := u.Container.Label(), ""
		if s != nil {
			file = s.Project.Files[0]
		}
		switch {
		case s == nil:
			r.add("container "+name, place, file, what, name+" "+r.does+": "+what)
		case slices.Contains(next, what):
			r.file = true
			r.add("container "+name, r.at(s, what), file, what+" (in the file, and it runs so)", name+" "+r.does+": "+what)
		case image, s.Open(r.keys...) != "", r.keys[0] == "environment":
			r.add("container "+name, place, file, what+" (it runs so, and the compose file does not say)", name+" "+r.does+": "+what)
		default:
			r.mended++
			r.add("container "+name, place, file, what+" (it runs so, and no longer so in "+file+")",
				fmt.Sprintf("%s %s: %s (no longer so in its compose file: docker compose up -d)", name, r.does, what))
		}
	}
	for _, what := range next {
		if slices.Contains(now, what) {
			continue
		}
		r.file = true
		at, file := r.at(s, what), s.Project.Files[0]
		if u.Container != nil {
			r.add("container "+u.Container.Label(), at, file, what+" (in the file, and it runs without)",
				fmt.Sprintf("%s %s: %s (from the next `docker compose up` on)", u.Container.Label(), r.does, what))
			continue
		}
		name, runs := s.Label(), "it does not run"
		if at.Path == file {
			name = "service " + s.Name // the place names the file already
		}
		if r.h.Snap.Source.Kind == "image" {
			runs = "whether it runs is not known on an image"
		}
		r.add(name, at, file, what+" ("+runs+")", fmt.Sprintf("%s %s: %s (%s)", s.Label(), r.does, what, runs))
	}
	if len(r.ev) == before {
		return
	}
	if u.Container != nil {
		r.containers++
	} else {
		r.services++
	}
}

// add notes what was found; file is the compose file to mend where the place is
// none, as `docker inspect` and a file of variables are.
func (r *containerRule) add(what string, at fact.Place, file, found, reason string) {
	e := control.Saw(what, at, found, r.wanted)
	if ext := path.Ext(at.Path); ext != ".yml" && ext != ".yaml" {
		e = e.Mend(file)
	}
	r.ev = append(r.ev, e)
	if r.first == "" {
		r.first = reason
	}
}

// at is where the file says it.
func (r *containerRule) at(s *fact.ComposeService, what string) fact.Place {
	for _, k := range r.keys {
		if s.Get(k) != nil && (len(r.keys) == 1 || strings.Contains(what, k+":")) {
			return s.At(k, what)
		}
	}
	return s.At(r.keys[0], what)
}

func (r *containerRule) failed() control.Outcome {
	o := control.Outcome{Reason: r.first, Evidence: r.ev[:min(len(r.ev), maxFound)]}
	switch {
	case r.running:
		o.Effective = control.No
	case r.h.Docker.Containers.Known() && len(r.h.Docker.Containers.V) > 0:
		o.Effective = control.Yes
	}
	switch {
	case r.file:
		o.Configured, o.Persistent = control.No, control.No
	case r.mended == len(r.ev):
		o.Configured, o.Persistent = control.Yes, control.No
	}
	o = o.Judge()
	o.Reason += r.others()
	return o
}

// others counts those that the reason does not name: it names the first, and
// containers come first.
func (r *containerRule) others() string {
	cs, services := r.containers, r.services
	if cs > 0 {
		cs--
	} else {
		services--
	}
	out := ""
	for _, of := range []struct {
		n    int
		what string
	}{{cs, "container"}, {services, "service"}} {
		if of.n > 0 {
			out += ", and " + counted(of.n, "more "+of.what)
		}
	}
	return out
}

func counted(n int, what string) string {
	return fmt.Sprintf("%d %s", n, plural(n, what, what+"s"))
}

// fine is the outcome where nothing bad was found.
func (r *containerRule) fine(units []fact.ComposeUnit) control.Outcome {
	h, cs := r.h, r.h.Docker.Containers
	docker := h.HasDocker()
	off := !cs.Known() && docker.Known() && !docker.V && cs.State == fact.Absent // there is nothing that could run one
	off = off || !cs.Known() && h.Units.Get("docker.service").Active.Known() && !h.Units.Get("docker.service").Running() && !h.Units.Get("docker.socket").Running()
	image := h.Snap.Source.Kind == "image"
	if !image && !cs.Known() && !off {
		return control.CannotTell("which containers run is not known: " + cs.Why)
	}
	if why := unreadCompose(h); why != "" {
		return control.CannotTell(why)
	}
	if image {
		return control.CannotTell("on an image no container runs; audit the running host")
	}
	runs := len(cs.V)
	switch {
	case r.open != "":
		return control.CannotTell(r.open)
	case len(units) == 0 && off:
		return control.DoesNotApply("the engine does not run")
	case len(units) == 0:
		return control.DoesNotApply("no container runs")
	case len(units) > runs && off:
		return control.Passed("none of " + counted(len(units), "service") + " of compose files, and the engine does not run")
	case len(units) > runs:
		return control.Passed(fmt.Sprintf("none of %s that run and %s of compose files that do not", counted(runs, "container"), counted(len(units)-runs, "service")))
	}
	return control.Passed("none of " + counted(runs, "container") + " that run")
}

// unreadCompose is why not all compose files are known, "" where they are.
func unreadCompose(h *fact.Host) string {
	if h.Composed.State != fact.Known {
		return asRoot(h, "not all compose files could be looked for: "+h.Composed.Why)
	}
	for _, p := range h.Composed.Projects {
		if why := p.Unread(); why != "" {
			return asRoot(h, "a compose file is not understood: "+why)
		}
	}
	return ""
}

// noCompose says why a rule about compose files does not apply or cannot tell
// where it found nothing.
func noCompose(h *fact.Host, pass string) control.Outcome {
	switch why := unreadCompose(h); {
	case why != "":
		return control.CannotTell(why)
	case len(h.Composed.Projects) == 0:
		return control.DoesNotApply("there is no compose file where they usually lie, and no container was made of one")
	}
	o := control.Passed(pass)
	o.Persistent = control.Yes
	return o
}

// composeFiles finds compose files that somebody can change who is not root: what
// they say is done by the engine, which is.
func composeFiles(h *fact.Host) control.Outcome {
	if o, ok := noContainers(h); !ok {
		return o
	}
	var bad []control.Evidence
	unseen, looked := "", false
	for _, p := range h.Composed.Projects {
		if !p.Started && strings.HasPrefix(p.Dir+"/", "/home/") {
			continue // somebody's own, and nobody has started it
		}
		looked = true
		for _, f := range p.Reached() {
			writers, unknown := h.Writers(f)
			if unknown != "" {
				unseen = unknown
			}
			for _, w := range writers {
				if len(w.Accounts) > 0 && (h.Accounts.State != fact.Known || h.Accounts.GroupState != fact.Known) {
					unseen = "who may ask Docker anyway is not known"
					continue
				}
				if len(w.Accounts) > 0 && !slices.ContainsFunc(w.Accounts, func(a string) bool { return !asGoodAsRoot(h, a) }) {
					continue
				}
				found := fmt.Sprintf("%s can write it (mode %04o)", w.Who, w.Mode)
				if w.Path != f {
					found = fmt.Sprintf("%s can write %s (mode %04o)", w.Who, w.Path, w.Mode)
				}
				bad = append(bad, control.Saw(f, fact.Place{Path: f}, found, "only root, or who may ask Docker").Mend(w.Path))
				break
			}
		}
	}
	switch {
	case len(bad) > 0:
		return judged(bad[:min(len(bad), maxFound)], "")
	case looked && h.Accounts.GroupState != fact.Known:
		return unread(h.Accounts.GroupState, h.Accounts.GroupWhy)
	case looked && h.Accounts.State != fact.Known:
		return unread(h.Accounts.State, h.Accounts.Why)
	case unseen != "":
		return control.CannotTell(asRoot(h, unseen))
	}
	return noCompose(h, "what the engine is told by compose files only root changes, or who may ask it anyway")
}

// asGoodAsRoot is whether an account may ask Docker or become root anyway.
func asGoodAsRoot(h *fact.Host, account string) bool {
	return account == "root" || slices.ContainsFunc(h.Accounts.Groups, func(g fact.Group) bool {
		return slices.Contains([]string{"docker", "sudo", "root"}, g.Name) && slices.Contains(h.Accounts.Members(g), account)
	})
}

// composeSecrets finds secrets that are written out in compose files.
func composeSecrets(h *fact.Host) control.Outcome {
	if o, ok := noContainers(h); !ok {
		return o
	}
	var bad []control.Evidence
	for _, p := range h.Composed.Projects {
		for _, s := range p.Services {
			for _, w := range s.WrittenOut() {
				what := "written out (" + w.Kind + ")"
				if w.Kind == fact.SecretFactory {
					what = "written out, and everybody knows it"
				}
				bad = append(bad, control.Saw(w.Name+" of service "+s.Name, w.Place, what, "a file that only root reads (secrets:), or a variable that .env fills in"))
			}
		}
	}
	if len(bad) > 0 {
		return judged(bad[:min(len(bad), maxFound)], "")
	}
	return noCompose(h, "no secret is written out in a compose file")
}

// databases are images of programs that answer to other containers alone.
var databases = []string{"postgres", "postgresql", "timescaledb", "mysql", "mariadb", "percona", "mongo", "mongodb", "redis", "valkey", "keydb", "memcached",
	"influxdb", "elasticsearch", "opensearch", "cassandra", "couchdb", "clickhouse", "clickhouse-server", "etcd", "qdrant", "milvus", "weaviate", "ollama"}

// internalNetworks wants databases to be where no packet leaves the host.
func internalNetworks(h *fact.Host) control.Outcome {
	if o, ok := noContainers(h); !ok {
		return o
	}
	var bad []control.Evidence
	open, first, seen := "", "", false
	for _, p := range h.Composed.Projects {
		for _, s := range p.Services {
			if !slices.Contains(databases, fact.ImageName(s.Container.Config.Image)) || len(s.Ports) > 0 || s.Get("network_mode") != nil {
				continue
			}
			seen = true
			for _, n := range s.Networks() {
				inner, why := p.Internal(n)
				if unsure := s.Unsure(); unsure != "" {
					why = unsure
				}
				switch {
				case why != "":
					open = s.Label() + ": " + why
				case !inner:
					first = cmp.Or(first, s.Label())
					bad = append(bad, control.Saw("service "+s.Name, s.At("networks", n), "network "+n+", which leads out of the host", "internal: true"))
				}
			}
		}
	}
	switch {
	case len(bad) > 0:
		o := judged(bad[:min(len(bad), maxFound)], "")
		o.Reason = first + strings.TrimPrefix(o.Reason, bad[0].Fact)
		return o
	case open != "":
		return control.CannotTell(open)
	case !seen && len(h.Composed.Projects) > 0 && unreadCompose(h) == "":
		return control.DoesNotApply("no compose file runs a database that only other containers ask")
	}
	return noCompose(h, "databases are in networks that lead nowhere")
}
