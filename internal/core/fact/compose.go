package fact

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/compose"
	"picket/internal/core/snap"
)

// Composed are the projects of `docker compose` that a host has: those that the
// engine's containers were made of, and those that lie where they usually lie.
type Composed struct {
	Projects []ComposeProject
	State    State // Known when all places could be looked at
	Why      string
	// UnreadEnv is why a file of variables could not be read, "" when all could.
	UnreadEnv     string
	wants         []string // files that are still to be read
	secret        []string // files of variables that hold a secret
	values, bytes int      // how much the compose files hold
	led           []string // all files that compose files lead to, read or not
}

// A ComposeProject is some compose files over each other.
type ComposeProject struct {
	*compose.Project
	Name     string
	Started  bool // the engine has containers that were made of it
	Services []ComposeService
}

// Reached are the files that the project is made of, as far as it is followed.
func (p ComposeProject) Reached() []string {
	return slices.DeleteFunc(slices.Clone(p.Read), func(f string) bool {
		return !slices.Contains(p.Files, f) && f != path.Join(p.Dir, ".env") && !composeReach(p.Dir, f)
	})
}

// Unread is what could not be read or followed, "" when all could.
func (p ComposeProject) Unread() string {
	if len(p.Problems) == 0 {
		return ""
	}
	b := p.Problems[0]
	return Problem{At(b.File, b.Line), b.Text}.String()
}

// A ComposeService is a service as the engine would be asked to run it.
type ComposeService struct {
	compose.Service
	Project *ComposeProject
	// Container is as `docker inspect` would show it.
	Container Container
	Ports     []compose.Port
	byImage   map[string]bool   // keys that the file leaves to the image
	open      map[string]string // why the value of a key is not known
	places    map[string]Place
}

// Label names the service and its file for a person.
func (s ComposeService) Label() string { return "service " + s.Name + " of " + s.Project.Files[0] }

// Place is where a key of the service stands, or what is said there about it.
func (s ComposeService) At(key, what string) Place {
	best := s.places[key]
	long := 0
	for k, p := range s.places {
		if item, ok := strings.CutPrefix(k, key+" "); ok && len(item) > long && strings.HasPrefix(what, item) {
			best, long = p, len(item)
		}
	}
	if best.Path == "" {
		return At(s.File, s.Line)
	}
	return best
}

// Open says why the value of one of some keys is not known, "" when all are.
func (s ComposeService) Open(keys ...string) string {
	if s.Service.Open != "" {
		return s.Service.Open
	}
	for _, k := range keys {
		if why := s.open[k]; why != "" {
			return k + ": " + why
		}
	}
	return ""
}

// Unsure is why what the service asks for may be another, "" where it is what
// its files say: one that goes over them could not be read.
func (s ComposeService) Unsure() string {
	for _, b := range s.Project.Problems {
		if slices.Contains(s.Project.Files, b.File) {
			return Problem{At(b.File, b.Line), b.Text}.String()
		}
	}
	return ""
}

// ByImage reports whether the file leaves a key to the image.
func (s ComposeService) ByImage(key string) bool { return s.byImage[key] }

// composeFolders are where projects usually lie.
var composeFolders = []string{"/opt", "/opt/*", "/opt/*/*", "/srv", "/srv/*", "/srv/*/*", "/home/*", "/home/*/*", "/home/*/*/docker", "/root", "/root/*", "/etc/docker/compose/*"}

// maxComposeProjects is how many are read.
const maxComposeProjects = 60

func composePatterns() []string {
	var out []string
	for _, d := range composeFolders {
		for _, n := range []string{"compose.y*ml", "docker-compose.y*ml", "compose.override.y*ml", "docker-compose.override.y*ml"} {
			out = append(out, d+"/"+n)
		}
	}
	return out
}

