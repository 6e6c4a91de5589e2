package check

import (
	"fmt"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var vault = []Check{
	{"apps.vault-tls", vaultTLS, "listener in the server's settings (*.hcl in /etc/vault.d, /etc/openbao and where compose files keep them): address and tls_disable"},
	{"apps.vault-dev", vaultDev, "how vault.service or openbao.service (/etc/systemd/system, /usr/lib/systemd/system) starts the server"},
	{"apps.vault-audit", vaultAudit, "audit in the server's settings (*.hcl in /etc/vault.d, /etc/openbao and where compose files keep them)"},
	{"apps.vault-storage", vaultStorage, "storage in the server's settings (*.hcl in /etc/vault.d, /etc/openbao and where compose files keep them), and the folder's permissions"},
	{"apps.vault-keys", vaultKeys, "files that the initialisation of Vault leaves (/root, ~, /opt, /var/lib/docker/volumes), container logs (/var/lib/docker/containers), incident logs and mounts of compose files: unseal keys and root tokens, of which nothing is kept"},
	{"apps.vault-token", vaultToken, "~/.vault-token of every home, which a login leaves"},
}

// vaultBlocks gives the settings of each block of a name.
func vaultBlocks(a fact.App, name string, each func(f fact.AppFile, nth string, label fact.AppSetting)) {
	for _, f := range a.Files("config") {
		for _, s := range f.All(name + ".*.label") {
			each(f, s.Key[1], s)
		}
	}
}

func vaultTLS(h *fact.Host) control.Outcome {
	a := h.Apps.Get("vault")
	var bad, fine []control.Evidence
	asked := false
	vaultBlocks(a, "listener", func(f fact.AppFile, nth string, label fact.AppSetting) {
		if label.Value != "tcp" {
			return
		}
		off, _ := f.Last("listener", nth, "tls_disable")
		addr, ok := f.Last("listener", nth, "address")
		if !ok {
			addr.Value = "127.0.0.1:8200"
		}
		local := strings.HasPrefix(addr.Value, "127.") || strings.HasPrefix(addr.Value, "[::1]") || strings.HasPrefix(addr.Value, "localhost:")
		e := control.Saw("listener at "+addr.Value, label.Place, "TLS", "TLS")
		if v := strings.ToLower(off.Value); v == "true" || v == "1" {
			_, cert := f.Last("listener", nth, "tls_cert_file")
			asked = asked || cert
			if e = control.Saw("listener at "+addr.Value, off.Place, "clear text", "TLS"); !local {
				bad = append(bad, e)
				return
			}
			e.Found = "clear text, for this host only"
		}
		fine = append(fine, e)
	})
	switch why := a.Unread("config"); {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(asked), Effective: control.No, Persistent: control.No}.With(append(bad, fine...)...).Judge()
		if asked {
			return o.Because("a certificate is set for the %s, and tls_disable switches TLS off", bad[0].Fact)
		}
		return o.Because("the %s speaks clear text: tokens and secrets can be read on the way", bad[0].Fact)
	case why != "":
		return control.CannotTell(why)
	case len(fine) == 0:
		return control.CannotTell("no listener is set in a file that is known")
	}
	return control.Passed("Vault speaks TLS with other hosts", fine...)
}

