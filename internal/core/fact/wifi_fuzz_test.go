package fact

import (
	"strings"
	"testing"
)

// FuzzWifi holds all readers of networks to two promises: they do not panic,
// and a passphrase that stands behind a key that names one is not kept.
func FuzzWifi(f *testing.F) {
	paths := []string{
		"/etc/wpa_supplicant/wpa_supplicant.conf", "/etc/hostapd/hostapd.conf", "/etc/network/interfaces",
		"/etc/NetworkManager/system-connections/a.nmconnection", "/etc/netplan/a.yaml", "/home/p/.pioreactor/config.ini",
	}
	const secret = "Quiet-Lake-77"
	for i, text := range []string{
		"network={\n ssid=\"a\"\n psk=\"" + secret + "\"\n}\n", "ssid=a\nwpa=2\nwpa_passphrase=" + secret + "\n",
		"iface wlan0 inet dhcp\n wpa-ssid a\n wpa-psk " + secret + "\n",
		"[connection]\ntype=wifi\n[wifi]\nssid=a\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=" + secret + "\n",
		"network:\n  wifis:\n    w:\n      access-points:\n        a: {password: " + secret + "}\n",
		"[local_access_point]\nssid=a\npassphrase: " + secret + "\n",
	} {
		f.Add(i, text)
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		p := paths[((i%len(paths))+len(paths))%len(paths)]
		s := wifiHost(map[string]string{p: text})
		h := &Host{Snap: s}
		parseWifi(h, s)
		if kept := string(s.Entries[p].Content); strings.Count(text, secret) == 1 && strings.Contains(kept, secret) {
			// It may stand as a network's name, or where it is no secret.
			for _, form := range []string{"psk=", "psk =", "passphrase", "password", "wpa-psk"} {
				if strings.Contains(kept, form+secret) || strings.Contains(kept, form+" "+secret) || strings.Contains(kept, form+": "+secret) {
					t.Errorf("kept in %q:\n%s", p, kept)
				}
			}
		}
	})
}

// FuzzYAMLRedaction: what is kept can be read again and says the same.
func FuzzYAMLRedaction(f *testing.F) {
	f.Add("network:\n  version: 2\n  wifis:\n    wlan0:\n      access-points:\n        \"a b\": {password: \"x y\"}\n        b:\n          auth:\n            key-management: eap\n            password: z\n")
	f.Add("#cloud-config\nusers:\n- default\n- name: robot\n  passwd: $5$hkui88$nvZgIle31cNpryjRfO9uArF7DYiBcWEnjqq7L1AQNN3\n  groups: [a, b]\nrpi:\n    interfaces:\n        serial: true\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := wifiHost(map[string]string{"/etc/netplan/a.yaml": text})
		e := s.Entries["/etc/netplan/a.yaml"]
		once := string(e.Content)
		if twice := string(redactYAML(s, e, Secrets{})); strings.TrimSpace(once) != strings.TrimSpace(twice) {
			t.Errorf("redacting %q gave\n%s\nand again\n%s", text, once, twice)
		}
	})
}
