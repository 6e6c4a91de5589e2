package fact

import (
	"cmp"
	"path"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// readSupplicant reads a file of wpa_supplicant.
func readSupplicant(e *snap.Entry) []WifiNetwork {
	scan := scanWifi(supplicantForm, lines(e))
	var out []WifiNetwork
	for _, l := range scan {
		if !l.frame || l.block == 0 || len(out) >= l.block {
			continue
		}
		v := wifiValues(scan, l.block)
		n := WifiNetwork{SSID: ssidOf(supplicantForm, v["ssid"].value), Source: "wpa_supplicant", Place: l.at}
		n.supplicant(v)
		switch v["mode"].value {
		case "2":
			n.Offered = true
		case "1":
			n.Off = "it is an ad-hoc network"
		}
		if v["disabled"].value == "1" {
			n.Off = "disabled=1"
		}
		out = append(out, n)
	}
	return out
}

// supplicant takes the keys that wpa_supplicant and ifupdown share.
func (n *WifiNetwork) supplicant(v map[string]wifiLine) {
	set := wifiSetup{
		protos: wifiWords(v["proto"].value), mgmt: wifiWords(v["key-mgmt"].value), pairwise: wifiWords(v["pairwise"].value),
		offered: v["mode"].value == "2",
	}
	for i := range 4 {
		set.wep = set.wep || v["wep-key"+strconv.Itoa(i)].value != ""
	}
	if len(set.mgmt) == 0 {
		// The default is WPA-PSK and WPA-EAP; what else is given tells which.
		set.mgmt = []string{"WPA-PSK"}
		if v["psk"].value == "" && (v["eap"].value != "" || v["identity"].value != "") {
			set.mgmt = []string{"WPA-EAP"}
		}
	}
	n.WifiSecurity = set.judge()
	n.keep(wepKey, cmp.Or(v["wep-key0"].value, v["wep-key1"].value, v["wep-key2"].value, v["wep-key3"].value))
	n.keep(plainPassword, v["password"].value)
	n.keep(plainPhrase, cmp.Or(v["psk"].value, v["sae-password"].value))
	if strings.Contains(n.Security, "Enterprise") {
		n.Unverified = v["ca-cert"].value == "" && v["ca-path"].value == "" && !onlyPWD(v["eap"].value)
	}
}

// onlyPWD tells the EAP methods that prove the server by the password itself.
func onlyPWD(methods string) bool {
	f := wifiWords(methods)
	return len(f) == 1 && (f[0] == "PWD" || f[0] == "EAP-PWD")
}

// readInterfaces reads the wpa-* and wireless-* lines of ifupdown.
func readInterfaces(e *snap.Entry) []WifiNetwork {
	scan := scanWifi(interfacesForm, lines(e))
	var out []WifiNetwork
	for _, l := range scan {
		if l.key != "iface" || !l.frame {
			continue
		}
		v := wifiValues(scan, l.block)
		name, old := v["ssid"], v["wireless-essid"]
		switch {
		case name.key != "":
			n := WifiNetwork{SSID: ssidOf(interfacesForm, name.value), Source: "ifupdown", Place: name.at}
			if v["psk"].value == "" && v["key-mgmt"].value == "" && v["eap"].value == "" && v["sae-password"].value == "" {
				v["key-mgmt"] = wifiLine{value: "NONE"}
			}
			n.supplicant(v)
			out = append(out, n)
		case old.key != "":
			n := WifiNetwork{SSID: ssidOf(interfacesForm, old.value), Source: "ifupdown", Place: old.at}
			n.WifiSecurity = wifiSetup{mgmt: []string{"NONE"}, wep: v["wireless-key"].value != "" || v["wireless-key1"].value != ""}.judge()
			n.keep(wepKey, cmp.Or(v["wireless-key"].value, v["wireless-key1"].value))
			out = append(out, n)
		}
	}
	return out
}

// readHostapd reads the access points of one file of hostapd.
func readHostapd(h *Host, s *snap.Snapshot, e *snap.Entry) []WifiNetwork {
	scan := scanWifi(hostapdForm, lines(e))
	off := hostapdOff(h, e.Path)
	var out []WifiNetwork
	for i, last := 0, 0; i <= last && i < 64; i++ {
		for _, l := range scan {
			last = max(last, l.block)
		}
		v := wifiValues(scan, i)
		name := v["ssid"]
		if name.key == "" {
			name = v["ssid2"]
		}
		if name.key == "" {
			continue
		}
		n := WifiNetwork{SSID: ssidOf(hostapdForm, name.value), Source: "hostapd", Offered: true, Place: name.at, Off: off}
		n.WifiSecurity = hostapdSetup(v).judge()
		n.Meant = n.Weak != "" && v["wpa"].value == "2" && v["rsn-pairwise"].value == "" && v["wpa-pairwise"].value == ""
		n.keep(wepKey, cmp.Or(v["wep-key0"].value, v["wep-key1"].value, v["wep-key2"].value, v["wep-key3"].value))
		n.keep(plainPhrase, cmp.Or(v["wpa-passphrase"].value, v["wpa-psk"].value, v["sae-password"].value))
		out = append(out, n)
	}
	return out
}

// hostapdSetup knows hostapd's defaults: nothing is encrypted without wpa=,
// and wpa=2 alone means TKIP, since rsn_pairwise falls back to wpa_pairwise
// and that to TKIP (asked of hostapd 2.10 with get_config).
func hostapdSetup(v map[string]wifiLine) wifiSetup {
	set := wifiSetup{offered: true}
	wpa, _ := strconv.Atoi(v["wpa"].value)
	if wpa&3 == 0 {
		for i := range 4 {
			set.wep = set.wep || v["wep-key"+strconv.Itoa(i)].value != ""
		}
		if v["ieee8021x"].value == "1" {
			set.mgmt = []string{"IEEE8021X"}
		}
		return set
	}
	set.mgmt = wifiWords(cmp.Or(v["wpa-key-mgmt"].value, "WPA-PSK"))
	old := cmp.Or(v["wpa-pairwise"].value, "TKIP")
	if wpa&1 != 0 {
		set.protos = append(set.protos, "WPA")
	}
	if wpa&2 != 0 {
		set.protos = append(set.protos, "RSN")
		old = cmp.Or(v["rsn-pairwise"].value, old)
	}
	set.pairwise = wifiWords(old)
	return set
}

// hostapdOff says why hostapd does not use a file, "" where it does or where
// that cannot be told.
func hostapdOff(h *Host, file string) string {
	if h.Units.State != Known {
		return ""
	}
	stem := strings.TrimSuffix(path.Base(file), ".conf")
	for _, name := range []string{"hostapd.service", "hostapd@" + stem + ".service"} {
		if name == "hostapd.service" && file != hostapdConf {
			continue
		}
		if u := h.Units.Get(name); u.Running() || u.Enabled() {
			return ""
		}
	}
	return "hostapd does not run and is not enabled"
}

// readKeyfile reads one connection of NetworkManager.
func readKeyfile(e *snap.Entry) []WifiNetwork {
	scan := scanWifi(iniForm, lines(e))
	get := func(key string, sections ...string) (last wifiLine) {
		for _, l := range scan {
			for _, s := range sections {
				if l.section == s && l.key == key {
					last = l
				}
			}
		}
		return last
	}
	wifi := []string{"wifi", "802-11-wireless"}
	sec := []string{"wifi-security", "802-11-wireless-security"}
	if t := get("type", "connection").value; t != "wifi" && t != "802-11-wireless" {
		return nil
	}
	name := get("ssid", wifi...)
	n := WifiNetwork{SSID: ssidOf(iniForm, name.value), Source: "NetworkManager", Place: Place{Path: e.Path}}
	if name.key != "" {
		n.Place = name.at
	}
	set := wifiSetup{
		mgmt: keyfileMgmt(get("key-mgmt", sec...).value), protos: wifiWords(get("proto", sec...).value), pairwise: wifiWords(get("pairwise", sec...).value),
		wep: get("wep-key0", sec...).value != "" || get("wep-key1", sec...).value != "" || get("wep-key-type", sec...).value != "" || get("wep-tx-keyidx", sec...).value != "",
	}
	switch get("mode", wifi...).value {
	case "ap":
		n.Offered, set.offered = true, true
		if len(set.protos) == 0 && len(set.mgmt) > 0 {
			set.protos = []string{"RSN"} // NetworkManager limits its own access points to it
		}
	case "adhoc", "mesh":
		n.Off = "it is an ad-hoc network"
	}
	n.WifiSecurity = set.judge()
	n.keep(wepKey, cmp.Or(get("wep-key0", sec...).value, get("wep-key1", sec...).value))
	n.keep(plainPassword, get("password", "802-1x").value)
	n.keep(plainPhrase, get("psk", sec...).value)
	if f := get("psk-flags", sec...).value + get("password-flags", "802-1x").value; n.Secret == "" && f != "" && f != "0" {
		n.Secret = "kept in a keyring or asked for"
	}
	if strings.Contains(n.Security, "Enterprise") {
		n.Unverified = get("ca-cert", "802-1x").value == "" && get("ca-path", "802-1x").value == "" &&
			get("system-ca-certs", "802-1x").value != "true" && !onlyPWD(strings.Trim(get("eap", "802-1x").value, ";"))
	}
	if get("autoconnect", "connection").value == "false" {
		n.Off = "autoconnect=false"
	}
	switch {
	case e.Mode&0o077 != 0:
		n.Ignored = "NetworkManager ignores it, since others than root may read or change it"
	case e.UID != 0:
		n.Ignored = "NetworkManager ignores it, since it does not belong to root"
	}
	return []WifiNetwork{n}
}

func keyfileMgmt(v string) []string {
	switch v {
	case "":
		return nil
	case "none":
		return []string{"NONE"}
	case "ieee8021x":
		return []string{"IEEE8021X"}
	case "wpa-psk":
		return []string{"WPA-PSK", "SAE"} // it offers both to the network
	case "wpa-none":
		return []string{"WPA-NONE"}
	}
	return wifiWords(v)
}

// readIniWifi reads a file with ssid and passphrase in one section, as
// Pioreactor has them.
func readIniWifi(e *snap.Entry, section string) []WifiNetwork {
	n := WifiNetwork{Place: Place{Path: e.Path}, WifiSecurity: WifiSecurity{Security: "WPA2"}}
	phrase, found := "", false
	for _, l := range scanWifi(iniForm, lines(e)) {
		if l.section != section {
			continue
		}
		found = true
		switch l.key {
		case "ssid":
			n.SSID, n.Place = ssidOf(iniForm, l.value), l.at
		case "passphrase":
			phrase = l.value
		case "proto":
			n.WifiSecurity = wifiSetup{protos: wifiWords(l.value), mgmt: []string{"WPA-PSK"}, offered: true}.judge()
		}
	}
	if !found {
		return nil
	}
	n.keep(plainPhrase, phrase)
	return []WifiNetwork{n}
}
