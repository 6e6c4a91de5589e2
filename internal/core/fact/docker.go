package fact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Docker is the engine and what runs in it, asked through its socket; nothing
// is changed by asking.
type Docker struct {
	Config     DaemonConfig
	Info       Value[DockerInfo]
	Containers Value[[]Container] // that run
}

// DaemonConfig is /etc/docker/daemon.json, and over it the options that the
// unit's command line has.
type DaemonConfig struct {
	State  State // Known also where there is no file: then all is by default
	Why    string
	Place  Place
	values map[string]any
	places map[string]Place
}

// DockerInfo is what the running engine says of itself.
type DockerInfo struct {
	ServerVersion      string
	SecurityOptions    []string
	LiveRestoreEnabled bool
	LoggingDriver      string
	RegistryConfig     struct {
		InsecureRegistryCIDRs []string
		IndexConfigs          map[string]struct{ Secure bool }
	}
}

// Container is one that runs, as far as rules judge it. The names are those of
// `docker inspect`. Of the environment's values none is kept.
type Container struct {
	ID              string `json:"Id"`
	Name            string
	AppArmorProfile string
	HostConfig      struct {
		Privileged     bool
		PidMode        string
		IpcMode        string
		UTSMode        string
		NetworkMode    string
		UsernsMode     string
		CapAdd         []string
		CapDrop        []string
		ReadonlyRootfs bool
		SecurityOpt    []string
		Memory         int64
		PidsLimit      *int64
		Devices        []struct{ PathOnHost string }
	}
	Mounts []ContainerMount
	Config struct {
		User        string
		Env         []string // NAME=[secret], NAME= where it is empty
		Image       string
		Healthcheck *struct{ Test []string } // its first word alone
		Labels      map[string]string        // those of compose
	}
	Built           bool `json:"-"` // its compose file builds the image
	NetworkSettings struct {
		Networks map[string]struct{ NetworkID string }
	}
}

// A ContainerMount brings a file or folder into a container.
type ContainerMount struct {
	Type, Source, Destination, Propagation string
	RW                                     bool
}

// Label is the container's name for a person, with the service that compose
// made it of.
func (c Container) Label() string {
	name := strings.TrimPrefix(c.Name, "/")
	if s := c.Config.Labels["com.docker.compose.service"]; s != "" && s != name {
		return name + " (service " + s + ")"
	}
	return name
}

const daemonJSON = "/etc/docker/daemon.json"

var (
	dockerPs      = []string{"docker", "ps", "-q", "--no-trunc"}
	dockerInfo    = []string{"docker", "info", "--format", "{{json .}}"}
	dockerInspect = []string{"docker", "inspect"}
	containerID   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// maxContainers is how many are asked about.
const maxContainers = 200

func askDocker(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files:    []string{daemonJSON},
		Stats:    []string{"/etc/docker", "/run/docker.sock", "/usr/bin/dockerd", "/usr/sbin/dockerd"},
		Commands: []snap.Command{{Argv: dockerPs}, {Argv: dockerInfo}},
	}
	if argv := inspectArgv(s); argv != nil {
		m.Commands = append(m.Commands, snap.Command{Argv: argv})
	}
	return m
}

// inspectArgv asks about the containers that are known to run.
func inspectArgv(s *snap.Snapshot) []string {
	o, st, _ := s.Run(dockerPs...)
	if st != Known || o.Exit != 0 {
		return nil
	}
	argv := slices.Clone(dockerInspect)
	for _, id := range strings.Fields(string(o.Stdout)) {
		if containerID.MatchString(id) && len(argv) < maxContainers+len(dockerInspect) {
			argv = append(argv, id)
		}
	}
	if len(argv) == len(dockerInspect) {
		return nil
	}
	return argv
}

// dockerPackages bring the engine. podman-docker is not one: its docker is
// Podman, which has no engine and does not read daemon.json.
var dockerPackages = []string{"docker.io", "docker-ce", "moby-engine"}

// HasDocker reports whether Docker's engine is installed, by its program or by
// the list of packages: of an image there may be only the one or the other.
func (h *Host) HasDocker() Value[bool] {
	unseen := Value[bool]{}
	for _, p := range []string{"/usr/bin/dockerd", "/usr/sbin/dockerd"} {
		switch _, st, why := h.Snap.Stat(p); st {
		case Known:
			return Is(true, Place{Path: p})
		case Unknown, Denied:
			unseen = Not[bool](st, why)
		}
	}
	for _, name := range dockerPackages {
		if has := h.Packages.Has(name); has.V {
			return has
		}
	}
	if unseen.Why != "" {
		return unseen
	}
	if h.Packages.State != Known && h.Packages.Why != "" && !h.withoutDpkg() {
		return Not[bool](h.Packages.State, h.Packages.Why)
	}
	return Is(false, Place{})
}

