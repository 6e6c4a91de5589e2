package check

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

func found(bad bool, what string) []string {
	if bad {
		return []string{what}
	}
	return nil
}

func privileged(c fact.Container) []string { return found(c.HostConfig.Privileged, "privileged") }

func hostNamespaces(c fact.Container) (out []string) {
	for _, n := range []struct{ mode, what string }{
		{c.HostConfig.PidMode, "processes (pid: host)"}, {c.HostConfig.IpcMode, "memory (ipc: host)"}, {c.HostConfig.UTSMode, "name (uts: host)"},
		{c.HostConfig.NetworkMode, "network (network_mode: host)"}, {c.HostConfig.UsernsMode, "users (userns_mode: host)"},
	} {
		if n.mode == "host" {
			out = append(out, n.what)
		}
	}
	return out
}

func socketMount(c fact.Container) (out []string) {
	for _, m := range c.Mounts {
		for _, s := range []string{"docker.sock", "containerd.sock", "podman.sock"} {
			if strings.HasSuffix(m.Source, "/"+s) || strings.HasSuffix(m.Destination, "/"+s) {
				out = append(out, m.Source)
				break
			}
		}
	}
	return out
}

// rightsOfTheHost are folders from which the host is taken over, or whose files
// let in; those below a few of them are as bad.
var rightsOfTheHost = regexp.MustCompile(`^/$|^/(etc|boot|dev|proc|sys|root|run|usr|var|var/run|var/lib|var/lib/docker|home|lib|bin|sbin)$|^/etc/(ssh|sudoers\.d|cron\.d|systemd|pam\.d)|^/root/|/\.ssh(/|$)|^/var/lib/docker/|^/etc/shadow$`)

func hostMounts(c fact.Container) (out []string) {
	for _, m := range c.Mounts {
		switch {
		case m.Type != "bind":
		case rightsOfTheHost.MatchString(m.Source):
			mode := "read only"
			if m.RW {
				mode = "and may write it"
			}
			out = append(out, m.Source+", "+mode)
		case m.Propagation == "shared" || m.Propagation == "rshared":
			out = append(out, m.Source+", mounts of which spread to the host ("+m.Propagation+")")
		}
	}
	return out
}

// harmlessCapabilities are no more than what Docker gives by default, or make
// only the container's own network.
var harmlessCapabilities = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE",
	"NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP", "SYS_NICE", "IPC_LOCK", "WAKE_ALARM"}

func capabilities(c fact.Container) (out []string) {
	for _, name := range c.HostConfig.CapAdd { // with or without CAP_, as whoever made it has written
		name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		switch {
		case slices.Contains(harmlessCapabilities, name):
		case name == "ALL":
			out = append(out, name)
		default:
			out = append(out, "CAP_"+name)
		}
	}
	return out
}

func unconfined(c fact.Container) (out []string) {
	if c.HostConfig.Privileged {
		return nil // said by docker/privileged
	}
	for _, o := range c.HostConfig.SecurityOpt {
		name, value, _ := strings.Cut(strings.Replace(o, ":", "=", 1), "=")
		if (name == "seccomp" || name == "apparmor") && value == "unconfined" {
			out = append(out, name)
		}
	}
	return out
}

var bareDevice = regexp.MustCompile(`^/dev/(mem|kmem|port|sd[a-z]|nvme\d|mmcblk\d|vd[a-z]|xvd[a-z]|loop\d|dm-\d|mapper/|disk/|kvm$|fuse$)|^/dev/?$`)

func bareDevices(c fact.Container) (out []string) {
	for _, d := range c.HostConfig.Devices {
		if bareDevice.MatchString(d.PathOnHost) && !strings.HasSuffix(d.PathOnHost, "/fuse") && !strings.HasSuffix(d.PathOnHost, "/kvm") {
			out = append(out, d.PathOnHost)
		}
	}
	return out
}

func rootUser(c fact.Container) []string {
	user, _, _ := strings.Cut(c.Config.User, ":")
	return found(user == "" || user == "0" || user == "root", cmp.Or(c.Config.User, "no user is named"))
}

// silent says why it is not known what the engine runs with; ok is true where
// it is, or where nothing runs.
func silent(h *fact.Host) (o control.Outcome, ok bool) {
	if h.Snap.Source.Kind == "image" || h.Docker.Info.Known() {
		return o, true
	}
	return control.CannotTell("what the engine runs with is not known: " + h.Docker.Info.Why), false
}

// noNewPrivileges holds for a container by its own option or by the engine's.
func noNewPrivileges(h *fact.Host) control.Outcome {
	if h.Docker.Info.Known() && slices.ContainsFunc(h.Docker.Info.V.SecurityOptions, func(o string) bool { return o == "name=no-new-privileges" }) {
		return control.Passed("the engine sets it for every container", control.Saw("SecurityOptions", h.Docker.Info.Place, "no-new-privileges", ""))
	}
	if _, ok := noContainers(h); ok && len(h.Docker.Containers.V) > 0 {
		if o, ok := silent(h); !ok {
			return o
		}
	}
	return containers("may gain rights by set-id programs", "no-new-privileges: true", "security_opt", func(c fact.Container) []string {
		return found(!slices.ContainsFunc(c.HostConfig.SecurityOpt, func(o string) bool {
			return o == "no-new-privileges" || strings.HasPrefix(o, "no-new-privileges") && strings.HasSuffix(o, "true")
		}), "not set")
	})(h)
}

func looseTag(c fact.Container) []string {
	image := c.Config.Image
	if c.Built || strings.Contains(image, "@sha256:") || strings.HasPrefix(image, "sha256:") {
		return nil
	}
	name := image[strings.LastIndexByte(image, '/')+1:]
	_, tag, has := strings.Cut(name, ":")
	return found(!has || tag == "latest", image)
}

func environmentSecrets(c fact.Container) (out []string) {
	for _, e := range c.Config.Env {
		if name, value, _ := strings.Cut(e, "="); value != "" && fact.NamesSecret(name) {
			out = append(out, name)
		}
	}
	return out
}