// dockerPsAll tells of all containers, those that have stopped too, of which
// files they were made.
var dockerPsAll = []string{"docker", "ps", "-a", "--no-trunc", "--format", `{{.Label "com.docker.compose.project.working_dir"}}|{{.Label "com.docker.compose.project.config_files"}}`}

func askCompose(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: composePatterns()}
	if s.Source.Kind != "image" {
		m.Commands = append(m.Commands, snap.Command{Argv: dockerPsAll})
	}
	m.Files = append(m.Files, h.Composed.wants...)
	for _, p := range h.Composed.Projects {
		for _, f := range p.Reached() {
			m.Stats = append(m.Stats, withParents(f)...)
		}
	}
	return m
}

func parseCompose(h *Host, s *snap.Snapshot) {
	c := &h.Composed
	c.State = Known
	unseen := func(st State, why string) {
		if c.State == Known {
			c.State, c.Why = st, why
		}
	}
	var found []*compose.Project
	var named []string // folders whose project the engine names
	for _, l := range composeLabelled(h, s, unseen) {
		if _, st, _ := s.File(l.files[0]); st == Absent {
			continue // it is in another container, as Portainer's are, or gone: it says nothing any more
		}
		found = append(found, c.load(s, l.dir, l.files))
		for _, f := range l.files {
			named = append(named, realPath(s, f))
		}
	}
	started := len(found)
	have := map[string]bool{}
	var dirs []string
	for _, pattern := range composePatterns() {
		es, st, why := s.Glob(pattern)
		if st != Known && st != Absent {
			unseen(st, why)
		}
		for _, e := range es {
			if e.Type == snap.File {
				have[e.Path] = true
				dirs = append(dirs, path.Dir(e.Path))
			}
		}
	}
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		vars, _, _ := c.env(s, d, path.Join(d, ".env"))
		files := compose.Discover(d, vars, func(p string) bool { return have[p] })
		files = slices.DeleteFunc(files, func(f string) bool { return !composeReach(d, f) })
		// What another project has put in already is judged there.
		if len(files) == 0 || slices.Contains(named, realPath(s, files[0])) || slices.ContainsFunc(found, func(p *compose.Project) bool { return slices.Contains(p.Read, files[0]) }) {
			continue
		}
		if len(found) == maxComposeProjects {
			unseen(Unknown, "there are more compose files than are read")
			break
		}
		p := c.load(s, d, files)
		for _, n := range slices.Concat(compose.DefaultNames, compose.DefaultOverlay) {
			if _, st, why := s.Stat(path.Join(d, n)); st == Denied {
				p.Problems = append(p.Problems, compose.Problem{File: files[0], Text: "whether " + n + " changes it is not known: " + why})
			}
		}
		found = append(found, p)
	}
	for i, p := range found {
		c.Projects = append(c.Projects, ComposeProject{Project: p, Name: p.Name(), Started: i < started})
	}
	for i := range c.Projects {
		p := &c.Projects[i]
		for _, svc := range p.Project.Services() {
			p.Services = append(p.Services, composeService(p, svc))
		}
	}
}

// realPath is where a path leads, as far as that is known.
func realPath(s *snap.Snapshot, p string) string {
	if e := s.Entries[p]; e != nil && e.Real != "" {
		return e.Real
	}
	return p
}

// A labelled project is one that the engine's containers tell of.
type labelled struct {
	dir   string
	files []string
}

// composeLabelled are the projects that the engine's containers tell of.
func composeLabelled(h *Host, s *snap.Snapshot, unseen func(State, string)) []labelled {
	var out []labelled
	add := func(dir, files string) {
		l := composeLabels(dir, files)
		if len(l.files) == 0 || slices.ContainsFunc(out, func(o labelled) bool { return slices.Equal(o.files, l.files) }) {
			return
		}
		if len(out) < maxComposeProjects {
			out = append(out, l)
		} else {
			unseen(Unknown, "there are more compose projects than are read")
		}
	}
	for _, c := range h.Docker.Containers.V {
		add(c.Config.Labels["com.docker.compose.project.working_dir"], c.Config.Labels["com.docker.compose.project.config_files"])
	}
	o, st, why := s.Run(dockerPsAll...)
	switch {
	case o == nil && s.Complete(), st == Absent, s.Source.Kind == "image":
	case st != Known:
		unseen(st, dockerWhy(s, strings.Replace(why, snap.CommandKey(dockerPsAll...), "docker ps -a", 1)))
	default:
		for _, l := range outLines(o) {
			dir, files, _ := strings.Cut(l.text, "|")
			add(dir, files)
		}
	}
	return out
}

