package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var wifi = []Check{
	{"wifi.encryption", wifiEncryption,
		"the networks in /etc/wpa_supplicant, /etc/NetworkManager/system-connections, /etc/netplan and /etc/network/interfaces, and the one in use (`wpa_cli`)"},
	{"wifi.server-certificate", wifiServerCertificate,
		"ca_cert and its like of networks with accounts (EAP) in /etc/wpa_supplicant, /etc/NetworkManager/system-connections and /etc/netplan"},
	{"wifi.access-point-encryption", apEncryption,
		"the access points in /etc/hostapd, /etc/NetworkManager/system-connections and ~/.pioreactor/config.ini"},
	{"wifi.access-point-default", apDefault,
		"the passphrases of the access points in /etc/hostapd, /etc/NetworkManager/system-connections and ~/.pioreactor/config.ini, against those that come with images; they do not leave Picket"},
	{"wifi.access-point-name", apName,
		"the names of the access points in /etc/hostapd, /etc/NetworkManager/system-connections and ~/.pioreactor/config.ini"},
	{"wifi.secret-files", wifiSecretFiles,
		"modes and owners of the files with networks in /etc/wpa_supplicant, /etc/NetworkManager/system-connections, /etc/netplan, /etc/hostapd and /etc/network/interfaces"},
	{"wifi.wireless-unused", wirelessUnused,
		"the wireless devices (`iw dev`) and whether they are blocked (/sys/class/rfkill), if no network is set up"},
	{"wifi.country", wifiCountry,
		"country in /etc/wpa_supplicant and /etc/hostapd, and the kernel's ieee80211_regdom in its command line and in modprobe.d, if a wireless network is set up"},
	{"wifi.bluetooth", bluetooth,
		"the unit of bluetooth (`systemctl list-unit-files`), and whether anything is paired"},
}

const strongWifi = "WPA2 or WPA3 with AES"

// used are the networks that the host uses by itself.
func used(list []fact.WifiNetwork) (in, off []fact.WifiNetwork) {
	for _, n := range list {
		if n.InUse() {
			in = append(in, n)
		} else {
			off = append(off, n)
		}
	}
	return in, off
}

// networkNames are those of a list, each once.
func networkNames(list []fact.WifiNetwork) string {
	var out []string
	for _, n := range list {
		if !slices.Contains(out, n.Name()) {
			out = append(out, n.Name())
		}
	}
	if len(out) > 5 {
		out = append(out[:5], fmt.Sprintf("%d more", len(out)-5))
	}
	return strings.Join(out, ", ")
}

// none is the outcome where no network of a kind is used.
func none(h *fact.Host, what string, off []fact.WifiNetwork) control.Outcome {
	switch {
	case len(h.Wifi.Unread) > 0:
		return control.CannotTell(h.Wifi.Unread[0])
	case len(off) > 0:
		return control.DoesNotApply(fmt.Sprintf("%s is used by itself; %s: %s", what, off[0].Name(), cmp.Or(off[0].Ignored, off[0].Off)))
	}
	return control.DoesNotApply(what + " is set up")
}

