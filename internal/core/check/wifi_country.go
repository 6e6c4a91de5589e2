package check

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

// regdom is the kernel's setting for the country, as its command line has it.
const regdom = "cfg80211.ieee80211_regdom"

// countries are those that the radio is told at the next start, with where. why is what of it is not known.
func countries(h *fact.Host) (told []fact.Setting, why string) {
	switch {
	case len(h.Wifi.Unread) > 0:
		return nil, h.Wifi.Unread[0]
	case h.Modules.Missing != "":
		return nil, h.Modules.Missing
	case h.Boot.Next.State == fact.Denied || h.Boot.Next.State == fact.Unknown:
		return nil, "the kernel's command line is not known: " + h.Boot.Next.Why
	}
	kernel := fact.Setting{}
	for _, o := range h.Modules.Options {
		if o.Section == "cfg80211" && o.Key == "ieee80211_regdom" {
			kernel = o
		}
	}
	for _, w := range h.Boot.Next.V { // wins
		if value, ok := strings.CutPrefix(w, regdom+"="); ok {
			kernel = fact.Setting{Key: regdom, Value: value, Place: h.Boot.Next.Place}
		}
	}
	for _, c := range append([]fact.Setting{kernel}, h.Wifi.Countries...) {
		if c.Value = strings.ToUpper(strings.Trim(c.Value, `"`)); len(c.Value) == 2 && c.Value != "00" {
			told = append(told, c)
		}
	}
	return told, ""
}

// wifiCountry wants the radio to know where it is: which channels it may use and how loud differs, and without a country
// some of what is allowed stays shut.
func wifiCountry(h *fact.Host) control.Outcome {
	in, off := used(h.Wifi.Networks)
	if len(in) == 0 {
		return none(h, "no wireless network", off)
	}
	told, why := countries(h)
	if why != "" {
		return control.CannotTell(why)
	}
	var ev []control.Evidence
	other := false
	for _, c := range told {
		ev = append(ev, control.Saw("country", c.Place, c.Value, "one, and the same everywhere"))
		other = other || c.Value != told[0].Value
	}
	switch {
	case len(told) == 0:
		return control.Failed("nothing tells the radio in which country it is", control.Saw("country", fact.Place{Path: "/etc/modprobe.d"}, "none", "two letters, as DE"))
	case other:
		return control.Failed("the radio is told several countries", ev...)
	}
	return control.Passed("the radio is told that it is in "+told[0].Value, ev...)
}

// otherCountry says that the radio is told another country than the policy has.
func otherCountry(h *fact.Host, p change.Policy) string {
	if in, _ := used(h.Wifi.Networks); p.WifiCountry == "" || len(in) == 0 {
		return ""
	}
	told, _ := countries(h)
	for _, c := range told {
		if c.Value != p.WifiCountry {
			return "the radio is told that it is in " + c.Value + " (" + c.Place.String() + "), and policy.wifi.country is " + p.WifiCountry
		}
	}
	return ""
}

// repairCountry tells the kernel the country, and wpa_supplicant and hostapd where they were told one.
func repairCountry(h *fact.Host, d *change.Draft) error {
	want := d.Policy().WifiCountry
	if want == "" {
		d.Leave("in which country it is only you can say: policy.wifi.country in picket.yaml")
		return nil
	}
	d.Later("%s", change.NextStart)
	for _, c := range h.Wifi.Countries {
		if c.Value == want {
			continue
		}
		if err := d.Edit(c.Place.Path, 0o600, func(was []byte) ([]byte, error) {
			lines := strings.SplitAfter(string(was), "\n")
			if c.Place.Line > len(lines) {
				return was, nil
			}
			lines[c.Place.Line-1] = c.Key + "=" + want + "\n"
			return []byte(strings.Join(lines, "")), nil
		}); err != nil {
			return err
		}
	}
	err := error(nil)
	if next := h.Boot.Next; next.Known() && path.Base(next.Place.Path) == "cmdline.txt" {
		err = d.Edit(next.Place.Path, 0o755, func(was []byte) ([]byte, error) {
			return edit.Parameters(was, func(w string) bool { return strings.HasPrefix(w, regdom+"=") && w != regdom+"="+want }, regdom+"="+want)
		})
	} else {
		err = d.Edit(change.ModprobeFile, 0o644, func(was []byte) ([]byte, error) {
			if len(was) == 0 {
				was = []byte(change.Head)
			}
			const option = "options cfg80211 ieee80211_regdom="
			lines := slices.DeleteFunc(strings.SplitAfter(string(was), "\n"), func(l string) bool { return strings.HasPrefix(l, option) })
			return []byte(strings.Join(lines, "") + option + want + "\n"), nil
		})
	}
	if err != nil {
		return err
	}
	after := control.Drafted(d)
	if o := wifiCountry(after); o.Verdict.Bad() {
		d.Leave("another file would still win: %s", o.Reason)
	} else if why := otherCountry(after, d.Policy()); why != "" {
		d.Leave("another file would still win: %s", why)
	}
	return nil
}
