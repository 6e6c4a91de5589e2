package fact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/compose"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// The secrets of nastyCompose and nastyEnv; none of them may be kept.
var composeSecrets = []string{"Tr0ub4dor", "hunter2", "s3cr3tComment", "FromEnvF1le", "Argument9", "D3fault", "T0kenInLabel", "UrlPw7", "bu1ldArg", "c0ntent", "Pl4inName", "aW5saW5l", "M3ssage", "4711", "Heal7hPw", "Mul7iLine"}

const nastyCompose = `# password: s3cr3tComment
x-secret: &x {DB_PASSWORD: Tr0ub4dor}
services:
  web:
    image: nginx:${TAG:-1.27}
    user: "${RUN_AS}"
    environment:
      <<: *x
      PLAIN: Pl4inName
      REDIS_URL: redis://u:UrlPw7@redis/0
      WITH_DEFAULT_TOKEN: ${WITH_TOKEN:-D3fault}
      REFERENCE_TOKEN: ${REFERENCE_TOKEN}
      NEEDED_TOKEN: ${NEEDED_TOKEN:?M3ssage}
      EMPTY_TOKEN: ""
      REQUIRE_TOKEN: "True"
      PIN: 4711
      PISOVEREIGN_ENVIRONMENT: development
    labels:
      - traefik.http.middlewares.a.basicauth.users=amy:T0kenInLabel
      - traefik.http.routers.web.tls=true
    command: ["serve", "--requirepass", "Argument9", "--token=Argument9", "--api.insecure=true", "--providers.redis.password=hunter2", "-providers.consul.token=hunter2", "--certificatesresolvers.a.acme.eab.hmacencoded=hunter2", "PGPASSWORD=Argument9", "postgres://a:UrlPw7@h/"]
    entrypoint: sh -c "login --password Argument9"
    healthcheck: {test: curl -u amy:Heal7hPw http://localhost/}
    build: {context: ., args: {NPM_TOKEN: bu1ldArg, OTHER: bu1ldArg}}
    ports: ["${BIND}:80:80", "443:443"]
    volumes: ["/etc:/host:ro", "${DATA_SECRET:-./D3fault}:/d"]
    env_file: [web.env]
    cap_add: [SYS_ADMIN] # s3cr3tComment
    mem_limit: 1g
  lists:
    environment: [A_PASSWORD=hunter2, JUST_NAME, "TOKEN=${X}hunter2"]
    networks: {inner: {aliases: [hunter2]}}
    privileged: !reset true
    ports: [{target: 80, published: "8080", x-note: hunter2}]
    healthcheck: {test: [CMD, check, Heal7hPw]}
secrets:
  one: {content: c0ntent}
  two: {file: ./secret.txt}
configs: {c: {content: "c0ntent"}}
networks: {inner: {internal: true, driver_opts: {k: hunter2}}}
`

const nastyEnv = `# s3cr3tComment
RUN_AS=1000:1000
BIND=127.0.0.1
DB_PASSWORD=Tr0ub4dor
PLAIN='Pl4inName'
MULTI="Mul7iLine
Mul7iLine"
PIN=4711
DATA_SECRET=/srv/hunter2
REFERENCE_TOKEN: FromEnvF1le
`

func composeSnapshot(files map[string]string) *snap.Snapshot {
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	s.MarkComplete()
	for p, text := range files {
		s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(text)})
	}
	return s
}

func nasty() map[string]string {
	return map[string]string{
		"/opt/web/compose.yml": nastyCompose, "/opt/web/.env": nastyEnv, "/opt/web/web.env": "API_KEY=FromEnvF1le\nNAME=FromEnvF1le\n",
		"/opt/web/compose.override.yml": "services: {web: {environment: {DB_PASSWORD: hunter2}, read_only: true}}\n",
	}
}

