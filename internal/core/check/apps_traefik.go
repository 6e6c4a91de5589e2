package check

import (
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/app"
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var traefik = []Check{
	{"apps.traefik-tls", traefikTLS, "the entry points in Traefik's static settings (/etc/traefik) or on the command line that a compose file gives it, the TLS settings in its dynamic ones and in labels, and what listens on port 443 (`ss -Hltunpe`)"},
	{"apps.traefik-api", traefikSetting("the dashboard and the API ask nobody for a password: api.insecure is true", "api.insecure"), "api.insecure in Traefik's static settings (/etc/traefik) or on the command line that a compose file gives it"},
	{"apps.traefik-exposed", traefikDocker, "providers.docker in Traefik's static settings (/etc/traefik) or on the command line that a compose file gives it: whether every container is published by itself"},
	{"apps.traefik-tls-version", traefikVersions, "minVersion of the TLS options in Traefik's dynamic settings (/etc/traefik)"},
}

// traefikStatic are Traefik's static settings in either format, and those of
// the command lines that compose files give it: each Traefik's for itself.
func traefikStatic(h *fact.Host) (each [][]fact.AppSetting, why string) {
	a := h.Apps.Get("traefik")
	var files []fact.AppSetting
	n := 0
	for _, group := range []string{"static", "static-toml"} {
		if w := a.Unread(group); w != "" {
			why = w
		}
		for _, f := range a.Files(group) {
			n++
			files = append(files, f.Settings...)
		}
	}
	if n > 0 {
		each = append(each, files)
	}
	for _, s := range h.Composed.Image("traefik") {
		if slices.ContainsFunc(s.Container.Mounts, func(m fact.ContainerMount) bool {
			return m.Destination == "/etc/traefik" || strings.HasPrefix(m.Destination, "/etc/traefik/traefik.") || m.Destination == "/traefik.yml"
		}) {
			continue // the file that it is given counts
		}
		if unsure := s.Unsure(); unsure != "" {
			why = unsure
		}
		var flags []fact.AppSetting
		for _, set := range s.Flags() {
			for i, k := range set.Key {
				set.Key[i] = traefikName(k)
			}
			if set.NotKept() && traefikDecides(set) {
				why = set.Place.String() + ": the value of " + set.Name() + " is not known"
			}
			flags = append(flags, set)
		}
		each = append(each, flags)
	}
	if why == "" && len(each) == 0 {
		why = "Traefik has no file of static settings: they stand in its command line"
	}
	return each, why
}

// traefikDecides reports whether a rule reads a setting's value, or it names a
// file that holds them all.
func traefikDecides(s fact.AppSetting) bool {
	switch s.Key[0] {
	case "providers":
		return len(s.Key) < 3 || s.Key[1] == "docker" && s.Key[2] == "exposedByDefault"
	case "certificatesResolvers":
		return false
	}
	return true
}

// traefikOn is a setting of true or false, as Traefik reads it: 1 and True too.
func traefikOn(s fact.AppSetting) bool {
	on, err := strconv.ParseBool(strings.ToLower(s.Value))
	return on && err == nil
}

// traefikName is a part of a setting's name as files have it: on the command
// line small and capital letters are the same.
func traefikName(k string) string {
	for _, name := range []string{"entryPoints", "certificatesResolvers", "exposedByDefault"} {
		if strings.EqualFold(k, name) {
			return name
		}
	}
	return strings.ToLower(k)
}

func traefikTLS(h *fact.Host) control.Outcome {
	a := h.Apps.Get("traefik")
	static, why := traefikStatic(h)
	asked, router := false, false
	var ev []control.Evidence
	for _, f := range a.Files("dynamic") {
		for _, s := range f.Settings {
			if s.Key[0] == "tls" && !asked {
				asked = true
				ev = append(ev, control.Saw("tls", s.Place, "set", "").Mend(""))
			}
			router = router || app.Match("http.routers.*.tls.**", s.Key) && s.Value != "false"
		}
	}
	for _, p := range h.Composed.Projects {
		for _, s := range p.Services {
			for _, l := range s.Labels() {
				if !router && app.Match("traefik.http.routers.*.tls.**", l.Key) && l.Value != "false" {
					router = true
					ev = append(ev, control.Saw(l.Name(), l.Place, "set", "").Mend(""))
				}
			}
		}
	}
	entry := len(static) > 0
	for _, one := range static {
		has := false
		for _, s := range one {
			switch {
			case app.Match("entryPoints.*.http.tls.**", s.Key):
				has = has || s.Value != "false"
			case app.Match("entryPoints.*.address", s.Key):
				ev = append(ev, control.Saw("entry point "+s.Key[1], s.Place, s.Value, "one with TLS"))
				has = has || strings.HasSuffix(strings.TrimSuffix(s.Value, "/tcp"), ":443") && (router || asked)
			case s.Key[0] == "certificatesResolvers":
				asked = true
			}
		}
		entry = entry && has
	}
	o := control.Outcome{Configured: control.TriOf(asked || entry), Persistent: control.Untold, Effective: control.Untold}
	if why == "" {
		o.Persistent = control.TriOf(entry)
	}
	if h.Sockets.State == fact.Known && h.Snap.Source.Kind != "image" {
		on := map[int]fact.Socket{}
		for _, s := range h.Sockets.Listening {
			if s.Proto == "tcp" && slices.Contains([]string{"traefik", "docker-proxy", "dockerd"}, s.Process) {
				on[s.Port] = s
			}
		}
		if s, ok := on[443]; ok {
			o.Effective = control.Yes
			ev = append(ev, control.Saw("port 443", s.Place, s.Who(), "").Mend(""))
		} else if s, ok := on[80]; ok {
			o.Effective = control.No
			ev = append(ev, control.Saw("port 443", s.Place, "nobody; port 80 is open", "Traefik").Mend(""))
		}
	}
	if o.Effective == control.Untold && h.Sockets.State != fact.Known && h.Snap.Source.Kind != "image" {
		return control.CannotTell(h.Sockets.Why)
	}
	for _, group := range []string{"static", "static-toml", "dynamic"} {
		if w := a.Unread(group); w != "" && o.Persistent != control.No && o.Effective != control.No {
			return control.CannotTell(w)
		}
	}
	o = o.Judge().With(ev...)
	switch {
	case o.Verdict == control.Unknown:
		return control.CannotTell(why, ev...)
	case o.Verdict == control.Pass:
		return o.Because("Traefik has an entry point with TLS")
	case o.Verdict == control.Ineffective:
		return o.Because("TLS is set up in Traefik, and no entry point speaks it: everything is served in clear text")
	}
	return o.Because("Traefik has no entry point with TLS: everything is served in clear text")
}

// traefikSetting fails where a static setting is switched on.
func traefikSetting(reason, key string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		static, why := traefikStatic(h)
		for _, s := range slices.Concat(static...) {
			if s.Name() == key && traefikOn(s) {
				return control.Failed(reason, control.Saw(key, s.Place, s.Value, "false"))
			}
		}
		if why != "" {
			return control.CannotTell(why)
		}
		return control.Passed(key + " is not set")
	}
}

