package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var webServers = []Check{
	{"apps.nginx-login-tls", nginxLoginTLS, "the servers in nginx's settings (/etc/nginx) that ask for a password, and whether they listen without TLS"},
	{"apps.nginx-tls-versions", nginxTLS, "ssl_protocols in nginx's settings (/etc/nginx), where a server listens with TLS"},
	{"apps.caddy-admin", caddyAdmin, "admin in the global options of /etc/caddy/Caddyfile, and the open ports (`ss -Hltunpe`)"},
	{"apps.caddy-http", caddyHTTP, "the addresses of the sites in /etc/caddy/Caddyfile that pass requests on or ask for a password"},
	{"apps.lighttpd-login-tls", lighttpdLoginTLS, "auth.require and ssl.engine in lighttpd's settings (/etc/lighttpd)"},
	{"apps.lighttpd-passwords", lighttpdPasswords, "the files of accounts that lighttpd's settings name (/etc/lighttpd.user.htpasswd, /etc/lighttpd): how the passwords are hashed"},
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

// An nginxServer is one server block.
type nginxServer struct {
	name  string // of its place
	at    fact.Place
	plain []fact.AppSetting // where it listens for others without TLS
	tls   bool
	login *fact.AppSetting // what asks for a password in it
	moved bool             // it sends everybody elsewhere
}

// nginxServers reads the server blocks of all files.
func nginxServers(a fact.App) []nginxServer {
	var out []nginxServer
	var everywhere *fact.AppSetting // a login for all of http
	for _, f := range a.Files("config") {
		for _, s := range f.All("http.0.auth_basic") {
			if s.Value != "off" {
				everywhere = &s
			}
		}
	}
	for _, f := range a.Files("config") {
		byBlock := map[string]int{}
		for _, s := range f.Settings {
			i := slices.Index(s.Key, "server")
			if i < 0 || i+2 >= len(s.Key) || slices.Contains(s.Key[:i], "upstream") || slices.Contains(s.Key[:i], "stream") {
				continue
			}
			block := strings.Join(s.Key[:i+2], ".")
			n, ok := byBlock[block]
			if !ok {
				n = len(out)
				byBlock[block] = n
				out = append(out, nginxServer{name: block, at: s.Place, login: everywhere})
			}
			srv := &out[n]
			switch words := strings.Fields(s.Value); s.Last() {
			case "listen":
				local := len(words) > 0 && (strings.HasPrefix(words[0], "127.") || strings.HasPrefix(words[0], "[::1]") || strings.HasPrefix(words[0], "unix:") || strings.HasPrefix(words[0], "localhost"))
				if slices.Contains(words, "ssl") {
					srv.tls = true
				} else if !local {
					srv.plain = append(srv.plain, s)
				}
			case "ssl":
				srv.tls = srv.tls || s.Value == "on"
			case "auth_basic":
				if s.Value != "off" {
					srv.login = &s
				}
			case "return":
				srv.moved = srv.moved || len(s.Key) == i+3 && len(words) > 1 && strings.HasPrefix(words[0], "30") && strings.HasPrefix(words[1], "https:")
			}
		}
	}
	return out
}

func nginxLoginTLS(h *fact.Host) control.Outcome {
	a := h.Apps.Get("nginx")
	var bad, fine []control.Evidence
	for _, s := range nginxServers(a) {
		if s.login == nil || s.moved {
			continue
		}
		e := control.Saw("auth_basic", s.login.Place, "a password is asked for", "with TLS only")
		if len(s.plain) > 0 && !(s.tls && len(s.plain) == 0) {
			e.Found = "a password is asked for at " + s.plain[0].Value + ", without TLS"
			bad = append(bad, e)
		} else {
			fine = append(fine, e)
		}
	}
	switch why := a.Unread("config"); {
	case len(bad) > 0:
		return control.IsIneffective("nginx asks for a password, and has it sent in clear text", bad...)
	case why != "":
		return control.CannotTell(why)
	case len(fine) == 0:
		return control.DoesNotApply("nginx asks nobody for a password")
	}
	return control.Passed("nginx asks for passwords with TLS", fine...)
}

func nginxTLS(h *fact.Host) control.Outcome {
	a := h.Apps.Get("nginx")
	var bad, fine []control.Evidence
	tls := slices.ContainsFunc(nginxServers(a), func(s nginxServer) bool { return s.tls })
	for _, f := range a.Files("config") {
		for _, s := range f.Named("ssl_protocols") {
			e := control.Saw("ssl_protocols", s.Place, s.Value, "TLSv1.2 TLSv1.3")
			if slices.ContainsFunc(strings.Fields(s.Value), func(w string) bool { return w != "TLSv1.2" && w != "TLSv1.3" }) {
				bad = append(bad, e)
			} else {
				fine = append(fine, e)
			}
		}
	}
	switch why := a.Unread("config"); {
	case len(bad) > 0 && tls:
		return control.Failed("nginx is set to take "+bad[0].Found, bad...)
	case why != "":
		return control.CannotTell(why)
	case !tls:
		return control.DoesNotApply("nginx serves nothing with TLS")
	}
	return control.Passed("nginx takes TLS 1.2 and later", fine...)
}

func caddyAdmin(h *fact.Host) control.Outcome {
	a := h.Apps.Get("caddy")
	var bad, fine []control.Evidence
	for _, f := range a.Files("config") {
		for _, s := range f.All("site.*.admin") {
			if label, _ := f.Last("site", s.Key[1], "label"); label.Value != "" {
				continue
			}
			e := control.Saw("admin", s.Place, s.Value, "off, or an address of this host")
			addr, _, _ := strings.Cut(s.Value, " ")
			if addr == "off" || strings.HasPrefix(addr, "localhost") || strings.HasPrefix(addr, "127.") || strings.HasPrefix(addr, "[::1]") || strings.HasPrefix(addr, "unix/") {
				fine = append(fine, e)
			} else {
				bad = append(bad, e)
			}
		}
	}
	for _, s := range h.Sockets.Listening {
		if s.Process == "caddy" && s.Port == 2019 && s.Exposed() {
			bad = append(bad, control.Saw("port 2019", s.Place, label(h, s), "an address of this host").Mend(""))
		}
	}
	switch why := a.Unread("config"); {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("Caddy takes orders from other hosts (%s), and asks nobody for a password", bad[0].Found), bad...)
	case why != "":
		return control.CannotTell(why)
	case h.Sockets.State != fact.Known && h.Snap.Source.Kind != "image":
		return control.CannotTell(h.Sockets.Why)
	}
	return control.Passed("Caddy takes orders from its own host only", fine...)
}