// toldCompose is what is known of all services.
func toldCompose(h *Host) string {
	var b strings.Builder
	for _, p := range h.Composed.Projects {
		fmt.Fprintln(&b, p.Name, p.Files, p.Read, p.Problems)
		for _, s := range p.Services {
			if hc := s.Container.Config.Healthcheck; hc != nil {
				fmt.Fprintln(&b, hc.Test)
				s.Container.Config.Healthcheck = nil
			}
			fmt.Fprintf(&b, "%s %+v %v %v %v\n", s.Name, s.Container, s.open, s.byImage, s.places)
			for _, k := range s.Keys {
				fmt.Fprintln(&b, k, dump(s.Get(k)))
			}
		}
	}
	return b.String()
}

func dump(n *compose.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%d %d %q %s %s", n.Kind, n.Line, n.Text, n.Tag, n.Open)
	for i, it := range n.Items {
		if n.Kind == compose.Map {
			b.WriteString(" " + n.Keys[i])
		}
		b.WriteString(" " + dump(it))
	}
	return b.String() + ")"
}

// TestComposeSecretsAreNotKept: no secret of a compose file and its variables
// is kept, what is kept says the same as the files, and keeping it again changes
// nothing.
func TestComposeSecretsAreNotKept(t *testing.T) {
	s := composeSnapshot(nasty())
	before := toldCompose(Parse(s))
	Redact(s, Secrets{})
	kept := ""
	for _, p := range s.Paths() {
		kept += p + "\n" + string(s.Entries[p].Content)
	}
	after := toldCompose(Parse(s))
	for _, secret := range composeSecrets {
		for what, text := range map[string]string{"kept": kept, "told": after, "told of the files themselves": before} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is %s:\n%s", secret, what, text)
			}
		}
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Error("- of the files, + of what is kept\n" + d)
	}
	for _, want := range []string{
		`"user"]	"${RUN_AS}"`, `["RUN_AS"]	"1000:1000"`, `["BIND"]	"127.0.0.1"`, `"PLAIN"]	"[not kept]"`, `["DB_PASSWORD"]	"[secret, 8 to 15 characters]"`,
		`"REFERENCE_TOKEN"]	"${REFERENCE_TOKEN}"`, `"WITH_DEFAULT_TOKEN"]	"${WITH_TOKEN:-[secret, shorter than 8 characters]}"`, `"EMPTY_TOKEN"]	""`,
		`"REDIS_URL"]	"[secret, in an address]"`, `"--requirepass=[secret, 8 to 15 characters]"`, `"--api.insecure=true"`, `"PISOVEREIGN_ENVIRONMENT"]	"development"`,
		`"REQUIRE_TOKEN"]	"[not kept]"`, `28	["services","web","cap_add",0]	"SYS_ADMIN"`, `"privileged"]	"true"	!reset`,
	} {
		if !strings.Contains(kept, want) {
			t.Errorf("%s is not kept:\n%s", want, kept)
		}
	}
	for _, want := range []string{"User:1000:1000", "Image:nginx:1.27", "DB_PASSWORD=[secret]", "API_KEY=[secret]", "EMPTY_TOKEN= ", "Source:/etc "} {
		if !strings.Contains(after, want) {
			t.Errorf("%s is not told:\n%s", want, after)
		}
	}
	for _, p := range s.Paths() {
		e := *s.Entries[p]
		keep := keepEnv
		if strings.HasSuffix(p, ".yml") {
			keep = redactCompose
		}
		if again := keep(s, &e, Secrets{}); string(again) != string(e.Content) {
			t.Errorf("%s kept again:\n%s", p, cmp.Diff(string(e.Content), string(again)))
		}
	}
}

// TestComposeOnce: a project that is found under two names is one.
func TestComposeOnce(t *testing.T) {
	s := composeSnapshot(map[string]string{"/opt/app/compose.yml": "services: {a: {image: a:1}}\n"})
	s.Put(&snap.Entry{Path: "/data/app/compose.yml", Real: "/opt/app/compose.yml", Type: snap.File, Mode: 0o644, Read: true, Content: s.Entries["/opt/app/compose.yml"].Content})
	s.Commands[snap.CommandKey(dockerPsAll...)] = &snap.Output{Argv: dockerPsAll, Stdout: []byte("|\n/data/app|/data/app/compose.yml\n/gone|/gone/compose.yml\n")}
	h := Parse(s)
	if len(h.Composed.Projects) != 1 || !h.Composed.Projects[0].Started || h.Composed.State != Known {
		t.Errorf("%d projects: %+v", len(h.Composed.Projects), h.Composed)
	}
}

