package check

import (
	"fmt"
	"path"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var nio = []Check{
	{"apps.nio-users", nioUsers, "etc/users.json of each nio project in ~, /opt and /srv: accounts that ship with it, and passwords that are only written in base64"},
	{"apps.nio-permissions", nioPermissions, "etc/permissions.json of each nio project in ~, /opt and /srv: who may do everything"},
	{"apps.nio-tls", nioTLS, "ssl_certificate and ssl_private_key of [rest] in the nio.conf of each project in ~, /opt and /srv, with what they refer to, and whether those files are there and valid"},
	{"apps.nio-secrets", literalSecrets("nio", "config", "nio.conf"), "the settings in the nio.conf of each project in ~, /opt and /srv: secrets that are written out where [[ NAME ]] could stand"},
	{"apps.nio-block-secrets", literalSecrets("nio", "blocks", ""), "the settings of blocks in etc/core_persistence and etc/blocks of each nio project in ~, /opt and /srv: secrets that are written out"},
	{"apps.nio-git", nioGit, "the index of git of each nio project in ~, /opt and /srv: tracked files that hold secrets"},
}

func nioUsers(h *fact.Host) control.Outcome {
	a := h.Apps.Get("nio")
	var bad, fine []control.Evidence
	shipped := 0
	for _, f := range a.Files("users") {
		for _, s := range f.Settings {
			if len(s.Key) != 2 || s.Last() != "password" {
				continue
			}
			what, _ := fact.AppSecret(s.Value)
			e := control.Saw("account "+s.Key[0], s.Place, what, "a password of its own, hashed with bcrypt").Of("")
			switch {
			case strings.Contains(what, "factory"):
				e.Found = "the password that nio ships with"
				shipped++
			case strings.HasPrefix(what, fact.SecretHashed):
				fine = append(fine, e)
				continue
			case strings.HasPrefix(what, "base64"):
				e.Found = "in base64, which anybody can read"
			case s.Value == "":
				e.Found = "no password"
			default:
				e.Found = "in clear text"
			}
			bad = append(bad, e)
		}
	}
	o := control.Outcome{Configured: control.TriOf(len(fine) > 0), Effective: control.No, Persistent: control.No}
	switch why := a.Unread("users"); {
	case shipped > 0 && len(fine) > 0:
		return o.Judge().With(append(bad, fine...)...).Because("accounts of its own were added, and %s still has the password that nio ships with", bad[0].Fact)
	case len(bad) > 0:
		return o.Judge().With(append(bad, fine...)...).Because("%s: %s", bad[0].Fact, bad[0].Found)
	case why != "":
		return control.CannotTell(why)
	case len(fine) == 0:
		return control.CannotTell("there is no etc/users.json: the accounts that nio ships with may count")
	}
	return control.Passed("every account of nio has a hashed password of its own", fine...)
}

func nioPermissions(h *fact.Host) control.Outcome {
	a := h.Apps.Get("nio")
	var all, fine []control.Evidence
	guest := false
	for _, f := range a.Files("permissions") {
		for _, s := range f.Settings {
			if len(s.Key) != 2 {
				continue
			}
			e := control.Saw(s.Key[0]+" at "+s.Key[1], s.Place, s.Value, "only what the account needs")
			if (s.Key[1] == ".*" || s.Key[1] == ".+" || s.Key[1] == "") && strings.ContainsAny(s.Value, "wx") {
				all = append(all, e)
				guest = guest || s.Key[0] == "Guest" || s.Key[0] == "User"
			} else {
				fine = append(fine, e)
			}
		}
	}
	switch why := a.Unread("permissions"); {
	case len(all) > 1 || guest:
		o := control.Outcome{Configured: control.TriOf(len(fine) > 0), Effective: control.No, Persistent: control.No}
		return o.Judge().With(append(all, fine...)...).Because("%d accounts may do everything, such as %s; who may change a block runs any program", len(all), all[len(all)-1].Fact)
	case why != "":
		return control.CannotTell(why)
	case len(all)+len(fine) == 0:
		return control.CannotTell("there is no etc/permissions.json with an account in it")
	}
	return control.Passed("one account of nio at most may do everything", append(all, fine...)...)
}

// nioProject is the folder of a project's file.
func nioProject(f fact.AppFile) string { return path.Dir(f.Entry.Path) }

// nioValue is a setting of [rest] with [[ NAME ]] filled in from the project's
// own files; why says what it hangs on otherwise.
func nioValue(a fact.App, project, key string) (s fact.AppSetting, why string) {
	for _, f := range a.Files("config") {
		if nioProject(f) == project {
			if got, ok := f.Last("rest", key); ok {
				s = got
			}
		}
	}
	name, ok := strings.CutPrefix(s.Value, "[[")
	if !ok {
		return s, ""
	}
	name = strings.TrimSpace(strings.TrimSuffix(name, "]]"))
	filled := false
	for _, f := range a.Files("config") {
		if nioProject(f) == project {
			if got, ok := f.Last("user_defined", name); ok {
				s, filled = got, true
			}
		}
	}
	if !filled {
		return s, "what " + name + " is in nio's environment is not known"
	}
	return s, ""
}

func nioTLS(h *fact.Host) control.Outcome {
	a := h.Apps.Get("nio")
	if why := a.Unread("config"); why != "" {
		return control.CannotTell(why)
	}
	var bad, fine []control.Evidence
	reason, unknown := "", ""
	set := false
	for _, f := range a.Files("config") {
		if path.Base(f.Entry.Path) != "nio.conf" || f.State != fact.Known {
			continue
		}
		project := nioProject(f)
		for _, key := range []string{"ssl_certificate", "ssl_private_key"} {
			s, why := nioValue(a, project, key)
			e := control.Saw("[rest] "+key, s.Place, s.Value, "a file that is there and valid")
			switch {
			case why != "":
				unknown = why
				continue
			case s.Value == "":
				if e.Found = "not set"; s.Place.Path == "" {
					e = control.Saw("[rest] "+key, fact.Place{Path: f.Entry.Path}, "not set", "a file that is there and valid")
				}
				if reason == "" {
					reason = "nio is served without TLS: passwords travel in clear text"
				}
				bad = append(bad, e)
				continue
			}
			set = true
			file := s.Value
			if !path.IsAbs(file) {
				file = path.Join(project, file)
			}
			entry, st, why := h.Snap.Stat(file)
			switch {
			case st == fact.Absent || st == fact.Known && entry.Type != snap.File:
				e.Found = file + ", which is not there"
				bad = append(bad, e)
				reason = "nio is told to use " + file + ", which is not there"
			case st != fact.Known:
				unknown = why
			default:
				if end, known := runsOut(h, file); key == "ssl_certificate" && known && end != "" {
					e.Found = file + ", which ran out on " + end
					bad = append(bad, e)
					reason = "nio's certificate ran out on " + end
				} else {
					fine = append(fine, e)
				}
			}
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(set), Effective: control.No, Persistent: control.No}
		return o.Judge().With(append(bad, fine...)...).Because("%s", reason)
	case unknown != "":
		return control.CannotTell(unknown)
	case len(fine) == 0:
		return control.CannotTell("there is no nio.conf that could be read")
	}
	return control.Passed("nio is served with TLS", fine...)
}

// runsOut is the day on which a certificate's time was over, "" when it is not.
func runsOut(h *fact.Host, file string) (end string, known bool) {
	for _, f := range h.TLS.Files {
		if f.Entry.Path != file && f.Entry.Real != file {
			continue
		}
		for _, c := range f.Certs {
			if known = true; c.NotAfter.Before(h.Snap.Taken) {
				end = c.NotAfter.Format("2006-01-02")
			}
		}
	}
	return end, known
}

// literalSecrets finds secrets that are written out in a group of settings
// files; name "" is all of them.
func literalSecrets(app, group, name string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		a := h.Apps.Get(app)
		var bad []control.Evidence
		seen := 0
		for _, f := range a.Files(group) {
			if name != "" && path.Base(f.Entry.Path) != name {
				continue
			}
			seen++
			for _, s := range f.Settings {
				if what, ok := fact.AppSecret(s.Value); ok && !strings.HasPrefix(what, fact.SecretHashed) {
					bad = append(bad, control.Saw(s.Name(), s.Place, "a secret written out ("+what+")", "filled in from elsewhere"))
				}
			}
		}
		why := a.Unread(group)
		switch {
		case len(bad) > 0:
			return control.Failed(fmt.Sprintf("%s is written out in %s", bad[0].Fact, bad[0].File), bad...)
		case why != "":
			return control.CannotTell(why)
		case seen == 0:
			return control.DoesNotApply("there are no such files")
		}
		return control.Passed("no secret is written out there")
	}
}

