package app

import (
	"strings"
	"testing"
	"testing/fstest"
)

const aProbe = `probes:
  open:
    control: app/thing-login
    what: its page
    ports: [80]
    http: GET /a
    bad: [200+plain]
    good: ["401"]
`

func TestLoad(t *testing.T) {
	good := "title: A thing\nrecognise:\n  any:\n  - {unit: thing.service}\nsettings:\n  config: {format: ini, files: [/etc/thing.conf]}\n"
	for name, c := range map[string]struct{ text, want string }{
		"good":           {good, ""},
		"empty":          {"", "x.yaml: the file is empty"},
		"unknown key":    {good + "titel: x\n", "x.yaml:7:1"},
		"no title":       {strings.Replace(good, "title: A thing\n", "", 1), "title is missing"},
		"no sign":        {"title: A thing\n", "nothing tells how to recognise it"},
		"two in a sign":  {strings.Replace(good, "{unit: thing.service}", "{unit: a, package: b}", 1), "x.yaml:4:5: want one of file"},
		"relative sign":  {strings.Replace(good, "{unit: thing.service}", "{file: a/b}", 1), "file is not a clean absolute path"},
		"unknown format": {strings.Replace(good, "format: ini", "format: xml", 1), `x.yaml:6:11: unknown format "xml"`},
		"no files":       {strings.Replace(good, "[/etc/thing.conf]", "[]", 1), "files is missing"},
		"relative file":  {strings.Replace(good, "/etc/thing.conf", "thing.conf", 1), "is not a clean absolute path"},
		"probe":          {good + aProbe, ""},
		"two kinds":      {good + aProbe + "    mqtt: true\n", "x.yaml:9:5: want one of http, mqtt, tls"},
		"no ports":       {good + strings.Replace(aProbe, "    ports: [80]\n", "", 1), "want ports, each of 1 to 65535"},
		"no such port":   {good + strings.Replace(aProbe, "80", "99999", 1), "want ports, each of 1 to 65535"},
		"odd request":    {good + strings.Replace(aProbe, "GET /a", "DELETE /a", 1), "want GET or POST"},
		"a query":        {good + strings.Replace(aProbe, "GET /a", "GET /a?b", 1), "want GET or POST"},
		"climbing":       {good + strings.Replace(aProbe, "GET /a", "GET /a/../b", 1), "want GET or POST"},
		"odd word":       {good + strings.Replace(aProbe, "200+plain", "200+plane", 1), "unknown word plane"},
		"no good":        {good + strings.Replace(aProbe, "    good: [\"401\"]\n", "", 1), "want bad and good"},
		"no user":        {good + aProbe + "    password: x\n", "a password without a user"},
	} {
		_, ps := Load(fstest.MapFS{"x.yaml": {Data: []byte(c.text)}})
		got := ""
		if err := ps.Err(); err != nil {
			got = err.Error()
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a", false}, {"a", "a.b", false}, {"a.*.c", "a.0.c", true},
		{"a.*", "a.b.c", false}, {"a.**", "a.b.c", true}, {"a.**", "a", true}, {"a.**", "b", false},
	} {
		if got := Match(c.pattern, strings.Split(c.key, ".")); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.key, got)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		alternatives, words string
		want                bool
	}{
		{"200", "200 plain", true}, {"200+plain", "200 tls", false}, {"401 200+plain", "200 plain mark", true}, {"200", "401 plain", false}, {"", "200", false},
	} {
		if got := Matches(strings.Fields(c.alternatives), strings.Fields(c.words)); got != c.want {
			t.Errorf("Matches(%q, %q) = %v", c.alternatives, c.words, got)
		}
	}
}
