package fact

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// wifiHost is a snapshot of files, redacted as a taker does it.
func wifiHost(files map[string]string) *snap.Snapshot {
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(1_700_000_000, 0))
	s.MarkComplete()
	for p, text := range files {
		s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o600, Read: true, Content: []byte(text), Size: int64(len(text))}
	}
	Redact(s, Secrets{More: func() bool { return true }})
	return s
}

func hashedPSK(phrase, ssid string) string {
	k, err := pbkdf2.Key(sha1.New, phrase, []byte(ssid), 4096, 32)
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(k)
}

// TestHashedPSK holds the derivation to the example of wpa_passphrase(8):
// wpa_passphrase IEEE password.
func TestHashedPSK(t *testing.T) {
	const want = "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
	if got := hashedPSK("password", "IEEE"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := wifiNote(want, "IEEE", func() bool { return true }); got != "[hashed passphrase, a common password]" {
		t.Error(got)
	}
	if got := wifiNote(want, "IEEE", func() bool { return false }); got != "[hashed passphrase, not checked (ran out of time)]" {
		t.Error(got)
	}
}

// network tells a network in one line.
func (n WifiNetwork) line() string {
	role := "joins"
	if n.Offered {
		role = "offers"
	}
	out := fmt.Sprintf("%s: %s %q %s", n.Place, role, n.SSID, n.Security)
	for _, x := range []struct{ name, v string }{{"weak", n.Weak}, {"secret", n.Secret}, {"guessed", n.Guessed}, {"off", n.Off}, {"ignored", n.Ignored}} {
		if x.v != "" {
			out += ", " + x.name + " " + x.v
		}
	}
	if n.Unverified {
		out += ", unverified"
	}
	return out
}

func TestWifiFiles(t *testing.T) {
	for _, tc := range []struct {
		name, path, text string
		want             []string
		secrets          []string // must be nowhere in what is kept
	}{
		{
			name: "raspberry pi os up to bullseye", path: "/etc/wpa_supplicant/wpa_supplicant.conf",
			text: "ctrl_interface=DIR=/var/run/wpa_supplicant GROUP=netdev\nupdate_config=1\ncountry=GB\n\nnetwork={\n\tssid=\"Lab 2\"\n\tpsk=\"orchard-teapot\"\n\tkey_mgmt=WPA-PSK\n}\n" +
				"network={\n    ssid=\"cafe\" # free\n    key_mgmt=NONE\n}\nnetwork={\n  ssid=6c6162\n  #psk=\"orchard-teapot\"\n  psk=" + hashedPSK("raspberry", "lab") + "\n}\n",
			want: []string{
				`/etc/wpa_supplicant/wpa_supplicant.conf:5: joins "Lab 2" WPA2, secret passphrase`,
				`/etc/wpa_supplicant/wpa_supplicant.conf:10: joins "cafe" open, weak nothing is encrypted, and anybody can pose as it`,
				`/etc/wpa_supplicant/wpa_supplicant.conf:14: joins "lab" WPA2, secret hashed passphrase, guessed factory password`,
			},
			secrets: []string{"orchard-teapot", hashedPSK("raspberry", "lab")},
		},
		{
			name: "WEP, TKIP, WPA1, SAE, off", path: "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
			text: "network={\n ssid=\"a\"\n key_mgmt=NONE\n wep_key0=\"abcde\"\n wep_key1=0102030405\n}\nnetwork={\n ssid=\"b\"\n psk=\"12345678\"\n proto=RSN\n pairwise=TKIP\n}\n" +
				"network={\n ssid=\"c\"\n psk=\"elderberry wine\"\n proto=WPA\n}\nnetwork={\n ssid=\"d\"\n key_mgmt=SAE\n sae_password=\"quiet-lake\"\n ieee80211w=2\n disabled=1\n}\n",
			want: []string{
				`/etc/wpa_supplicant/wpa_supplicant-wlan0.conf:1: joins "a" WEP, weak WEP is broken: its key can be had in minutes, secret WEP key`,
				`/etc/wpa_supplicant/wpa_supplicant-wlan0.conf:7: joins "b" WPA2 with TKIP, weak only the cipher TKIP is allowed, which is broken, secret passphrase, guessed a common password`,
				`/etc/wpa_supplicant/wpa_supplicant-wlan0.conf:13: joins "c" WPA1, weak only the first WPA is allowed, which is broken, secret passphrase`,
				`/etc/wpa_supplicant/wpa_supplicant-wlan0.conf:18: joins "d" WPA3, secret passphrase, off disabled=1`,
			},
			secrets: []string{"abcde", "0102030405", "12345678", "elderberry", "quiet-lake"},
		},
		{
			name: "EAP with and without the server's certificate", path: "/etc/wpa_supplicant/wpa_supplicant.conf",
			text: "network={\n ssid=\"eduroam\"\n key_mgmt=WPA-EAP\n eap=PEAP\n identity=\"joe@example.org\"\n password=\"plover-9\"\n phase2=\"auth=MSCHAPV2\"\n}\n" +
				"network={\n ssid=\"eduroam\"\n key_mgmt=WPA-EAP\n eap=TLS\n ca_cert=\"/etc/ssl/certs/ca.pem\"\n private_key_passwd=\"plover-9\"\n}\n" +
				"blob-base64-key={\nc2VjcmV0LWtleQ==\n}\ncred={\n username=\"joe\"\n password=\"plover-9\"\n}\n",
			want: []string{
				`/etc/wpa_supplicant/wpa_supplicant.conf:1: joins "eduroam" WPA2-Enterprise, secret password, unverified`,
				`/etc/wpa_supplicant/wpa_supplicant.conf:9: joins "eduroam" WPA2-Enterprise`,
			},
			secrets: []string{"plover-9", "c2VjcmV0LWtleQ==", "joe"},
		},
		{
			name: "RaspAP as it was installed for years", path: "/etc/hostapd/hostapd.conf",
			text: "driver=nl80211\nauth_algs=1\nwpa_key_mgmt=WPA-PSK\nssid=raspi-webgui\nchannel=1\nhw_mode=g\nwpa_passphrase=ChangeMe\ninterface=wlan0\nwpa=1\nwpa_pairwise=TKIP\n",
			want: []string{
				`/etc/hostapd/hostapd.conf:4: offers "raspi-webgui" WPA1, weak only the first WPA is allowed, which is broken, secret passphrase, guessed factory password`,
			},
			secrets: []string{"ChangeMe"},
		},
		{
			name: "wpa=2 alone is TKIP", path: "/etc/hostapd/hostapd.conf",
			text: "interface=wlan0\nssid=pi\nwpa=2\nwpa_passphrase=meadow-lantern\nbss=wlan0_0\nssid=guests\nbss=wlan0_1\nssid=good\nwpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nsae_password=meadow-lantern\n",
			want: []string{
				`/etc/hostapd/hostapd.conf:2: offers "pi" WPA2 with TKIP, weak only the cipher TKIP is allowed, which is broken, secret passphrase`,
				`/etc/hostapd/hostapd.conf:6: offers "guests" open, weak nothing is encrypted, and anybody can pose as it`,
				`/etc/hostapd/hostapd.conf:8: offers "good" WPA3, secret passphrase`,
			},
			secrets: []string{"meadow-lantern"},
		},
		{
			name: "ifupdown", path: "/etc/network/interfaces",
			text: "auto lo\niface lo inet loopback\n\nallow-hotplug wlan0\niface wlan0 inet dhcp\n    wpa-ssid homenet\n    wpa-psk  mysecretpassphrase\niface wlan1 inet dhcp\n  wireless-essid old\n  wireless-key s:abcde\niface wlan2 inet dhcp\n  wpa-ssid free\n",
			want: []string{
				`/etc/network/interfaces:6: joins "homenet" WPA2, secret passphrase, guessed factory password`,
				`/etc/network/interfaces:9: joins "old" WEP, weak WEP is broken: its key can be had in minutes, secret WEP key`,
				`/etc/network/interfaces:12: joins "free" open, weak nothing is encrypted, and anybody can pose as it`,
			},
			secrets: []string{"mysecretpassphrase", "s:abcde"},
		},
		{
			name: "what the imager writes for NetworkManager", path: "/etc/NetworkManager/system-connections/preconfigured.nmconnection",
			text: "[connection]\nid=preconfigured\nuuid=1b0e\ntype=wifi\n[wifi]\nmode=infrastructure\nssid=homenet\nhidden=false\n[ipv4]\nmethod=auto\n[ipv6]\naddr-gen-mode=default\nmethod=auto\n[proxy]\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=" + hashedPSK("hazel-broom", "homenet") + "\n",
			want: []string{
				`/etc/NetworkManager/system-connections/preconfigured.nmconnection:7: joins "homenet" WPA2/WPA3, secret hashed passphrase`,
			},
			secrets: []string{hashedPSK("hazel-broom", "homenet"), "addr-gen"},
		},
		{
			name: "a name in bytes, a keyring, EAP", path: "/etc/NetworkManager/system-connections/x",
			text: "[connection]\nid=x\ntype=802-11-wireless\nautoconnect=false\n\n[802-11-wireless]\nssid=108;97;98;\n\n[802-11-wireless-security]\nkey-mgmt=wpa-eap\n\n[802-1x]\neap=peap;\nidentity=joe\npassword-flags=1\nphase2-auth=mschapv2\n[vpn-secrets]\npassword=plover-9\n",
			want: []string{
				`/etc/NetworkManager/system-connections/x:7: joins "lab" WPA2-Enterprise, secret kept in a keyring or asked for, off autoconnect=false, unverified`,
			},
			secrets: []string{"plover-9", "joe"},
		},
		{name: "a cable", path: "/etc/NetworkManager/system-connections/eth.nmconnection", text: "[connection]\ntype=ethernet\n"},
		{
			name: "netplan", path: "/etc/netplan/50-cloud-init.yaml",
			text: "# made by cloud-init\nnetwork:\n  version: 2\n  wifis:\n    wlan0:\n      dhcp4: true\n      access-points:\n        \"myhomewifi\":\n          # password: \"old-Secret-1\"\n          password: \"S3kr1t pass\" # new\n        workssid:\n          auth:\n            key-management: eap\n            method: peap\n            identity: \"me@example.com\"\n            password: \"passw0rd-x\"\n        workcert:\n          auth: {key-management: eap, method: ttls, ca-certificate: /etc/my_ca.pem, password: \"passw0rd-x\"}\n        cafe: {}\n        \"pi net\":\n          mode: ap\n          password: pioreactor\n      regulatory-domain: GB\n",
			want: []string{
				`/etc/netplan/50-cloud-init.yaml:8: joins "myhomewifi" WPA2/WPA3, secret passphrase`,
				`/etc/netplan/50-cloud-init.yaml:11: joins "workssid" WPA2-Enterprise, secret password, unverified`,
				`/etc/netplan/50-cloud-init.yaml:17: joins "workcert" WPA2-Enterprise, secret password`,
				`/etc/netplan/50-cloud-init.yaml:19: joins "cafe" open, weak nothing is encrypted, and anybody can pose as it`,
				`/etc/netplan/50-cloud-init.yaml:20: offers "pi net" WPA2/WPA3, secret passphrase, guessed factory password`,
			},
			secrets: []string{"S3kr1t", "old-Secret", "passw0rd-x", "me@example", "pioreactor"},
		},
		{
			name: "a password that no reader of YAML takes", path: "/etc/netplan/01.yaml",
			text:    "network:\n  wifis:\n    wlan0:\n      access-points:\n        a:\n          password: *quiet-lake\n",
			secrets: []string{"quiet-lake"},
		},
		{
			name: "Pioreactor", path: "/home/pioreactor/.pioreactor/config.ini",
			text: "[mqtt]\nusername=pioreactor\npassword=hunter-two\n\n[local_access_point]\nssid=pioreactor\npassphrase: raspberry\nproto=wpa\n\n[ui_basic_auth]\napi_key=aHVudGVyLXR3bw==\n",
			want: []string{
				`/home/pioreactor/.pioreactor/config.ini:6: offers "pioreactor" WPA1, weak only the first WPA is allowed, which is broken, secret passphrase, guessed factory password, off there is no /boot/firmware/local_access_point`,
			},
			secrets: []string{"hunter-two", "aHVudGVy", "raspberry"},
		},
		{
			name: "Pioreactor's file on the boot partition", path: "/boot/firmware/wifi.ini",
			text:    "[wifi]\nssid=homenet\npassphrase=hazel-broom\n",
			want:    []string{`/boot/firmware/wifi.ini:2: joins "homenet" WPA2, secret passphrase, off it is read at the first start only`},
			secrets: []string{"hazel-broom"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := wifiHost(map[string]string{tc.path: tc.text})
			h := &Host{Snap: s}
			h.Units.State = Unknown
			parseWifi(h, s)
			var got []string
			for _, n := range h.Wifi.Networks {
				got = append(got, n.line())
			}
			if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			kept := string(s.Entries[tc.path].Content)
			for _, secret := range tc.secrets {
				if strings.Contains(kept+strings.Join(got, "\n"), secret) && !strings.Contains(tc.path+strings.Join(tc.want, ""), secret) {
					t.Errorf("%q is kept in\n%s", secret, kept)
				}
			}
			again := string(redactionOf(t, tc.path)(s, s.Entries[tc.path], Secrets{}))
			if strings.TrimRight(again, "\n") != strings.TrimRight(kept, "\n") {
				t.Errorf("redacting again changes it:\n%s\nwas\n%s", again, kept)
			}
		})
	}
}

// redactionOf finds the redaction of a path.
func redactionOf(t *testing.T, p string) func(*snap.Snapshot, *snap.Entry, Secrets) []byte {
	t.Helper()
	for _, r := range redactions {
		if snap.Match(r.pattern, p) {
			return r.replace
		}
	}
	t.Fatalf("no redaction for %s", p)
	return nil
}
