package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/fact"
	"picket/lab/leftout"
)

// bare is a service of which nothing is set, as systemd has it.
var bare = fact.Sandbox{
	"DefaultDependencies": "yes", "UMask": "0022", "KeyringMode": "private", "NotifyAccess": "none", "DevicePolicy": "auto",
	"ProtectProc": "default", "ProcSubset": "all",
	"CapabilityBoundingSet": "cap_chown cap_dac_override cap_dac_read_search cap_fowner cap_fsetid cap_kill cap_setgid cap_setuid cap_setpcap cap_linux_immutable cap_net_bind_service cap_net_broadcast cap_net_admin cap_net_raw cap_ipc_lock cap_ipc_owner cap_sys_module cap_sys_rawio cap_sys_chroot cap_sys_ptrace cap_sys_pacct cap_sys_admin cap_sys_boot cap_sys_nice cap_sys_resource cap_sys_time cap_sys_tty_config cap_mknod cap_lease cap_audit_write cap_audit_control cap_setfcap cap_mac_override cap_mac_admin cap_syslog cap_wake_alarm cap_block_suspend cap_audit_read cap_perfmon cap_bpf cap_checkpoint_restore",
}

// choices are what a unit may say, and what `systemctl show` makes of it where
// that differs.
var choices = map[string][][2]string{
	"User": {{"nobody"}, {"daemon"}, {"root"}}, "DynamicUser": {{"yes"}}, "SupplementaryGroups": {{"adm"}},
	"PrivateDevices": {{"yes"}}, "PrivateMounts": {{"yes"}}, "PrivateNetwork": {{"yes"}}, "PrivateTmp": {{"yes"}}, "PrivateUsers": {{"yes"}},
	"ProtectControlGroups": {{"yes"}}, "ProtectKernelModules": {{"yes"}}, "ProtectKernelTunables": {{"yes"}}, "ProtectKernelLogs": {{"yes"}},
	"ProtectClock": {{"yes"}}, "ProtectHostname": {{"yes"}}, "ProtectHome": {{"yes"}, {"tmpfs"}, {"read-only"}}, "ProtectSystem": {{"strict"}, {"full"}, {"yes"}},
	"LockPersonality": {{"yes"}}, "MemoryDenyWriteExecute": {{"yes"}}, "NoNewPrivileges": {{"yes"}}, "RestrictRealtime": {{"yes"}}, "RestrictSUIDSGID": {{"yes"}},
	"UMask": {{"0027"}, {"0077"}, {"0002"}, {"0007"}, {"0000"}}, "KeyringMode": {{"shared"}, {"inherit"}}, "NotifyAccess": {{"all"}, {"main"}},
	"ProtectProc": {{"invisible"}, {"noaccess"}, {"ptraceable"}}, "ProcSubset": {{"pid"}}, "RemoveIPC": {{"yes"}}, "Delegate": {{"yes"}},
	"RestrictNamespaces":      {{"yes"}, {"~user mnt", "cgroup ipc net pid uts"}, {"net"}},
	"RestrictAddressFamilies": {{"AF_UNIX AF_INET AF_INET6"}, {"AF_UNIX"}, {"~AF_PACKET AF_NETLINK"}, {"AF_INET AF_BLUETOOTH"}},
	"SystemCallArchitectures": {{"native"}, {"x86 x86-64"}},
	"SystemCallFilter":        {{"~reboot swapon swapoff kexec_load kexec_file_load"}, {"read write exit chown"}, {"~ptrace"}},
	"CapabilityBoundingSet":   {{"CAP_NET_BIND_SERVICE", "cap_net_bind_service"}, {"CAP_CHOWN CAP_SYS_ADMIN CAP_BPF", "cap_chown cap_sys_admin cap_bpf"}, {"", ""}},
	"AmbientCapabilities":     {{"CAP_NET_BIND_SERVICE"}},
	"IPAddressDeny":           {{"any", "0.0.0.0/0 ::/0"}}, "IPAddressAllow": {{"localhost", "127.0.0.0/8 ::1/128"}, {"192.0.2.0/24"}},
	"DevicePolicy": {{"closed"}, {"strict"}, {"auto"}}, "DeviceAllow": {{"/dev/null rw"}},
}

// TestExposureIsSystemds compares our score of a service with that of the
// systemd of this machine, for units of many settings.
func TestExposureIsSystemds(t *testing.T) {
	version, err := exec.Command("systemd-analyze", "--version").Output()
	if err != nil {
		leftout.Missing(t, "no systemd-analyze here")
	}
	if !strings.HasPrefix(string(version), "systemd 252") {
		leftout.Missing(t, "systemd-analyze here is not that of Debian 12")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var names []string
	for n := range choices {
		names = append(names, n)
	}
	slices.Sort(names)
	dir := t.TempDir()
	want, units := map[string]int{}, map[string]string{}
	var files []string
	for i := range 400 {
		name := fmt.Sprintf("u%d.service", i)
		unit, set := "[Service]\nExecStart=/bin/true\n", map[string]string{}
		for _, n := range names {
			// Some of everything, and each alone.
			if c := choices[n][rnd.IntN(len(choices[n]))]; i < len(names) && names[i] == n || i >= len(names) && rnd.IntN(i%4+2) > 0 {
				unit += n + "=" + c[0] + "\n"
				if set[n] = c[0]; c[1] != "" || c[0] == "" {
					set[n] = c[1]
				}
			}
		}
		if set["DevicePolicy"] != "" && set["DynamicUser"] == "yes" {
			continue // systemd then has a device policy of its own
		}
		want[name], units[name] = bare.With(set).Exposure(), unit
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	out, _ := exec.Command("systemd-analyze", append([]string{"security", "--offline=true", "--no-pager"}, files...)...).CombinedOutput()
	seen, wrong := 0, 0
	for _, m := range regexp.MustCompile(`Overall exposure level for (\S+): (\d+)\.(\d)`).FindAllStringSubmatch(string(out), -1) {
		seen++
		if got := fmt.Sprintf("%d.%d", want[m[1]]/10, want[m[1]]%10); got != m[2]+"."+m[3] && wrong < 5 {
			wrong++
			t.Errorf("we say %s, systemd %s.%s of\n%s", got, m[2], m[3], units[m[1]])
		}
	}
	if seen != len(files) {
		t.Errorf("systemd judged %d of %d units: %.500s", seen, len(files), out)
	}
}
