package check

import (
	"slices"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

var wifiRepairs = map[string]repair{
	"wifi.access-point-encryption": repairAccessPoint,
	"wifi.country":                 repairCountry,
}

// hostapdForm has no blanks, and no comment behind a value.
var hostapdForm = edit.Form{Between: "=", Comment: "#"}

// repairAccessPoint has the access points of this host offer WPA2 with AES alone. Their passphrases stay, so that who knows
// one comes in as before; one without any is left.
func repairAccessPoint(h *fact.Host, d *change.Draft) error {
	in, _ := used(h.Wifi.Offered())
	for _, n := range in {
		if n.Weak == "" || n.UntilBoot {
			continue
		}
		if n.Secret == "" {
			d.Leave("the access point %s is open, and takes a passphrase that you have to tell everybody who is to come in", n.Name())
			return nil
		}
		var err error
		switch n.Source {
		case "hostapd":
			others := slices.ContainsFunc(h.Wifi.Networks, func(o fact.WifiNetwork) bool {
				return o.Place.Path == n.Place.Path && o.Place.Line != n.Place.Line
			})
			if others {
				d.Leave("%s has several access points: wpa=2, wpa_key_mgmt=WPA-PSK and rsn_pairwise=CCMP belong below each ssid", n.Place.Path)
				return nil
			}
			for _, kv := range [][2]string{{"wpa", "2"}, {"wpa_key_mgmt", "WPA-PSK"}, {"rsn_pairwise", "CCMP"}} {
				if err = d.Say(n.Place.Path, 0o600, hostapdForm, "", kv[0], kv[1]); err != nil {
					break
				}
			}
			if h.Units.Get("hostapd.service").Running() {
				d.Do(change.Unit, "hostapd.service", "restart")
			} else {
				d.Later("hostapd reads it at its next start")
			}
		case "Pioreactor":
			d.Later("%s", change.NextStart)
			err = d.Say(n.Place.Path, 0o664, edit.INI, "local_access_point", "proto", "rsn")
		case "NetworkManager":
			d.Later("it is in force when the access point is started anew: sudo nmcli connection reload && sudo nmcli connection up %q", n.Name())
			for _, kv := range [][2]string{{"proto", "rsn;"}, {"pairwise", "ccmp;"}, {"group", "ccmp;"}} {
				if err = d.Say(n.Place.Path, 0o600, edit.INI, "wifi-security", kv[0], kv[1]); err != nil {
					break
				}
			}
		default:
			d.Leave("what %s is to say is yours to write: WPA2 with AES (CCMP)", n.Place.Path)
			return nil
		}
		if err != nil {
			return err
		}
	}
	if o := apEncryption(control.Drafted(d)); o.Verdict.Bad() && o.Persistent == control.No {
		d.Leave("it would still be weak: %s", o.Reason)
	}
	return nil
}
