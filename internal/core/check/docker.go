package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// ofContainers is what the rules about containers look at; a field of it follows.
const ofContainers = "the containers that run (`docker inspect`) and the services of compose files: "

var dockerChecks = []Check{
	{"docker.privileged", containers("runs with all rights of the host (privileged)", "privileged: no", "privileged", privileged),
		ofContainers + "Privileged"},
	{"docker.host-namespaces", containers("shares the host's own", "a namespace of its own", "pid ipc uts network_mode userns_mode", hostNamespaces),
		ofContainers + "PidMode, IpcMode, UTSMode, NetworkMode and UsernsMode"},
	{"docker.socket-mount", containers("has Docker's socket", "no such mount", "volumes", socketMount),
		ofContainers + "mounts of docker.sock, containerd.sock and podman.sock"},
	{"docker.host-mounts", containers("has a folder of the host that holds its rights", "a volume, or a folder of its own", "volumes", hostMounts),
		ofContainers + "mounts of /, /etc, /boot, /dev, /proc, /sys, /root, /run, /usr, /var and of .ssh, and mounts that spread (shared)"},
	{"docker.capabilities", containers("was given", "none that opens the host", "cap_add", capabilities),
		ofContainers + "CapAdd"},
	{"docker.confinement", containers("runs without", "Docker's own profile", "security_opt", unconfined),
		ofContainers + "SecurityOpt"},
	{"docker.devices", containers("reaches", "a device that only it needs", "devices", bareDevices),
		ofContainers + "Devices, against disks and memory of the host"},
	{"docker.root-user", containers("runs as root", "a user of its own (user:)", "user", rootUser),
		ofContainers + "User, of the container or of its image"},
	{"docker.read-only", containers("can write its own programs", "read_only: true", "read_only", func(c fact.Container) []string { return found(!c.HostConfig.ReadonlyRootfs, "read-write root") }),
		ofContainers + "ReadonlyRootfs"},
	{"docker.no-new-privileges", noNewPrivileges,
		ofContainers + "SecurityOpt, and no-new-privileges of the engine (/etc/docker/daemon.json, `docker info`)"},
	{"docker.memory-limit", containers("may take all memory", "mem_limit", "mem_limit deploy", func(c fact.Container) []string { return found(c.HostConfig.Memory == 0, "no limit") }),
		ofContainers + "Memory"},
	{"docker.process-limit", containers("may start processes without end", "pids_limit", "pids_limit deploy", func(c fact.Container) []string {
		return found(c.HostConfig.PidsLimit == nil || *c.HostConfig.PidsLimit <= 0, "no limit")
	}), ofContainers + "PidsLimit"},
	{"docker.image-tag", containers("runs an image that may be another tomorrow", "a version or a digest", "image", looseTag),
		ofContainers + "the tag of the image"},
	{"docker.healthcheck", containers("has no health check", "healthcheck:", "healthcheck", func(c fact.Container) []string {
		hc := c.Config.Healthcheck
		return found(hc == nil || len(hc.Test) == 0 || hc.Test[0] == "NONE", "none")
	}), ofContainers + "Healthcheck, of the container or of its image"},
	{"docker.environment-secrets", containers("has a secret in its environment", "a file that only it reads (secrets:)", "environment", environmentSecrets),
		"the names of environment variables of the containers that run (`docker inspect`) and of the services of compose files, their env_file with them; the values are never kept"},
	{"docker.default-bridge", containers("is in the network that all share", "a network of its own", "network_mode", func(c fact.Container) []string {
		return found(c.HostConfig.NetworkMode == "default" || c.HostConfig.NetworkMode == "bridge", "the default bridge")
	}), ofContainers + "NetworkMode"},
	{"docker.compose-files", composeFiles,
		"who may change the compose files that containers were made of (`docker ps -a`) and those in /opt, /srv and /root, with the files that they lead to and the folders above"},
	{"docker.compose-secrets", composeSecrets,
		"compose files in /opt, /srv, /home and /root, and those that containers were made of: environment, command, entrypoint, labels and build arguments of services; of the values only their kind is kept"},
	{"docker.internal-networks", internalNetworks,
		"compose files in /opt, /srv, /home and /root, and those that containers were made of: the networks of services that run a database, and whether these are internal"},

	{"docker.icc", engine("icc", "containers on the default bridge may talk to each other", false, isFalse),
		"icc in /etc/docker/daemon.json and on the engine's command line"},
	{"docker.live-restore", liveRestore,
		"live-restore in /etc/docker/daemon.json, and whether it is in force (`docker info`)"},
	{"docker.userland-proxy", engine("userland-proxy", "a program of Docker stands before every published port", false, isFalse),
		"userland-proxy in /etc/docker/daemon.json and on the engine's command line"},
	{"docker.user-namespaces", userNamespaces,
		"userns-remap in /etc/docker/daemon.json, and whether it is in force, or the engine runs without root (`docker info`)"},
	{"docker.log-limit", logLimit,
		"log-driver and log-opts in /etc/docker/daemon.json, and the driver in force (`docker info`)"},
	{"docker.insecure-registries", insecureRegistries,
		"insecure-registries in /etc/docker/daemon.json, and those in force (`docker info`)"},
	{"docker.firewall-rules", engine("iptables", "the engine makes no firewall rules: containers are kept apart by nothing", true, isTrue),
		"iptables in /etc/docker/daemon.json and on the engine's command line"},
	{"docker.daemon-config", daemonConfig,
		"whether /etc/docker/daemon.json is JSON"},
}

