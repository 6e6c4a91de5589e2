package kind

import (
	"fmt"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// appKeys finds settings that are written and that the application does not
// read: it says nothing of them, and what they were to bring is not there.
type appKeys struct {
	App  string `yaml:"app"`
	File string `yaml:"file"`
}

func decodeAppKeys(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &appKeys{}
	if ps := n.Decode(r); len(ps) > 0 {
		return nil, ps
	}
	s, ps := appGroup(n, r.App, r.File)
	if len(ps) == 0 && len(s.Keys)+len(s.Ignored) == 0 {
		ps = yaml.Problems{n.Problem("%s does not say which keys it reads", r.App)}
	}
	return r, ps
}

// Application makes it apply where the host has that.
func (r *appKeys) Application() string { return r.App }

// Evaluate implements control.Rule.
func (r *appKeys) Evaluate(h *fact.Host) control.Outcome {
	a := h.Apps.Get(r.App)
	settings := a.Settings[r.File]
	var bad []control.Evidence
	seen := 0
	for _, f := range a.Files(r.File) {
		for _, s := range f.Settings {
			seen++
			if settings.Known(s.Key) {
				continue
			}
			wanted := "a setting that it reads"
			switch instead := settings.Instead[s.Name()]; {
			case instead != "":
				wanted = instead
			default:
				if near := yaml.Nearest(s.Name(), settings.Keys); near != "" {
					wanted = near
				}
			}
			bad = append(bad, control.Saw(s.Name(), s.Place, "is not read", wanted))
		}
	}
	why := a.Unread(r.File)
	switch {
	case len(bad) == 1:
		return control.IsIneffective(fmt.Sprintf("%s is set, and %s does not read it", bad[0].Fact, a.Title), bad...)
	case len(bad) > 1:
		return control.IsIneffective(fmt.Sprintf("%d settings such as %s are set, and %s does not read them", len(bad), bad[0].Fact, a.Title), bad...)
	case why != "":
		return control.CannotTell(why)
	case seen == 0:
		return control.DoesNotApply("there are no settings in " + strings.Join(settings.Files, ", "))
	}
	return control.Passed(fmt.Sprintf("%s reads every one of the %d settings", a.Title, seen))
}

// Describe implements control.Describer.
func (r *appKeys) Describe() []string {
	return []string{"every setting in " + strings.Join(settingsOf(r.App, r.File).Files, ", "), "wanted: one that the application reads"}
}
