package fact

import (
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// plantKernel makes a complete snapshot of files; a value that begins with "-> " is
// a link to another path.
func plantKernel(files map[string]string) *snap.Snapshot {
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	s.MarkComplete()
	for p, text := range files {
		e := &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(text)}
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			*e = snap.Entry{Path: p, Type: snap.Device, Target: to, Real: to}
			if to != "/dev/null" {
				e.Type, e.Read, e.Content = snap.File, true, []byte(files[to])
			}
		}
		s.Entries[p] = e
	}
	return s
}

// The wanted values are what systemd-sysctl of Debian 12 wrote to the kernel
// with these files, in a network namespace with the interfaces dum0 and dum1.
func TestSysctlBoot(t *testing.T) {
	h := Parse(plantKernel(map[string]string{
		"/etc/sysctl.d/10-a.conf": `net.ipv4.conf.*.rp_filter = 1
-net.ipv4.conf.dum0.rp_filter
net.ipv4.conf.dum1.log_martians = 1
net/ipv4/conf/dum0/arp_ignore=1
net.ipv4.conf.dum1.send_redirects=0
`,
		"/etc/sysctl.d/20-b.conf": `net.ipv4.conf.*.log_martians = 0
net.ipv4.conf.dum*.rp_filter = 2
net.ipv4.conf.dum1.send_redirects=1
no assignment
-net.ipv4.conf.nosuch.rp_filter=1
net.ipv4.conf.default.accept_redirects=0
`,
		"/usr/lib/sysctl.d/10-a.conf": "net.ipv4.conf.dum0.arp_ignore=2\n",
		"/usr/lib/sysctl.d/05-z.conf": "net.ipv4.conf.dum1.send_redirects=0\n",
	}))
	for _, c := range []struct{ key, want, at string }{
		{"all/rp_filter", "1", "/etc/sysctl.d/10-a.conf:1"},
		{"default/rp_filter", "1", "/etc/sysctl.d/10-a.conf:1"},
		{"dum0/rp_filter", "", ""}, // left alone; it takes default's
		{"dum1/rp_filter", "2", "/etc/sysctl.d/20-b.conf:2"},
		{"dum0/log_martians", "0", "/etc/sysctl.d/20-b.conf:1"},
		{"dum1/log_martians", "1", "/etc/sysctl.d/10-a.conf:3"},
		{"dum0/arp_ignore", "1", "/etc/sysctl.d/10-a.conf:4"},
		{"dum1/send_redirects", "1", "/etc/sysctl.d/20-b.conf:3"},
		{"default/accept_redirects", "0", "/etc/sysctl.d/20-b.conf:6"},
		{"all/accept_redirects", "", ""},
	} {
		a, ok := h.Sysctl.Boot("net/ipv4/conf/" + c.key)
		if ok != (c.want != "") || a.Value != c.want || ok && a.Place.String() != c.at {
			t.Errorf("%s: %q at %s, want %q at %s", c.key, a.Value, a.Place, c.want, c.at)
		}
	}
}

func TestSysctlWriters(t *testing.T) {
	const key = "net/ipv4/tcp_syncookies"
	files := map[string]string{
		"/proc/cmdline":               "quiet sysctl.net.ipv4.tcp_syncookies=2",
		"/etc/ufw/ufw.conf":           "ENABLED=yes\n",
		"/etc/default/ufw":            "IPT_SYSCTL=/etc/ufw/sysctl.conf\n",
		"/etc/ufw/sysctl.conf":        "net/ipv4/tcp_syncookies=0\n",
		"/etc/sysctl.d/60-net.conf":   "net.ipv4.tcp_syncookies = 1\n",
		"/usr/lib/sysctl.d/99-z.conf": "net.ipv4.tcp_syncookies = 3\n",
		"/run/sysctl.d/99-z.conf":     "-> /dev/null",
	}
	for _, c := range []struct{ without, want string }{
		{"", "0"},                          // ufw comes last
		{"/etc/ufw/ufw.conf", "1"},         // then the files; 99-z.conf is masked
		{"/etc/sysctl.d/60-net.conf", "2"}, // then the command line
	} {
		delete(files, c.without)
		if a, ok := Parse(plantKernel(files)).Sysctl.Boot(key); !ok || a.Value != c.want {
			t.Errorf("without %s: %q, want %q", c.without, a.Value, c.want)
		}
	}
}

func TestSysctlConfIsReadByItsLinkOnly(t *testing.T) {
	files := map[string]string{
		"/etc/sysctl.conf":             "kernel.sysrq=0\n",
		"/etc/sysctl.d/99-sysctl.conf": "-> /etc/sysctl.conf",
	}
	c := Parse(plantKernel(files)).Sysctl
	if _, ok := c.Boot("kernel/sysrq"); !ok || len(c.Unread) != 0 {
		t.Errorf("with the link: set %v, unread %v", ok, c.Unread)
	}
	delete(files, "/etc/sysctl.d/99-sysctl.conf")
	c = Parse(plantKernel(files)).Sysctl
	if _, ok := c.Boot("kernel/sysrq"); ok || len(c.Unread) != 1 {
		t.Errorf("without the link: set %v, unread %v", ok, c.Unread)
	}
	if _, ok := c.Asked("kernel/sysrq"); !ok {
		t.Error("without the link the file still asks for it")
	}
}

func TestSysctlNames(t *testing.T) {
	for in, want := range map[string]string{
		"kernel.sysrq":                   "kernel/sysrq",
		"net/ipv4/conf/eth0.1/rp_filter": "net/ipv4/conf/eth0.1/rp_filter",
		"net.ipv4.conf.eth0/1.rp_filter": "net/ipv4/conf/eth0.1/rp_filter",
		"/net/ipv4//ip_forward":          "net/ipv4/ip_forward",
		"/../../etc/passwd":              "etc/passwd",
	} {
		if got := sysctlKey(in); got != want {
			t.Errorf("sysctlKey(%q) = %q, want %q", in, got, want)
		}
	}
	if got := SysctlName("net/ipv4/conf/eth0.1/rp_filter"); got != "net.ipv4.conf.eth0/1.rp_filter" {
		t.Errorf("SysctlName: %q", got)
	}
}

func FuzzParseSysctl(f *testing.F) {
	f.Add("net.ipv4.conf.*.rp_filter = 1\n-net.ipv4.conf.all.rp_filter\n# x\n; y\n-\n=\n")
	f.Add("\xff.\xfe=[\n-a[=1")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range ParseSysctl("/f", text) {
			if a.Key == "" || a.Place.Line < 1 {
				t.Errorf("setting without key or line: %+v", a)
			}
			if strings.HasPrefix(a.Key, "/") || strings.HasPrefix(a.Key, "../") {
				t.Errorf("key %q leaves /proc/sys", a.Key)
			}
		}
		h := Parse(plantKernel(map[string]string{"/etc/sysctl.d/a.conf": text}))
		h.Sysctl.Boot("net/ipv4/conf/eth0/rp_filter")
	})
}
