package check

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var pisovereign = []Check{
	{"apps.pisovereign-api-keys", sovereignKeys, "security.api_keys in PiSovereign's config.toml in /opt/pisovereign, /srv/pisovereign or ~, the only place that it reads them from"},
	{"apps.pisovereign-environment", sovereignEnvironment, "environment in PiSovereign's config.toml in /opt/pisovereign, /srv/pisovereign or ~, and what .env and compose files set over it: development, or leave to start with insecure settings"},
	{"apps.pisovereign-secrets", sovereignSecrets, "the settings in PiSovereign's config.toml in /opt/pisovereign, /srv/pisovereign or ~: secrets that are written out, which win over those in Vault"},
	{"apps.pisovereign-env-names", sovereignEnvNames, "the names in the .env in /opt/pisovereign, /srv/pisovereign or ~ and in the environment of compose files: which of them PiSovereign can read"},
	{"apps.pisovereign-proxies", sovereignProxies, "security.trusted_proxies in PiSovereign's config.toml in /opt/pisovereign, /srv/pisovereign or ~, where Traefik stands in front"},
}

// sovereignFiles are the config files that could be read; why is what was not.
func sovereignFiles(h *fact.Host, group string) (fs []fact.AppFile, why string) {
	a := h.Apps.Get("pisovereign")
	for _, f := range a.Files(group) {
		if f.State == fact.Known {
			fs = append(fs, f)
		}
	}
	if why = a.Unread(group); why == "" && len(fs) == 0 && group == "config" {
		why = "there is no config.toml in the folders where PiSovereign's lies"
	}
	return fs, why
}

func sovereignKeys(h *fact.Host) control.Outcome {
	files, why := sovereignFiles(h, "config")
	var bad, fine []control.Evidence
	vault := false
	reason := ""
	for _, f := range files {
		hashes := f.All("security.api_keys.*.hash")
		if v, ok := f.Last("vault", "enabled"); ok && v.Value == "true" {
			vault = true
		}
		if len(hashes) == 0 {
			bad = append(bad, control.Saw("security.api_keys", fact.Place{Path: f.Entry.Path}, "none", "a key for each that calls"))
			reason = "PiSovereign has no API key: everybody who reaches it may use it"
		}
		for _, s := range hashes {
			what, _ := fact.AppSecret(s.Value)
			e := control.Saw(s.Name(), s.Place, what, "a hash that pisovereign-cli hash-api-key printed")
			if strings.HasPrefix(what, fact.SecretHashed+"argon2id") {
				fine = append(fine, e)
				continue
			}
			e.Found = "a key that is not hashed"
			bad = append(bad, e)
			if reason == "" {
				reason = "a key in " + f.Entry.Path + " is not hashed, and PiSovereign takes none but a hashed one"
			}
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(vault), Effective: control.No, Persistent: control.No}.With(append(bad, fine...)...).Judge()
		if vault {
			return o.Because("%s. Keys that were put into Vault at pisovereign/api-keys are read by nothing", reason)
		}
		return o.Because("%s", reason)
	case why != "":
		return control.CannotTell(why)
	}
	return control.Passed("PiSovereign asks for an API key", fine...)
}

func sovereignEnvironment(h *fact.Host) control.Outcome {
	files, why := sovereignFiles(h, "config")
	env, whyEnv := sovereignFiles(h, "env")
	var bad, fine []control.Evidence
	asked := false
	for _, f := range files {
		s, ok := f.Last("environment")
		if !ok {
			s = fact.AppSetting{Key: []string{"environment"}, Value: "development", Place: fact.Place{Path: f.Entry.Path}}
		}
		e := control.Saw("environment", s.Place, s.Value, "production")
		if s.Value == "production" {
			asked = true
			fine = append(fine, e)
		} else {
			bad = append(bad, e)
		}
	}
	reason := "PiSovereign runs for development: it starts with insecure settings and tells strangers why it refuses them"
	composed, whyComposed := sovereignComposed(h)
	whyEnv = cmp.Or(whyEnv, whyComposed)
	for _, f := range append(env, composed...) {
		for _, s := range f.Settings {
			if s.NotKept() && (s.Last() == "PISOVEREIGN_ENVIRONMENT" || s.Last() == "PISOVEREIGN_ALLOW_INSECURE_CONFIG") {
				whyEnv = s.Place.String() + ": the value of " + s.Last() + " is not known"
				continue
			}
			switch v := strings.ToLower(s.Value); {
			case s.Last() == "PISOVEREIGN_ALLOW_INSECURE_CONFIG" && (v == "true" || v == "1"):
				bad = append(bad, control.Saw(s.Last(), s.Place, s.Value, "not set"))
				reason = "PISOVEREIGN_ALLOW_INSECURE_CONFIG lets PiSovereign start with any insecure setting"
			case s.Last() == "PISOVEREIGN_ENVIRONMENT" && v != "production" && v != "":
				bad = append(bad, control.Saw(s.Last(), s.Place, s.Value, "production"))
			}
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(asked), Effective: control.No, Persistent: control.No}
		return o.Judge().With(append(bad, fine...)...).Because("%s", reason)
	case why != "":
		return control.CannotTell(why)
	case whyEnv != "":
		return control.CannotTell(whyEnv)
	}
	return control.Passed("PiSovereign runs for production", fine...)
}

