package kind

import (
	"strings"
	"testing"

	"picket/internal/core/control"
)

// A slip in a control's parameters is refused with its line and what is meant.
func TestKernelKindsRefuseBadParameters(t *testing.T) {
	const head = "title: T\nlayer: host\nseverity: low\nwhy: w\nfix: f\n"
	for _, c := range []struct{ params, want string }{
		{"kind: sysctl", "want is missing"},
		{"kind: sysctl\nwant: {kernel.sysrq: []}", "kernel.sysrq has no value"},
		{"kind: sysctl\nwant: {kernel/sysrq: [\"0\"]}", "not the name of a sysctl"},
		{"kind: sysctl\nwant: {kernel.*: [\"0\"]}", "not the name of a sysctl"},
		{"kind: sysctl\nwant: {vm.mmap_min_addr: [\">=many\"]}", `"many" is not a number`},
		{"kind: sysctl\nwant: {kernel.sysrq: [\"0\"]}\nunless: laptop", `unknown condition "laptop"`},
		{"kind: kernel-module\nmodules: [cramfs]", "not a module's path"},
		{"kind: mount-option\npoint: tmp\noptions: [nodev]", "not a clean absolute path"},
		{"kind: mount-option\npoint: /tmp", "options is missing"},
		{"kind: boot-param", "want, forbid or least is missing"},
		{"kind: boot-param\nforbid: ['a b']", "not one word"},
		{"kind: file-absent\npaths: [etc/x]", "not a clean absolute path"},
		{"kind: file-line\npaths: [/etc/x]\nforbid: ['(']\nsay: s", "missing closing )"},
		{"kind: file-line\npaths: [/etc/x]\nforbid: ['x']", "say is missing"},
		{"kind: unit\nunits: [ssh]\nstate: running", "such as ssh.service"},
		{"kind: unit\nunits: [home.mount]\nstate: running", `the state of "home.mount" is not read`},
		{"kind: audit-rule", "what is to be recorded is missing"},
		{"kind: audit-rule\nwatch: [etc/passwd]\nperm: wa", "not a clean absolute path"},
		{"kind: audit-rule\nwatch: [/etc/passwd]\nperm: write", "some of the letters r, w, x and a"},
		{"kind: pam-option\nstack: common-auth\nmodule: pam_unix.so\noption: deny", "min, max, flag or unset"},
		{"kind: pam-option\nstack: common-auth\nmodule: pam_unix.so\nflag: true", "option is missing"},
		{"kind: package-files\npackages: []", "1 to 40"},
		{"kind: sandbox\nof: mine\nmost: 70", "unknown of"},
		{"kind: sandbox\nof: own\nmost: 700", "a score in tenths"},
		{"kind: sshd-option\nwant: {PermitRootLogin: {exactly: {\"9.2\": [no]}}}", "exactly wants lists by OpenSSH version"},
		{"kind: sysctl\nwants: {kernel.sysrq: [\"0\"]}", `did you mean "want"`},
	} {
		_, ps := control.Parse("x.yaml", "x", []byte(head+c.params+"\n"), All())
		if len(ps) == 0 || !strings.Contains(ps.Err().Error(), c.want) {
			t.Errorf("%q: problems %v, want %q", c.params, ps, c.want)
		}
	}
}