func wifiEncryption(h *fact.Host) control.Outcome {
	in, off := used(h.Wifi.Saved())
	var bad []fact.WifiNetwork
	var found, live []control.Evidence
	for _, n := range in {
		if n.Weak != "" {
			bad = append(bad, n)
			found = append(found, control.Saw("network "+n.Name(), n.Place, n.Security, strongWifi))
		}
	}
	reason := ""
	for _, l := range h.Wifi.Links {
		if why := l.Weak(); l.Mode == "managed" && why != "" {
			live = append(live, control.Saw(l.Interface+" in "+cmp.Or(l.SSID, "a network"), l.Place, strings.TrimSpace(l.Mgmt+" "+l.Pairwise), strongWifi))
			reason = cmp.Or(reason, fmt.Sprintf("%s is connected to %s, and %s", l.Interface, cmp.Or(l.SSID, "a network"), why))
		}
	}
	all := append(live, found...)
	switch {
	case len(bad) == 0 && len(live) > 0:
		o := control.IsIneffective(reason+", although what is saved allows better: the access point has to be set up anew", all...)
		o.Persistent = control.No
		return o
	case len(bad) > 0:
		reason = cmp.Or(reason, fmt.Sprintf("the host joins %s by itself: %s", bad[0].Name(), bad[0].Weak))
		if len(bad) > 1 {
			reason = fmt.Sprintf("%s; %d saved networks are not protected: %s", reason, len(bad), networkNames(bad))
		}
		o := control.Failed(reason, all[:min(len(all), maxFound)]...)
		o.Persistent, o.Configured = control.No, control.No
		return o
	case len(in) == 0 || len(h.Wifi.Unread) > 0:
		return none(h, "no wireless network", off)
	case h.Snap.Source.Kind == "image":
	case h.Wifi.LinksWhy != "" && len(h.Wifi.Links) == 0:
		return control.CannotTell(h.Wifi.LinksWhy)
	default:
		for _, l := range h.Wifi.Links {
			if l.Why != "" {
				return control.CannotTell(l.Why)
			}
		}
	}
	o := control.Passed("the saved networks are protected: " + securities(in))
	o.Persistent, o.Explicit = control.Yes, control.Yes
	return o
}

// securities is "WPA2 (lab, home), WPA3 (guests)".
func securities(list []fact.WifiNetwork) string {
	by := map[string][]fact.WifiNetwork{}
	var order []string
	for _, n := range list {
		if by[n.Security] == nil {
			order = append(order, n.Security)
		}
		by[n.Security] = append(by[n.Security], n)
	}
	var out []string
	for _, s := range order {
		out = append(out, s+" ("+networkNames(by[s])+")")
	}
	return strings.Join(out, ", ")
}

func wifiServerCertificate(h *fact.Host) control.Outcome {
	in, off := used(h.Wifi.Saved())
	var enterprise []fact.WifiNetwork
	var found []control.Evidence
	for _, n := range in {
		if !strings.Contains(n.Security, "Enterprise") {
			continue
		}
		enterprise = append(enterprise, n)
		if n.Unverified {
			found = append(found, control.Saw("network "+n.Name(), n.Place, "no CA certificate is set", "the certificate of the network's authority"))
		}
	}
	switch {
	case len(found) > 0:
		o := control.Failed("the password is given to whoever calls an access point "+strings.TrimPrefix(found[0].Fact, "network "), found[:min(len(found), maxFound)]...)
		o.Persistent = control.No
		return o
	case len(enterprise) == 0 || len(h.Wifi.Unread) > 0:
		if len(h.Wifi.Unread) > 0 {
			return none(h, "", nil)
		}
		return none(h, "no network with accounts (EAP)", slices.DeleteFunc(off, func(n fact.WifiNetwork) bool { return !strings.Contains(n.Security, "Enterprise") }))
	}
	o := control.Passed("the certificate of every network with accounts is checked: " + networkNames(enterprise))
	o.Persistent = control.Yes
	return o
}

func apEncryption(h *fact.Host) control.Outcome {
	in, off := used(h.Wifi.Offered())
	if len(in) == 0 {
		return none(h, "no access point", off)
	}
	o := control.Outcome{Effective: control.Yes, Persistent: control.Yes, Configured: control.Yes, Explicit: control.Yes}
	reason := ""
	for _, n := range in {
		if n.Weak == "" {
			continue
		}
		o = o.With(control.Saw("access point "+n.Name(), n.Place, n.Security, strongWifi))
		if !n.Meant {
			o.Configured = control.No
		}
		if !n.FromBoot {
			o.Effective = control.No
		}
		if !n.UntilBoot {
			o.Persistent = control.No
		}
		switch {
		case n.Meant:
			reason = cmp.Or(reason, fmt.Sprintf("%s asks for WPA2 and gets TKIP: without rsn_pairwise=CCMP that is what hostapd takes", n.Place.Path))
		case n.FromBoot:
			reason = cmp.Or(reason, fmt.Sprintf("%s from the next boot on: %s", n.Name(), n.Weak))
		default:
			reason = cmp.Or(reason, fmt.Sprintf("access point %s: %s", n.Name(), n.Weak))
		}
	}
	for _, l := range h.Wifi.Links {
		if why := l.Weak(); l.Mode == "AP" && why != "" {
			o.Effective = control.No
			o = o.With(control.Saw("access point "+l.SSID, l.Place, strings.TrimSpace(l.Mgmt+" "+l.Pairwise), strongWifi))
			reason = cmp.Or(reason, fmt.Sprintf("%s offers %s, and %s", l.Interface, l.SSID, why))
		}
	}
	if o.Effective == control.No && o.Persistent == control.Yes {
		o.Configured = control.Yes // the settings were mended
		reason += "; the next boot mends it"
	}
	if h.Snap.Source.Kind == "image" {
		o.Effective = control.Untold
	}
	if reason == "" && len(h.Wifi.Unread) > 0 {
		return control.CannotTell(h.Wifi.Unread[0])
	}
	return o.Judge().Because("%s", cmp.Or(reason, "what this host offers is protected: "+securities(in)))
}

