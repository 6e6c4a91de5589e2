package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/internal/core/trust"
	"picket/internal/report"
)

// meshed is the map of hosts that all let each other in, the first of which leads; with star, the leader alone gets in.
func meshed(n int, star bool) trust.Map {
	m := trust.Map{Schema: "picket.trust/1", Accounts: []trust.Account{}, Outside: []trust.Outside{}, Anybody: []trust.Fallen{}, Same: []trust.Same{}}
	name := func(i int) string {
		if i == 0 {
			return "leader"
		}
		return fmt.Sprintf("worker%d", i)
	}
	for i := range n {
		node := trust.Node{Name: name(i), Read: true, Takes: []trust.Fallen{}, Later: []trust.Fallen{}, Roles: []string{"worker"}}
		if i == 0 {
			node.Roles = []string{"leader"}
		}
		m.Accounts = append(m.Accounts, trust.Account{ID: "pi@" + name(i), Name: "pi", Host: name(i)}, trust.Account{ID: "root@" + name(i), Name: "root", Host: name(i), Root: true})
		m.Edges = append(m.Edges, trust.Edge{From: "pi@" + name(i), To: "root@" + name(i), How: trust.Sudo, With: "pi: ALL"})
		for j := range n {
			if i != j && (!star || i == 0) {
				m.Edges = append(m.Edges, trust.Edge{From: "pi@" + name(i), To: "pi@" + name(j), How: trust.Key, With: "SHA256:x"})
				node.Takes = append(node.Takes, trust.Fallen{Host: name(j), Root: true, Accounts: []string{"pi", "root"}})
			}
		}
		m.Nodes = append(m.Nodes, node)
	}
	return m
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%.3000s", err, text)
		}
	}
}

func svg(t *testing.T, m trust.Map) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.TrustSVG(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTrustPicture: it is XML whatever hosts are called, the same for the same map, and has each host, way and taken host once.
func TestTrustPicture(t *testing.T) {
	for _, n := range []int{1, 2, 3, 6, 12, 30} {
		for _, star := range []bool{false, true} {
			m := meshed(n, star)
			text := svg(t, m)
			wellFormed(t, text)
			if text != svg(t, m) {
				t.Error("two pictures of one map")
			}
			if dir := os.Getenv("PICKET_PICTURES"); dir != "" {
				var page bytes.Buffer
				if err := report.TrustHTML(&page, m); err != nil {
					t.Fatal(err)
				}
				for name, content := range map[string]string{"svg": text, "html": page.String()} {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("mesh%d-%v.%s", n, star, name)), []byte(content), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := map[string]int{`<circle class="dot d-`: n, `class="self"`: n, `rect class="root" x="4"`: 1}
			want[`all of worker`] = (n - 1) * (n - 1)
			want[`all of leader`] = n - 1
			want[`<line class="way w-`] = n*(n-1)/2 + 3 // and the legend's
			if star {
				want[`all of worker`], want[`all of leader`], want[`<line class="way w-`] = n-1, 0, n-1+3
			}
			for what, many := range want {
				if got := strings.Count(text, what); got != many {
					t.Errorf("%d hosts, star %v: %s is there %d times, want %d", n, star, what, got, many)
				}
			}
		}
	}
	m := meshed(3, false)
	m.Nodes[1].Name = "a<script>&\x1b[31m\"' and some letters"
	m.Nodes[2].Read = false
	m.Nodes[2].Unknown = []string{"no route to <b>"}
	m.Anybody = []trust.Fallen{{Host: "leader", Accounts: []string{"pi"}}}
	wellFormed(t, svg(t, m))
	var page bytes.Buffer
	if err := report.TrustHTML(&page, m); err != nil {
		t.Fatal(err)
	}
	if s := page.String(); strings.Contains(s, "<script") || strings.Contains(s, "<b>") || strings.Contains(s, "\x1b") {
		t.Errorf("a host's name is markup:\n%s", s)
	}
	if !strings.Contains(svg(t, m), ">?</text>") {
		t.Error("what could not be read looks as if it took nothing")
	}
}

// TestTrustText shows a full mesh, what is left of it, and what is not known.
func TestTrustText(t *testing.T) {
	text := func(m trust.Map) string {
		var b bytes.Buffer
		if err := (report.Trust{Width: 100}).Write(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := `Who can become whom · 4 hosts: whoever takes any one of them has them all

If one is taken, so are
  leader       every other, wholly
  worker1, worker2, worker3
    every other, wholly

Who reaches whom
  pi on each host
    → pi on every other host: a key, without a passphrase

Who becomes whom on one host
  pi on each host
    → root: sudo, at once
`
	if got := text(meshed(4, false)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	m := meshed(4, true)
	m.Nodes[2].Unknown = []string{"its rules of sudo: only root may read them"}
	m.Nodes[3].Read, m.Nodes[3].Unknown = false, []string{"no route to host"}
	m.Same = []trust.Same{{What: "host key", Of: "ssh-ed25519 SHA256:x", Hosts: []string{"worker1", "worker2"}}}
	m.Outside = []trust.Outside{{Print: "SHA256:y", Type: "ssh-ed25519", Comment: "ann\x1b@laptop", To: []string{"pi@leader", "pi@worker1"}, Places: []string{"", ""}}}
	want = `Who can become whom · 4 hosts: leader takes 3 more with it, 2 take none

If one is taken, so are
  leader       every other, wholly
  worker1      no other
  worker2      no other, as far as is known
  worker3      not known: it could not be read

Who reaches whom
  pi on leader
    → pi on every other host: a key, without a passphrase

Who becomes whom on one host
  pi on each host
    → root: sudo, at once

Keys that lie on none of these hosts, and let in
  ann\u001b@laptop · ssh-ed25519 SHA256:y
    → pi on leader, worker1

The same on several hosts, as copied cards have it
  worker1, worker2
    host key · ssh-ed25519 SHA256:x

Not known, so that more may be possible
  worker2: its rules of sudo: only root may read them
  worker3: no route to host
`
	if got := text(m); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	var b bytes.Buffer
	var back trust.Map
	if err := report.TrustJSON(&b, m); err != nil || json.Unmarshal(b.Bytes(), &back) != nil || len(back.Nodes) != 4 || strings.Contains(b.String(), "null") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestTrustSchema(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile("../../docs/trust.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	m := meshed(3, false)
	m.Nodes[1].Unknown = []string{"its rules of sudo: only root may read them"}
	m.Same = []trust.Same{{What: "host key", Of: "ssh-ed25519 SHA256:x", Hosts: []string{"worker1", "worker2"}}}
	m.Outside = []trust.Outside{{Print: "SHA256:y", Type: "ssh-ed25519", To: []string{"pi@leader"}, Places: []string{"/x:1"}}}
	for _, m := range []trust.Map{m, trust.Of(nil), trust.Of([]trust.Host{{Name: "gone"}})} {
		var b bytes.Buffer
		if err := report.TrustJSON(&b, m); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(decode(t, b.Bytes())); err != nil {
			t.Errorf("%v in\n%s", err, b.String())
		}
		broken := strings.Replace(b.String(), `"schema": "picket.trust/1"`, `"schema": "picket.trust/2"`, 1)
		if s.Validate(decode(t, []byte(broken))) == nil {
			t.Error("the schema accepts another version")
		}
	}
}
