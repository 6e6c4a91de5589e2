package fact

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/app"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// flat is what a reader makes of a text.
func flat(t *testing.T, format, text string) string {
	t.Helper()
	list, why := appSettings(&snap.Entry{Path: "/f", Content: []byte(text)}, format)
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%d %s=%s\n", s.Place.Line, s.Name(), s.Value)
	}
	if why != "" {
		b.WriteString("! " + why + "\n")
	}
	return b.String()
}

func TestAppFormats(t *testing.T) {
	for _, c := range []struct{ format, in, want string }{
		{"ini", "; x\n[mqtt]\nUserName=a\n[mqtt]\npassword = raspberry\nflag\nlong = a\n  b\nx = %(UserName)s!\n",
			"3 mqtt.UserName=a\n5 mqtt.password=[secret, factory value]\n6 mqtt.flag=\n7 mqtt.long=a\nb\n9 mqtt.x=a!\n"},
		{"ini", "a = b\n", "! /f:1: a setting stands before the first [section]\n"},
		{"toml", "a = 1 # no\n[server]\nhost = \"x\"\nports = [1, 2]\n[[keys]]\nhash = \"h\"\n[[keys]]\nhash = \"i\"\n[keys.more]\nb = true\n[e]\nt = {u = 1, v.w = \"z\"}\n",
			"1 a=1\n3 server.host=x\n4 server.ports.0=1\n4 server.ports.1=2\n6 keys.0.hash=h\n8 keys.1.hash=i\n10 keys.1.more.b=true\n12 e.t.u=1\n12 e.t.v.w=z\n"},
		{"toml", "a = 1\na = 2\n", "! /f:2: not TOML\n"},
		{"yaml", "a: {b: [x, 1]}\nc:\n- d: true\n", "1 a.b.0=x\n1 a.b.1=1\n3 c.0.d=true\n"},
		{"yaml", "a: &x 1\nb: *x\n", "! /f:1: not YAML that can be read here\n"},
		{"json", "{\"a\": {\"b\": [\"x\", 1.50]},\n\"c\": null, \"e\": {}}", "1 a.b.0=x\n1 a.b.1=1.50\n2 c=null\n2 e=\n"},
		{"json", "{\"a\": 1} x", "1 a=1\n! /f:1: not JSON\n"},
		{"hcl", "# c\nui = true /* x\n*/ listener \"tcp\" {\n  address = \"0.0.0.0:8200\" // d\n  list = [\"a\", 2,]\n}\nlistener \"unix\" {}\nseal \"x\" \"y\" { m = { a = \"b\", \"c\": 1 } }\ntext = <<EOT\none\nEOT\n",
			"2 ui=true\n3 listener.0.label=tcp\n4 listener.0.address=0.0.0.0:8200\n5 listener.0.list.0=a\n5 listener.0.list.1=2\n7 listener.1.label=unix\n8 seal.0.label=x y\n8 seal.0.m.a=b\n8 seal.0.m.c=1\n9 text=one\n"},
		{"hcl", "listener \"tcp\" {\n", "1 listener.0.label=tcp\n! /f:2: it ends within a block\n"},
		{"env", "# x\nexport A=\"b c\"\nB=d # e\nVAULT_TOKEN=hvs.CAESIJlWh1CENSOREDxyzuvwABCDEF\n", "2 A=b c\n3 B=d\n4 VAULT_TOKEN=[secret, Vault token]\n"},
		{"words", "listener 1883 0.0.0.0\nremote_password abcdefgh1\n", "1 listener=1883 0.0.0.0\n2 remote_password=[secret, 8 to 15 characters]\n"},
		{"nginx", "http { # c\n server { listen 80; server_name \"a b\" c; }\n server { ssl_protocols TLSv1\n TLSv1.2; }\n}\n",
			"1 http.0.label=\n2 http.0.server.0.label=\n2 http.0.server.0.listen=80\n2 http.0.server.0.server_name=a b c\n3 http.0.server.1.label=\n3 http.0.server.1.ssl_protocols=TLSv1 TLSv1.2\n"},
		{"nginx", "http {\n", "1 http.0.label=\n! /f:2: it ends within a block or a line\n"},
		{"lighttpd", "server.modules += (\n  \"mod_auth\", # x\n  \"mod_b\" )\nauth.require = ( \"\" => (\"method\"=>\"basic\") )\n$HTTP[\"url\"] =~ \"^/x\" {\n  dir-listing.activate = \"enable\"\n}\ninclude \"a.conf\"\n",
			"1 server.modules=mod_auth mod_b\n4 auth.require=\"\" method basic\n5 if.0.label=$HTTP[url] = ~ ^/x\n6 if.0.dir-listing.activate=enable\n8 include=a.conf\n"},
		{"caddy", "{\n\tadmin 0.0.0.0:2019\n}\nexample.org,\nhttp://x {\n  tls internal\n  basic_auth {\n   bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n  }\n}\n",
			"1 site.0.label=\n2 site.0.admin=0.0.0.0:2019\n4 site.1.label=example.org, http://x\n6 site.1.tls=internal\n7 site.1.basic_auth.0.label=\n8 site.1.basic_auth.0.bob=[secret, hashed with bcrypt]\n"},
		{"caddy", ":80\nfile_server\n", "1 site.0.label=:80\n2 site.0.file_server=\n"},
		{"users", "pioreactor:$7$101$Jq3yDRhAURfYlAIU$a3cRNXrmPoBpkt51ImVPNkTcjsf9HkNM0xyqZJjCRUVXsMmTAwpwQC8h3lD6VMDzVJ09/EiMfTLhH3H0hg2LTQ==\nbob:x\n", "1 pioreactor=[secret, hashed with mosquitto]\n2 bob=[secret, not hashed]\n"},
	} {
		if got := flat(t, c.format, c.in); got != c.want {
			t.Errorf("%s of %q:\n%s\nwant\n%s", c.format, c.in, got, c.want)
		}
	}
}