// TestComposeReach: who writes a compose file does not make Picket read
// whatever he wants, nor take what others read for his.
func TestComposeReach(t *testing.T) {
	s := composeSnapshot(map[string]string{
		"/srv/x/compose.override.yml": "services: {}\n",
		"/srv/x/.env":                 "WORD=hunter2\n",
		"/home/amy/web/compose.yml":   "include: [/etc/shop.yml, ../bob.yml, /home/bob/c.yml]\nservices: {a: {image: a:1, env_file: [/var/lib/dpkg/status, ../more.env, /home/amy/../bob/x.env]}}\n",
		"/var/lib/dpkg/status":        "Package: x\n",
	})
	Redact(s, Secrets{})
	led := ledByCompose(s)
	for p, want := range map[string]bool{"/etc/shop.yml": false, "/home/amy/bob.yml": true, "/home/bob/c.yml": false, "/var/lib/dpkg/status": false, "/home/amy/more.env": true, "/home/bob/x.env": false} {
		if got := led(p) != nil; got != want {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
	if got := string(s.Entries["/srv/x/.env"].Content); strings.Contains(got, "hunter2") {
		t.Errorf("of variables that no project has: %q", got)
	}
	if got := string(s.Entries["/var/lib/dpkg/status"].Content); got != "Package: x\n" {
		t.Errorf("the list of packages is now %q", got)
	}
}

// TestComposeLedBeyondBounds: what one project says too much does not keep the files
// from being redacted that another leads to.
func TestComposeLedBeyondBounds(t *testing.T) {
	leftout.OfRace(t)
	files := map[string]string{
		"/opt/app/compose.yml": "include: [part.yml]\nservices: {a: {image: a:1, env_file: prod.conf}}\n",
		"/opt/app/prod.conf":   "SECRET_KEY=hunter2\n",
		"/opt/app/part.yml":    "services: {b: {image: b:1, environment: {TOKEN: hunter2}}}\n",
	}
	files["/opt/aaa/compose.yml"] = "include: [1.yml, 2.yml, 3.yml, 4.yml, 5.yml, 6.yml, 7.yml, 8.yml, 9.yml, 10.yml]\n"
	for i := range 10 {
		files[fmt.Sprintf("/opt/aaa/%d.yml", i+1)] = "services: {a: {environment: [" + strings.Repeat("A=b, ", 3900) + "]}}\n"
	}
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	for range snap.MaxRounds {
		m := Ask(s)
		for _, pattern := range m.Files {

			for p, text := range files {
				if e := s.Entries[p]; snap.Match(pattern, p) && (e == nil || !e.Read) {
					s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(text)})
				}
			}
		}
		s.MarkAsked(m)
		Redact(s, Secrets{})
	}
	for p, e := range s.Entries {
		if strings.Contains(string(e.Content), "hunter2") {
			t.Errorf("%s: %q", p, e.Content)
		}
	}
	if s.Entries["/opt/app/prod.conf"] == nil {
		t.Error("what is led to was not asked for")
	}
}

// TestComposeAsked: what a file leads to is asked in the rounds that there are.
func TestComposeAsked(t *testing.T) {
	files := map[string]string{
		"/srv/a/docker-compose.yml": "include: [part/compose.yml]\nservices: {a: {extends: {file: base.yml, service: b}, env_file: a.env}}\n",
		"/srv/a/part/compose.yml":   "services: {p: {image: p:1}}\n",
		"/srv/a/base.yml":           "services: {b: {image: b:1, privileged: true}}\n",
		"/srv/a/a.env":              "SECRET_KEY=x\n",
	}
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	for range snap.MaxRounds {
		m := Ask(s)
		for _, pattern := range m.Files {
			for p, text := range files {
				if snap.Match(pattern, p) {
					s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(text)})
				}
			}
		}
		s.MarkAsked(m)
		Redact(s, Secrets{})
	}
	h := Parse(s)
	if len(h.Composed.Projects) != 1 || len(h.Composed.Projects[0].Problems) > 0 {
		t.Fatalf("%+v", h.Composed)
	}
	p := h.Composed.Projects[0]
	if len(p.Services) != 2 || !p.Services[0].Container.HostConfig.Privileged || len(p.Services[0].Container.Config.Env) != 1 {
		t.Error(toldCompose(h))
	}
}

