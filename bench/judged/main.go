// Command judged has others judge what Picket's apply does: Lynis, OpenSCAP, ssh-audit
// and systemd-analyze look at one host before and after `picket apply`, which is then
// taken back and looked at once more. It needs root on a Debian 12, as the tests on
// booted hosts do; docs/benchmarks.md holds what it printed.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"picket/bench/booted"
	"picket/lab"
)

func main() {
	role := flag.String("role", "judged", "which host: judged, a Pioreactor leader with a broker and a web server, or bench-engine, with containers")
	profile := flag.String("profile", "recommended", "what is applied")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *role, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// A look is what all say of the host at one moment, by row of the table.
type look map[string]string

var rows = []string{"Lynis: hardening index", "Lynis: warnings", "Lynis: suggestions", "OpenSCAP: rules passed", "OpenSCAP: rules failed",
	"ssh-audit: fails", "ssh-audit: warnings", "ssh-audit: policy", "systemd-analyze: mean exposure of running services",
	"Picket: score", "Picket: findings", "services that run", "TCP ports that answer from outside", "containers that run"}

func bench(ctx context.Context, name, profile string) error {
	var role lab.Role
	for _, r := range lab.Roles() {
		if r.Name == name {
			role = r
		}
	}
	if role.Name == "" {
		return fmt.Errorf("there is no host %q", name)
	}
	fmt.Fprintln(os.Stderr, "booting a host (the first time its root folder is built, which takes some minutes)")
	h, err := booted.Boot(ctx, role, nil)
	if err != nil {
		return err
	}
	defer h.Close()
	dir, err := os.MkdirTemp("", "picket-judged")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%s; %s; %s; ssh-audit %s\n\n", h.Sh(ctx, booted.Picket+" --version"), h.Sh(ctx, "dpkg-query -W -f='${Package} ${Version}, ' lynis openscap-scanner ssg-debian openssh-server systemd"),
		"profile "+profile+", every risk accepted", version())
	// The leader of a cluster drives itself over SSH as it does its workers: that has to work as before. That its client
	// insists on one old key exchange, for which the list of them is left alone (T19), is tried elsewhere: TestApplyKeepsPeers.
	driver := role.Users[len(role.Users)-1]
	h.Sh(ctx, `runuser -u `+driver+` -- sh -ec 'cd; [ ! -f .ssh/config ] || sed -i "/KexAlgorithms/d" .ssh/config; ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519; cat .ssh/id_ed25519.pub >>.ssh/authorized_keys
		ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new `+h.Addr()+` true'`)
	var looks []look
	at := func(what string) error {
		fmt.Fprintln(os.Stderr, "looking at the host:", what)
		l, err := at(ctx, h, dir)
		looks = append(looks, l)
		return err
	}
	if err := at("before"); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "picket apply")
	out, err := applied(ctx, h, dir, profile, driver)
	if err != nil {
		return err
	}
	if err := at("after"); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "taking it back")
	for _, id := range strings.Fields(h.Sh(ctx, "ls -r /var/lib/picket/tx | grep -v lock")) {
		if _, err := h.Do(ctx, nil, "sh", "/var/lib/picket/tx/"+id+"/tx", "undo"); err != nil {
			return err
		}
	}
	if err := at("taken back"); err != nil {
		return err
	}
	fmt.Println("| | before | after `picket apply` | taken back |\n|---|---|---|---|")
	for _, r := range rows {
		if looks[0][r] != "" {
			fmt.Printf("| %s | %s | %s | %s |\n", r, looks[0][r], looks[1][r], looks[2][r])
		}
	}
	fmt.Println("\n" + out)
	return nil
}