// TestAppSecretsAreNotKept: whatever the format, no secret is kept, what is kept says
// the same as the file, and keeping it again changes nothing.
func TestAppSecretsAreNotKept(t *testing.T) {
	const plain, token = "Tr0ub4dor-and-3", "hvs.CAESIJlWh1CENSOREDxyzuvwABCDEF"
	const hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG"
	for format, text := range map[string]string{
		"ini":      "[a]\npassword=" + plain + "\ntoken: " + token + "\nother = Bearer abc" + plain + "0123456789AbC\nurl=http://u:" + plain + "@h/\n; password=" + plain + "\n",
		"toml":     "# " + plain + "\n[a]\npassword = '" + plain + "'\nkeys = [{hash = \"" + hash + "\"}]\napi_keys = [\"" + plain + "\"]\nnote = \"" + token + "\"\n",
		"yaml":     "a:\n  password: " + plain + "\n  api_keys: [" + plain + "]\n  x: " + token + "\n",
		"json":     `{"a": {"password": "` + plain + `", "unseal_keys_b64": ["` + plain + `"], "root_token": "` + token + `", "x": "` + hash + `"}}`,
		"hcl":      "storage \"x\" {\n password = \"" + plain + "\" // " + plain + "\n token = \"" + token + "\"\n}\n",
		"env":      "DB_PASSWORD='" + plain + "'\nVAULT_TOKEN=" + token + "\n",
		"words":    "# " + plain + "\nremote_password " + plain + "\n",
		"nginx":    "proxy_set_header Authorization \"Basic dXNlcjpUcjB1YjRkb3ItYW5kLTM=\";\nset $secret " + token + ";\n",
		"lighttpd": "setenv.add-request-header = (\"Authorization\" => \"Basic dXNlcjpUcjB1YjRkb3ItYW5kLTM=\")\n",
		"caddy":    ":80 {\n basic_auth {\n  bob " + hash + "\n }\n}\n",
		"users":    "bob:" + plain + "\namy:" + hash + "\n",
		"text":     "Root Token: " + token + "\nexport PASS=" + plain + "\n",
	} {
		e := &snap.Entry{Path: "/f", Content: []byte(text)}
		before := flat(t, format, text)
		kept := keepSettings(format)(nil, e, Secrets{})
		for _, secret := range []string{plain, token, hash, "dXNlcjpUcjB1YjRkb3I", "RdescudvJCsgt3ub"} {
			if strings.Contains(string(kept), secret) || strings.Contains(before, secret) {
				t.Errorf("%s keeps %s:\n%s", format, secret, kept)
			}
		}
		if after := flat(t, format, string(kept)); after != before {
			t.Errorf("%s: read\n%s\nkept and read\n%s", format, before, after)
		}
		if again := keepSettings(format)(nil, &snap.Entry{Path: "/f", Content: kept}, Secrets{}); string(again) != string(kept) {
			t.Errorf("%s: kept\n%s\nand again\n%s", format, kept, again)
		}
	}
}

