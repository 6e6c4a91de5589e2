package snapshot

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/lab/sshserver"
)

// secretHost is where people and installers keep secrets. What is between
// «» must not be in a saved snapshot.
var secretHost = map[string]string{
	"etc/os-release":                         "ID=debian\nVERSION_ID=\"12\"\n",
	"etc/hostname":                           "leader\n",
	"etc/passwd":                             "root:x:0:0:root:/root:/bin/bash\namy:x:1000:1000::/home/amy:/bin/bash\nold:«$1$abcdefgh$2NuWDzYbTOhq1Zk1jKqQ60»:1001:1001::/home/old:/bin/sh\n",
	"etc/shadow":                             "root:*:19700:0:99999:7:::\namy:«$y$j9T$Kb5.Ft1ssN0A7fkoQBk5t/$Xnl4iKMgpy1KS1bEXYM8Y3jUBh9eIVjUGP5mHNmbAf5»:19700:0:99999:7:::\n«a line pasted here by mistake»\n",
	"etc/shadow-":                            "amy:«$6$saltsalt$oldhash0123456789»:19700:0:99999:7:::\n",
	"etc/group":                              "root:x:0:\namy:«groupsecret1»:1000:\n",
	"etc/gshadow":                            "amy:«$6$saltsalt$grouphash012345»::\n",
	"root/.ssh/notes":                        "«the vault opens with hunter2»\n",
	"home/amy/.ssh/authorized_keys":          "command=\"/bin/x --token «tok-keycommand»\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtz b@c\nenvironment=\"API=«tok-authkeys»\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtz amy@desk\n",
	"home/amy/.ssh/config":                   "Host x\n ProxyCommand sshpass -p «tok-sshpass» ssh %h\n",
	"root/.bashrc":                           "export AWS_SECRET_ACCESS_KEY=«tok-bashrc»\n",
	"root/.profile":                          "export GITHUB_TOKEN='«tok profile»'\n",
	"etc/profile.d/x.sh":                     "export DB_PASSWORD=\"«tok profiled»\"\n",
	"etc/wpa_supplicant/wpa_supplicant.conf": "network={\n ssid=\"lab\"\n psk=\"«wifi plain»\"\n}\nnetwork={\n ssid=\"two\"\n psk=«0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef»\n}\nnetwork={\n ssid=\"eap\"\n password=\"«eap pass»\"\n identity=\"amy\"\n}\n",
	"boot/firmware/wpa_supplicant.conf":      "network={\n psk=\"«boot wifi»\"\n}\n",
	"etc/NetworkManager/system-connections/lab.nmconnection": "[connection]\nid=lab\ntype=wifi\n[wifi]\nssid=lab\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=«nm wifi»\n[802-1x]\npassword=«nm eap»\n",
	"etc/netplan/50-cloud-init.yaml":                         "network:\n  wifis:\n    wlan0:\n      access-points:\n        lab:\n          password: \"«netplan wifi»\"\n",
	"etc/hostapd/hostapd.conf":                               "interface=wlan0\nssid=ap\nwpa=2\nwpa_passphrase=«hostapd pass»\n",
	"etc/systemd/system/app.service":                         "[Service]\nEnvironment=\"API_TOKEN=«tok-unit»\" MODE=x\nEnvironment=DB_PASSWORD=«tok-unit2»\nExecStart=/opt/app --password «tok-exec» --url https://amy:«tok-url»@h/\n",
	"etc/systemd/system/app.service.d/10.conf":               "[Service]\nEnvironment='SECRET_KEY=«tok dropin»'\n",
	"etc/crontab":                            "DB_PASSWORD=«tok-crontab»\n* * * * * root curl https://u:«tok-cron»@h\n",
	"etc/cron.d/x":                           "* * * * * root backup --passphrase '«tok crond»'\n",
	"var/spool/cron/crontabs/amy":            "* * * * * API_KEY=«tok-spool» run\n",
	"boot/firmware/cmdline.txt":              "console=tty1 systemd.set_credential=x:«tok-cmdline» root=/dev/mmcblk0p2\n",
	"etc/default/grub":                       "GRUB_CMDLINE_LINUX=\"luks.password=«tok-grub»\"\n",
	"boot/grub/grub.cfg":                     "set superusers=\"root\"\npassword_pbkdf2 root «grub.pbkdf2.sha512.10000.AAAA»\n",
	"etc/fstab":                              "//nas/x /mnt cifs user=amy,password=«tok-fstab»,vers=3 0 0\n//nas/y /y cifs user=amy%«tok-fstab2» 0 0\ncurlftpfs#ftp://amy:«tok@fstab3»@nas/ /z fuse ro 0 0\n",
	"etc/apt/sources.list":                   "deb https://amy:«tok-apt»@repo.example.org stable main\n",
	"etc/apt/apt.conf.d/99proxy":             "Acquire::http::Proxy \"http://amy:«tok-proxy»@proxy:3128\";\n",
	"etc/rsyslog.d/db.conf":                  "action(type=\"ommysql\" server=\"h\" uid=\"u\" password=\"«tok-rsyslog»\")\n",
	"etc/fail2ban/jail.local":                "[DEFAULT]\ncloudflare_token = «tok-f2b»\n",
	"boot/firmware/userconf.txt":             "pi:«$6$abcdefgh$userconfhash0123456789»\n",
	"boot/firmware/custom.toml":              "[user]\nname = \"pi\"\npassword = \"«toml pass»\"\n[wlan]\nssid = \"lab\"\npassword = \"«toml wifi»\"\n",
	"etc/environment":                        "HUB_TOKEN=«tok-environment»\n",
	"home/pioreactor/.pioreactor/config.ini": "[mqtt]\nusername=pioreactor\npassword=«tok-pioreactor»\n",
	"etc/mosquitto/passwd":                   "amy:«$7$101$saltsalt$mosquittohash»\n",
	"etc/ssl/private/site.key":               "-----BEGIN PRIVATE KEY-----\n«MIIEvQIBADANBgkqhkiG9w0BAQEFAASC»\n-----END PRIVATE KEY-----\n",
	"etc/pam.d/common-auth":                  "auth required pam_mysql.so user=x passwd=«tok-pam»\n",
	"etc/sudoers":                            "root ALL=(ALL:ALL) ALL\namy ALL=(root) NOPASSWD: /usr/bin/backup --password «tok-sudoers» *\n",
	"etc/ssh/sshd_config":                    "SetEnv HUB_TOKEN=«tok-setenv»\nInclude more.inc\n",
	"etc/ssh/more.inc":                       "Banner http://amy:«tok-banner»@h/\n",
	"etc/ssh/ssh_config":                     "Host *\n SetEnv HUB_TOKEN=«tok-sshsetenv»\n",
	"etc/systemd/system.conf":                "[Manager]\nDefaultEnvironment=HUB_TOKEN=«tok-manager»\n",
	"usr/local/lib/systemd/system/getty@.service.d/x.conf": "[Service]\nEnvironment=HUB_TOKEN=«tok-getty»\n",
}