// sovereignComposed are the variables that compose files give PiSovereign; why
// is what could not be read of them.
func sovereignComposed(h *fact.Host) (out []fact.AppFile, why string) {
	for _, s := range h.Composed.Image("pisovereign") {
		why = cmp.Or(why, s.Unsure(), s.Open("environment"))
		out = append(out, fact.AppFile{Settings: s.Variables("PISOVEREIGN_"), State: fact.Known})
	}
	for _, p := range h.Composed.Projects {
		why = cmp.Or(why, p.Unread())
	}
	if h.Composed.State == fact.Denied {
		why = cmp.Or(why, h.Composed.Why)
	}
	return out, why
}

func sovereignSecrets(h *fact.Host) control.Outcome {
	files, why := sovereignFiles(h, "config")
	var bad []control.Evidence
	vault := false
	for _, f := range files {
		if v, ok := f.Last("vault", "enabled"); ok && v.Value == "true" {
			vault = true
		}
		for _, s := range f.Settings {
			if what, ok := fact.AppSecret(s.Value); ok && !strings.HasPrefix(what, fact.SecretHashed) && !strings.HasPrefix(s.Name(), "security.api_keys") {
				bad = append(bad, control.Saw(s.Name(), s.Place, "a secret written out ("+what+")", "empty, and filled in from Vault"))
			}
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(vault), Effective: control.No, Persistent: control.No}.With(bad...).Judge()
		if vault {
			return o.Because("%s is written out in config.toml, and wins over what Vault has: a new one there changes nothing", bad[0].Fact)
		}
		return o.Because("%s is written out in config.toml", bad[0].Fact)
	case why != "":
		return control.CannotTell(why)
	}
	return control.Passed("no secret is written out in config.toml")
}

func sovereignEnvNames(h *fact.Host) control.Outcome {
	files, why := sovereignFiles(h, "env")
	composed, whyComposed := sovereignComposed(h)
	why = cmp.Or(why, whyComposed)
	var bad []control.Evidence
	seen := 0
	for _, f := range append(files, composed...) {
		for _, s := range f.Settings {
			rest, ok := strings.CutPrefix(s.Last(), "PISOVEREIGN_")
			if !ok || rest == "ALLOW_INSECURE_CONFIG" || strings.HasPrefix(rest, "PISOVEREIGN_") {
				continue
			}
			seen++
			// An underscore parts sections, so that a name of two words is never one.
			if strings.Count(rest, "_") > 1 || rest == "CONFIG" {
				bad = append(bad, control.Saw(s.Last(), s.Place, "not read", strings.ToLower(strings.Replace(rest, "_", ".", 1))+" in config.toml"))
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.IsIneffective(fmt.Sprintf("%s is set in %s, and PiSovereign cannot read a name of several words from the environment", bad[0].Fact, path.Base(bad[0].File)), bad...)
	case why != "":
		return control.CannotTell(why)
	case seen == 0:
		return control.DoesNotApply("no .env and no compose file sets anything of PiSovereign")
	}
	return control.Passed("PiSovereign reads all that .env and compose files set for it")
}

func sovereignProxies(h *fact.Host) control.Outcome {
	files, why := sovereignFiles(h, "config")
	switch t := h.Apps.Get("traefik"); t.State {
	case fact.Known:
	case fact.Absent:
		return control.DoesNotApply("no Traefik stands in front of it")
	default:
		return control.CannotTell(t.Why)
	}
	var bad, fine []control.Evidence
	for _, f := range files {
		var list []string
		for _, s := range f.All("security.trusted_proxies.*") {
			list = append(list, s.Value)
		}
		e := control.Saw("security.trusted_proxies", fact.Place{Path: f.Entry.Path}, strings.Join(list, ", "), "the proxy's address")
		if len(list) > 0 {
			fine = append(fine, e)
			continue
		}
		e.Found = "none"
		bad = append(bad, e)
	}
	switch {
	case len(bad) > 0:
		return control.IsIneffective("PiSovereign takes every caller for the proxy: one that calls too often locks out all, and whoever misbehaves is not told from the others", bad...)
	case why != "":
		return control.CannotTell(why)
	}
	return control.Passed("PiSovereign knows who called the proxy", fine...)
}
