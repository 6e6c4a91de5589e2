package harden_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/harden"
	"picket/internal/host/machine"
	"picket/lab/leftout"
)

// What a program may do, lists of who may read a file, and other attributes are there again when a card is taken back. Those
// that are not the content's stay with a file that is written anew.
func TestCardKeepsAttributes(t *testing.T) {
	if os.Geteuid() != 0 {
		leftout.Missing(t, "not root")
	}
	dir := cardOf(t)
	capable := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service=ep
	// user::rw-, user:1234:r--, group::r--, mask::r--, other::r--
	list := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xd2\x04\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	set := map[string]string{"user.note": "ours", "security.capability": capable, "system.posix_acl_access": list}
	paths := []string{"etc/a", "etc/gone", "etc/mode"}
	for _, p := range paths {
		for name, value := range set {
			if err := unix.Setxattr(filepath.Join(dir, p), name, []byte(value), 0); err != nil {
				leftout.Missing(t, "the file system keeps no "+name+": "+err.Error())
			}
		}
	}
	of := func(p string) map[string]string {
		t.Helper()
		f, err := os.Open(filepath.Join(dir, p))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all, err := machine.Attributes(f)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for name, value := range all {
			out[name] = string(value)
		}
		return out
	}
	for name, given := range map[string]int{"its mode alone": os.Geteuid(), "another owner": 1234} {
		before := tree(t, dir)
		all := steps()
		i := slices.IndexFunc(all, func(s change.Step) bool { return s.Name == "/etc/mode" })
		all[i].After = change.Thing{Type: snap.File, Opaque: true, Mode: 0o600, UID: given, GID: given}
		c := opened(t, dir)
		if err := c.Apply(plan.Plan{Steps: all}, harden.Options{ID: "20260101-000000", Within: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if is := of("etc/a"); is["user.note"] != "ours" || is["system.posix_acl_access"] == "" || is["security.capability"] != "" {
			t.Errorf("%s: of what is written anew: %q", name, is)
		}
		if info, err := os.Stat(filepath.Join(dir, "etc/a")); err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if is := of("etc/mode"); is["user.note"] != "ours" || given == os.Geteuid() && is["security.capability"] != capable {
			t.Errorf("%s: of what gets other rights: %q", name, is)
		}
		if err := c.Back("20260101-000000"); err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if is := of(p); !maps.Equal(is, set) {
				t.Errorf("%s: %s: %q", name, p, is)
			}
		}
		same(t, before, tree(t, dir))
	}
}