// composeLabels reads the labels: the older docker-compose writes names that
// are relative to the folder.
func composeLabels(dir, files string) labelled {
	if !path.IsAbs(dir) || path.Clean(dir) != dir {
		return labelled{}
	}
	l := labelled{dir: dir}
	for _, f := range strings.Split(files, ",") {
		if !path.IsAbs(f) {
			f = path.Join(dir, f)
		}
		if ext := path.Ext(f); (ext == ".yml" || ext == ".yaml") && path.Clean(f) == f && !strings.ContainsAny(f, "*?[\\") {
			l.files = append(l.files, f)
		}
	}
	return l
}

// composeReach reports whether a project may lead to a file: who writes a
// compose file is not to make us read whatever he wants.
func composeReach(dir, file string) bool {
	if strings.ContainsAny(file, "*?[\\") {
		return false
	}
	n := 2
	if strings.HasPrefix(dir, "/home/") {
		n = 3
	}
	for _, top := range []string{"/opt", "/srv", "/root", "/home"} {
		if strings.HasPrefix(dir+"/", top+"/") {
			parts := strings.SplitN(dir+"/", "/", n+1)
			return strings.HasPrefix(file, strings.Join(parts[:n], "/")+"/")
		}
	}
	return strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/") && strings.Count(dir, "/") > 1
}

// load reads one project from a snapshot and notes what is still to be read.
func (c *Composed) load(s *snap.Snapshot, dir string, files []string) *compose.Project {
	return compose.Load(compose.Source{
		File: func(p string) ([]*compose.Node, *compose.Problem) {
			if !slices.Contains(files, p) && !composeReach(dir, p) {
				return nil, &compose.Problem{File: p, Text: "it is not followed out of the project's folder"}
			}
			c.led = append(c.led, p)
			e, st, why := s.File(p)
			switch {
			case st == Known:
				if c.bytes += len(e.Content); c.bytes > maxComposeBytes {
					return nil, &compose.Problem{File: p, Text: "all compose files together are longer than is read"}
				}
				docs, bad := readCompose(e)
				for _, d := range docs {
					c.values += d.Size()
				}
				if c.values > maxComposeTotal {
					return nil, &compose.Problem{File: p, Text: "all compose files together say more than is read"}
				}
				return docs, bad
			case st == Unknown:
				c.wants = append(c.wants, p)
			}
			return nil, &compose.Problem{File: p, Text: why}
		},
		Env: func(p string) (compose.Vars, string, bool) { return c.env(s, dir, p) },
	}, dir, files)
}

// env reads a file of variables.
func (c *Composed) env(s *snap.Snapshot, dir, p string) (vars compose.Vars, why string, exists bool) {
	if !composeReach(dir, p) && p != path.Join(dir, ".env") {
		return nil, "it is not followed out of the project's folder", true
	}
	c.led = append(c.led, p)
	e, st, why := s.File(p)
	switch {
	case st == Absent:
		return nil, why, false
	case st == Unknown:
		c.wants = append(c.wants, p)
		return nil, why, true
	case st != Known:
		c.UnreadEnv = cmp.Or(c.UnreadEnv, why)
		return nil, why, true
	}
	list, why := envSettings(s, e, Secrets{})
	c.UnreadEnv = cmp.Or(c.UnreadEnv, why)
	vars = compose.Vars{}
	for _, v := range list {
		if what, ok := AppSecret(v.Value); ok && !strings.HasPrefix(what, SecretHashed) {
			c.secret = append(c.secret, p)
		}
		hidden := v.Value == valueNotKept || v.Value == Hidden || secretNote.MatchString(v.Value) || strings.Contains(v.Value, "$")
		vars[v.Last()] = compose.Var{Value: v.Value, Hidden: hidden}
	}
	return vars, why, true
}

