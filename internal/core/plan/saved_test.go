package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/snapshot"
)

func ofRecorded(t testing.TB, name string) (plan.Saved, *snap.Snapshot) {
	t.Helper()
	controls, ps := control.Load(catalogue.Controls(), kind.All())
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Open("../../../testdata/hosts/" + name + ".snapshot")
	if err != nil {
		t.Fatal(err)
	}
	r := audit.Evaluate(controls, s, audit.Options{Profile: "strict", Now: s.Taken})
	return plan.Saved{Picket: "test", Made: s.Taken.Add(time.Hour), Taken: s.Taken, Profile: "strict", Identity: plan.IdentityOf(s),
		Plan: plan.Make(controls, s, r, plan.Options{})}, s
}

// every is a plan with a step of each kind, and what is hard to write down.
func every() plan.Saved {
	yes := true
	text := change.Thing{Type: snap.File, Mode: 0o644, Content: []byte("a <b> & \u2028 \x01\n")}
	odd := change.Thing{Type: snap.File, Mode: 0o4755, UID: 7, GID: 8, Content: []byte("\xff\x00")}
	opaque := change.Thing{Type: snap.File, Mode: 0o644, Opaque: true}
	closed := opaque
	closed.Mode = 0o600
	of := []string{"x/y"}
	return plan.Saved{
		Picket: "test", Made: time.Unix(1800000000, 0).UTC(), Taken: time.Unix(1700000000, 0).UTC(), Profile: "strict",
		Policy:   change.Policy{SSHPort: 2222, Ports: []change.Port{{Number: 22, Protocol: "tcp", From: "10.0.0.0/8"}}, UpdateReboot: &yes},
		Identity: plan.Identity{Machine: "ab", HostKeys: []string{"SHA256:x"}},
		Plan: plan.Plan{
			Host:  audit.Host{Name: "h", Target: "local", Via: "local"},
			Blind: "nobody knows", Judged: 7, Unknown: []plan.Unjudged{{"x/u", "it was dark"}},
			Ways: []plan.Way{{User: "pi", Key: true, Admin: true}},
			Items: []plan.Item{
				{Control: "x/y", Title: "T", Severity: control.High, Reason: "r", Risk: []string{"data"}, Guard: "g", Fix: "f",
					Edits: []change.Edit{{Control: "x/y", Path: "/etc/a", After: text}}, Steps: []change.Step{{Verb: change.Check, Name: "true", Controls: of}}},
				{Control: "x/z", Title: "Z", Severity: control.Low, Left: "no", ByHand: true},
			},
			Steps: []change.Step{
				{Verb: change.Install, Name: "packages", Args: []string{"pkg"}, Controls: of},
				{Verb: change.File, Name: "/etc/a", After: text, Controls: of},
				{Verb: change.File, Name: "/etc/b", Before: text, After: odd, Controls: of},
				{Verb: change.File, Name: "/etc/c", Before: odd, Controls: of},
				{Verb: change.File, Name: "/etc/d", After: change.Thing{Type: snap.Dir, Mode: 0o755}, Controls: of},
				{Verb: change.File, Name: "/etc/e", Before: text, After: change.Thing{Type: snap.Link, Mode: 0o777, Target: "/x"}, Controls: of},
				{Verb: change.File, Name: "/etc/f", Before: opaque, After: closed, Controls: of},
				{Verb: change.Check, Name: "true", Controls: of},
				{Verb: change.Sysctl, Name: "a/b", Args: []string{"1"}, Controls: of},
				{Verb: change.Unit, Name: "u.service", Args: []string{"reload"}, Controls: of},
				{Verb: change.Act, Name: "true", Controls: of},
			},
		},
	}
}

func TestSavedPlanIsReadAsItWas(t *testing.T) {
	guides, _ := ofRecorded(t, "guides")
	pi, _ := ofRecorded(t, "pioreactor")
	if len(pi.Plan.Steps) < 5 {
		t.Fatalf("%d steps", len(pi.Plan.Steps))
	}
	none := every()
	none.Plan = plan.Plan{Host: none.Plan.Host}
	for _, s := range []plan.Saved{every(), guides, pi, none} {
		s.Made, s.Taken = s.Made.Truncate(time.Second).UTC(), s.Taken.Truncate(time.Second).UTC()
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := plan.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		whole := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal)) // not byte by byte
		if d := cmp.Diff(s, got, cmpopts.EquateEmpty(), whole); d != "" {
			t.Errorf("- written, + read\n%s", d)
		}
		if more := s.Plan.Differs(got.Plan); len(more) > 0 {
			t.Errorf("it differs from itself: %q", more)
		}
	}
	bad := every()
	bad.Plan.Steps[1].Name = "/etc/\xff"
	if _, err := bad.Encode(); err == nil {
		t.Error("a name that is no UTF-8 is written")
	}
}

