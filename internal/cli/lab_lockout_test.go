package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/lab"
)

// A startingPoint is a host from which somebody might be locked out, and how that somebody comes in.
type startingPoint struct {
	name    string
	role    lab.Role
	prepare string
	login   func(*lab.Host) error // as before the change, up to root
	apply   func(*testing.T, *lab.Host, ...string) (string, int)
}

func byKey(h *lab.Host) error {
	if out, code := h.TrySSH("operator", "sudo -S -k true <<'END'\n"+lab.OperatorPassword+"\nEND\n"); code != 0 {
		return fmt.Errorf("operator: %s", out)
	}
	return nil
}

func byPassword(h *lab.Host) error {
	if err := h.TryPassword("operator", lab.OperatorPassword); err != nil {
		return err
	}
	h.Sh("echo " + lab.OperatorPassword + " | su -s /bin/sh operator -c 'sudo -S -k true'")
	return nil
}

// byStation wants both, the operator's key and what the access point is for.
func byStation(h *lab.Host) error {
	if out, code := h.Try("station", bridgeOf(h)); code != 0 {
		return fmt.Errorf("a station of the access point: %s", out)
	}
	return byKey(h)
}

// byPeer wants both, the operator's key and the way from a leader that insists on an old key exchange.
func byPeer(h *lab.Host) error {
	if out, code := h.TrySSH("operator", "ssh worker true"); code != 0 {
		return fmt.Errorf("from the leader: %s", out)
	}
	return byKey(h)
}

// asOperator applies over SSH with the operator's key.
func asOperator(t *testing.T, h *lab.Host, args ...string) (string, int) {
	return verb(t, h, append([]string{"apply", "TARGET", "--yes"}, args...)...)
}

// onIt applies on the host itself, and confirms if the operator can log in then, as the text asks for.
func onIt(t *testing.T, h *lab.Host, args ...string) (string, int) {
	out, code := h.Try(onHost, append([]string{"apply", "--yes"}, args...)...)
	if m := regexp.MustCompile(`picket confirm (\S+)`).FindStringSubmatch(out); m != nil {
		if err := byPassword(h); err != nil {
			return out + "\nnot confirmed: " + err.Error(), code
		}
		more, c := h.Try(onHost, "confirm", m[1])
		if c != 0 {
			t.Errorf("confirm: exit code %d\n%s\n%s", c, more, h.Sh("cat /var/lib/picket/tx/*/journal"))
		}
		return out + more, c
	}
	return out, code
}

var startingPoints = []startingPoint{
	{"a key and a password", lab.Debian, "", byKey, asOperator},
	{"only passwords", lab.Debian, "rm ~operator/.ssh/authorized_keys", byPassword, onIt},
	{"only root's key", lab.Debian, "mkdir -p -m 700 /root/.ssh; mv ~operator/.ssh/authorized_keys /root/.ssh/; chown root: /root/.ssh/authorized_keys; passwd -l operator",
		func(h *lab.Host) error {
			if out, code := h.TrySSH("root", "true"); code != 0 {
				return fmt.Errorf("root: %s", out)
			}
			return nil
		},
		func(t *testing.T, h *lab.Host, args ...string) (string, int) {
			cmd := h.Command(program(t), append([]string{"apply", "ssh://root@" + h.Addr(), "--yes", "--identity", h.KeyFile(), "--known-hosts", h.KnownHosts()}, args...)...)
			cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
			text, _ := cmd.CombinedOutput()
			return string(text), cmd.ProcessState.ExitCode()
		}},
	{"a key and a locked password", lab.Debian, "passwd -l operator; echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/operator; chmod 440 /etc/sudoers.d/operator",
		func(h *lab.Host) error {
			if out, code := h.TrySSH("operator", "sudo -n true"); code != 0 {
				return fmt.Errorf("operator: %s", out)
			}
			return nil
		}, asOperator},
	{"AllowUsers without the operator, not loaded yet", lab.Debian, "useradd -m -s /bin/bash ada; echo 'AllowUsers ada' >/etc/ssh/sshd_config.d/50-users.conf", byKey, asOperator},
	{"AllowGroups with the operator", lab.Debian, "groupadd people; usermod -aG people operator; echo 'AllowGroups people' >/etc/ssh/sshd_config.d/50-groups.conf; systemctl reload ssh; sleep 1", byKey, asOperator},
	{"keys in a file that sshd is told of", lab.Debian, "mkdir -p /etc/ssh/keys; mv ~operator/.ssh/authorized_keys /etc/ssh/keys/operator; chown root: /etc/ssh/keys/operator; chmod 644 /etc/ssh/keys/operator; echo 'AuthorizedKeysFile /etc/ssh/keys/%u' >/etc/ssh/sshd_config.d/50-keys.conf; systemctl reload ssh; sleep 1", byKey, asOperator},
	{"ufw with SSH from one address only", lab.Guides, `ufw --force reset >/dev/null; ufw allow from "$(echo "${SSH_FROM:?}")" to any port 22 proto tcp; ufw --force enable`, byKey, asOperator},
	{"two guides followed", lab.Guides, "", byKey, asOperator},
	{"a leader with a broker and a web server", lab.Pioreactor, "", byKey, asOperator},
	{"an access point", lab.AccessPoint, "", byStation, asOperator},
	{"a leader with a pinned key exchange", lab.Debian, `su operator -c 'cd && ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519 && cat .ssh/id_ed25519.pub >>.ssh/authorized_keys &&
		printf "Host worker\\n HostName %s\\n KexAlgorithms diffie-hellman-group14-sha256\\n" "$HERE" >.ssh/config && ssh -o StrictHostKeyChecking=accept-new worker true'`, byPeer,
		func(t *testing.T, h *lab.Host, args ...string) (string, int) {
			return asOperator(t, h, append(args, "--peer", "ssh://operator@"+h.Addr()+"=worker")...)
		}},
	{"a Debian 13", lab.Debian13, "", byKey, asOperator},
}