func TestAppSecretNotes(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"[[ PK_TOKEN ]]":   "[[ PK_TOKEN ]]",
		"${MQTT_PASSWORD}": "${MQTT_PASSWORD}",
		"/run/secrets/db":  "/run/secrets/db",
		"raspberry":        "[secret, factory value]",
		"letmein":          "[secret, a common password]",
		"QWRtaW4=":         "[secret, base64 of a factory value]",
		"YW15OnNlc2FtZQ==": "[secret, base64 of user:password]",
		"$2b$12$XnkXMEnBOyVQCVSl9FC.2u7OWwzZHMkCzDCxnMGn8KRkUmPnmIxGG": "[secret, hashed with bcrypt]",
		"s3same":                       "[secret, shorter than 8 characters]",
		"$uper!":                       "[secret, shorter than 8 characters]",
		"correct horse battery staple": "[secret, 16 characters or more]",
		"[secret, base64]":             "[secret, base64]",
	} {
		if got := keepValue([]string{"x", "password"}, in, true, Secrets{}); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
	for key, want := range map[string]bool{
		"api_key": true, "password_file": false, "token_ttl": false, "max_tokens": false, "root_token": true, "PISOVEREIGN_VAULT_SECRET_ID": true, "secret_prefix": false, "keys_b64": true, "listen": false, "PK_TOKEN": true,
	} {
		if got := secretKey([]string{key, "0"}); got != want {
			t.Errorf("%s a secret: %v", key, got)
		}
	}
}