// TestComposeEffort: whatever lies in all the places where compose files lie, it
// is read in the time that an audit on a small board has.
func TestComposeEffort(t *testing.T) {
	leftout.OfRace(t)
	bomb := "x: &x {privileged: true, cap_add: [A], environment: {A: b}}\nservices:\n"
	for i := range 2000 {
		bomb += fmt.Sprintf("  s%d: {<<: *x, image: \"a:${T%d:-1}\", ports: [\"%d:%d\"]}\n", i, i, i+1, i+1)
	}
	bomb = bomb[:min(len(bomb), maxComposeFile-100)]
	bomb = bomb[:strings.LastIndexByte(bomb, '\n')+1]
	wide := "services:\n  a:\n    environment:\n" + strings.Repeat("    - A_TOKEN=xxxxxxxxx\n", 9000)
	deep := "services: {a: {volumes: [" + strings.Repeat("/etc:/a, ", 9000) + "]}}\n"
	names := "services: {a: {environment: {"
	for i := range 9000 {
		names += fmt.Sprintf("N%d: x, ", i)
	}
	names += "}}}\n"
	files := map[string]string{}
	for i := range 4 {
		files[fmt.Sprintf("/opt/p%d/compose.yml", i)] = []string{bomb, wide, deep, names}[i%4]
		files[fmt.Sprintf("/opt/p%d/.env", i)] = strings.Repeat("A=b\n", 5000)
	}
	s := composeSnapshot(files)
	start := time.Now()
	Redact(s, Secrets{})
	h := Parse(s)
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("it took %s", took)
	} else {
		t.Logf("%d projects in %s", len(h.Composed.Projects), took)
	}
}

// FuzzComposed: whatever a file says, its services are made of it.
func FuzzComposed(f *testing.F) {
	f.Add(nastyCompose)
	for _, networks := range []string{"[]", "{}", "x", "[[x]]", "!reset []"} {
		f.Add("services: {a: {image: postgres, networks: " + networks + "}}\n")
	}
	f.Add("services: {a: {extends: {service: b}}, b: !reset {}}\ninclude: [{path: [{}]}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := composeSnapshot(map[string]string{"/opt/a/compose.yml": text})
		Redact(s, Secrets{})
		for _, p := range Parse(s).Composed.Projects {
			for _, svc := range p.Services {
				if len(svc.Networks()) == 0 {
					t.Error("a service in no network")
				}
				svc.WrittenOut()
				svc.Flags()
				svc.Labels()
			}
		}
	})
}

func FuzzComposeKept(f *testing.F) {
	f.Add(nastyCompose)
	f.Add("services: !reset {a: !override [b, {c: d}]}\n---\nservices: {}\n")
	f.Fuzz(func(t *testing.T, text string) {
		e := &snap.Entry{Path: "/opt/a/compose.yml", Type: snap.File, Read: true, Content: []byte(text)}
		docs, bad := readCompose(e)
		k := *e
		k.Content = redactCompose(nil, e, Secrets{})
		kept, bad2 := readCompose(&k)
		if (bad == nil) != (bad2 == nil) {
			t.Fatalf("%v, kept %v", bad, bad2)
		}
		if bad != nil {
			return
		}
		if len(docs) != len(kept) {
			t.Fatalf("%d documents, kept %d", len(docs), len(kept))
		}
		for i := range docs {
			if d := cmp.Diff(dump(docs[i]), dump(kept[i])); d != "" {
				t.Fatal(d)
			}
		}
	})
}