// withoutDpkg reports whether there is no list of Debian packages at all.
func (h *Host) withoutDpkg() bool {
	o, st, _ := h.Snap.Run(dpkgQuery...)
	_, file, _ := h.Snap.File(dpkgStatus)
	return st == Absent || file == Absent && (o == nil || h.Snap.Source.Kind == "image")
}

func parseDocker(h *Host, s *snap.Snapshot) {
	d := &h.Docker
	d.Config = readDaemonConfig(h, s)
	d.Info = asked(s, dockerInfo, func(o *snap.Output) (info DockerInfo, why string) {
		if err := json.Unmarshal(o.Stdout, &info); err != nil || info.ServerVersion == "" {
			return info, "the engine does not answer"
		}
		return info, ""
	})
	ids := asked(s, dockerPs, func(o *snap.Output) ([]string, string) {
		ids := strings.Fields(string(o.Stdout))
		if len(ids) > maxContainers {
			return nil, "there are more containers than are asked about"
		}
		if slices.ContainsFunc(ids, func(id string) bool { return !containerID.MatchString(id) }) {
			return nil, "its answer is no list of containers"
		}
		return ids, ""
	})
	switch {
	case !ids.Known():
		d.Containers = Not[[]Container](ids.State, dockerWhy(s, ids.Why))
	case len(ids.V) == 0:
		d.Containers = Is([]Container{}, By(dockerPs...))
	default:
		d.Containers = asked(s, inspectArgv(s), func(o *snap.Output) (cs []Container, why string) {
			if err := json.Unmarshal(o.Stdout, &cs); err != nil || len(cs) != len(ids.V) {
				return nil, "its answer is not the expected JSON"
			}
			return cs, ""
		})
		d.Containers.Place = By("docker", "inspect")
		if !d.Containers.Known() {
			d.Containers.Why = "`docker inspect` gave no answer that is known"
		}
	}
}

// dockerWhy says what would help.
func dockerWhy(s *snap.Snapshot, why string) string {
	if strings.Contains(why, "permission denied") && !s.Root() {
		return "only root and the group docker may ask Docker; run as root"
	}
	return why
}

// readDaemonConfig reads the file, and the options of the unit's command line.
func readDaemonConfig(h *Host, s *snap.Snapshot) DaemonConfig {
	c := DaemonConfig{State: Known, Place: Place{Path: daemonJSON}, values: map[string]any{}, places: map[string]Place{}}
	e, st, why := s.File(daemonJSON)
	switch st {
	case Known:
		dec := json.NewDecoder(bytes.NewReader(e.Content))
		if err := dec.Decode(&c.values); err != nil {
			at := dec.InputOffset()
			if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
				at = syntax.Offset
			}
			line := 1 + bytes.Count(e.Content[:min(int(at), len(e.Content))], []byte("\n"))
			c.State, c.Why = Unknown, fmt.Sprintf("%s:%d: %v", daemonJSON, line, err)
			return c
		}
		for key := range c.values {
			line := 0
			if i := bytes.Index(e.Content, []byte(strconv.Quote(key))); i >= 0 {
				line = 1 + bytes.Count(e.Content[:i], []byte("\n"))
			}
			c.places[key] = At(daemonJSON, line)
		}
	case Absent:
	default:
		c.State, c.Why = st, why
		return c
	}
	for _, svc := range h.Services.All {
		if svc.Name != "docker.service" {
			continue
		}
		for _, set := range svc.Settings {
			if set.Key != "ExecStart" {
				continue
			}
			for _, w := range strings.Fields(set.Value) {
				if opt, ok := strings.CutPrefix(w, "--"); ok {
					key, value, has := strings.Cut(opt, "=")
					switch {
					case !has || value == "true":
						c.values[key] = true
					case value == "false":
						c.values[key] = false
					default:
						c.values[key] = value
					}
					c.places[key] = set.Place
				}
			}
		}
	}
	return c
}

// Get is a setting as it is written: text, a bool, a number, a list or a map.
func (c DaemonConfig) Get(key string) (v any, at Place, ok bool) {
	v, ok = c.values[key]
	return v, c.places[key], ok
}