// noDocker says why a rule about the engine does not apply, or cannot tell; ok
// is true where it can be judged.
func noDocker(h *fact.Host) (o control.Outcome, ok bool) {
	switch has := h.HasDocker(); {
	case !has.Known():
		return control.CannotTell("whether Docker is installed is not known: " + has.Why), false
	case !has.V:
		return control.DoesNotApply("Docker is not installed"), false
	}
	return o, true
}

// noContainers is noDocker for a rule about containers: a compose file is judged
// wherever it lies, as Docker may come later, or be there for one account alone.
func noContainers(h *fact.Host) (o control.Outcome, ok bool) {
	if len(h.Composed.Projects) > 0 {
		return o, true
	}
	o, ok = noDocker(h)
	if !ok && o.Verdict == control.NotApplicable && h.Composed.State != fact.Known {
		return control.CannotTell(asRoot(h, "Docker is not installed, and whether compose files wait for it is not known: "+h.Composed.Why)), false
	}
	return o, ok
}

func isTrue(v any) bool  { return v == true }
func isFalse(v any) bool { return v == false }

// engine makes a rule about one setting of the engine. What is changed in the
// file is in force when the engine has started again.
func engine(key, otherwise string, byDefault bool, good func(any) bool) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		if o, ok := noDocker(h); !ok {
			return o
		}
		c := h.Docker.Config
		if c.State != fact.Known {
			return control.Missing(fact.Not[bool](c.State, c.Why))
		}
		v, at, set := c.Get(key)
		ok := byDefault
		if set {
			ok = good(v)
		}
		o := control.Outcome{Configured: control.TriOf(set && ok), Effective: control.TriOf(ok), Persistent: control.TriOf(ok), Explicit: control.TriOf(set)}
		if h.Snap.Source.Kind == "image" {
			o.Effective = control.Untold
		}
		o = o.With(control.Saw(key, placeOr(at, daemonFile), said(v, set), map[bool]string{true: "true", false: "false"}[good(true)])).Judge()
		if ok {
			return o.Because("%s is %s", key, said(v, set))
		}
		return o.Because("%s (%s is %s)", otherwise, key, said(v, set))
	}
}

const daemonFile = "/etc/docker/daemon.json"

func said(v any, set bool) string {
	if !set {
		return "not set"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "not understood"
	}
	return string(data)
}

func daemonConfig(h *fact.Host) control.Outcome {
	if o, ok := noDocker(h); !ok {
		return o
	}
	c := h.Docker.Config
	switch {
	case c.State == fact.Unknown && strings.HasPrefix(c.Why, daemonFile):
		o := control.Failed("the engine does not start with it: "+c.Why, control.Saw("JSON", c.Place, c.Why, "one object"))
		o.Persistent = control.No
		return o
	case c.State != fact.Known:
		return control.Missing(fact.Not[bool](c.State, c.Why))
	}
	return control.Passed("the engine's settings can be read")
}

// liveRestore judges by the engine where it runs.
func liveRestore(h *fact.Host) control.Outcome {
	o := engine("live-restore", "an update of the engine stops all containers", false, isTrue)(h)
	return engineHas(h, o, h.Docker.Info.V.LiveRestoreEnabled, "live-restore")
}

