package check

import (
	"fmt"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// wifiSecretFiles wants the files that hold a passphrase to be root's alone.
// Those of the boot partition and of Pioreactor are judged by other controls.
func wifiSecretFiles(h *fact.Host) control.Outcome {
	holds := map[string]bool{}
	for _, n := range h.Wifi.Networks {
		if n.Secret != "" && !strings.HasPrefix(n.Place.Path, "/boot/") && n.Source != "Pioreactor" {
			holds[n.Place.Path] = true
		}
	}
	es, unseen := h.Wifi.Files(h.Snap)
	for _, p := range []string{"/etc/network/interfaces", "/etc/network/interfaces.d/*"} {
		more, st, why := h.Snap.Glob(p)
		if es = append(es, more...); st == fact.Denied || st == fact.Unknown {
			unseen = why
		}
	}
	var found []control.Evidence
	seen, ignored := 0, false
	for _, e := range es {
		if e.Denied != "" && e.Mode&0o007 != 0 {
			unseen = e.Denied // whether it holds a secret
		}
		nm := strings.HasPrefix(e.Path, "/etc/NetworkManager/")
		if !holds[e.Path] && !nm && (e.Read || !strings.Contains(e.Path, "psk")) {
			continue // a file without a secret may be read by all
		}
		var wrong []string
		if e.Mode&0o007 != 0 || nm && e.Mode&0o077 != 0 {
			wrong = append(wrong, fmt.Sprintf("mode %04o", e.Mode))
		}
		if e.UID != 0 {
			wrong = append(wrong, "owner "+h.Accounts.UserName(e.UID))
		}
		seen++
		if len(wrong) == 0 {
			continue
		}
		want := "mode 0600, owner root"
		if nm {
			ignored = true
			want += "; NetworkManager ignores the file until then"
		}
		found = append(found, control.Saw("permissions", fact.Place{Path: e.Path}, strings.Join(wrong, ", "), want))
	}
	switch {
	case len(found) > 0:
		reason := found[0].Place + " holds Wi-Fi secrets and is not root's alone"
		if strings.Contains(found[0].Wanted, "ignores") {
			reason += "; NetworkManager ignores such a file, so its network is not joined either"
		} else if ignored {
			reason += "; NetworkManager ignores those of its own that are open"
		}
		if len(found) > 1 {
			reason = fmt.Sprintf("%s; %d more are open too", reason, len(found)-1)
		}
		o := control.Failed(reason, found[:min(len(found), maxFound)]...)
		o.Persistent = control.No
		return o
	case unseen != "":
		return control.CannotTell(unseen)
	case seen == 0 && len(h.Wifi.Unread) > 0:
		return control.CannotTell(h.Wifi.Unread[0])
	case seen == 0:
		return control.DoesNotApply("no file holds the secret of a wireless network")
	}
	o := control.Passed("only root can read the files with Wi-Fi secrets")
	o.Persistent = control.Yes
	return o
}

func wirelessUnused(h *fact.Host) control.Outcome {
	w := h.Wifi
	var on, blocked []fact.Radio
	for _, r := range w.Radios.V {
		switch {
		case r.Kind != "wlan":
		case r.Off != "":
			blocked = append(blocked, r)
		default:
			on = append(on, r)
		}
	}
	if len(w.Links) == 0 && len(on)+len(blocked) == 0 {
		if w.Radios.State == fact.Denied {
			return control.Missing(w.Radios)
		}
		return control.DoesNotApply("this host has no wireless interface, or it is switched off for good")
	}
	if len(on) == 0 && len(blocked) > 0 {
		o := control.Passed("wireless is "+blocked[0].Off, control.Saw(blocked[0].Name, blocked[0].Place, blocked[0].Off, ""))
		o.Persistent = control.Yes // systemd-rfkill keeps it
		return o
	}
	for _, l := range w.Links {
		if l.SSID != "" {
			o := control.Passed(fmt.Sprintf("wireless is in use: %s is part of %s", l.Interface, l.SSID))
			o.Persistent = control.Yes
			return o
		}
	}
	if in, _ := used(w.Networks); len(in) > 0 {
		o := control.Passed("wireless is in use: " + networkNames(in) + " is set up")
		o.Persistent = control.Yes
		return o
	}
	switch {
	case len(w.Unread) > 0:
		return control.CannotTell(w.Unread[0])
	case w.Radios.Missing():
		return control.Missing(w.Radios)
	case w.LinksWhy != "":
		return control.CannotTell(w.LinksWhy)
	}
	var found []control.Evidence
	for _, l := range w.Links {
		found = append(found, control.Saw(l.Interface, l.Place, "on, part of no network, and none is set up", "switched off"))
	}
	for _, r := range on {
		found = append(found, control.Saw(r.Name, r.Place, "may send", "blocked"))
	}
	o := control.Failed("wireless is on, and no network is set up for it", found...)
	o.Persistent = control.No
	return o
}

func bluetooth(h *fact.Host) control.Outcome {
	u := h.Units.Get("bluetooth.service")
	var radio *fact.Radio
	for _, r := range h.Wifi.Radios.V {
		if r.Kind == "bluetooth" {
			radio = &r
		}
	}
	image := h.Snap.Source.Kind == "image"
	switch {
	case u.FileState.Missing():
		return control.Missing(u.FileState)
	case !u.Exists:
		return control.DoesNotApply("bluetooth is not installed")
	case !image && u.Active.Missing():
		return control.Missing(u.Active)
	case !image && h.Wifi.Radios.Missing():
		return control.Missing(h.Wifi.Radios)
	case !image && radio == nil && h.Wifi.Radios.Known() && !u.Running():
		return control.DoesNotApply("this host has no Bluetooth adapter, or it is switched off for good")
	}
	o := control.Outcome{
		Configured: control.TriOf(!u.Enabled()), Persistent: control.TriOf(!u.Enabled()),
		Evidence: []control.Evidence{control.Saw("bluetooth.service", u.FileState.Place, u.FileState.V+", "+u.Active.V, "disabled, not running")},
	}
	if u.Active.Known() {
		o.Effective = control.TriOf(!u.Running() || radio != nil && radio.Off != "")
		if radio != nil && radio.Off != "" {
			o.Persistent = control.Yes
		}
	}
	o = o.Judge()
	if !o.Verdict.Bad() {
		return o.Because("Bluetooth is off")
	}
	es, st, why := h.Snap.Glob(fact.Paired)
	n := 0
	for _, e := range es {
		if strings.Count(e.Path, ":") >= 10 { // both folders are named by addresses
			n++
		}
	}
	switch {
	case n > 0:
		p := control.Passed(fmt.Sprintf("Bluetooth is in use: %d devices are paired", n))
		if n == 1 {
			p.Reason = "Bluetooth is in use: a device is paired"
		}
		p.Persistent = control.Yes
		return p
	case st != fact.Known && st != fact.Absent:
		return control.CannotTell(why, o.Evidence...)
	case o.Effective == control.Yes:
		return o.Because("no device is paired, and the next boot starts bluetooth.service")
	}
	return o.Because("bluetooth.service %s, and no device is paired", map[bool]string{true: "runs", false: "is enabled"}[u.Running()])
}