// TestLockOut applies a whole profile, with every risk accepted, from starting points at which others have locked
// themselves out. Whoever came in before comes in afterwards, and after it was taken back everything is as before.
// PICKET_TRIAL=profiles tries all of them with two profiles, PICKET_TRIAL=all with each risky control by itself as well.
func TestLockOut(t *testing.T) {
	t.Parallel()
	points, runs := startingPoints[1:5], [][]string{{"--profile", "strict"}}
	trial := os.Getenv("PICKET_TRIAL")
	if trial != "" {
		points = startingPoints
		runs = append(runs, []string{"--profile", "recommended"})
	}
	if trial == "all" {
		for _, id := range riskyControls(t) {
			runs = append(runs, []string{"--profile", "strict", "--only", id})
		}
	}
	for _, p := range points {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, p.role)
			h.Sh("export SSH_FROM=" + bridgeOf(h) + " HERE=" + h.Addr() + "\n" + p.prepare)
			if err := p.login(h); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			for _, args := range runs {
				name := strings.Join(args, " ")
				before := hashes(h)
				out, code := p.apply(t, h, append(slices.Clone(args), "--accept-risk", "lose-ssh,lose-network,reboot,data")...)
				if err := p.login(h); err != nil {
					t.Fatalf("LOCKED OUT by %s: %v\n%s", name, err, out)
				}
				kept := regexp.MustCompile(`rollback (\S+)`).FindStringSubmatch(out)
				switch {
				case code == 0 && strings.Contains(out, "is kept"), code == 0 && kept != nil:
					t.Logf("%s: changed: %s", name, lineWith(out, "findings: "))
				case code == 0 || code == 4 || code == 5:
					t.Logf("%s: nothing changed: %s", name, lineWith(out, "picket: "))
				default:
					t.Errorf("%s: exit code %d\n%s", name, code, out)
				}
				for id := range strings.FieldsSeq(h.Sh("ls -r /var/lib/picket/tx 2>/dev/null | grep -v lock || true")) {
					if more, code := h.Try("sh", "/var/lib/picket/tx/"+id+"/tx", "undo"); code != 0 {
						t.Errorf("%s: undo of %s: exit code %d\n%s", name, id, code, more)
					}
				}
				h.Sh("rm -rf /var/lib/picket")
				if err := p.login(h); err != nil {
					t.Fatalf("LOCKED OUT by taking back %s: %v", name, err)
				}
				differ(t, name, before, hashes(h))
			}
		})
	}
}

// bridgeOf is the address from which the host is reached.
func bridgeOf(h *lab.Host) string { return h.Addr()[:strings.LastIndex(h.Addr(), ".")] + ".1" }

// riskyControls are those that say so.
func riskyControls(t *testing.T) (ids []string) {
	t.Helper()
	files, err := filepath.Glob("../../catalogue/controls/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nrisk: [") {
			ids = append(ids, filepath.Base(filepath.Dir(f))+"/"+strings.TrimSuffix(filepath.Base(f), ".yaml"))
		}
	}
	return ids
}

// hashes are what is to be as before after a change was taken back.
func hashes(h *lab.Host) map[string]string {
	all := h.Hashes("/etc")
	for _, dir := range []string{"/home", "/root", "/usr/local"} {
		for p, is := range h.Hashes(dir) {
			all[p] = is
		}
	}
	for l := range strings.Lines(h.Sh("systemctl list-unit-files --no-legend --plain | grep -v transient | sort; systemctl list-units --no-legend --plain --state=active --type=service,socket,timer,mount | awk '{print $1, \"active\"}' | grep -v 'user\\|session\\|systemd-hostnamed\\|systemd-timedated\\|systemd-localed\\|apt-daily.service\\|run-' | sort; cat /proc/self/mountinfo | awk '{print $5, $6}' | grep '^/[a-z/]* ' | sort")) {
		all["state: "+strings.TrimSpace(l)] = ""
	}
	return all
}

func differ(t *testing.T, name string, before, after map[string]string) {
	t.Helper()
	var text []string
	for p, was := range before {
		if is, ok := after[p]; !ok {
			text = append(text, p+" is gone")
		} else if is != was {
			text = append(text, p+" was "+was+" and is "+is)
		}
	}
	for p := range after {
		if _, ok := before[p]; !ok {
			text = append(text, p+" was not there")
		}
	}
	slices.Sort(text)
	if len(text) > 0 {
		t.Errorf("%s: after it was taken back:\n%s", name, strings.Join(text[:min(len(text), 30)], "\n"))
	}
}

func lineWith(out, what string) string {
	for l := range strings.Lines(out) {
		if strings.Contains(l, what) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}
