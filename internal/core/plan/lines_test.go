package plan_test

import (
	"slices"
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/plan"
)

// TestLinesAreRead has the lines of each kind of step say what the step was.
func TestLinesAreRead(t *testing.T) {
	s := every()
	s.Plan.Steps[1].Name = "/etc/a b'c # d"
	folder, err := plan.Compile(s.Plan.Steps)
	if err != nil {
		t.Fatal(err)
	}
	lines := plan.ReadLines(folder["plan"])
	var got []string
	for n, l := range lines {
		got = append(got, l.InWords())
		if !slices.Equal(l.Controls, []string{"x/y"}) {
			t.Errorf("%+v", l)
		}
		if name := s.Plan.Steps[n].Name; name != "packages" && l.Args[0] != name {
			t.Errorf("%q, want %q", l.Args[0], name)
		}
	}
	want := []string{"install pkg", "new file /etc/a b'c # d", "change /etc/b", "remove /etc/c", "make the folder /etc/d", "make /etc/e a link to /x",
		"mode and owner of /etc/f: 0600 0 0", "check: true", "set a.b = 1", "reload u.service", "run true"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if ids := plan.ControlsOf(lines); !slices.Equal(ids, []string{"x/y"}) {
		t.Error(ids)
	}
}

// TestLinesForACommand: what a command of its own has done is told by its name, and not by each word of it.
func TestLinesForACommand(t *testing.T) {
	for text, want := range map[string][]string{
		"step act 001 true x # user add ann":             {"user add ann"},
		"step act 001 true x # ssh/root-login ssh/ports": {"ssh/root-login", "ssh/ports"},
		"step act 001 true x #":                          {},
	} {
		if lines := plan.ReadLines([]byte(text)); len(lines) != 1 || !slices.Equal(lines[0].Controls, want) {
			t.Errorf("%q: %+v, want %q", text, lines, want)
		}
	}
}

// TestLongCommandsInWords: what a long command is for is told in its place, and an account by its number.
func TestLongCommandsInWords(t *testing.T) {
	of := []string{"x/y"}
	folder, err := plan.Compile([]change.Step{
		{Verb: change.Owner, Name: "/opt/a", Args: change.Hands(0, 0, 998, 997, "a.service"), Controls: of},
		{Verb: change.Check, Name: "t=$(mktemp) && [ -e \"$t\" ]", Args: []string{"it has to be there"}, Controls: of},
		{Verb: change.Act, Name: "for f in ./*; do :; done", Args: []string{"all is looked at"}, Controls: of},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range plan.ReadLines(folder["plan"]) {
		got = append(got, l.InWords())
	}
	if want := []string{"what is that of account 0 at and below /opt/a becomes that of account 998", "check: it has to be there", "all is looked at"}; !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

// FuzzReadLines: whatever a host has there is told, or left out.
func FuzzReadLines(f *testing.F) {
	folder, _ := plan.Compile(every().Plan.Steps)
	f.Add(folder["plan"])
	f.Add([]byte("step link 001 x\nstep 'a\nstep a b\\\nstep unit 1 '' #"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, l := range plan.ReadLines(data) {
			if strings.TrimSpace(l.Verb+strings.Join(l.Args, "")) != "" && l.InWords() == "" {
				t.Errorf("%+v is nothing in words", l)
			}
		}
	})
}