func TestRubbishIsNoPlan(t *testing.T) {
	data, err := every().Encode()
	if err != nil {
		t.Fatal(err)
	}
	whole := string(data)
	swap := func(old, new string) string {
		t.Helper()
		if !strings.Contains(whole, old) {
			t.Fatalf("there is no %s in\n%s", old, whole)
		}
		return strings.Replace(whole, old, new, 1)
	}
	at := func(part string) string {
		t.Helper()
		i := strings.Index(whole, part)
		if i < 0 {
			t.Fatalf("there is no %s", part)
		}
		return fmt.Sprintf("line %d: ", 1+strings.Count(whole[:i], "\n"))
	}
	for bad, want := range map[string]string{
		"":                               "it is empty",
		"  \n":                           "it is empty",
		"hello":                          "line 1: invalid character 'h'",
		"[]":                             "line 1: ",
		"{}":                             "it has no schema",
		`{"schema":"other/1"}`:           "it is of schema other/1, want picket.plan/1",
		whole[:len(whole)/2]:             "it was cut off",
		whole + "{}":                     "something follows the plan",
		swap("plan/1", "plan/2"):         "it is of schema picket.plan/2, and this Picket reads picket.plan/1: make it anew",
		swap("plan/1", "plan/0"):         "it is of schema picket.plan/0, and this Picket reads picket.plan/1: make it anew",
		swap(`"profile"`, `"profil"`):    `unknown key "profil"; did you mean "profile"?`,
		swap(`"profile": "strict",`, ``): "profile is missing",
		swap(`"profile": "strict"`, `"profile": 1`):                                                            at(`"profile"`) + "profile is a number",
		swap(`"name": "h"`, `"name": "h", "name": "i"`):                                                        at(`"name"`) + `host: "name" is set twice`,
		swap(`"severity": "high"`, `"severity": "huge"`):                                                       at(`"high"`) + `items[0].severity: there is no severity "huge"`,
		swap(`"data"`, `"date"`):                                                                               at(`"data"`) + `items[0].risk[0]: there is no risk "date"`,
		swap(`"left": "no"`, `"left": ""`):                                                                     "items[1]: it has to be either changed or left",
		swap(`"mode": "4755"`, `"mode": "4758"`):                                                               at(`"4755"`) + "steps[2].after.mode: want four octal digits",
		swap(`"type": "dir"`, `"type": "socket"`):                                                              at(`"dir"`) + `steps[4].after.type: want file, dir or link, found "socket"`,
		swap(`"content": "a <b>`, `"content": "A <b>`):                                                         "items[0].edits[0].after.sum: it is not that of the content",
		swap(`"sum": "file"`, `"sum": "-"`):                                                                    at(`"sum": "file"`) + "steps[6].before.sum",
		swap(`"base64": "/wA="`, `"base64": "/wA"`):                                                            "steps[2].after.base64: illegal base64",
		swap(`"path": "/etc/a"`, `"path": "etc/a"`):                                                            at(`"path": "/etc/a"`) + `items[0].edits[0].path: "etc/a" is no path`,
		swap(`"verb": "sysctl"`, `"verb": "dance"`):                                                            `unknown verb "dance"`,
		swap(`"name": "u.service"`, `"name": "u\nservice"`):                                                    "cannot stand in a plan",
		swap(`"verb": "act"`, `"verb": "act", "after": null`):                                                  "no error",
		swap(`"verb": "act",`, `"verb": "act", "after": {"type": "dir", "mode": "0755", "uid": 0, "gid": 0},`): "only a step of the verb file has before and after",
	} {
		_, err := plan.Read([]byte(bad))
		if err == nil {
			if want != "no error" {
				t.Errorf("read without complaint, want %q:\n%.200s", want, bad)
			}
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func FuzzReadPlan(f *testing.F) {
	data, err := every().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	small := plan.Saved{Picket: "t", Made: time.Unix(1, 0), Taken: time.Unix(1, 0), Profile: "p", Plan: plan.Plan{Host: audit.Host{Name: "h", Target: "local", Via: "local"}}}
	data, _ = small.Encode()
	f.Add(data)
	f.Add([]byte(`{"schema":"picket.plan/1","items":[{"edits":[{"before":{}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := plan.Read(data)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := plan.Read(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		if d := cmp.Diff(s.Plan, back.Plan, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func TestWhatDiffers(t *testing.T) {
	type change = func(*plan.Plan)
	for want, do := range map[string]change{
		"x/y is no finding any more":                      func(p *plan.Plan) { p.Items = p.Items[1:] },
		"x/y would be left to you now: why":               func(p *plan.Plan) { i := &p.Items[0]; i.Edits, i.Steps, i.Left = nil, nil, "why" },
		"x/y could cost something else now: data, reboot": func(p *plan.Plan) { p.Items[0].Risk = []string{"data", "reboot"} },
		"x/y would be changed in another way":             func(p *plan.Plan) { p.Items[0].Edits[0].After.Mode = 0o600 },
		"it would not any more: install packages pkg":     func(p *plan.Plan) { p.Steps = p.Steps[1:] },
		"it would otherwise: install packages pkg":        func(p *plan.Plan) { p.Steps[0].Args = []string{"pkg", "more"} },
		"it would otherwise: change /etc/b":               func(p *plan.Plan) { p.Steps[2].After.Content = []byte("!") },
		"it would also: unit v.service stop": func(p *plan.Plan) {
			s := p.Steps[9]
			s.Name, s.Args = "v.service", []string{"stop"}
			p.Steps = append(p.Steps, s)
		},
		"its steps would be taken in another order, or more often": func(p *plan.Plan) { p.Steps[3], p.Steps[4] = p.Steps[4], p.Steps[3] },
		"": func(p *plan.Plan) {
			p.Ways, p.Items[0].Guard, p.Items[1].Left, p.Steps[0].Controls = nil, "", "other", nil
		},
	} {
		fresh := every().Plan
		do(&fresh)
		if got := strings.Join(every().Plan.Differs(fresh), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWhatWasChanged has a host on which all of a plan's files are as they were, and each of them in turn is not.
func TestWhatWasChanged(t *testing.T) {
	put := func(s *snap.Snapshot, p string, is change.Thing) {
		s.Put(&snap.Entry{Path: p, Type: is.Type, Mode: is.Mode, UID: is.UID, GID: is.GID, Target: is.Target, Read: is.Type == snap.File, Content: is.Content, Size: int64(len(is.Content))})
	}
	host := func() *snap.Snapshot {
		s := snap.New(snap.Source{Kind: "local"}, time.Time{})
		s.MarkComplete()
		for _, st := range every().Plan.Steps {
			if st.Verb == change.File && st.Before.Type != "" {
				put(s, st.Name, st.Before)
			}
		}
		return s
	}
	p := every().Plan
	if got := p.Changed(host()); len(got) > 0 {
		t.Errorf("nothing was changed: %q", got)
	}
	for want, do := range map[string]func(*snap.Snapshot){
		"/etc/a: it was not there, and is now":           func(s *snap.Snapshot) { put(s, "/etc/a", change.Thing{Type: snap.File, Mode: 0o644}) },
		"/etc/b: its content is another":                 func(s *snap.Snapshot) { s.Entries["/etc/b"].Content = []byte("x") },
		"/etc/b: it cannot be read: /etc/b was not read": func(s *snap.Snapshot) { s.Entries["/etc/b"].Read = false },
		"/etc/b: its mode was 0644, and is 0600":         func(s *snap.Snapshot) { s.Entries["/etc/b"].Mode = 0o600 },
		"/etc/c: its owner was 7:8, and is 0:8":          func(s *snap.Snapshot) { s.Entries["/etc/c"].UID = 0 },
		"/etc/c: it is gone":                             func(s *snap.Snapshot) { delete(s.Entries, "/etc/c") },
		"/etc/e: it was a file, and is not":              func(s *snap.Snapshot) { s.Entries["/etc/e"].Type = snap.Dir },
		"/etc/f: it cannot be read: no":                  func(s *snap.Snapshot) { delete(s.Entries, "/etc/f"); s.Denials["/etc/f"] = "no" },
		"":                                               func(s *snap.Snapshot) { s.Entries["/etc/f"].Content = []byte("of which only the mode is changed") },
	} {
		s := host()
		do(s)
		if got := strings.Join(p.Changed(s), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	_, s := ofRecorded(t, "debian12")
	id := plan.IdentityOf(s)
	if len(id.Machine) != 32 || len(id.HostKeys) != 3 || !strings.HasPrefix(id.HostKeys[0], "SHA256:") || len(id.HostKeys[0]) != 50 {
		t.Errorf("%+v", id)
	}
	e, _, _ := s.File("/etc/machine-id")
	if strings.Contains(id.Machine, strings.TrimSpace(string(e.Content))) {
		t.Error("the machine's id is there in the open")
	}
	a, b := []string{"SHA256:a"}, []string{"SHA256:b"}
	for _, c := range []struct {
		one, two plan.Identity
		want     string
	}{
		{plan.Identity{"1", a}, plan.Identity{"1", a}, ""},
		{plan.Identity{"1", a}, plan.Identity{"1", []string{"SHA256:a", "SHA256:c"}}, ""},
		{plan.Identity{"1", nil}, plan.Identity{"1", b}, ""},
		{plan.Identity{"", a}, plan.Identity{"1", a}, ""},
		{plan.Identity{"1", a}, plan.Identity{"2", a}, "its /etc/machine-id is another"},
		{plan.Identity{"1", a}, plan.Identity{"1", b}, "its SSH host keys are others"},
		{plan.Identity{"1", nil}, plan.Identity{"", a}, "neither its /etc/machine-id nor an SSH host key can be compared"},
		{plan.Identity{}, plan.Identity{}, "neither its /etc/machine-id nor an SSH host key can be compared"},
	} {
		if got := c.one.Other(c.two); got != c.want {
			t.Errorf("%+v and %+v: %q, want %q", c.one, c.two, got, c.want)
		}
	}
	pi, _ := ofRecorded(t, "pioreactor")
	if pi.Identity.Other(id) == "" {
		t.Error("two hosts are taken for one")
	}
}