func nioGit(h *fact.Host) control.Outcome {
	a := h.Apps.Get("nio")
	if why := a.Unread("git"); why != "" {
		return control.CannotTell(why)
	}
	var bad []control.Evidence
	seen, unknown := 0, ""
	for _, g := range a.Files("git") {
		project := path.Dir(path.Dir(g.Entry.Path))
		seen++
		for _, s := range g.Settings {
			if s.Last() != "tracked" {
				continue
			}
			base := path.Base(s.Value)
			if base == "nio.conf" || base == "config.ini" { // only where a secret is written out
				holds, why := false, a.Unread("config")
				for _, f := range a.Files("config") {
					if f.Entry.Path != path.Join(project, s.Value) {
						continue
					}
					for _, one := range f.Settings {
						_, secret := fact.AppSecret(one.Value)
						holds = holds || secret
					}
				}
				if why != "" {
					unknown = why
				}
				if !holds {
					continue
				}
			}
			bad = append(bad, control.Saw("tracked by git", fact.Place{Path: g.Entry.Path}, s.Value, "not tracked").Mend(project))
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("git tracks %s: whoever gets a copy of the project gets its secrets, old ones too", bad[0].Found), bad...)
	case unknown != "":
		return control.CannotTell(unknown)
	case seen == 0:
		return control.DoesNotApply("no nio project is under git")
	}
	return control.Passed("git tracks no file with secrets")
}