// composeWants are the variables whose values decide something that is judged,
// by the compose files beside a file of variables, above and below it.
func composeWants(s *snap.Snapshot, env string) map[string]bool {
	out := map[string]bool{}
	if s == nil {
		return out
	}
	dir, left := path.Dir(env), maxComposeFile
	for _, p := range s.Paths() {
		ext, d := path.Ext(p), path.Dir(p)
		e := s.Entries[p]
		if ext != ".yml" && ext != ".yaml" || !e.Read || !strings.HasPrefix(d+"/", dir+"/") && !strings.HasPrefix(dir+"/", d+"/") {
			continue
		}
		if left -= len(e.Content); left < 0 {
			break
		}
		docs, _ := readCompose(e)
		for _, doc := range docs {
			composeReferences(doc, nil, out)
		}
	}
	return out
}

// composeReferences are the variables in what is kept as it is written.
func composeReferences(n *compose.Node, path []string, out map[string]bool) {
	form := deeper
	if len(path) > 0 {
		form = composeFormOf(path[:min(len(path), 5)])
	}
	if n.Kind == compose.Scalar && form != asNames && form != asWords {
		for _, name := range compose.Names(n.Text) {
			if !secretVariable(name) {
				out[name] = true
			}
		}
	}
	for i, it := range n.Items {
		below := path
		if n.Kind == compose.Map && form == deeper {
			below = append(slices.Clip(path), n.Keys[i])
		}
		composeReferences(it, below, out)
	}
}

// composeService is a service in the words of `docker inspect`.
func composeService(p *ComposeProject, svc compose.Service) ComposeService {
	s := ComposeService{Service: svc, Project: p, byImage: map[string]bool{}, open: map[string]string{}, places: map[string]Place{}}
	for i, k := range svc.Keys {
		s.places[k] = At(svc.Items[i].File, svc.Items[i].Line)
	}
	c := &s.Container
	c.Name = s.Name
	text := func(keys ...string) string {
		v, open := svc.Text(keys...)
		s.note(keys[0], open)
		return v
	}
	flag := func(keys ...string) bool {
		v, open := svc.Flag(keys...)
		s.note(keys[0], open)
		return v
	}
	list := func(key string) (out []string) {
		for _, n := range svc.List(key) {
			s.note(key, n.Open)
			if n.Open == "" {
				out = append(out, n.Text)
				s.places[key+" "+n.Text] = At(n.File, n.Line)
			}
		}
		return out
	}
	h := &c.HostConfig
	h.Privileged, h.ReadonlyRootfs = flag("privileged"), flag("read_only")
	h.PidMode, h.IpcMode, h.UTSMode, h.UsernsMode = text("pid"), text("ipc"), text("uts"), text("userns_mode")
	h.NetworkMode = cmp.Or(text("network_mode"), p.Name+"_"+svc.Networks()[0])
	h.CapAdd = list("cap_add")
	for _, n := range svc.List("cap_add") {
		s.places["cap_add CAP_"+strings.TrimPrefix(strings.ToUpper(n.Text), "CAP_")] = At(n.File, n.Line)
	}
	h.CapDrop, h.SecurityOpt = list("cap_drop"), list("security_opt")
	if m := cmp.Or(text("deploy", "resources", "limits", "memory"), text("mem_limit")); m != "" {
		n, ok := compose.Bytes(m)
		if h.Memory = n; !ok && s.open["mem_limit"] == "" && s.open["deploy"] == "" {
			s.note("mem_limit", "it is no size that is understood")
		}
	}
	if v := cmp.Or(text("deploy", "resources", "limits", "pids"), text("pids_limit")); v != "" {
		n, ok := compose.Bytes(v)
		if h.PidsLimit = &n; !ok {
			s.note("pids_limit", "it is no number")
		}
	}
	for _, n := range svc.List("devices") {
		src := n.Text
		if n.Kind == compose.Map {
			src = ""
			if v := n.Get("source"); v != nil {
				src = v.Text
				s.note("devices", v.Open)
			}
		}
		s.note("devices", n.Open)
		src, _, _ = strings.Cut(src, ":")
		h.Devices = append(h.Devices, struct{ PathOnHost string }{src})
		s.places["devices "+src] = At(n.File, n.Line)
	}
	s.mounts()
	if c.Config.User = text("user"); s.Get("user") == nil {
		s.byImage["user"] = true
	}
	c.Config.Image = text("image")
	if c.Config.Image == "" && s.Get("build") != nil {
		c.Built = true
	}
	s.environment()
	s.health()
	c.Config.Labels = map[string]string{"com.docker.compose.service": s.Name, "com.docker.compose.project": p.Name}
	s.Ports = svc.Ports()
	for _, port := range s.Ports {
		s.note("ports", port.Open)
	}
	return s
}

