package kind

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// fileSetting wants the value of one setting in a file, drop-ins included.
//
//	format: systemd     file: journald.conf (below the systemd folders), section, key
//	format: ini         files in rising precedence, section, key; the last wins
//	format: assignment  files in rising precedence, KEY=value; the last wins
//	format: words       files in rising precedence, "Key value"; the last wins
//	format: apt         key: APT::Periodic::Unattended-Upgrade
//
// A file cannot say whether a program has read it since, so effective stays
// unknown and what will hold after a reboot decides.
type fileSetting struct {
	Format  string   `yaml:"format"`
	File    string   `yaml:"file"`
	Files   []string `yaml:"files"`
	Section string   `yaml:"section"`
	Key     string   `yaml:"key"`
	Want    []string `yaml:"want"`    // any of these; letters' case does not matter
	Min     *int     `yaml:"min"`     // a number of at least
	Max     *int     `yaml:"max"`     // a number of at most
	Set     bool     `yaml:"set"`     // any value that is not empty
	Default string   `yaml:"default"` // what holds where nothing is set; empty: nothing does
}

func decodeFileSetting(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &fileSetting{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	ps = append(ps, oneOf(n, "format", r.Format, "systemd", "ini", "assignment", "words", "apt")...)
	if r.Key == "" {
		ps = append(ps, n.Problem("key is missing"))
	}
	switch r.Format {
	case "systemd":
		if r.File == "" || strings.HasPrefix(r.File, "/") {
			ps = append(ps, n.Problem("file is to be a name below /etc/systemd, such as journald.conf"))
		}
	case "ini", "assignment", "words":
		if len(r.Files) == 0 {
			ps = append(ps, n.Problem("files is missing"))
		}
		for _, f := range r.Files {
			if !path.IsAbs(f) || path.Clean(f) != f {
				ps = append(ps, n.Get("files").Problem("%q is not a clean absolute path", f))
			}
		}
	}
	if len(r.Want) == 0 && r.Min == nil && r.Max == nil && !r.Set {
		ps = append(ps, n.Problem("what is wanted is missing: want, min, max or set"))
	}
	return r, ps
}

// Ask implements control.Asker.
func (r *fileSetting) Ask() snap.Manifest {
	switch r.Format {
	case "systemd":
		return snap.Manifest{Files: fact.SystemdFiles(r.File)}
	case "apt":
		return snap.Manifest{} // the topic updates reads it
	}
	return snap.Manifest{Files: r.Files}
}

// Evaluate implements control.Rule.
func (r *fileSetting) Evaluate(h *fact.Host) control.Outcome {
	v := r.value(h)
	if v.Missing() {
		return control.Missing(v)
	}
	name := r.Key
	if r.Section != "" {
		name = fmt.Sprintf("[%s] %s", r.Section, r.Key)
	}
	o := control.Outcome{Explicit: control.TriOf(v.Known())}
	found := v.V
	if !v.Known() {
		if found = r.Default; found == "" {
			o.Configured, o.Persistent = control.No, control.No
			return o.Judge().Because("%s is not set", name).With(control.Saw(name, r.place(), "not set", r.wanted()))
		}
		v.Place = r.place()
	}
	ok := r.good(found)
	o.Persistent = control.TriOf(ok)
	o.Configured = control.TriOf(ok)
	o = o.Judge()
	text := name + " is " + found
	if o.Explicit == control.No {
		found += " (default)"
		text += " by default"
	}
	if !ok {
		text += ", not " + r.wanted()
	}
	return o.Because("%s", text).With(control.Saw(name, v.Place, found, r.wanted()))
}

func (r *fileSetting) value(h *fact.Host) fact.Value[string] {
	switch r.Format {
	case "systemd":
		all, st, why := fact.SystemdConf(h.Snap, r.File)
		if st != fact.Known {
			return fact.Not[string](st, why)
		}
		return fact.Last(all, r.Section, r.Key)
	case "apt":
		return h.Updates.Apt.Get(r.Key)
	}
	return fact.LastOf(h.Snap, r.Format, r.Files, r.Section, r.Key)
}

func (r *fileSetting) place() fact.Place {
	switch {
	case r.Format == "systemd":
		return fact.Place{Path: "/etc/systemd/" + r.File}
	case len(r.Files) > 0:
		return fact.Place{Path: r.Files[0]}
	}
	return fact.Place{Path: "/etc/apt/apt.conf.d"}
}

func (r *fileSetting) wanted() string {
	var w []string
	if len(r.Want) > 0 {
		w = append(w, strings.Join(r.Want, " or "))
	}
	if r.Min != nil {
		w = append(w, fmt.Sprintf("%d or more", *r.Min))
	}
	if r.Max != nil {
		w = append(w, fmt.Sprintf("%d or less", *r.Max))
	}
	if len(w) == 0 {
		return "any value"
	}
	return strings.Join(w, ", ")
}

func (r *fileSetting) good(v string) bool {
	if len(r.Want) > 0 && !slices.ContainsFunc(r.Want, func(w string) bool { return strings.EqualFold(w, v) }) {
		return false
	}
	if r.Min != nil || r.Max != nil {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || r.Min != nil && n < *r.Min || r.Max != nil && n > *r.Max {
			return false
		}
	}
	return v != ""
}
