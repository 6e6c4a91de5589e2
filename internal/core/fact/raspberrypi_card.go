package fact

import (
	"strings"

	"picket/internal/core/snap"
)

// A Card is what a Raspberry Pi's boot partition asks of its first start.
type Card struct {
	SSH     Value[Place]   // what turns the SSH server on; absent: nothing does
	Refused Value[Place]   // what makes it refuse passwords; absent: nothing does
	Secrets []BootFile     // every line with a secret, unlike Pi.Left
	Plugins Value[[]Place] // packages that a Pioreactor installs from there by itself
}

// cardPlugins are installed by a Pioreactor's bootfs_plugins.service at every
// start, whatever the flags against it say.
const cardPlugins = "/pioreactor/plugins/*.whl"

var cardSSH = []string{"/ssh", "/ssh.txt"}

func askCard(*Host, *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for _, d := range bootFolders {
		m.Stats = append(m.Stats, d+cardPlugins)
		for _, f := range cardSSH {
			m.Stats = append(m.Stats, d+f)
		}
	}
	return m
}

// Card reads the boot partition.
func (h *Host) Card() Card {
	s := h.Snap
	c := Card{SSH: Not[Place](Absent, ""), Refused: Not[Place](Absent, ""), Plugins: Is([]Place(nil), Place{Path: bootFolders[0]})}
	hidden := func(v *Value[Place], st State, why string) {
		if (st == Denied || st == Unknown) && !v.Known() {
			*v = Not[Place](st, why)
		}
	}
	found := func(v *Value[Place], at Place) {
		if !v.Known() {
			*v = Is(at, at)
		}
	}
	for _, d := range bootFolders {
		for _, f := range cardSSH {
			_, st, why := s.Stat(d + f)
			if st == Known {
				found(&c.SSH, Place{Path: d + f})
			}
			hidden(&c.SSH, st, why)
		}
		es, st, why := s.Glob(d + cardPlugins)
		for _, e := range es {
			c.Plugins.V = append(c.Plugins.V, Place{Path: e.Path})
		}
		if st == Denied || st == Unknown {
			c.Plugins = Not[[]Place](st, why)
		}
		for _, f := range bootLeft {
			e, st, why := s.File(d + f)
			hidden(&c.SSH, st, why)
			hidden(&c.Refused, st, why)
			if st != Known {
				continue
			}
			section := ""
			for _, l := range lines(e) {
				if what := secretKept(l.text); what != "" {
					c.Secrets = append(c.Secrets, BootFile{Place: l.at, What: what, Open: true})
				}
				t := strings.TrimSpace(l.text)
				if strings.HasPrefix(t, "[") && strings.HasSuffix(t, "]") {
					section = strings.Trim(t, "[] ")
				}
				k, v, ok := strings.Cut(strings.ReplaceAll(t, ":", "="), "=")
				if !ok {
					continue
				}
				switch key, value := strings.TrimSpace(k), strings.Trim(strings.TrimSpace(v), `"'`); {
				case section == "ssh" && key == "enabled" && value == "true", key == "enable_ssh" && yamlYes(value), key == "ssh_pwauth" && yamlYes(value):
					found(&c.SSH, l.at)
				case section == "ssh" && key == "password_authentication" && value == "false", key == "ssh_pwauth" && !yamlYes(value):
					found(&c.Refused, l.at)
				}
			}
		}
	}
	return c
}

func yamlYes(v string) bool {
	switch strings.ToLower(v) {
	case "true", "yes", "on", "1":
		return true
	}
	return false
}