// secretOutput is what commands repeat of it.
var secretOutput = map[string]string{
	"systemctl":  "Id=app.service\nEnvironment=API_TOKEN=«tok-show» DB_PASSWORD=«tok-show2»\nExecStart={ path=/opt/app ; argv[]=/opt/app --password «tok-show3» ; }\n",
	"apt-config": "Acquire::http::Proxy \"http://amy:«tok-dump»@proxy:3128\";\n",
	"apt-cache":  " 500 https://amy:«tok-policy»@repo.example.org stable/main\n",
	"sshd":       "port 22\nsetenv HUB_TOKEN=«tok-dumped»\n",
}

// TestSavedSnapshotHoldsNoSecret guards what the help of --save says.
func TestSavedSnapshotHoldsNoSecret(t *testing.T) {
	mark := regexp.MustCompile(`«([^»]*)»`)
	var secrets []string
	plain := func(text string) string {
		for _, m := range mark.FindAllStringSubmatch(text, -1) {
			secrets = append(secrets, m[1])
		}
		return mark.ReplaceAllString(text, "$1")
	}
	dir, bin := t.TempDir(), t.TempDir()
	plant := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range secretHost {
		plant(name, plain(text))
	}
	for _, name := range []string{"root/.ssh/id_ed25519", "home/amy/.ssh/backup-of-key", "etc/ssh/ssh_host_ed25519_key"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		sshserver.NewKey(t, p)
		text, _ := os.ReadFile(p)
		block, _ := pem.Decode(text)
		secrets = append(secrets, string(block.Bytes[len(block.Bytes)-60:]), strings.Split(string(text), "\n")[2])
	}
	for name, text := range secretOutput {
		script := fmt.Sprintf("#!/bin/sh\ncase $1 in show|dump|policy|-d|-T) ;; *) exit 1 ;; esac\necho \"Failed to fetch https://amy:tok-complaint@h/\" >&2\ncat <<'EOF'\n%sEOF\n", plain(text))
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	host := &local{root: dir, run: runner{path: bin + ":/usr/bin:/bin", workers: 2, time: 5 * time.Second}, walk: time.Second}
	s, err := Take(t.Context(), host, fact.Ask, Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.Source = snap.Source{Kind: "local"} // the folder's own name is no matter
	var file bytes.Buffer
	if err := Save(&file, s); err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, "tok-complaint")
	if len(secrets) < 50 {
		t.Errorf("only %d secrets were planted", len(secrets))
	}
	for _, secret := range secrets {
		if i := bytes.Index(saved, []byte(secret)); i >= 0 {
			t.Errorf("%q is in it: …%q…", secret, saved[max(0, i-60):min(len(saved), i+80)])
		}
	}
	// The test would be worth nothing if little had been read.
	read := 0
	for name := range secretHost {
		if e, st, _ := s.File("/" + name); st == snap.Known && len(e.Content) > 0 {
			read++
		} else {
			t.Logf("not asked: /%s", name)
		}
	}
	if read < len(secretHost)*2/3 {
		t.Errorf("only %d of %d files were read", read, len(secretHost))
	}
}