func (s *ComposeService) note(key, open string) {
	if open != "" && s.open[key] == "" {
		s.open[key] = open
	}
}

func (s *ComposeService) mounts() {
	for _, v := range s.Volumes() {
		at := At(s.File, s.Line)
		if v.At != nil {
			at = At(v.At.File, v.At.Line)
		}
		if strings.HasPrefix(v.Source, "~") && v.Type == "bind" {
			v.Source, v.Open = s.home(v.Source)
		}
		if v.Open != "" {
			s.note("volumes", v.Open)
			continue
		}
		if v.Type == "bind" {
			v.Source = path.Clean(v.Source)
		}
		s.Container.Mounts = append(s.Container.Mounts, ContainerMount{Type: v.Type, Source: v.Source, Destination: v.Target, Propagation: v.Propagation, RW: !v.ReadOnly})
		s.places["volumes "+v.Source] = at
	}
	if s.Get("volumes_from") != nil {
		s.note("volumes", "volumes_from is not followed")
	}
}

// home is the path in the home folder of whoever starts the project: the one in
// which it lies.
func (s *ComposeService) home(p string) (string, string) {
	dir := s.Project.Dir
	rest, ok := strings.CutPrefix(p, "~")
	switch {
	case !ok || rest != "" && rest[0] != '/':
	case strings.HasPrefix(dir+"/", "/root/"):
		return "/root" + rest, ""
	case strings.HasPrefix(dir, "/home/"):
		return strings.Join(strings.SplitN(dir+"/", "/", 4)[:3], "/") + rest, ""
	}
	return "", fmt.Sprintf("whose home folder %s is in is not known", p)
}

// environment is the variables, as `docker inspect` is kept: none of their
// values.
func (s *ComposeService) environment() {
	env := s.Named("environment")
	s.note("environment", env.Open)
	for i, name := range env.Keys {
		v := env.Items[i]
		value := ""
		if v.Kind == compose.Scalar && (v.Text != "" || v.Open != "") && !strings.HasSuffix(v.Open, "is set in no file that was read") {
			value = Hidden
		}
		s.Container.Config.Env = append(s.Container.Config.Env, name+"="+value)
		s.places["environment "+name] = At(v.File, v.Line)
	}
}

func (s *ComposeService) health() {
	off, open := s.Flag("healthcheck", "disable")
	s.note("healthcheck", open)
	test := s.List("healthcheck", "test")
	switch {
	case off:
		s.Container.Config.Healthcheck = &struct{ Test []string }{[]string{"NONE"}}
	case len(test) > 0:
		s.Container.Config.Healthcheck = &struct{ Test []string }{[]string{test[0].Text}}
	default:
		s.byImage["healthcheck"] = true
	}
}

