package fact

import (
	"slices"
	"strings"

	"picket/internal/core/compose"
	"picket/internal/core/snap"
)

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
