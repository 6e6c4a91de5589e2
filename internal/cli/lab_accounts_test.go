package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// A login is how a test comes in.
type login struct{ user, key, password string }

// as runs a command of picket's about a host, TARGET, over SSH from outside.
func as(t *testing.T, h *lab.Host, l login, args ...string) (out string, code int) {
	t.Helper()
	args = slices.Clone(args)
	for i, a := range args {
		if a == "TARGET" {
			args[i] = "ssh://" + l.user + "@" + h.Addr()
		}
	}
	args = append(args, "--identity", l.key, "--known-hosts", h.KnownHosts())
	if l.password != "" {
		args = append(args, "--sudo-password-file", secretFile(t, l.password))
	}
	cmd := h.Command(program(t), args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// secretFile holds one password.
func secretFile(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// newKey makes a key pair.
func newKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "id_ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	return file
}

var keptAs = regexp.MustCompile(`done and kept as (\d{8}-\d{6})`)

// kept wants a change to have gone well, and gives its name.
func kept(t *testing.T, h *lab.Host, out string, code int) string {
	t.Helper()
	m := keptAs.FindStringSubmatch(out)
	if code != 0 || m == nil {
		journals, _ := h.Try("sh", "-c", "cat /var/lib/picket/tx/*/journal")
		t.Fatalf("exit code %d\n%s\n%s", code, out, journals)
	}
	return m[1]
}

// accountsOf is what must be as before when a change of accounts was taken back: every byte, mode, owner and time.
func accountsOf(h *lab.Host) string {
	return h.Sh(`for f in passwd shadow group gshadow subuid subgid; do stat -c '%n %a %u %g %y' /etc/$f; sha256sum </etc/$f; done
		find /etc /home /var/spool/cron -not -path '/etc/*-' -printf '%p %y %m %U %G %l\n' | sort; find /etc /home /var/spool/cron -type f -not -path '/etc/*-' -exec sha256sum {} + | sort -k 2`)
}

// honest wants the real tools to find nothing wrong with the files of accounts.
func honest(t *testing.T, h *lab.Host) {
	t.Helper()
	if out, code := h.Try("sh", "-c", "pwck -rq && grpck -r && visudo -cq"); code != 0 {
		t.Errorf("pwck, grpck or visudo: %d\n%s", code, out)
	}
}

// noSecrets wants neither a password nor a hash in what picket says or leaves where others than root can read it.
func noSecrets(t *testing.T, h *lab.Host, out string, passwords ...string) {
	t.Helper()
	for _, secret := range append([]string{"$y$j9T$", "$6$"}, passwords...) {
		if strings.Contains(out, secret) {
			t.Errorf("%q is shown:\n%s", secret, out)
		}
	}
	for _, p := range passwords {
		h.Write("/run/pattern", 0o600, p)
		if found, _ := h.Try("sh", "-c", "grep -rlF -f /run/pattern /var/lib/picket /var/log /etc /home; rm -f /run/pattern"); found != "" {
			t.Errorf("a password lies in the clear in %s", found)
		}
	}
	if found, _ := h.Try("sh", "-c", `journalctl -q --no-pager | grep -E '\$(y|6)\$'`); found != "" {
		t.Errorf("a hash stands in the journal:\n%s", found)
	}
	if found := h.Sh("find /var/lib/picket/tx -mindepth 1 -maxdepth 1 -type d -perm /077"); found != "" {
		t.Errorf("others than root can look into %s", found)
	}
	if found, _ := h.Try("sh", "-c", "grep -lE '\\$(y|6)\\$' /var/lib/picket/tx/*/plan /var/lib/picket/tx/*/journal"); found != "" {
		t.Errorf("a hash stands in %s", found)
	}
}

func TestPasswd(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Sh("useradd -m -s /bin/bash ada; echo ada:lantern-Mosaic-12-umbrella | chpasswd; echo root:lantern-Mosaic-13-umbrella | chpasswd")
	h.Sh("runuser -u operator -- touch /home/operator/.sudo_as_admin_successful") // sudo's own mark of a first time
	before := accountsOf(h)
	operator := login{"operator", h.KeyFile(), lab.OperatorPassword}
	const next = ` two words, "quoted" $x ß `

	// One's own: the new one has to work for sudo before it is kept.
	out, code := as(t, h, operator, "passwd", "TARGET", "--password-file", secretFile(t, next), "--yes")
	own := kept(t, h, out, code)
	noSecrets(t, h, out, next, lab.OperatorPassword)
	if !regexp.MustCompile(`(?m)^ *\+operator:\[yescrypt, another one\]`).MatchString(out) {
		t.Errorf("what changes is not told:\n%s", out)
	}
	if err := h.TryPassword("operator", next); err != nil {
		t.Errorf("the new password does not log in: %v", err)
	}
	if h.TryPassword("operator", lab.OperatorPassword) == nil {
		t.Error("the old password still logs in")
	}
	honest(t, h)
	if changed := h.Sh("getent shadow operator | cut -d: -f3; expr $(date +%s) / 86400"); strings.Fields(changed)[0] != strings.Fields(changed)[1] {
		t.Errorf("the day of the change and today: %s", changed)
	}

	// Somebody else's.
	operator.password = next
	out, code = as(t, h, operator, "passwd", "ada", "TARGET", "--password-file", secretFile(t, "lantern-Mosaic-14-umbrella"), "--yes")
	other := kept(t, h, out, code)
	if err := h.TryPassword("ada", "lantern-Mosaic-14-umbrella"); err != nil {
		t.Error(err)
	}
	// What others would guess is refused, and what is not there.
	for word, want := range map[string]string{"raspberry": "factory password", "ada": "account's own name", "short": "short", "debian": "the host's name"} {
		if out, code := as(t, h, operator, "passwd", "ada", "TARGET", "--password-file", secretFile(t, word), "--yes"); code != 2 || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d\n%s", word, code, out)
		}
	}
	if out, code := as(t, h, operator, "passwd", "nobodyhere", "TARGET", "--password-file", secretFile(t, next), "--yes"); code != 2 || !strings.Contains(out, "no account nobodyhere") {
		t.Errorf("exit code %d\n%s", code, out)
	}

	// root's is locked, since the operator becomes root by sudo; the operator's is not, since nobody else would.
	out, code = as(t, h, operator, "passwd", "root", "TARGET", "--lock", "--yes")
	root := kept(t, h, out, code)
	if got := h.Sh("passwd -S root"); !strings.HasPrefix(got, "root L ") {
		t.Errorf("root's password: %s", got)
	}
	if out, code = as(t, h, operator, "passwd", "operator", "TARGET", "--lock", "--yes"); code != 4 || !strings.Contains(out, "nobody but operator") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	// What pwck objects to anyway is no reason to take a change back.
	h.Sh("cp -a /etc/passwd /root/passwd; echo broken:x:4242:4242::/nonexistent:/bin/sh >>/etc/passwd; ! pwck -rq >/dev/null 2>&1")
	out, code = as(t, h, operator, "passwd", "ada", "TARGET", "--password-file", secretFile(t, "lantern-Mosaic-17-umbrella"), "--yes")
	disorder := kept(t, h, out, code)
	h.Sh("mv /root/passwd /etc/passwd")
	for _, tx := range []string{disorder, root, other, own} {
		if out, code := as(t, h, operator, "rollback", tx, "TARGET"); code != 0 {
			t.Errorf("rollback %s: exit code %d\n%s", tx, code, out)
		}
	}
	same2(t, before, accountsOf(h))
}

// TestPasswdRefused has a host on which sudo takes no new password, and the old one only while that is the account's: while
// the change stands nobody becomes root, and that the host went back is seen with the old one.
func TestPasswdRefused(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Sh(`runuser -u operator -- touch /home/operator/.sudo_as_admin_successful
		printf '#!/bin/sh\nread -r word; [ "$word" = "%s" ]\n' '` + lab.OperatorPassword + `' >/usr/local/sbin/just-this; chmod 700 /usr/local/sbin/just-this
		sed -i '1i auth requisite pam_exec.so quiet expose_authtok seteuid /usr/local/sbin/just-this' /etc/pam.d/sudo`)
	before := accountsOf(h)
	begun := time.Now()
	out, code := as(t, h, login{"operator", h.KeyFile(), lab.OperatorPassword}, "passwd", "TARGET", "--password-file", secretFile(t, "lantern-Mosaic-18-umbrella"), "--yes", "--confirm-within", "20s")
	if code != 5 || !strings.Contains(out, "does not become root") || !strings.Contains(out, "taken back") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if took := time.Since(begun); took > 3*time.Minute {
		t.Errorf("that it went back was seen after %v", took)
	}
	same2(t, before, accountsOf(h))
}

func same2(t *testing.T, before, after string) {
	t.Helper()
	b, a := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, l := range b {
		if !slices.Contains(a, l) {
			t.Errorf("lost: %s", l)
		}
	}
	for _, l := range a {
		if !slices.Contains(b, l) {
			t.Errorf("there is: %s", l)
		}
	}
}

// TestRepairsOfAccounts plants what the controls of accounts object to, has apply mend it, asks the real tools, and takes
// it back.
func TestRepairsOfAccounts(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Sh(`echo root:lantern-Mosaic-13-umbrella | chpasswd
		useradd -m -s /bin/bash guest; passwd -q -d guest
		useradd -r -s /bin/bash svc; useradd -r -s /usr/sbin/nologin ftpd; echo ftpd:lantern-Mosaic-15-umbrella | chpasswd
		useradd -m -s /bin/bash later; echo later:lantern-Mosaic-16-umbrella | chpasswd; chage -d 2040-01-01 later
		gpasswd -a guest shadow; echo /usr/sbin/nologin >>/etc/shells; chmod 755 /home/operator
		runuser -u operator -- touch /home/operator/.sudo_as_admin_successful`)
	before, verdicts := accountsOf(h), auditOn(t, h, "--only", "accounts")
	operator := login{"operator", h.KeyFile(), lab.OperatorPassword}
	planned, code := as(t, h, operator, "plan", "TARGET", "--only", "accounts", "--profile", "strict")
	if code != 0 || !regexp.MustCompile(`secrets[^.]* not kept`).MatchString(planned) || strings.Contains(planned, "lantern") {
		t.Errorf("plan: exit code %d\n%s", code, planned)
	}
	apply := []string{"apply", "TARGET", "--only", "accounts", "--profile", "strict", "--yes"}
	out, code := as(t, h, operator, apply...)
	tx := kept(t, h, out, code)
	noSecrets(t, h, out, "lantern-Mosaic-13-umbrella")
	honest(t, h)
	after := auditOn(t, h, "--only", "accounts")
	for _, id := range []string{"root-locked", "empty-password", "system-shells", "no-shell-locked", "password-change-date", "shadow-group", "shells", "homes-private",
		"password-max-age", "password-min-age", "umask", "shell-timeout"} {
		must(t, verdicts, "accounts/"+id, "fail|ineffective")
		must(t, after, "accounts/"+id, "pass")
	}
	for what, want := range map[string]string{
		"for u in root guest ftpd; do passwd -S $u | cut -d' ' -f1,2; done; getent passwd svc | cut -d: -f7":                       "root L\nguest L\nftpd L\n/usr/sbin/nologin\n",
		"id -nG guest; chage -l operator | grep -E 'Maximum|Minimum' | tr -d ' \\t'":                                               "guest\nMinimumnumberofdaysbetweenpasswordchange:1\nMaximumnumberofdaysbetweenpasswordchange:365\n",
		"stat -c %a /home/operator; grep -c nologin /etc/shells":                                                                   "750\n0\n",
		"su - operator -c umask; su - operator -c 'bash -lic \"echo \\$TMOUT; TMOUT=0\"' 2>&1 | grep -oE '900|readonly' | sort -u": "0077\n900\nreadonly\n",
	} {
		if got, _ := h.Try("sh", "-c", what); got != want {
			t.Errorf("%s\n%q, want %q", what, got, want)
		}
	}
	if got := h.SSH("operator", "umask"); got != "0077\n" {
		t.Errorf("umask over SSH: %s", got)
	}
	if out, code = as(t, h, operator, apply...); code != 0 || strings.Contains(out, "done and kept") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	if out, code = as(t, h, operator, "rollback", tx, "TARGET"); code != 0 {
		t.Errorf("rollback: exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))
	same(t, verdicts, auditOn(t, h, "--only", "accounts"))

	// The umask of the benchmark, as a login has it.
	out, code = as(t, h, operator, "apply", "TARGET", "--only", "accounts/umask", "--profile", "cis-debian12-l1", "--yes")
	kept(t, h, out, code)
	if got := h.Sh("su - operator -c umask; su - -c umask") + h.SSH("operator", "umask"); got != "0027\n0027\n0027\n" {
		t.Errorf("umask: %q", got)
	}
}