// composeRedactions cover the files under their usual names.
func composeRedactions() []redaction {
	var out []redaction
	for _, p := range composePatterns() {
		out = append(out, redaction{p, redactCompose})
	}
	return out
}

// ledByCompose tells of files that only compose files or the engine lead to how
// they are kept, nil for any other.
func ledByCompose(s *snap.Snapshot) func(p string) func(*snap.Snapshot, *snap.Entry, Secrets) []byte {
	h := &Host{Snap: s}
	parseDocker(h, s)
	parseCompose(h, s)
	led := map[string]bool{}
	for _, p := range h.Composed.led {
		led[p] = true
	}
	return func(p string) func(*snap.Snapshot, *snap.Entry, Secrets) []byte {
		switch {
		case !led[p]:
			return nil
		case path.Ext(p) == ".yml" || path.Ext(p) == ".yaml":
			return redactCompose
		}
		return keepEnv
	}
}

// A ComposeUnit is what runs and what a compose file says of it: a container
// that was made of a service, one that was made without, or a service that does
// not run.
type ComposeUnit struct {
	Container *Container      // nil: it does not run
	Service   *ComposeService // nil: no file that is known says anything of it
	Unread    string          // the file that it was made of could not be read: why
}

// ComposeUnits brings together what runs and what compose files say.
func (h *Host) ComposeUnits() []ComposeUnit {
	var out []ComposeUnit
	runs := map[*ComposeService]bool{}
	for i := range h.Docker.Containers.V {
		c := h.Docker.Containers.V[i]
		u := ComposeUnit{Container: &c}
		labels := c.Config.Labels
		l := composeLabels(labels["com.docker.compose.project.working_dir"], labels["com.docker.compose.project.config_files"])
		if len(l.files) > 0 && !strings.EqualFold(labels["com.docker.compose.oneoff"], "true") {
			u.Service, u.Unread = h.Composed.service(l, labels["com.docker.compose.service"])
		}
		if s := u.Service; s != nil {
			runs[s] = true
			c.Built = s.Container.Built
		}
		if project, name := labels["com.docker.compose.project"], labels["com.docker.compose.service"]; u.Unread != "" || u.Service != nil && u.Service.Unsure() != "" {
			c.Built = c.Config.Image == project+"-"+name || c.Config.Image == project+"_"+name // by its name, as compose gives it
		}
		out = append(out, u)
	}
	for i := range h.Composed.Projects {
		p := &h.Composed.Projects[i]
		for j := range p.Services {
			if !runs[&p.Services[j]] {
				out = append(out, ComposeUnit{Service: &p.Services[j]})
			}
		}
	}
	return out
}

// service is what a container was made of; why says why that is not known.
func (c *Composed) service(l labelled, name string) (s *ComposeService, why string) {
	for i := range c.Projects {
		p := &c.Projects[i]
		if !slices.Equal(p.Files, l.files) {
			continue
		}
		for j := range p.Services {
			if p.Services[j].Name == name {
				return &p.Services[j], ""
			}
		}
		if why := p.Unread(); why != "" {
			return nil, why
		}
	}
	return nil, ""
}

// A WrittenSecret is one that stands in a compose file itself.
type WrittenSecret struct {
	Name  string // of the variable, option or label
	Kind  string // what is known of it, as of AppSecret
	Place Place
}

