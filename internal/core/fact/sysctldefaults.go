package fact

import "strings"

// sysctlDefaults are the values that a Debian kernel has before anything sets
// them. Only those that Debian's and Raspberry Pi's kernels of Debian 12 and 13
// share stand here; of another key, nobody can say what a reboot gives.
// Sources, in the kernel's tree: kernel/sysctl.c, fs/namei.c (Debian's patch
// fs-enable-link-security-restrictions-by-default), net/ipv4/devinet.c,
// net/ipv4/icmp.c, net/ipv4/tcp_ipv4.c, net/ipv6/addrconf.c,
// Documentation/networking/ip-sysctl.rst.
var sysctlDefaults = map[string]string{
	"dev/tty/ldisc_autoload":                     "1", // CONFIG_LDISC_AUTOLOAD
	"fs/protected_fifos":                         "0",
	"fs/protected_hardlinks":                     "1",
	"fs/protected_regular":                       "0",
	"fs/protected_symlinks":                      "1",
	"fs/suid_dumpable":                           "0",
	"kernel/kexec_load_disabled":                 "0",
	"kernel/kptr_restrict":                       "0", // lib/vsprintf.c
	"kernel/modules_disabled":                    "0",
	"kernel/panic_on_oops":                       "0",
	"kernel/randomize_va_space":                  "2", // mm/memory.c, without CONFIG_COMPAT_BRK
	"kernel/unprivileged_bpf_disabled":           "2", // CONFIG_BPF_UNPRIV_DEFAULT_OFF
	"net/core/bpf_jit_harden":                    "0",
	"net/ipv4/conf/all/accept_redirects":         "1",
	"net/ipv4/conf/all/accept_source_route":      "0",
	"net/ipv4/conf/all/arp_announce":             "0",
	"net/ipv4/conf/all/arp_ignore":               "0",
	"net/ipv4/conf/all/log_martians":             "0",
	"net/ipv4/conf/all/rp_filter":                "0",
	"net/ipv4/conf/all/secure_redirects":         "1",
	"net/ipv4/conf/all/send_redirects":           "1",
	"net/ipv4/conf/default/accept_redirects":     "1",
	"net/ipv4/conf/default/accept_source_route":  "1",
	"net/ipv4/conf/default/arp_announce":         "0",
	"net/ipv4/conf/default/arp_ignore":           "0",
	"net/ipv4/conf/default/log_martians":         "0",
	"net/ipv4/conf/default/rp_filter":            "0",
	"net/ipv4/conf/default/secure_redirects":     "1",
	"net/ipv4/conf/default/send_redirects":       "1",
	"net/ipv4/icmp_echo_ignore_broadcasts":       "1",
	"net/ipv4/icmp_ignore_bogus_error_responses": "1",
	"net/ipv4/ip_forward":                        "0",
	"net/ipv4/tcp_rfc1337":                       "0",
	"net/ipv4/tcp_syncookies":                    "1",
	"net/ipv6/conf/all/accept_ra":                "1",
	"net/ipv6/conf/all/accept_redirects":         "1",
	"net/ipv6/conf/all/accept_source_route":      "0",
	"net/ipv6/conf/all/disable_ipv6":             "0",
	"net/ipv6/conf/all/forwarding":               "0",
	"net/ipv6/conf/default/accept_ra":            "1",
	"net/ipv6/conf/default/accept_redirects":     "1",
	"net/ipv6/conf/default/accept_source_route":  "0",
}

// SysctlDefault is what a key has after a boot that sets nothing, where that
// is known. An interface takes what stands for new ones.
func SysctlDefault(key string) (string, bool) {
	if v, ok := sysctlDefaults[key]; ok {
		return v, true
	}
	f := strings.Split(key, "/")
	if len(f) == 5 && f[0] == "net" && f[2] == "conf" {
		f[3] = "default"
		v, ok := sysctlDefaults[strings.Join(f, "/")]
		return v, ok
	}
	return "", false
}
