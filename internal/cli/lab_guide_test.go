package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFromYourGuide types every command for many hosts that docs/from-your-guide.md and the README name, on booted hosts.
func TestFromYourGuide(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, l := range regexp.MustCompile("`(picket (?:exec|copy|reboot|shutdown) .*?[^\\\\])`").FindAllStringSubmatch(read(t, "../../docs/from-your-guide.md"), -1) {
		if line := strings.ReplaceAll(l[1], `\|`, "|"); !strings.Contains(line, "…") {
			lines = append(lines, line)
		}
	}
	if len(lines) < 18 {
		t.Fatalf("only %d commands were found", len(lines))
	}
	for line := range strings.Lines(read(t, "../../README.md")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
		if words := strings.Fields(line); len(words) > 2 && words[0] == "picket" && regexp.MustCompile("^(exec|copy|reboot|shutdown)$").MatchString(words[1]) {
			if words[1] == "reboot" || words[1] == "shutdown" {
				line += " --yes" // nobody sits there
			}
			lines = append(lines, line)
		}
	}
	if len(lines) < 24 {
		t.Fatalf("only %d commands were found", len(lines))
	}
	c := boot(t, 3)
	for _, h := range c.hosts { // as the images for a Raspberry Pi are
		h.Sh(`echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/operator; mkdir -p /etc/chrony /etc/systemd/system/chrony.service.d
			ln -s /dev/null /etc/systemd/system/chrony.service.d/lab.conf
			printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' >/etc/systemd/system/chrony.service; systemctl daemon-reload`)
	}
	put := func(text string, elem ...string) {
		t.Helper()
		name := filepath.Join(append([]string{c.dir}, elem...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := read(t, filepath.Join(c.dir, "picket.yaml"))
	put(config[:strings.Index(config, "    away:")], "picket.yaml")
	put(read(t, filepath.Join(c.dir, "known")), ".ssh", "known_hosts")
	put("set nothing\n", "my.conf")
	put("pool nothing\n", "chrony.conf")
	put("alias l=ls\n", ".bashrc")
	put("echo\n", ".scripts", "cluster_commands.sh")
	put("", ".pioreactor", "DISALLOW_UI_INSTALLS")
	put("x\n", ".pioreactor", "plugins", "x.py")
	for _, line := range lines {
		cmd := c.hosts["leader"].Command("sh", "-c", line)
		cmd.Dir = c.dir
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+c.dir, "PICKET_NO_LOCAL=1", "PATH="+filepath.Dir(program(t))+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if !strings.Contains(line, " shutdown ") {
			continue
		}
		for _, name := range c.names {
			if _, code := c.hosts[name].TrySSH("operator", "true"); code != 0 {
				c.hosts[name].Boot()
			}
		}
		c.reached()
	}
	for name, h := range c.hosts {
		want := "alias l=ls\necho\nset nothing\nset nothing\npool nothing\na file\n"
		if is := h.Sh("cd ~operator; cat .bashrc .scripts/cluster_commands.sh conf/my.conf /etc/my.conf /etc/chrony/chrony.conf; ls -d 'a file'"); is != want {
			t.Errorf("%s has %q", name, is)
		}
		h.Sh("test -e ~operator/.pioreactor/DISALLOW_UI_INSTALLS; ! test -e ~operator/.pioreactor/plugins")
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