// engineHas corrects what a file says by what the engine has.
func engineHas(h *fact.Host, o control.Outcome, now bool, what string) control.Outcome {
	if o.Verdict == control.NotApplicable || o.Verdict == control.Unknown || h.Snap.Source.Kind == "image" {
		return o
	}
	if unknown, ok := silent(h); !ok {
		return unknown
	}
	o.Effective = control.TriOf(now)
	o = o.With(control.Saw(what+" in force", h.Docker.Info.Place, fmt.Sprint(now), "true"))
	configured := o.Configured
	o = o.Judge()
	switch {
	case !now && configured == control.Yes:
		return o.Because("%s is set, and the engine runs without it: it was not started again", what)
	case now && configured == control.No:
		return o.Because("%s is in force, and ends with the next start of the engine", what)
	}
	return o
}

func userNamespaces(h *fact.Host) control.Outcome {
	o := engine("userns-remap", "root in a container is root of the host", false, func(v any) bool {
		s, _ := v.(string)
		return s != ""
	})(h)
	now := slices.ContainsFunc(h.Docker.Info.V.SecurityOptions, func(s string) bool { return s == "name=userns" || s == "name=rootless" })
	if h.Docker.Info.Known() && slices.Contains(h.Docker.Info.V.SecurityOptions, "name=rootless") {
		return control.Passed("the engine runs without root")
	}
	return engineHas(h, o, now, "userns-remap")
}

// logLimit wants a bound of what containers write to the disk.
func logLimit(h *fact.Host) control.Outcome {
	if o, ok := noDocker(h); !ok {
		return o
	}
	c := h.Docker.Config
	if c.State != fact.Known {
		return control.Missing(fact.Not[bool](c.State, c.Why))
	}
	driver, at, set := c.Get("log-driver")
	opts, optsAt, _ := c.Get("log-opts")
	name, _ := driver.(string)
	if !set {
		name = "json-file"
	}
	m, _ := opts.(map[string]any)
	size, _ := m["max-size"].(string)
	ok := name != "json-file" || size != "" && size != "-1"
	if o, ok := silent(h); !ok {
		return o
	}
	o := control.Outcome{Configured: control.TriOf(ok), Effective: control.TriOf(ok), Persistent: control.TriOf(ok), Explicit: control.TriOf(set || size != "")}
	if h.Snap.Source.Kind == "image" {
		o.Effective = control.Untold
	}
	o = o.With(control.Saw("log-driver", placeOr(at, daemonFile), name, "local, journald, or json-file with max-size"),
		control.Saw("max-size", placeOr(optsAt, daemonFile), cmp.Or(size, "not set"), "as 10m"))
	if info := h.Docker.Info; info.Known() && info.V.LoggingDriver != "" && info.V.LoggingDriver != name {
		o.Effective = control.TriOf(info.V.LoggingDriver != "json-file")
		o = o.With(control.Saw("driver in force", info.Place, info.V.LoggingDriver, name))
	}
	o = o.Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("logs of containers have a bound (%s %s)", name, size)
	case o.Verdict == control.Ineffective:
		return o.Because("the engine still writes by %s: it was not started again", h.Docker.Info.V.LoggingDriver)
	}
	return o.Because("a container that talks much fills the disk: the logs of %s have no bound", name)
}

func insecureRegistries(h *fact.Host) control.Outcome {
	if o, ok := noDocker(h); !ok {
		return o
	}
	c := h.Docker.Config
	if c.State != fact.Known {
		return control.Missing(fact.Not[bool](c.State, c.Why))
	}
	var ev []control.Evidence
	v, at, _ := c.Get("insecure-registries")
	if one, _ := v.(string); one != "" {
		v = []any{one}
	}
	list, _ := v.([]any)
	for _, r := range list {
		if s, _ := r.(string); s != "" && !strings.HasPrefix(s, "127.") && !strings.HasPrefix(s, "localhost") {
			ev = append(ev, control.Saw("insecure-registries", at, s, "TLS"))
		}
	}
	now := false
	if info := h.Docker.Info; info.Known() {
		for name, i := range info.V.RegistryConfig.IndexConfigs {
			if !i.Secure && !strings.HasPrefix(name, "127.") && !strings.HasPrefix(name, "localhost") {
				now = true
				if len(list) == 0 {
					ev = append(ev, control.Saw("registry in force", info.Place, name, "TLS"))
				}
			}
		}
	}
	if len(ev) > 0 {
		o := control.Failed("images come from "+ev[0].Found+" without TLS: whoever is on the way may change them", ev...)
		o.Persistent = control.TriOf(len(list) == 0)
		return o
	}
	if now {
		return control.Failed("the engine takes images without TLS")
	}
	if !h.Docker.Info.Known() && h.Snap.Source.Kind != "image" {
		return control.CannotTell("whether the running engine takes images without TLS is not known: " + h.Docker.Info.Why)
	}
	return control.Passed("no registry is used without TLS")
}
