package plan

import (
	"fmt"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

func TestStopped(t *testing.T) {
	p := Plan{Running: []string{"a.service", "a.service at *:80/tcp", "b.service", "c.service at *:1/tcp", "d.service"}, Steps: []change.Step{
		{Verb: change.Unit, Name: "b.service", Args: []string{"disable", "stop"}},
		{Verb: change.Unit, Name: "d.service", Args: []string{"restart"}},
	}}
	if got := fmt.Sprint(Stopped(p, []string{"a.service", "e.service"})); got != "[a.service at *:80/tcp c.service at *:1/tcp d.service]" {
		t.Error(got)
	}
}

// What several rules set in one file is one edit for each; content that is not known is not mixed with such as is.
func TestMergedEdits(t *testing.T) {
	thing := func(s string) change.Thing { return change.Thing{Type: snap.File, Content: []byte(s), Mode: 0o644} }
	opaque := change.Thing{Type: snap.File, Opaque: true, Mode: 0o600}
	got := merged([]change.Edit{
		{Path: "/a", Before: thing("1"), After: thing("2")}, {Path: "/b", After: thing("x")}, {Path: "/a", Before: thing("2"), After: thing("3")},
		{Path: "/c", Before: opaque, After: opaque}, {Path: "/c", Before: thing("p"), After: thing("q")},
	})
	if len(got) != 4 || string(got[0].Before.Content) != "1" || string(got[0].After.Content) != "3" || string(got[3].After.Content) != "q" {
		t.Errorf("%+v", got)
	}
}

// Each file that fixes write has what checks and loads it; what it names is asked for once.
func TestLoads(t *testing.T) {
	for _, l := range loads {
		if len(l.paths) == 0 || l.check == "" && l.act == "" && l.unit == "" || (l.unit == "") != (l.how == "") {
			t.Errorf("%+v does nothing", l)
		}
	}
	for p, want := range map[string]bool{"/etc/ssh/sshd_config.d/00-picket.conf": true, "/etc/sudoers.d/zz-picket": true, "/etc/picket/firewall.nft": true, "/etc/fstab": true, "/etc/motd": false} {
		found := false
		for _, l := range loads {
			for _, pattern := range l.paths {
				found = found || snap.Match(pattern, p) && l.check != ""
			}
		}
		if found != want {
			t.Errorf("%s is checked before it is loaded: %v", p, found)
		}
	}
}
