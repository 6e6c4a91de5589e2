package cli_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/lab"
	"picket/lab/leftout"
)

// TestWholeCluster goes with a cluster from what its owner made of two guides, with all their mistakes, to one that passes
// *recommended* but for what only a person can decide, and all the way back: a master and five workers, of which each has a key
// without a passphrase that opens all others. It takes some minutes: PICKET_TRIAL=cluster asks for it.
// TestApplyCluster and TestKeys go parts of this way in every run.
func TestWholeCluster(t *testing.T) {
	if os.Getenv("PICKET_TRIAL") != "cluster" {
		leftout.Skip(t, "six hosts and some minutes: PICKET_TRIAL=cluster asks for it")
	}
	names := []string{"master", "worker1", "worker2", "worker3", "worker4", "worker5"}
	hosts := map[string]*lab.Host{}
	var list, keys strings.Builder
	for _, name := range names {
		h := start(t, lab.Guides)
		hosts[name] = h
		lived(h)
		fmt.Fprintf(&list, "%s %s\n", h.Addr(), name)
		h.Sh("hostname " + name + "; echo " + name + " >/etc/hostname; rm -f ~alice/.ssh/id_*; runuser -u alice -- ssh-keygen -q -t ed25519 -N '' -C alice@" + name + " -f /home/alice/.ssh/id_ed25519; touch ~alice/.sudo_as_admin_successful; chown alice: ~alice/.sudo_as_admin_successful")
		keys.WriteString(h.Read("/home/alice/.ssh/id_ed25519.pub"))
	}
	master := hosts["master"]
	keys.WriteString(master.Read("/home/operator/.ssh/authorized_keys"))
	for _, h := range hosts {
		h.Sh("cat >/etc/hosts <<'END'\n127.0.0.1 localhost\n127.0.1.1 " + strings.TrimSpace(h.Sh("hostname")) + "\n" + list.String() + "END\ncat >~alice/.ssh/authorized_keys <<'END'\n" + keys.String() + "END\n")
	}
	for _, name := range names[1:] {
		master.Sh("runuser -u alice -- ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new " + name + " true")
	}
	before := map[string]map[string]string{}
	for name, h := range hosts {
		before[name] = hashes(h)
	}

	home := t.TempDir()
	password := secretFile(t, "berries")
	picket := func(want int, args ...string) string {
		t.Helper()
		if args[0] != "init" {
			args = append(args, "--sudo-password-file", password)
		}
		cmd := master.Command(program(t), append(args, "--identity", master.KeyFile())...)
		cmd.Env, cmd.Dir = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+home), home
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%q: exit code %d, want %d\n%s", args, code, want, out)
		}
		t.Logf("picket %s\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	picture := func(name string) {
		picket(map[bool]int{true: 1, false: 0}[name == "before"], "trust", "all", "--output", "text", "--output", "svg:"+name+".svg", "--output", "html:"+name+".html")
		if dir := os.Getenv("PICKET_SHOW"); dir != "" {
			for _, f := range []string{name + ".svg", name + ".html"} {
				if b, err := os.ReadFile(filepath.Join(home, f)); err != nil || os.WriteFile(filepath.Join(dir, f), b, 0o600) != nil {
					t.Error(err)
				}
			}
		}
	}
	var runs []string
	did := func(out string) {
		t.Helper()
		if m := regexp.MustCompile(`rollback (\d{8}-\d{6})`).FindAllStringSubmatch(out, -1); len(m) > 0 {
			runs = append(runs, m[len(m)-1][1])
		} else {
			t.Errorf("no run to take back:\n%s", out)
		}
	}

	picket(0, "init", "ssh://alice@"+master.Addr(), "--yes", "--accept-new-host-keys")
	picket(1, "audit", "all")
	picture("before")
	fresh := secretFile(t, annPassword)
	out := picket(0, "passwd", "alice", "all", "--password-file", fresh, "--yes")
	did(out)
	password = fresh
	did(picket(0, "keys", "setup", "--tighten", "--yes"))
	did(picket(0, "keys", "prune", "--yes"))
	picture("after")
	risks := "lose-ssh,lose-network,reboot,data"
	did(picket(0, "apply", "all", "--accept-risk", risks, "--yes"))

	left := picket(0, "audit", "all", "--fail-on", "critical")
	t.Logf("left: %s", left)
	for _, name := range names[1:] {
		if out, code := master.Try("runuser", "-u", "alice", "--", "ssh", "-o", "BatchMode=yes", name, "hostname"); code != 0 || strings.TrimSpace(out) != name {
			t.Errorf("the master does not drive %s any more: %s", name, out)
		}
		if out, code := hosts[name].Try("runuser", "-u", "alice", "--", "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "master", "true"); code == 0 {
			t.Errorf("%s still comes to the master: %s", name, out)
		}
	}

	slices.Reverse(runs)
	for i, run := range runs {
		if i == len(runs)-1 {
			password = fresh // its own undo brings the old one back
		}
		picket(0, "rollback", run, "all", "--yes")
	}
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		hosts[name].Sh("rm -rf /var/lib/picket")
		differ(t, name, before[name], hashes(hosts[name]))
	}
}
