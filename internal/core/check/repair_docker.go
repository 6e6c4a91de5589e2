package check

import (
	"picket/internal/core/change"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

var dockerRepairs = map[string]repair{
	"docker.icc":            engineSays("icc", false, "; containers that live-restore keeps keep the bridge as it is"),
	"docker.userland-proxy": engineSays("userland-proxy", false, ""),
	"docker.firewall-rules": engineSays("iptables", true, ""),
	"docker.live-restore":   repairLiveRestore,
	"docker.log-limit":      repairLogLimit,
	"docker.daemon-config": func(h *fact.Host, d *change.Draft) error {
		d.Leave("what was meant there is yours to say: %s, then: sudo dockerd --validate", h.Docker.Config.Why)
		return nil
	},
	"docker.user-namespaces": func(_ *fact.Host, d *change.Draft) error {
		d.Leave(`all that lies in volumes would belong to other users: back it up, add "userns-remap": "default" to %s, start the engine anew and give the volumes over`, daemonFile)
		return nil
	},
	"docker.no-new-privileges": func(_ *fact.Host, d *change.Draft) error {
		d.Leave(`a container gets it when it is made: security_opt: ["no-new-privileges:true"] in its compose file, then docker compose up -d. Programs in it that need sudo or another set-id program fail then`)
		return nil
	},
}

const engineLater = "the engine takes it up at its next start (sudo systemctl restart docker), which ends all containers that live-restore does not keep"

// engineSays has the engine's settings say something, unless its command line does: it does not start with both.
func engineSays(key string, value any, more string) repair {
	return func(h *fact.Host, d *change.Draft) error {
		d.Later("%s%s", engineLater, more)
		return engineFile(h, d, value, key)
	}
}

func engineFile(h *fact.Host, d *change.Draft, value any, path ...string) error {
	if c := h.Docker.Config; c.State != fact.Known {
		d.Leave("the engine's settings are not known: %s", c.Why)
		return nil
	}
	if _, at, set := h.Docker.Config.Get(path[0]); set && at.Path != daemonFile {
		d.Leave("%s stands on the engine's command line (%s): change it there", path[0], at)
		return nil
	}
	return d.Edit(daemonFile, 0o644, func(was []byte) ([]byte, error) { return edit.JSON(was, path, value) })
}

// repairLiveRestore is taken up while the engine runs. Taken back, it stays in force until the engine's next start, as a
// reload leaves alone what the file does not say; that costs nobody anything.
func repairLiveRestore(h *fact.Host, d *change.Draft) error {
	if err := engineFile(h, d, true, "live-restore"); err != nil {
		return err
	}
	if h.Units.Get("docker.service").Running() {
		d.Do(change.Unit, "docker.service", "reload")
	}
	return nil
}

// repairLogLimit bounds the logs of the driver that writes them today: what reads its files goes on.
func repairLogLimit(h *fact.Host, d *change.Draft) error {
	d.Later("it holds for containers that are made after the engine's next start: docker compose up -d --force-recreate")
	driver, at, set := h.Docker.Config.Get("log-driver")
	if set && driver != "json-file" {
		d.Leave("%s says that logs go to %v, and the engine runs otherwise: sudo systemctl restart docker, which ends all containers that live-restore does not keep", at, driver)
		return nil
	}
	if err := engineFile(h, d, "10m", "log-opts", "max-size"); err != nil {
		return err
	}
	opts, _, _ := h.Docker.Config.Get("log-opts")
	if m, _ := opts.(map[string]any); m["max-file"] != nil {
		return nil
	}
	return engineFile(h, d, "3", "log-opts", "max-file")
}
