package kind

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/app"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// appSetting wants the value of one setting in an application's settings
// files. Of files that are merged the last value counts; others are judged
// each for itself. Where the name has a * for the items of a list, each is
// judged.
//
// A file cannot say whether the application has read it since, so effective
// stays unknown and what the next start brings decides.
type appSetting struct {
	App     string   `yaml:"app"`
	File    string   `yaml:"file"`    // a group of the application's settings
	Key     string   `yaml:"key"`     // parts of the name with dots between; **.name is that name at any depth
	Want    []string `yaml:"want"`    // any of these; letters' case does not matter
	Not     []string `yaml:"not"`     // none of these, or "factory" for what the application ships with
	Min     *int     `yaml:"min"`     // a number of at least
	Max     *int     `yaml:"max"`     // a number of at most
	Set     bool     `yaml:"set"`     // any value that is not empty
	Default string   `yaml:"default"` // what holds where nothing is set; empty: nothing does
	Where   string   `yaml:"where"`   // judge only where this setting is there
}

func decodeAppSetting(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &appSetting{}
	if ps := n.Decode(r); len(ps) > 0 {
		return nil, ps
	}
	_, ps := appGroup(n, r.App, r.File)
	if r.Key == "" {
		ps = append(ps, n.Problem("key is missing"))
	}
	if len(r.Want) == 0 && len(r.Not) == 0 && r.Min == nil && r.Max == nil && !r.Set {
		ps = append(ps, n.Problem("what is wanted is missing: want, not, min, max or set"))
	}
	return r, ps
}

// appGroup finds the settings that a control names.
func appGroup(n *yaml.Node, name, group string) (app.Settings, yaml.Problems) {
	for _, a := range fact.KnownApps() {
		if a.Name != name {
			continue
		}
		s, ok := a.Settings[group]
		if !ok {
			return s, yaml.Problems{n.Problem("%s has no settings of the name %q", name, group)}
		}
		return s, nil
	}
	return app.Settings{}, yaml.Problems{n.Problem("%s", "app is to be one of: "+strings.Join(fact.AppNames(), ", "))}
}

// Application makes it apply where the host has that.
func (r *appSetting) Application() string { return r.App }

// Evaluate implements control.Rule.
func (r *appSetting) Evaluate(h *fact.Host) control.Outcome {
	a := h.Apps.Get(r.App)
	files := a.Files(r.File)
	merge := a.Settings[r.File].Merge
	var bad, good []control.Evidence
	var merged *fact.AppSetting
	var unset []string
	name := strings.TrimPrefix(r.Key, "**.")
	for _, f := range files {
		if f.State != fact.Known || r.Where != "" && len(r.find(f, r.Where)) == 0 {
			continue
		}
		list := r.find(f, r.Key)
		switch {
		case merge && !strings.Contains(r.Key, "*") && len(list) > 0:
			merged = &list[len(list)-1]
		case len(list) == 0:
			unset = append(unset, f.Entry.Path)
		}
		if merge && !strings.Contains(r.Key, "*") {
			continue
		}
		if !strings.Contains(r.Key, "*") && len(list) > 1 {
			list = list[len(list)-1:]
		}
		for _, s := range list {
			if e := control.Saw(s.Name(), s.Place, r.shown(s.Value), r.wanted()); r.good(s.Value) {
				good = append(good, e)
			} else {
				bad = append(bad, e)
			}
		}
	}
	if merged != nil {
		unset = nil
		if e := control.Saw(merged.Name(), merged.Place, r.shown(merged.Value), r.wanted()); r.good(merged.Value) {
			good = append(good, e)
		} else {
			bad = append(bad, e)
		}
	}
	explicit := control.TriOf(len(good)+len(bad) > 0)
	if len(good)+len(bad) > 0 && (merge || strings.HasPrefix(r.Key, "**.")) {
		unset = nil // it is set in one of them
	}
	for _, p := range unset {
		e := control.Saw(name, fact.Place{Path: p}, "not set", r.wanted())
		if r.Default != "" {
			e.Found = r.Default + " (default)"
		}
		if r.Default != "" && r.good(r.Default) {
			good = append(good, e)
		} else {
			bad = append(bad, e)
		}
	}
	why := a.Unread(r.File)
	o := control.Outcome{Explicit: explicit}
	switch {
	case len(bad) > 0 && (why == "" || !merge):
		o.Configured, o.Persistent = control.No, control.No
		e := bad[0]
		return o.Judge().With(append(bad, good...)...).Because("%s is %s, not %s", e.Fact, e.Found, e.Wanted)
	case why != "":
		return control.CannotTell(why)
	case len(good) == 0:
		return control.DoesNotApply(a.Title + " has no such settings here")
	}
	o.Configured, o.Persistent = control.Yes, control.Yes
	return o.Judge().With(good...).Because("%s is %s", good[0].Fact, good[0].Found)
}

// find are the settings of a file that a name means.
func (r *appSetting) find(f fact.AppFile, key string) []fact.AppSetting {
	if last, ok := strings.CutPrefix(key, "**."); ok {
		return f.Named(last)
	}
	return f.All(key)
}

func (r *appSetting) good(v string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return strings.EqualFold(w, v) })
	}
	secret, hidden := fact.AppSecret(v)
	factory := hidden && strings.HasSuffix(secret, fact.SecretFactory)
	switch {
	case len(r.Want) > 0 && !in(r.Want), in(r.Not), factory && slices.Contains(r.Not, "factory"), r.Set && v == "":
		return false
	case r.Min == nil && r.Max == nil:
		return true
	}
	n, err := strconv.Atoi(v)
	return err == nil && (r.Min == nil || n >= *r.Min) && (r.Max == nil || n <= *r.Max)
}

// shown is a value as it stands in a report.
func (r *appSetting) shown(v string) string {
	switch what, ok := fact.AppSecret(v); {
	case ok:
		return "a secret (" + what + ")"
	case v == "":
		return "empty"
	case len([]rune(v)) > 100:
		return string([]rune(v)[:100]) + "…"
	}
	return v
}

func (r *appSetting) wanted() string {
	var w []string
	if len(r.Want) > 0 {
		w = append(w, strings.Join(r.Want, " or "))
	}
	for _, n := range r.Not {
		if n == "factory" {
			n = "what it ships with"
		}
		w = append(w, "anything but "+n)
	}
	if r.Min != nil {
		w = append(w, fmt.Sprintf("%d or more", *r.Min))
	}
	if r.Max != nil {
		w = append(w, fmt.Sprintf("%d or less", *r.Max))
	}
	if len(w) == 0 {
		return "a value"
	}
	return strings.Join(w, ", ")
}

// Describe implements control.Describer.
func (r *appSetting) Describe() []string {
	return []string{fmt.Sprintf("%s in %s", r.Key, strings.Join(settingsOf(r.App, r.File).Files, ", ")), "wanted: " + r.wanted()}
}

func settingsOf(name, group string) app.Settings {
	for _, a := range fact.KnownApps() {
		if a.Name == name {
			return a.Settings[group]
		}
	}
	return app.Settings{}
}
