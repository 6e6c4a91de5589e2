package cli_test

import (
	"testing"

	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
)

// TestProfiles wants every control in strict, what is in baseline in
// recommended too, and nothing critical outside of baseline.
func TestProfiles(t *testing.T) {
	all, ps := control.Load(catalogue.Controls(), kind.All())
	profiles, more := control.LoadProfiles(catalogue.Profiles(), all)
	if err := append(ps, more...).Err(); err != nil {
		t.Fatal(err)
	}
	by := map[string]control.Profile{}
	for _, p := range profiles {
		by[p.Name] = p
	}
	for _, name := range []string{"baseline", "recommended", "strict"} {
		if by[name].Title == "" || by[name].Why == "" {
			t.Errorf("profile %s is missing, or says not what it is for", name)
		}
	}
	for _, c := range all {
		base, rec := by["baseline"].Selects(c), by["recommended"].Selects(c)
		switch {
		case !by["strict"].Selects(c):
			t.Errorf("%s is not in strict", c.ID)
		case base && !rec:
			t.Errorf("%s is in baseline and not in recommended", c.ID)
		case c.Severity == control.Critical && !base:
			t.Errorf("%s is critical and not in baseline", c.ID)
		}
	}
}