func apDefault(h *fact.Host) control.Outcome {
	in, off := used(h.Wifi.Offered())
	if len(in) == 0 {
		return none(h, "no access point", off)
	}
	o := control.Outcome{Effective: control.Yes, Persistent: control.Yes}
	reason, unsure := "", ""
	for _, n := range in {
		if n.NotChecked != "" {
			unsure = cmp.Or(unsure, fmt.Sprintf("the hashed passphrase of %s was not compared with factory ones: %s", n.Name(), n.NotChecked))
		}
		if n.Guessed == "" {
			continue
		}
		o = o.With(control.Saw("access point "+n.Name(), n.Place, n.Secret+": "+n.Guessed, "a passphrase of its own"))
		if !n.FromBoot {
			o.Effective = control.No
		}
		if !n.UntilBoot {
			o.Persistent = control.No
		}
		reason = cmp.Or(reason, fmt.Sprintf("the passphrase of access point %s is %s", n.Name(), guessWords(n.Guessed)))
	}
	switch {
	case reason == "" && unsure != "":
		return control.CannotTell(unsure)
	case reason == "" && len(h.Wifi.Unread) > 0:
		return control.CannotTell(h.Wifi.Unread[0])
	case reason == "":
		reason = "no access point has a factory passphrase: " + networkNames(in)
	case o.Persistent == control.Yes:
		o.Configured = control.Yes
		reason += "; it was changed in the settings, which the next boot applies"
	case o.Effective == control.Yes:
		reason += " from the next boot on"
	}
	if h.Snap.Source.Kind == "image" {
		o.Effective = control.Untold
	}
	return o.Judge().Because("%s", reason)
}

// guessWords put a guess into a sentence.
func guessWords(kind string) string {
	if kind == "factory password" {
		return "the factory one"
	}
	return kind
}

// factorySSIDs are what images call their access points.
var factorySSIDs = []string{
	"pioreactor", "raspi-webgui", "raspap", "raspberrypi", "raspberry pi", "raspberry", "octopi", "volumio", "pi-hotspot", "pihotspot", "hotspot", "comitup", "moode", "raspotify",
}

func apName(h *fact.Host) control.Outcome {
	in, off := used(h.Wifi.Offered())
	if len(in) == 0 {
		return none(h, "no access point", off)
	}
	var found []control.Evidence
	for _, n := range in {
		if slices.Contains(factorySSIDs, strings.ToLower(n.SSID)) && !n.UntilBoot {
			found = append(found, control.Saw("access point", n.Place, n.SSID, "a name that does not tell what this is"))
		}
	}
	if len(found) > 0 {
		o := control.Failed(fmt.Sprintf("the access point is still called %s, as it was installed", found[0].Found), found...)
		o.Persistent = control.No
		return o
	}
	if len(h.Wifi.Unread) > 0 {
		return control.CannotTell(h.Wifi.Unread[0])
	}
	o := control.Passed("no access point has its factory name: " + networkNames(in))
	o.Persistent = control.Yes
	return o
}