// TestAppFilesAreRedacted: what an application's profile names is asked for, and
// never kept as it is.
func TestAppFilesAreRedacted(t *testing.T) {
	for _, a := range knownApps() {
		for group, s := range a.Settings {
			for _, p := range s.Files {
				sample := strings.NewReplacer(`\`, "", "*", "x", "?", "x").Replace(p)
				i := slices.IndexFunc(redactions, func(r redaction) bool { return snap.Match(r.pattern, sample) })
				if i < 0 {
					t.Errorf("%s, %s: nothing takes the secrets out of %s", a.Name, group, p)
					continue
				}
				first := redactions[i].replace(snap.New(snap.Source{}, time.Unix(0, 0)), &snap.Entry{Path: sample, Content: []byte("a = 1\n")}, Secrets{})
				if s.Format != "ini" && !strings.HasPrefix(string(first), settingsHead) {
					t.Errorf("%s, %s: another topic keeps %s in its own form: %q", a.Name, group, p, first)
				}
			}
		}
	}
}

func TestRecognise(t *testing.T) {
	host := func(uid int, kind string) *Host {
		s := snap.New(snap.Source{Kind: kind, UID: uid}, time.Unix(0, 0))
		s.Put(&snap.Entry{Path: "/etc/there", Type: snap.File})
		s.MarkAsked(snap.Manifest{Stats: []string{"/etc/there", "/etc/gone"}})
		s.Denials["/home/*/x"] = "run as root to read /home/*/x"
		h := &Host{Snap: s, Sockets: Sockets{State: Known, Listening: []Socket{{Process: "vault"}, {Process: ""}}}}
		return h
	}
	file := func(p string) app.Sign { return app.Sign{File: p} }
	there, gone, shut := file("/etc/there"), file("/etc/gone"), file("/home/*/x")
	for name, c := range map[string]struct {
		r    app.Recognise
		want State
	}{
		"any":                {app.Recognise{Any: []app.Sign{gone, there}}, Known},
		"any, one hidden":    {app.Recognise{Any: []app.Sign{shut, there}}, Known},
		"none":               {app.Recognise{Any: []app.Sign{gone}}, Absent},
		"none, one hidden":   {app.Recognise{Any: []app.Sign{gone, shut}}, Unknown},
		"all":                {app.Recognise{All: []app.Sign{there}}, Known},
		"all, one missing":   {app.Recognise{All: []app.Sign{shut, gone}}, Absent},
		"all, one hidden":    {app.Recognise{All: []app.Sign{there, shut}}, Unknown},
		"all, and any":       {app.Recognise{All: []app.Sign{there}, Any: []app.Sign{gone}}, Absent},
		"it listens":         {app.Recognise{Any: []app.Sign{{Process: "vault"}}}, Known},
		"who listens hidden": {app.Recognise{Any: []app.Sign{{Process: "caddy"}}}, Unknown},
	} {
		if st, _, why := recognise(host(1000, "local"), host(1000, "local").Snap, c.r); st != c.want {
			t.Errorf("%s: %s (%s), want %s", name, st, why, c.want)
		}
	}
}

func FuzzAppSettings(f *testing.F) {
	f.Add("a = \"b\"\n[c]\nd = [1, {e = 2}]\n")
	f.Add("listener \"tcp\" {\n  a = [1, { b = <<E\nx\nE\n}]\n}\n")
	f.Add("server { listen 80; # x\n ssl_protocols \"a\"; }\n$HTTP[\"x\"] == \"y\" { a = (\"b\" => 1) }\n")
	f.Add("{\n admin off\n}\nexample.org, b {\n tls {\n x\n }\n}\n")
	f.Add("{\"a\": [1, {\"password\": \"QWRtaW4=\"}]}")
	f.Add("a:\n- b: {c: d}\n")
	f.Add(settingsHead + "1\t[\"a\"]\t\"b\"\n! x\n")
	f.Add("sum by (a) (rate(b{c=~\"d|e\",f!=\"g\"}[5m])) > 1")
	f.Fuzz(func(t *testing.T, text string) {
		metricsOf(text)
		for _, format := range app.Formats {
			e := &snap.Entry{Path: "/f", Content: []byte(text)}
			before, why := appSettings(e, format)
			kept := keepSettings(format)(nil, e, Secrets{})
			after, whyAfter := appSettings(&snap.Entry{Path: "/f", Content: kept}, format)
			if format == "ini" { // a value of several lines becomes one
				continue
			}
			if len(before) != len(after) || (why == "") != (whyAfter == "") {
				t.Errorf("%s: %d settings (%s), kept and read again %d (%s)", format, len(before), why, len(after), whyAfter)
			}
		}
	})
}

// TestGitIndex reads what git 2.39 wrote of nio.conf, etc/users.json and five
// other files, in two versions of the format.
func TestGitIndex(t *testing.T) {
	for version, b64 := range map[string]string{
		"2": "RElSQwAAAAIAAAAHawmOJzI8HQNrCY4nMjwdAwAA/gAAmGGEAACBpAAAAAAAAAAAAAAAAtAEkf1+W7b6KMUXoLsyuLUGU51NAAtibG9ja3MvMS5weQAAAAAAAABrCY4nMjwdA2sJjicyPB0DAAD+AACYYZQAAIGkAAAAAAAAAAAAAAADK9WgqYo2zAitqIuATTvgR+aqW4oADGJsb2Nrcy8yMi5weQAAAAAAAGsJjicyPB0DawmOJzI8HQMAAP4AAJhhpAAAgaQAAAAAAAAAAAAAAARVvQrExC5GzXUet0BeEqNeYUJVUAANYmxvY2tzLzMzMy5weQAAAAAAawmOJzI8HQNrCY4nMjwdAwAA/gAAmGG0AACBpAAAAAAAAAAAAAAABbD22U6TnS7A225Imqn8SFRmTvkjAA5ibG9ja3MvNDQ0NC5weQAAAABrCY4nMjwdA2sJjicyPB0DAAD+AACYYcoAAIGkAAAAAAAAAAAAAAAGpdwCcaHwi/lS79m31ezNVU4I2r0AD2Jsb2Nrcy81NTU1NS5weQAAAGsJjicyPB0DawmOJzI8HQMAAP4AAJhhZQAAgaQAAAAAAAAAAAAAAAJheAeYIo0Xry00/OTPvfNVVoMkcgAOZXRjL3VzZXJzLmpzb24AAAAAawmOJzI8HQNrCY4nMjwdAwAA/gAAmGE0AACBpAAAAAAAAAAAAAAAAniYGSJhOyr7YCUEL/a9h4rBmU6FAAhuaW8uY29uZgAA1yVpOFzNOHUrK3xxL0JkudpaEAc=",
		"4": "RElSQwAAAAQAAAAHawmOJzI8HQNrCY4nMjwdAwAA/gAAmGGEAACBpAAAAAAAAAAAAAAAAtAEkf1+W7b6KMUXoLsyuLUGU51NAAsAYmxvY2tzLzEucHkAawmOJzI8HQNrCY4nMjwdAwAA/gAAmGGUAACBpAAAAAAAAAAAAAAAAyvVoKmKNswIraiLgE074EfmqluKAAwEMjIucHkAawmOJzI8HQNrCY4nMjwdAwAA/gAAmGGkAACBpAAAAAAAAAAAAAAABFW9CsTELkbNdR63QF4So15hQlVQAA0FMzMzLnB5AGsJjicyPB0DawmOJzI8HQMAAP4AAJhhtAAAgaQAAAAAAAAAAAAAAAWw9tlOk50uwNtuSJqp/EhUZk75IwAOBjQ0NDQucHkAawmOJzI8HQNrCY4nMjwdAwAA/gAAmGHKAACBpAAAAAAAAAAAAAAABqXcAnGh8Iv5Uu/Zt9XszVVOCNq9AA8HNTU1NTUucHkAawmOJzI8HQNrCY4nMjwdAwAA/gAAmGFlAACBpAAAAAAAAAAAAAAAAmF4B5gijRevLTT85M+981VWgyRyAA4PZXRjL3VzZXJzLmpzb24AawmOJzI8HQNrCY4nMjwdAwAA/gAAmGE0AACBpAAAAAAAAAAAAAAAAniYGSJhOyr7YCUEL/a9h4rBmU6FAAgObmlvLmNvbmYAcQHK7Re0dY+GNA1EWhTfyY5gWFU=",
	} {
		raw, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := flat(t, "git", string(raw)), "0 tracked=etc/users.json\n0 tracked=nio.conf\n"; got != want {
			t.Errorf("version %s: %q, want %q", version, got, want)
		}
		if got := flat(t, "git", string(raw[:len(raw)/2])); !strings.Contains(got, "ends too early") {
			t.Errorf("version %s, half of it: %q", version, got)
		}
	}
}

// TestAppKeptSize: what is kept of a file has the size that a saved snapshot
// may have, and says so where it would be more.
func TestAppKeptSize(t *testing.T) {
	leftout.OfRace(t)
	for format, text := range map[string]string{
		"yaml": strings.Repeat("- [[[[a]]]]\n", 15_000),
		"env":  strings.Repeat("A_TOKEN=x\n", 60_000),
		"ini":  "[a]\n" + strings.Repeat("token=a\n", 100),
	} {
		kept := keepSettings(format)(nil, &snap.Entry{Path: "/f", Content: []byte(text)}, Secrets{})
		if len(kept) > snap.MaxFile+64<<10 {
			t.Errorf("%s: %d bytes are kept of %d", format, len(kept), len(text))
		}
		if _, why := appSettings(&snap.Entry{Path: "/f", Content: kept}, format); format == "env" && why == "" {
			t.Errorf("%s: nothing says that it is not all", format)
		}
	}
	var b strings.Builder
	b.WriteString("[a]\n")
	for i := range 60_000 {
		fmt.Fprintf(&b, "token%d=a\n", i)
	}
	kept := keepSettings("ini")(nil, &snap.Entry{Path: "/f", Content: []byte(b.String())}, Secrets{})
	if _, why := appSettings(&snap.Entry{Path: "/f", Content: kept}, "ini"); len(kept) > snap.MaxFile || why == "" {
		t.Errorf("ini: %d bytes are kept (%q)", len(kept), why)
	}
}

func TestMetricsOf(t *testing.T) {
	for expr, want := range map[string]string{
		`rate(http_requests_client_error_total{status="401"}[5m]) > 10`:                 "[{http_requests_client_error_total [status]}]",
		`sum by (job, instance) (rate(a_total{x=~"5..",y!="z",w=~".*"}[5m])) / b_total`: "[{a_total [x]} {b_total []}]",
		`absent(up{job="x"})`:                         "[]",
		`{__name__=~"x.*", job="y"} == 1`:             "[]",
		`a and on(x) group_left(y) b offset 5m > 1e3`: "[{a []} {b []}]",
		`up == bool 0 or vector(1)`:                   "[{up []}]",
	} {
		if got := fmt.Sprint(metricsOf(expr)); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}

// TestAppTextEffort: a container's log of a megabyte is looked through in the
// time that an audit on a small board has.
func TestAppTextEffort(t *testing.T) {
	line := `{"log":"GET /health 200 1.2ms from 172.18.0.2 request abcdef0123456789\n","stream":"stdout","time":"2026-01-10T10:00:00.0Z"}` + "\n"
	e := &snap.Entry{Path: "/f", Content: []byte(strings.Repeat(line, snap.MaxFile/len(line)))}
	start := time.Now()
	keepSettings("text")(nil, e, Secrets{})
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
