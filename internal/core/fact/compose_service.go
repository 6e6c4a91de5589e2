package fact

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/compose"
)

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
		} else if d := s.Project.Top.Get("volumes", v.Source, "driver_opts", "device"); d.Is(compose.Scalar) && (d.Open != "" && strings.HasPrefix(d.Text, "$") || strings.HasPrefix(d.Text, "/") && !strings.HasPrefix(d.Text, "//")) {
			s.note("volumes", "volume "+v.Source+" is "+d.Text+" of the host, which `docker inspect` does not tell") // a bind by another name
		}
		s.Container.Mounts = append(s.Container.Mounts, ContainerMount{Type: v.Type, Source: v.Source, Destination: v.Target, Propagation: v.Propagation, RW: !v.ReadOnly})
		s.places["volumes "+v.Source] = at
	}
	for _, n := range s.List("secrets") { // a secret of a file is a mount like any other
		f := s.Project.Top.Get("secrets", n.Text, "file")
		switch {
		case !f.Is(compose.Scalar) || f.Text == "":
		case f.Open != "":
			s.note("volumes", f.Open)
		default:
			src := f.Text
			if !path.IsAbs(src) {
				src = path.Join(s.Project.Dir, src)
			}
			s.Container.Mounts = append(s.Container.Mounts, ContainerMount{Type: "bind", Source: path.Clean(src), Destination: "/run/secrets/" + n.Text})
			s.places["volumes "+path.Clean(src)] = At(n.File, n.Line)
		}
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

// ImageName is the last part of an image's name, without its tag.
func ImageName(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// Flags are the settings of a program's command line that are kept, and those of
// its environment: --api.insecure=true, TRAEFIK_API_INSECURE=true. A word of which
// nothing is known is a setting "command".
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
			} else if n.Open != "" {
				add(n, []string{key}, "") // settings may be in it
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
