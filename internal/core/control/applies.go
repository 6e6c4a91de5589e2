package control

import (
	"strings"

	"picket/internal/core/fact"
)

// Applies says on which hosts a control means something. All conditions that
// are given must hold.
type Applies struct {
	Installed []string `yaml:"installed"` // any of these packages
	Missing   []string `yaml:"missing"`   // none of these packages
	File      []string `yaml:"file"`      // any of these paths or patterns exists
	Hardware  string   `yaml:"hardware"`  // raspberry-pi
	Live      bool     `yaml:"live"`      // a running host, not an image
	App       string   `yaml:"app"`       // an application of catalogue/apps that is recognised
}

// To tells whether the conditions hold. If not, reason says which one; unknown
// is set when that could not be told.
func (a Applies) To(h *fact.Host) (ok bool, reason, unknown string) {
	if a.Live && h.Snap.Source.Kind == "image" {
		return false, "", "a running host is needed; this is an image"
	}
	if a.Hardware == "raspberry-pi" && !h.OS.RaspberryPi {
		if h.OS.Model.Missing() && h.Snap.Source.Kind != "image" {
			return false, "", h.OS.Model.Why
		}
		return false, "this is not a Raspberry Pi", ""
	}
	if a.App != "" {
		switch app := h.Apps.Get(a.App); app.State {
		case fact.Known:
		case fact.Absent:
			return false, app.Why, ""
		default:
			return false, "", app.Why
		}
	}
	if len(a.Installed) > 0 {
		some := false
		for _, p := range a.Installed {
			has := h.Packages.Has(p)
			if !has.Known() {
				return false, "", has.Why
			}
			some = some || has.V
		}
		if !some {
			return false, strings.Join(a.Installed, ", ") + " is not installed", ""
		}
	}
	for _, p := range a.Missing {
		has := h.Packages.Has(p)
		if !has.Known() {
			return false, "", has.Why
		}
		if has.V {
			return false, p + " is installed", ""
		}
	}
	if len(a.File) > 0 {
		why := ""
		for _, p := range a.File {
			es, st, w := h.Snap.Glob(p)
			if len(es) > 0 {
				return true, "", ""
			}
			if st != fact.Absent {
				why = w
			}
		}
		if why != "" {
			return false, "", why
		}
		return false, "there is no " + strings.Join(a.File, ", "), ""
	}
	return true, "", ""
}

// Paths are what To reads of the host, to be asked for.
func (a Applies) Paths() []string { return a.File }
