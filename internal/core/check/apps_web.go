package check

import (
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var webServers = []Check{
	{"apps.lighttpd-login-tls", lighttpdLoginTLS, "auth.require and ssl.engine in lighttpd's settings"},
	{"apps.lighttpd-passwords", lighttpdPasswords, "the files of accounts that lighttpd's settings name: how the passwords are hashed"},
}

// lighttpdTLS reports whether the settings switch TLS on anywhere; why says
// what could not be read.
func lighttpdTLS(h *fact.Host) (on bool, why string) {
	a := h.Apps.Get("lighttpd")
	if a.State == fact.Absent {
		return false, ""
	}
	if a.State != fact.Known {
		return false, a.Why
	}
	if why := a.Unread("config"); why != "" {
		return false, why
	}
	for _, f := range a.Files("config") {
		for _, s := range f.Named("ssl.engine") {
			on = on || s.Value == "enable"
		}
	}
	return on, ""
}

func lighttpdLoginTLS(h *fact.Host) control.Outcome {
	on, why := lighttpdTLS(h)
	if why != "" {
		return control.CannotTell(why)
	}
	var seen []control.Evidence
	redirect := false
	for _, f := range h.Apps.Get("lighttpd").Files("config") {
		for _, s := range f.Named("auth.require") {
			if s.Value != "" {
				seen = append(seen, control.Saw("auth.require", s.Place, "a password is asked for", "with TLS"))
			}
		}
		for _, s := range f.Settings {
			redirect = redirect || strings.HasPrefix(s.Last(), "url.redirect") && strings.Contains(s.Value, "https:")
		}
	}
	switch {
	case len(seen) == 0:
		return control.DoesNotApply("lighttpd asks nobody for a password")
	case !on:
		return control.IsIneffective("lighttpd asks for a password, and has it sent in clear text", seen...)
	case !redirect:
		return control.IsIneffective("lighttpd asks for a password with TLS, and without TLS as well: nothing sends people from one to the other", seen...)
	}
	return control.Passed("lighttpd asks for passwords with TLS", seen...)
}

func lighttpdPasswords(h *fact.Host) control.Outcome {
	a := h.Apps.Get("lighttpd")
	if why := a.Unread("config"); why != "" {
		return control.CannotTell(why)
	}
	var bad, fine []control.Evidence
	named, unread := 0, ""
	for _, f := range a.Files("config") {
		for _, s := range f.Settings {
			if !strings.HasPrefix(s.Last(), "auth.backend.") || !strings.HasSuffix(s.Last(), ".userfile") {
				continue
			}
			named++
			known := false
			for _, pw := range a.Files("passwords") {
				if pw.Entry.Path != s.Value || pw.State != fact.Known {
					continue
				}
				known = true
				for _, one := range pw.Settings {
					what, _ := fact.AppSecret(one.Value)
					e := control.Saw("account "+one.Last(), one.Place, what, "hashed with bcrypt or a crypt(3) of today").Of(one.Last())
					switch kind := strings.TrimPrefix(what, fact.SecretHashed); {
					case strings.Contains(what, "factory"), strings.Contains(what, "not hashed"):
						bad = append(bad, e)
					case kind == "apr1" || kind == "sha1" || kind == "md5crypt" || kind == "descrypt" || strings.Contains(kind, ", "):
						bad = append(bad, e)
					default:
						fine = append(fine, e)
					}
				}
			}
			if !known {
				unread = s.Value + " was not read"
				if why := a.Unread("passwords"); why != "" {
					unread = why
				}
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed("the password of "+bad[0].Fact+" is "+bad[0].Found, bad...)
	case unread != "":
		return control.CannotTell(unread)
	case named == 0:
		return control.DoesNotApply("lighttpd has no file of accounts")
	}
	return control.Passed("the passwords in lighttpd's file of accounts are well hashed", fine...)
}