func vaultDev(h *fact.Host) control.Outcome {
	seen, why := 0, ""
	var bad []control.Evidence
	for _, name := range []string{"vault.service", "openbao.service"} {
		s, ok, hidden := fact.ServiceFile(h.Snap, name)
		if hidden != "" {
			why = hidden
		}
		if !ok {
			continue
		}
		seen++
		for _, v := range fact.List(s.Settings, "Service", "ExecStart") {
			for _, w := range strings.Fields(v.Value) {
				if w == "-dev" || strings.HasPrefix(w, "-dev-") || w == "--dev" {
					bad = append(bad, control.Saw("ExecStart of "+name, v.Place, w, "without -dev"))
				}
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed("Vault runs in development mode: it is unsealed, speaks clear text, keeps everything in memory, and its root token is known", bad...)
	case why != "":
		return control.CannotTell(why)
	case seen == 0:
		return control.DoesNotApply("no service of this host runs Vault")
	}
	return control.Passed("Vault does not run in development mode")
}

func vaultAudit(h *fact.Host) control.Outcome {
	a := h.Apps.Get("vault")
	var fine, bad []control.Evidence
	vaultBlocks(a, "audit", func(f fact.AppFile, nth string, label fact.AppSetting) {
		for _, s := range f.Under("audit", nth) {
			if s.Last() == "file_path" && (s.Value == "/dev/null" || s.Value == "discard") {
				bad = append(bad, control.Saw("audit", s.Place, s.Value, "a file that is kept"))
				return
			}
		}
		fine = append(fine, control.Saw("audit", label.Place, label.Value, "an audit device"))
	})
	if len(bad) > 0 && len(fine) == 0 {
		return control.IsIneffective("Vault's audit device writes to "+bad[0].Found, bad...)
	}
	if len(fine) > 0 {
		return control.Passed("an audit device is part of the settings", fine...)
	}
	if why := a.Unread("config"); why != "" {
		return control.CannotTell(why)
	}
	return control.CannotTell("no audit device is part of the settings; one may have been switched on by a command: ask with `vault audit list`")
}

func vaultStorage(h *fact.Host) control.Outcome {
	a := h.Apps.Get("vault")
	var bad, fine []control.Evidence
	reason, unseen := "", ""
	vaultBlocks(a, "storage", func(f fact.AppFile, nth string, label fact.AppSetting) {
		p, ok := f.Last("storage", nth, "path")
		if label.Value == "inmem" {
			bad = append(bad, control.Saw("storage", label.Place, "inmem", "raft or file"))
			reason = "everything in Vault is lost at its next start"
			return
		}
		if !ok {
			fine = append(fine, control.Saw("storage", label.Place, label.Value, ""))
			return
		}
		e, st, why := h.Snap.Stat(p.Value)
		switch {
		case st == fact.Absent:
			fine = append(fine, control.Saw("storage", p.Place, p.Value+", not on this host", ""))
		case st != fact.Known:
			unseen = why
		case e.Type == snap.Dir && e.Mode&0o077 != 0:
			bad = append(bad, control.Saw("permissions of the storage", fact.Place{Path: p.Value}, fmt.Sprintf("%04o", e.Mode), "0700"))
			reason = "other accounts of this host may look into Vault's storage at " + p.Value
		default:
			fine = append(fine, control.Saw("permissions of the storage", fact.Place{Path: p.Value}, fmt.Sprintf("%04o", e.Mode), "0700"))
		}
	})
	switch why := a.Unread("config"); {
	case len(bad) > 0:
		return control.Failed(reason, bad...)
	case why != "":
		return control.CannotTell(why)
	case unseen != "":
		return control.CannotTell(unseen)
	case len(fine) == 0:
		return control.CannotTell("no storage is set in a file that is known")
	}
	return control.Passed("Vault's storage is its own", fine...)
}

func vaultKeys(h *fact.Host) control.Outcome {
	a := h.Apps.Get("vault")
	var bad []control.Evidence
	why := ""
	for _, group := range []string{"init", "init-text", "logs"} {
		if w := a.Unread(group); w != "" {
			why = w
		}
		for _, f := range a.Files(group) {
			what := map[string]bool{}
			for _, s := range f.Settings {
				switch {
				case group != "init":
					what[s.Last()] = s.Last() == "root token" || s.Last() == "unseal key"
				case s.Key[0] == "root_token" && s.Value != "":
					what["root token"] = true
				case s.Key[0] == "unseal_keys_b64" || s.Key[0] == "unseal_keys_hex" || s.Key[0] == "keys_base64" || s.Key[0] == "keys":
					what["unseal key"] = true
				}
			}
			for _, w := range []string{"root token", "unseal key"} {
				if what[w] {
					bad = append(bad, control.Saw(w, fact.Place{Path: f.Entry.Path}, "lies there", "nowhere on this host"))
				}
			}
		}
	}
	for _, p := range h.Composed.Projects {
		for _, s := range p.Services {
			for _, m := range s.Container.Mounts {
				if strings.HasSuffix(m.Destination, "/init-output") || m.Type == "volume" && strings.HasSuffix(m.Source, "vault-init") {
					bad = append(bad, control.Saw("root token and unseal key", s.At("volumes", m.Source), "kept in "+m.Source+" for service "+s.Name, "nowhere on this host"))
				}
			}
		}
	}
	switch {
	case len(bad) > 0 && bad[0].Fact == "root token and unseal key":
		return control.Failed(fmt.Sprintf("%s: the initialisation of Vault leaves there what opens everything that it guards", bad[0].Found), bad...)
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("a %s of Vault lies in %s: whoever reads that file has everything that Vault guards", bad[0].Fact, bad[0].File), bad...)
	case why != "":
		return control.CannotTell(why)
	}
	return control.Passed("no unseal key and no root token lies where the initialisation and the logs leave them")
}

func vaultToken(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	why := ""
	for _, p := range []string{"/root/.vault-token", "/home/*/.vault-token"} {
		es, st, w := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			why = w
		}
		for _, e := range es {
			if e.Size > 0 || e.Type != snap.File {
				bad = append(bad, control.Saw("Vault token", fact.Place{Path: e.Path}, "left by a login", "nothing"))
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(bad[0].File+" holds the token of somebody who logged in, as root perhaps", bad...)
	case why != "":
		return control.CannotTell(why)
	}
	return control.Passed("no login to Vault left its token")
}
