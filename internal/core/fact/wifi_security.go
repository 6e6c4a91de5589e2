package fact

import (
	"slices"
	"strings"
)

// WifiSecurity is how a network is protected.
type WifiSecurity struct {
	Security string // "open", "WEP", "WPA1", "WPA2", "WPA2/WPA3", "WPA3", "OWE", "WPA2-Enterprise", …
	Weak     string // what is wrong with it, for a person; "" when nothing is
	Meant    bool   // the file asks for better than what comes out
}

// A wifiSetup is what settings files say of a network, in the words of
// wpa_supplicant; all programs' settings come down to it.
type wifiSetup struct {
	protos   []string // WPA, RSN; empty: not limited
	mgmt     []string // WPA-PSK, SAE, WPA-EAP, NONE, …
	pairwise []string // CCMP, TKIP, …; empty: not limited
	wep      bool     // there is a WEP key
	offered  bool     // an access point: whatever is allowed will be used by somebody
}

// words splits a list as the different files write it, in capital letters.
func wifiWords(v string) []string {
	f := strings.FieldsFunc(strings.ToUpper(strings.Trim(v, `"`)), func(r rune) bool {
		return r == ' ' || r == '\t' || r == ',' || r == ';'
	})
	for i, w := range f {
		if w == "WPA2" {
			f[i] = "RSN"
		}
	}
	return f
}

// judge names the protection and what is wrong with it. Where a client's file
// does not limit what it accepts, the network decides; that is no fault of
// the file, since wpa_supplicant takes the best that both know.
func (w wifiSetup) judge() WifiSecurity {
	has := func(words ...string) bool {
		return slices.ContainsFunc(w.mgmt, func(m string) bool {
			return slices.ContainsFunc(words, func(x string) bool { return m == x })
		})
	}
	psk := has("WPA-PSK", "WPA-PSK-SHA256", "FT-PSK")
	sae := has("SAE", "FT-SAE", "SAE-EXT-KEY", "FT-SAE-EXT-KEY")
	eap := slices.ContainsFunc(w.mgmt, func(m string) bool {
		return strings.HasPrefix(m, "WPA-EAP") || strings.HasPrefix(m, "FT-EAP") || strings.HasPrefix(m, "FILS-") || strings.HasPrefix(m, "FT-FILS")
	})
	switch {
	case has("WPA-NONE"):
		return weak("WPA-None", "the ad-hoc form of WPA1, broken")
	case psk || sae || eap:
	case has("OWE"):
		return WifiSecurity{Security: "OWE"}
	case has("DPP"):
		return WifiSecurity{Security: "DPP"}
	case w.wep:
		return weak("WEP", "WEP is broken: its key can be had in minutes")
	case has("IEEE8021X"):
		return weak("dynamic WEP", "WEP is broken: its key can be had in minutes")
	default:
		return weak("open", "nothing is encrypted, and anybody can pose as it")
	}
	wpa1, rsn := slices.Contains(w.protos, "WPA"), slices.Contains(w.protos, "RSN")
	tkip := slices.Contains(w.pairwise, "TKIP")
	onlyTKIP := tkip && !slices.ContainsFunc(w.pairwise, func(c string) bool { return strings.HasPrefix(c, "CCMP") || strings.HasPrefix(c, "GCMP") })
	name := "WPA2"
	switch {
	case sae && psk:
		name = "WPA2/WPA3"
	case sae:
		name = "WPA3"
	case has("WPA-EAP-SUITE-B-192"):
		name = "WPA3-Enterprise"
	case eap && !psk:
		name = "WPA2-Enterprise"
	}
	switch {
	case wpa1 && !rsn:
		return weak("WPA1", "only the first WPA is allowed, which is broken")
	case w.offered && wpa1:
		return weak("WPA1 and "+name, "the first WPA is offered too, which is broken")
	case onlyTKIP:
		return weak(name+" with TKIP", "only the cipher TKIP is allowed, which is broken")
	case w.offered && tkip:
		return weak(name+" with TKIP", "the cipher TKIP is offered too, which is broken")
	}
	return WifiSecurity{Security: name}
}

func weak(name, why string) WifiSecurity { return WifiSecurity{Security: name, Weak: why} }