func caddyHTTP(h *fact.Host) control.Outcome {
	a := h.Apps.Get("caddy")
	var bad, fine []control.Evidence
	off := false
	for _, f := range a.Files("config") {
		for _, s := range f.All("site.*.auto_https") {
			off = off || s.Value == "off" || s.Value == "disable_certs"
		}
	}
	for _, f := range a.Files("config") {
		for _, site := range f.All("site.*.label") {
			if site.Value == "" || strings.HasPrefix(site.Value, "(") {
				continue // global options, a snippet
			}
			matters, tls := "", false
			for _, s := range f.Under("site", site.Key[1]) {
				for _, k := range s.Key {
					if k == "reverse_proxy" || k == "basic_auth" || k == "basicauth" {
						matters = k
					}
				}
				tls = tls || s.Key[0] == "tls"
			}
			if matters == "" {
				continue
			}
			for addr := range strings.FieldsFuncSeq(site.Value, func(r rune) bool { return r == ',' || r == ' ' }) {
				e := control.Saw("site "+addr, site.Place, matters+" with TLS", "TLS")
				local := strings.Contains(addr, "localhost") || strings.Contains(addr, "127.0.0.1") || strings.Contains(addr, "[::1]")
				plain := strings.HasPrefix(addr, "http://") || strings.HasSuffix(addr, ":80") || strings.HasPrefix(addr, ":") && !strings.HasSuffix(addr, ":443") && !tls || off && !tls
				if plain && !local {
					e.Found = matters + " without TLS"
					bad = append(bad, e)
				} else {
					fine = append(fine, e)
				}
			}
		}
	}
	switch why := a.Unread("config"); {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(len(fine) > 0), Effective: control.No, Persistent: control.No}
		return o.Judge().With(append(bad, fine...)...).Because("the %s is served without TLS", bad[0].Fact)
	case why != "":
		return control.CannotTell(why)
	case len(fine) == 0:
		return control.DoesNotApply("Caddy passes nothing on and asks nobody for a password")
	}
	return control.Passed("Caddy serves with TLS what it passes on", fine...)
}