// WrittenOut are the secrets that the files say of a service: not those that a
// variable stands for, nor hashes of passwords.
func (s ComposeService) WrittenOut() []WrittenSecret {
	var out []WrittenSecret
	add := func(name string, n *compose.Node, value string) {
		kind, ok := AppSecret(value)
		if ext := path.Ext(n.File); ok && n.Open == "" && !strings.HasPrefix(kind, SecretHashed) && (ext == ".yml" || ext == ".yaml") {
			out = append(out, WrittenSecret{name, kind, At(n.File, n.Line)})
		}
	}
	for _, keys := range [][]string{{"environment"}, {"build", "args"}, {"labels"}, {"deploy", "labels"}} {
		m := s.Named(keys...)
		for i, k := range m.Keys {
			add(k, m.Items[i], m.Items[i].Text)
		}
	}
	for _, key := range []string{"command", "entrypoint"} {
		for _, n := range s.List(key) {
			name, value, has := strings.Cut(n.Text, "=")
			if !has {
				name, value = key, n.Text
			}
			add(name, n, value)
		}
	}
	return out
}

// Internal reports whether a network of the project leads nowhere but to those
// that are in it.
func (p ComposeProject) Internal(name string) (bool, string) {
	n := compose.Service{Node: p.Top.Get("networks", name)}
	if n.Node == nil {
		return false, ""
	}
	if n.Get("external") != nil {
		return false, "network " + name + " was made by somebody else"
	}
	return n.Flag("internal")
}

// ImageName is the last part of an image's name, without its tag.
func ImageName(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// EnvFiles are the files of variables that hold a secret, but those that lie
// where SecretFiles has them.
func (c Composed) EnvFiles() []string {
	var out []string
	for _, f := range c.secret {
		if !slices.ContainsFunc(SecretFiles, func(pattern string) bool { return snap.Match(pattern, f) }) && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// Flags are the settings of a program's command line that are kept, and those of
// its environment: --api.insecure=true, TRAEFIK_API_INSECURE=true.
func (s ComposeService) Flags() []AppSetting {
	var out []AppSetting
	add := func(n *compose.Node, key []string, value string) {
		if n.Open != "" {
			value = valueNotKept
		}
		out = append(out, AppSetting{key, value, At(n.File, n.Line)})
	}
	for _, key := range []string{"entrypoint", "command"} {
		for _, n := range s.List(key) {
			if name, value, ok := strings.Cut(n.Text, "="); ok && strings.HasPrefix(name, "--") {
				add(n, strings.Split(name[2:], "."), value)
			}
		}
	}
	env := s.Named("environment")
	for i, k := range env.Keys {
		if name, ok := strings.CutPrefix(k, "TRAEFIK_"); ok {
			add(env.Items[i], strings.Split(strings.ToLower(name), "_"), env.Items[i].Text)
		}
	}
	return out
}

// Variables are those of its environment whose names begin so, with as much of
// their values as is kept.
func (s ComposeService) Variables(prefix string) []AppSetting {
	var out []AppSetting
	env := s.Named("environment")
	for i, k := range env.Keys {
		if n := env.Items[i]; strings.HasPrefix(k, prefix) && n.Kind == compose.Scalar {
			v := n.Text
			if n.Open != "" && v != "" {
				v = valueNotKept
			}
			out = append(out, AppSetting{[]string{k}, v, At(n.File, n.Line)})
		}
	}
	return out
}

// NotKept reports whether nothing is known of a setting's value.
func (s AppSetting) NotKept() bool { return s.Value == valueNotKept }

// Labels are those of its labels whose values are kept.
func (s ComposeService) Labels() []AppSetting {
	var out []AppSetting
	m := s.Named("labels")
	for i, k := range m.Keys {
		if n := m.Items[i]; n.Open == "" && n.Text != valueNotKept {
			out = append(out, AppSetting{strings.Split(k, "."), n.Text, At(n.File, n.Line)})
		}
	}
	return out
}

// Image finds the services that run an image, or whose name is that of the
// program.
func (c Composed) Image(name string) []*ComposeService {
	var out []*ComposeService
	for i := range c.Projects {
		for j := range c.Projects[i].Services {
			s := &c.Projects[i].Services[j]
			if image := ImageName(s.Container.Config.Image); image == name || image == "" && s.Name == name {
				out = append(out, s)
			}
		}
	}
	return out
}
