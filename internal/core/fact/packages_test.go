package fact

import (
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// TestPackagesNotAnswered: half a list, or none, is not a list on which a
// package is missing.
func TestPackagesNotAnswered(t *testing.T) {
	for _, tc := range []struct {
		out  snap.Output
		want string
	}{
		{snap.Output{Exit: 2, Stderr: "dpkg-query: error: failed to open package info file\n"}, "failed to open package info file"},
		{snap.Output{Exit: -1, Err: "its output did not end"}, "its output did not end"},
	} {
		s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
		tc.out.Argv = dpkgQuery
		tc.out.Stdout = []byte("adduser\t3.134\tall\tii \n")
		s.Commands[snap.CommandKey(dpkgQuery...)] = &tc.out
		has := Parse(s).Packages.Has("unattended-upgrades")
		if has.State != Unknown || !strings.Contains(has.Why, tc.want) {
			t.Errorf("after %q: state %v, because %q; want unknown because %q", tc.out.Err, has.State, has.Why, tc.want)
		}
	}
}

// TestPackagesHeld: a package on hold is installed, as one is whose triggers
// have not run; what has left only its settings is not.
func TestPackagesHeld(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	s.Commands[snap.CommandKey(dpkgQuery...)] = &snap.Output{Argv: dpkgQuery,
		Stdout: []byte("a\t1\tall\tii \nb\t1\tall\thi \nc\t1\tall\tri \nd\t1\tall\tit \ne\t1\tall\trc \nf\t1\tall\tun \n")}
	p := Parse(s).Packages
	for name, want := range map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": false, "f": false} {
		if has := p.Has(name); has.V != want {
			t.Errorf("%s is installed: %v, want %v", name, has.V, want)
		}
	}
}
