package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/internal/cli"
	"picket/internal/ui"
)

// card is a Raspberry Pi OS card before its first start, as its image has it.
var card = map[string]string{
	"/etc/os-release":                    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
	"/etc/rpi-issue":                     "Raspberry Pi reference 2024-11-19\n",
	"/etc/machine-id":                    "uninitialized\n",
	"/etc/passwd":                        "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n",
	"/etc/group":                         "root:x:0:\npi:x:1000:\n",
	"/etc/fstab":                         "PARTUUID=4e639091-01  /boot/firmware  vfat  defaults  0  2\nPARTUUID=4e639091-02  /  ext4  defaults,noatime  0  1\n",
	"/boot/firmware/config.txt":          "[all]\narm_64bit=1\n",
	"/boot/firmware/cmdline.txt":         "console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n",
	"/boot/firmware/bcm2711-rpi-4-b.dtb": "dtb",
}

// raspberry and the like must not come out of any card.
var cardSecrets = []string{"raspberry\"", "labsecret99", "4o4.L3tiGL1RD7BsjaaWYcCVs87zOlvZK7S6SXQETuFMA2ELLDwmf3YDHidZ3I4E"}

const raspberryHash = "$6$abcdefgh$4o4.L3tiGL1RD7BsjaaWYcCVs87zOlvZK7S6SXQETuFMA2ELLDwmf3YDHidZ3I4E/fXmmOOWhAJHUSMf.eA6c1"

func TestCards(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  map[string]string
	}{
		"as many guides write it": {map[string]string{
			"/boot/firmware/userconf.txt":                   "pi:" + raspberryHash + "\n",
			"/boot/firmware/ssh":                            "",
			"/boot/firmware/wpa_supplicant.conf":            "country=DE\nnetwork={\n\tssid=\"guests\"\n\tkey_mgmt=NONE\n}\n",
			"/boot/firmware/local_access_point":             "DE\n",
			"/boot/firmware/pioreactor/plugins/own-0.1.whl": "PK",
		}, map[string]string{
			"raspberry-pi/card-password": "fail", "raspberry-pi/card-ssh": "fail", "raspberry-pi/boot-plugins": "fail", "wifi/encryption": "fail",
		}},
		"custom.toml with a key only": {map[string]string{
			"/boot/firmware/custom.toml": "config_version = 1\n[user]\nname = \"mary\"\n[ssh]\nenabled = true\npassword_authentication = false\nauthorized_keys = [ \"ssh-ed25519 AAAA mary\" ]\n[wlan]\nssid = \"lab\"\npassword = \"labsecret99\"\npassword_encrypted = false\ncountry = \"DE\"\n",
		}, map[string]string{
			"raspberry-pi/card-password": "pass", "raspberry-pi/card-ssh": "pass", "raspberry-pi/boot-plugins": "pass",
		}},
		"cloud-init with a password that is written out": {map[string]string{
			"/boot/firmware/user-data":      "#cloud-config\nhostname: node1\nenable_ssh: true\nusers:\n- name: mary\n  plain_text_passwd: labsecret99\n  lock_passwd: false\nssh_pwauth: true\n",
			"/boot/firmware/network-config": "network:\n  version: 2\n  wifis:\n    wlan0:\n      dhcp4: true\n      access-points:\n        lab:\n          password: labsecret99\n",
		}, map[string]string{
			"raspberry-pi/card-password": "fail", "raspberry-pi/card-ssh": "fail", "wifi/encryption": "pass",
		}},
		"a script of the first start": {map[string]string{
			"/boot/firmware/firstrun.sh": "#!/bin/bash\nset +e\n/usr/lib/userconf-pi/userconf 'pi' '" + raspberryHash + "'\n/usr/lib/raspberrypi-sys-mods/imager_custom enable_ssh\nrm -f /boot/firstrun.sh\n",
		}, map[string]string{
			"raspberry-pi/card-password": "fail", "raspberry-pi/boot-secrets": "not-applicable",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			all := maps.Clone(card)
			maps.Copy(all, tc.files)
			for p, text := range all {
				file := filepath.Join(dir, p)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var out, errs bytes.Buffer
			cli.Main(context.Background(), []string{"picket", "audit", "--profile", "strict", "--output", "json", "image:" + dir},
				ui.IO{In: strings.NewReader(""), Out: &out, Err: &errs}, func(string) string { return "" })
			var report struct {
				Results []struct{ Control, Verdict, Reason string }
			}
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatalf("%v: %s%s", err, out.String(), errs.String())
			}
			got := map[string]string{}
			for _, r := range report.Results {
				if got[r.Control] = r.Verdict; r.Verdict == "error" {
					t.Errorf("%s: %s", r.Control, r.Reason)
				}
			}
			for _, id := range slices.Sorted(maps.Keys(tc.want)) {
				if got[id] != tc.want[id] {
					t.Errorf("%s is %s, want %s", id, got[id], tc.want[id])
				}
			}
			for _, s := range cardSecrets {
				if strings.Contains(out.String(), s) {
					t.Errorf("the report shows %q", s)
				}
			}
		})
	}
}