func traefikDocker(h *fact.Host) control.Outcome {
	static, why := traefikStatic(h)
	looks := false
	var fine control.Evidence
	for _, one := range static {
		docker, off := false, false
		var at fact.Place
		for _, s := range one {
			if len(s.Key) > 1 && s.Key[0] == "providers" && s.Key[1] == "docker" {
				docker, at = true, s.Place
				if len(s.Key) == 3 && strings.EqualFold(s.Key[2], "exposedByDefault") {
					off = !traefikOn(s)
				}
			}
		}
		if docker && !off && why == "" {
			return control.Failed("Traefik publishes every container that runs, wanted or not", control.Saw("providers.docker.exposedByDefault", at, "true (default)", "false"))
		}
		if docker {
			looks = true
			fine = control.Saw("providers.docker.exposedByDefault", at, "false", "false")
		}
	}
	switch {
	case why != "":
		return control.CannotTell(why)
	case !looks:
		return control.DoesNotApply("Traefik does not look at containers")
	}
	return control.Passed("Traefik publishes only containers that ask for it", fine)
}

func traefikVersions(h *fact.Host) control.Outcome {
	a := h.Apps.Get("traefik")
	var bad, fine []control.Evidence
	for _, f := range a.Files("dynamic") {
		for _, s := range f.Named("minVersion") {
			e := control.Saw(s.Name(), s.Place, s.Value, "VersionTLS12 or VersionTLS13")
			if s.Value == "VersionTLS12" || s.Value == "VersionTLS13" {
				fine = append(fine, e)
			} else {
				bad = append(bad, e)
			}
		}
	}
	switch why := a.Unread("dynamic"); {
	case len(bad) > 0:
		return control.Failed("Traefik takes "+bad[0].Found, bad...)
	case why != "":
		return control.CannotTell(why)
	case len(fine) == 0:
		o := control.Passed("Traefik takes TLS 1.2 and later by default")
		o.Explicit = control.No
		return o
	}
	return control.Passed("Traefik takes "+fine[0].Found+" and later", fine...)
}
