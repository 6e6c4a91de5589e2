package fact

import (
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// What is kept of files with Wi-Fi networks: the lines that rules read, each in
// its place. Everything else goes, comments too: they often hold the
// passphrase that a line below holds hashed.
var (
	wifiKept = []string{
		// wpa_supplicant, ifupdown
		"ssid", "scan-ssid", "proto", "key-mgmt", "pairwise", "group", "mode", "disabled", "eap", "phase2", "ca-path", "domain-suffix-match",
		"domain-match", "ieee80211w", "priority", "country", "update-config", "ctrl-interface", "conf", "wireless-essid", "driver",
		// hostapd
		"interface", "bridge", "bss", "ssid2", "hw-mode", "channel", "wpa", "wpa-key-mgmt", "wpa-pairwise", "rsn-pairwise", "group-cipher", "auth-algs",
		"ieee8021x", "wps-state", "ap-setup-locked", "wpa-psk-file", "country-code",
	}
	keyfileKept = map[string][]string{
		"connection":    {"id", "uuid", "type", "interface-name", "autoconnect", "autoconnect-priority"},
		"wifi":          {"ssid", "mode", "hidden", "band"},
		"wifi-security": {"key-mgmt", "proto", "pairwise", "group", "auth-alg", "psk-flags", "wep-tx-keyidx", "wep-key-type", "wep-key-flags", "pmf", "wps-method"},
		"802-1x":        {"eap", "ca-path", "system-ca-certs", "domain-suffix-match", "domain-match", "phase2-auth", "password-flags"},
		"ipv4":          {"method"},
		"ipv6":          {"method"},
	}
	// wifiSecrets are the keys whose values are passphrases of a network.
	wifiSecrets = []string{"psk", "wpa-psk", "wpa-passphrase", "sae-password", "passphrase"}
	// otherSecrets are keys and passwords that nothing can be told of.
	otherSecrets = map[string]string{
		"wep-key0": wepKey, "wep-key1": wepKey, "wep-key2": wepKey, "wep-key3": wepKey,
		"wireless-key": wepKey, "wireless-key1": wepKey, "wireless-key2": wepKey, "wireless-key3": wepKey,
		"password": plainPassword, "private-key-passwd": plainPassword, "private-key-password": plainPassword, "leap-password": plainPassword,
	}
)

func redactSupplicant(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	return redactWifi(supplicantForm, e, sec)
}

func redactHostapd(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	return redactWifi(hostapdForm, e, sec)
}

func redactInterfaces(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	return redactWifi(interfacesForm, e, sec)
}

func redactKeyfile(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	return redactWifi(iniForm, e, sec)
}

// redactPioreactor keeps the access point's section of Pioreactor's settings as
// one of a network, and the rest as an application's.
func redactPioreactor(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	out, rest := rawLines(redactWifi(iniForm, e, sec)), rawLines(keepIni(e, sec))
	for i, l := range rest {
		if i < len(out) && out[i] == "" {
			out[i] = l
		}
	}
	return joinLines(out)
}

func redactWifi(form wifiForm, e *snap.Entry, sec Secrets) []byte {
	ls := lines(e)
	scan := scanWifi(form, ls)
	ssids := map[int]string{}
	for _, l := range scan {
		if l.key == "ssid" && (form != iniForm || !l.frame) {
			ssids[l.block] = ssidOf(form, l.value)
		}
	}
	out := make([]string, len(ls))
	for i, l := range scan {
		text := ls[i].text
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		head, sep := indent+l.raw, "="
		if form == interfacesForm {
			sep = " "
		}
		switch note, secret := otherSecrets[l.key]; {
		case l.frame && (form != iniForm || keptSection(l.section)):
			out[i] = text
			if form == interfacesForm {
				out[i] = keptStanza(text)
			}
		case l.key == "" || l.frame || form == iniForm && !keptSection(l.section):
		case slices.Contains(wifiSecrets, l.key):
			v := l.value
			if form == supplicantForm || form == interfacesForm {
				v = strings.Trim(v, `"`)
			}
			out[i] = head + sep + wifiNote(v, ssids[l.block], sec.More)
		case secret && l.value != "":
			out[i] = head + sep + "[" + note + "]"
		case l.key == "ca-cert" && l.value != "":
			out[i] = head + sep + "[a certificate]"
		case l.key == "identity" && l.value != "":
			out[i] = head + sep + "[an account]"
		case form == iniForm && keptInSection(l), form != iniForm && slices.Contains(wifiKept, l.key):
			out[i] = head + sep + l.value // without the comment behind it
		}
	}
	return joinLines(out)
}

// keptStanza keeps the first words of a stanza of ifupdown: iface wlan0 inet dhcp.
func keptStanza(text string) string {
	f := strings.Fields(text)
	return strings.Join(f[:min(len(f), 4)], " ")
}

// plainSection gives NetworkManager's two names of a section one.
func plainSection(s string) string {
	switch s {
	case "802-11-wireless":
		return "wifi"
	case "802-11-wireless-security":
		return "wifi-security"
	}
	return s
}

func keptSection(s string) bool {
	return keyfileKept[plainSection(s)] != nil || s == "local_access_point"
}

func keptInSection(l wifiLine) bool {
	if l.section == "local_access_point" {
		return l.key == "ssid" || l.key == "proto"
	}
	return slices.Contains(keyfileKept[plainSection(l.section)], l.key)
}
