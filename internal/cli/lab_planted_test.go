package cli_test

import (
	"testing"

	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/lab"
	"picket/lab/planted"
)

// TestPlanted makes a protected host bad in every way that the controls' own
// cases know and that files alone can make, and wants each found on the booted host,
// by the real program: what a case says of ten lines holds for a whole Debian.
func TestPlanted(t *testing.T) {
	t.Parallel()
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	list, err := planted.Cases("../../catalogue/controls", controls)
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, lab.Good)
	lived(h)
	found, missed, rounds := 0, 0, 0
	for len(list) > 0 {
		var now []planted.Case
		now, list = planted.Batch(list, 25)
		rounds++
		files, err := planted.Files(now)
		if err != nil {
			t.Fatal(err)
		}
		h.Sh(planted.Keep)
		h.Write(planted.Archive, 0o600, string(files))
		h.Sh(planted.Plant)
		args := []string{}
		for _, p := range now {
			args = append(args, "--only", p.Control)
		}
		r := auditOn(t, h, args...)
		for _, p := range now {
			switch res := result(t, r, p.Control); {
			case res.Verdict.Bad():
				found++
			case planted.None[p.Control] != "":
				missed++
			default:
				t.Errorf("%s, %q: not found: %s: %s", p.Control, p.Name, res.Verdict, res.Reason)
			}
		}
		h.Sh(planted.Remove)
	}
	t.Logf("%d planted faults found in %d rounds, %d are none on this host", found, rounds, missed)
	if found < 100 || missed > 20 {
		t.Errorf("%d faults were found, and %d cases make none here: want at least 100, and at most 20", found, missed)
	}
}
