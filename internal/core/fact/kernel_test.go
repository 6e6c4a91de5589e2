package fact

import (
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

func TestMountinfo(t *testing.T) {
	ms := ParseMountinfo("/proc/1/mountinfo", `27 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw,errors=remount-ro
31 27 0:27 / /mnt/two\040words rw,nosuid shared:9 master:3 - vfat /dev/sdb1 ro,fmask=0077,dmask=0077
broken line
32 27 0:28 / /tmp rw - tmpfs
`)
	if len(ms) != 2 {
		t.Fatalf("%d mounts, want 2: %+v", len(ms), ms)
	}
	m := ms[1]
	if m.Point != "/mnt/two words" || m.Type != "vfat" || m.Source != "/dev/sdb1" || !m.Has("nosuid") || m.Has("ro") {
		t.Errorf("second: %+v", m)
	}
	if v, _ := m.Option("fmask"); v != "0077" {
		t.Errorf("fmask %q", v)
	}
}

func TestFstabOptions(t *testing.T) {
	for in, want := range map[string]string{
		"defaults,noexec,exec": "defaults,exec",
		"user":                 "noexec,nosuid,nodev,user",
		"users,exec":           "nosuid,nodev,users,exec",
		"noexec,,":             "noexec",
	} {
		if got := strings.Join(fstabOptions(in), ","); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestWalkIsAskedOnceDisksAreKnown(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	if m := Ask(s); m.Walk != nil {
		t.Fatal("the walk is asked before owners and disks are known")
	}
	files := map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n",
		"/etc/group":  "root:x:0:\npi:x:1000:\n",
		"/proc/1/mountinfo": `27 1 8:2 / / rw - ext4 /dev/sda2 rw
28 27 8:3 / /home rw - ext4 /dev/sda3 rw
29 27 0:3 / /srv/nas rw - nfs4 nas:/x rw
30 27 0:4 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw
31 27 8:4 / /var/lib/docker rw - ext4 /dev/sda4 rw
`,
	}
	m := Ask(plantKernel(files))
	if m.Walk == nil {
		t.Fatal("no walk is asked in the second round")
	}
	if got := strings.Join(m.Walk.Roots, " "); got != "/ /home" {
		t.Errorf("roots %q", got)
	}
	if !slices.Equal(m.Walk.UIDs, []int{0, 1000}) || !slices.Equal(m.Walk.GIDs, []int{0, 1000}) {
		t.Errorf("owners %v %v", m.Walk.UIDs, m.Walk.GIDs)
	}
}

func TestModprobe(t *testing.T) {
	h := Parse(plantKernel(map[string]string{
		"/etc/modprobe.d/a.conf":         "install usb-storage /bin/false\ninstall tipc \\\n /bin/true\ninstall snd /sbin/modprobe snd-seq\nblacklist sctp\n# blacklist rds\n",
		"/usr/lib/modprobe.d/a.conf":     "blacklist udf\n",
		"/proc/cmdline":                  "quiet modprobe.blacklist=dccp,hfs-plus",
		"/lib/modules/6/modules.builtin": "kernel/fs/ext4/ext4.ko\nkernel/drivers/x-y.ko.xz\n",
	}))
	for name, want := range map[string]bool{
		"usb_storage": true, "tipc": true, "snd": false, "sctp": true, "rds": false, "udf": false, "dccp": true, "hfs_plus": true,
	} {
		if _, got := h.Modules.Blocked[name]; got != want {
			t.Errorf("%s: blocked is %v, want %v", name, got, want)
		}
	}
	if !h.Modules.BuiltIn["ext4"] || !h.Modules.BuiltIn["x_y"] {
		t.Errorf("built in: %v", h.Modules.BuiltIn)
	}
}

func TestBootSecretsAreReplaced(t *testing.T) {
	s := plantKernel(map[string]string{
		"/proc/cmdline":       "root=/dev/sda1 rd.iscsi.password=hunter2 systemd.set_credential=x:hunter2 spec_store_bypass_disable=off",
		"/etc/fstab":          "//nas/x /srv cifs user=pi,password=hunter2,uid=1000 0 0\n//nas/y /srv2 cifs credentials=/root/.smb 0 0\n",
		"/boot/grub/grub.cfg": "set superusers=\"a\"\npassword_pbkdf2 a grub.pbkdf2.sha512.10000.hunter2\n\tlinux /boot/vmlinuz root=UUID=1 ro\n",
	})
	Redact(s, Secrets{})
	for p, e := range s.Entries {
		if strings.Contains(string(e.Content), "hunter2") || !e.Redact {
			t.Errorf("%s still holds the secret: %s", p, e.Content)
		}
	}
	h := Parse(s)
	if !slices.Contains(h.Boot.Now.V, "spec_store_bypass_disable=off") || !h.Boot.GrubPassword.V {
		t.Errorf("redaction took away what rules need: %+v", h.Boot)
	}
	if h.Boot.Next.Place.Line != 3 {
		t.Errorf("the lines have moved: %s", h.Boot.Next.Place)
	}
	if m, _ := h.Mounts.Next("/srv2"); !m.Has("credentials=/root/.smb") {
		t.Errorf("fstab: %+v", m)
	}
}

func FuzzKernelFiles(f *testing.F) {
	f.Add("27 1 179:2 / /a\\040b rw - ext4 x rw\n", "a b c d\n\\777\\04", "install a \\\n /bin/false\nblacklist\n", "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX${GRUB_CMDLINE_LINUX}a\"\nlinux\nset superusers=\npassword")
	f.Fuzz(func(t *testing.T, mountinfo, fstabText, modprobe, grub string) {
		s := plantKernel(map[string]string{
			"/proc/1/mountinfo":                      mountinfo,
			"/etc/fstab":                             fstabText,
			"/etc/modprobe.d/a.conf":                 modprobe,
			"/proc/modules":                          modprobe,
			"/etc/default/grub":                      grub,
			"/boot/grub/grub.cfg":                    grub,
			"/sys/kernel/security/lsm":               mountinfo,
			"/sys/kernel/security/apparmor/profiles": modprobe,
			"/etc/subuid":                            fstabText,
			"/etc/passwd":                            "root:x:0:0:root:/root:/bin/sh",
		})
		Redact(s, Secrets{})
		h := Parse(s)
		Ask(s)
		if len(strings.Join(h.Boot.Asked.V, " ")) > 1<<18 {
			t.Error("the kernel's words grew without bound")
		}
	})
}
