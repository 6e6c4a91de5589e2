package catalogue_test

import (
	"slices"
	"testing"

	"picket/catalogue"
	"picket/internal/core/app"
	"picket/internal/core/control"
	"picket/internal/core/kind"
)

// TestAppsAndControls: an application's profile names the controls that apply
// to it, and each control of an application is named by its profile.
func TestAppsAndControls(t *testing.T) {
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	apps, problems := app.Load(catalogue.Apps())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, a := range apps {
		for _, p := range a.Controls {
			if err := control.Used(p, controls); err != nil {
				t.Errorf("%s: %v", a.Name, err)
			}
		}
		for name, p := range a.Probes {
			if !control.Match(a.Controls, p.Control) || control.Used(p.Control, controls) != nil {
				t.Errorf("%s: the probe %s bears on %s, which is none of its controls", a.Name, name, p.Control)
			}
		}
		for _, c := range controls {
			if c.Applies.App == a.Name && !control.Match(a.Controls, c.ID) {
				t.Errorf("%s is about %s, whose profile does not name it", c.ID, a.Name)
			}
		}
		if !slices.ContainsFunc(controls, func(c control.Control) bool { return c.Applies.App == a.Name }) {
			t.Errorf("no control is about %s", a.Name)
		}
	}
}

// TestProfilesExtend: a profile of an application has all of recommended, and
// all that is about the application.
func TestProfilesExtend(t *testing.T) {
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	profiles, problems := control.LoadProfiles(catalogue.Profiles(), controls)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	base, err := control.Named(profiles, "recommended")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pioreactor", "nio", "pisovereign", "pi-cluster"} {
		p, err := control.Named(profiles, name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, c := range controls {
			if (base.Selects(c) || c.Applies.App == name) && !p.Selects(c) {
				t.Errorf("%s leaves out %s", name, c.ID)
			}
		}
	}
}