// applied runs picket apply over SSH from outside, as the operator, and gives its last words.
func applied(ctx context.Context, h *booted.Host, dir, profile, driver string) (string, error) {
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(lab.OperatorPassword+"\n"), 0o600); err != nil {
		return "", err
	}
	program := filepath.Join(dir, "picket")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "picket/cmd/picket").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build picket: %w\n%s", err, out)
	}
	cmd := h.Command(program, "apply", "ssh://operator@"+h.Addr(), "--profile", profile, "--yes", "--accept-risk", "lose-ssh,lose-network,reboot,data", "--confirm-within", "10m",
		"--identity", h.KeyFile(), "--known-hosts", h.KnownHosts(), "--sudo-password-file", password, "--peer", "ssh://"+driver+"@"+h.Addr()+"="+h.Addr())
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	text := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", fmt.Errorf("picket apply: %w\n%s", err, strings.Join(text[max(0, len(text)-40):], "\n"))
	}
	var kept []string
	for i, l := range text {
		if strings.HasPrefix(l, "the host is as it was; once more") && i > 0 {
			kept = append(kept, "taken back: "+text[i-1])
		}
		if strings.Contains(l, "findings:") || strings.HasPrefix(l, "not done:") || strings.Contains(l, "kept") {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n"), nil
}

func at(ctx context.Context, h *booted.Host, dir string) (look, error) {
	l := look{}
	for _, judge := range []func(context.Context, *booted.Host, string, look) error{lynis, oscap, sshAudit, sandboxes, picket, running} {
		if err := judge(ctx, h, dir, l); err != nil {
			return l, err
		}
	}
	return l, nil
}

func lynis(ctx context.Context, h *booted.Host, _ string, l look) error {
	if _, err := h.Answer(ctx, "lynis", "audit", "system", "--quick", "--no-colors", "--report-file", "/root/lynis.dat", "--logfile", "/dev/null"); err != nil {
		return err
	}
	text, err := h.Do(ctx, nil, "cat", "/root/lynis.dat")
	if err != nil {
		return err
	}
	m := regexp.MustCompile(`(?m)^hardening_index=(\d+)`).FindStringSubmatch(text)
	if m == nil {
		return errors.New("the report of Lynis has no index")
	}
	l[rows[0]], l[rows[1]], l[rows[2]] = m[1], fmt.Sprint(strings.Count(text, "\nwarning[]=")), fmt.Sprint(strings.Count(text, "\nsuggestion[]="))
	return nil
}

const (
	// Debian 12 has no content for itself; this is that for Debian 11 with its test of the version widened.
	content = "/usr/share/xml/scap/ssg/content/ssg-debian11-ds.xml"
	widened = "/root/ssg-debian12-ds.xml"
)

func oscap(ctx context.Context, h *booted.Host, _ string, l look) error {
	if _, err := h.Do(ctx, nil, "sh", "-c", `[ -e `+widened+` ] || sed 's/\^11\.\[0-9]/^12.[0-9]/' `+content+` >`+widened); err != nil {
		return err
	}
	out, err := h.Answer(ctx, "oscap", "xccdf", "eval", "--profile", "xccdf_org.ssgproject.content_profile_anssi_np_nt28_restrictive", widened)
	if err != nil {
		return err
	}
	results := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^Result\s+(\w+)`).FindAllStringSubmatch(out, -1) {
		results[m[1]]++
	}
	pass, fail := results["pass"], results["fail"]
	if pass+fail < 10 {
		return fmt.Errorf("OpenSCAP judged %d rules\n%.500s", pass+fail, out)
	}
	l[rows[3]], l[rows[4]] = fmt.Sprint(pass), fmt.Sprint(fail)
	return nil
}

//go:embed debian12.policy
var policy []byte

func version() string {
	out, _ := exec.Command("ssh-audit", "--help").CombinedOutput()
	return regexp.MustCompile(`v\d[0-9.]*\d`).FindString(string(out))
}

// sshAudit looks from outside.
func sshAudit(_ context.Context, h *booted.Host, dir string, l look) error {
	text, _ := h.Command("ssh-audit", "-n", h.Addr()).CombinedOutput()
	if !strings.Contains(string(text), "(kex)") {
		return fmt.Errorf("ssh-audit says nothing: %.500s", text)
	}
	l[rows[5]], l[rows[6]] = fmt.Sprint(strings.Count(string(text), "[fail]")), fmt.Sprint(strings.Count(string(text), "[warn]"))
	file := filepath.Join(dir, "policy")
	if err := os.WriteFile(file, policy, 0o600); err != nil {
		return err
	}
	text, _ = h.Command("ssh-audit", "-n", "-P", file, h.Addr()).CombinedOutput()
	switch {
	case strings.Contains(string(text), "Passed"):
		l[rows[7]] = "passes"
	case strings.Contains(string(text), "Failed"):
		var why []string
		for _, m := range regexp.MustCompile(`(?m)^  \* ([^.\n]*)`).FindAllStringSubmatch(string(text), -1) {
			why = append(why, m[1])
		}
		l[rows[7]] = "fails: " + strings.Join(why, ", ")
	default:
		return fmt.Errorf("ssh-audit does not know the policy: %.500s", text)
	}
	return nil
}

func sandboxes(ctx context.Context, h *booted.Host, _ string, l look) error {
	out, err := h.Do(ctx, nil, "sh", "-c", `systemctl list-units --type=service --state=running --no-legend --plain | awk '{print $1}' | grep -v 'user@' | xargs systemd-analyze security --no-pager 2>/dev/null | awk '$2 ~ /^[0-9.]+$/ {n++; s += $2} END {printf "%.1f of %d", s / n, n}'`)
	l[rows[8]] = strings.TrimSpace(out)
	if err == nil && l[rows[8]] == "" {
		err = errors.New("systemd-analyze says nothing")
	}
	return err
}

func picket(ctx context.Context, h *booted.Host, _ string, l look) error {
	out, err := h.Answer(ctx, booted.Picket, "audit")
	if err != nil {
		return err
	}
	m := regexp.MustCompile(`(?m)^score (\d+) of 100.*\n(.*?) · `).FindStringSubmatch(out)
	if m == nil {
		return fmt.Errorf("no report of Picket:\n%.500s", out)
	}
	l[rows[9]], l[rows[10]] = m[1], m[2]
	return nil
}

// running is what may not have stopped.
func running(ctx context.Context, h *booted.Host, _ string, l look) error {
	l[rows[11]] = h.Sh(ctx, `systemctl list-units --type=service --state=running --no-legend --plain | awk '{print $1}' | grep -v 'user@\|hostnamed\|timedated\|localed' | sed 's/\.service$//' | tr '\n' ' '`)
	var ports []string
	for _, p := range strings.Fields(h.Sh(ctx, `ss -Hltn | awk '{n = split($4, a, ":"); print a[n]}' | sort -nu`)) {
		if c, err := h.DialContext(ctx, "tcp", h.Addr()+":"+p); err == nil {
			c.Close()
			ports = append(ports, p)
		}
	}
	l[rows[12]] = strings.Join(ports, " ")
	l[rows[13]] = h.Sh(ctx, `command -v docker >/dev/null && docker ps -q | wc -l`)
	return nil
}
