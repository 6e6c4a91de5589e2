package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"picket/lab"
)

// besideAnsible measures an audit of booted hosts beside Ansible's setup of the same, in turn, with as many hosts at a time and with
// pipelining.
func besideAnsible(ctx context.Context, dir, picket string, n, runs int) (err error) {
	if err := lab.Available(); err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, "ansible", "--version").Output()
	if err != nil {
		return fmt.Errorf("ansible: %w", err)
	}
	var hosts []*lab.Machine
	defer func() {
		for _, h := range hosts {
			err = errors.Join(err, h.Close())
		}
	}()
	var known, config, inventory strings.Builder
	config.WriteString("cluster:\n  user: operator\n  nodes:\n")
	for i := range n { // a role with Python, which Ansible wants
		h, err := lab.New(ctx, lab.Good)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
		if err := h.Boot(ctx); err != nil {
			return err
		}
		cmd, err := h.Exec(ctx, "sh", "-c", "echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/bench; chmod 440 /etc/sudoers.d/bench")
		if err != nil {
			return err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		text, err := os.ReadFile(h.KnownHosts())
		if err != nil {
			return err
		}
		known.Write(text)
		fmt.Fprintf(&config, "    node%d: {address: %s, identity: %s}\n", i+1, h.Addr(), h.KeyFile())
		fmt.Fprintf(&inventory, "node%d ansible_host=%s ansible_user=operator ansible_ssh_private_key_file=%s ansible_python_interpreter=/usr/bin/python3\n", i+1, h.Addr(), h.KeyFile())
	}
	for name, text := range map[string]string{"known_hosts": known.String(), "picket.yaml": config.String(), "hosts.ini": inventory.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	begin := func(name string, args ...string) *exec.Cmd {
		cmd := hosts[0].Command(name, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "SSH_AUTH_SOCK=", "ANSIBLE_PIPELINING=True", "ANSIBLE_NOCOLOR=1",
			"ANSIBLE_SSH_ARGS=-C -o ControlMaster=auto -o ControlPersist=2s -o UserKnownHostsFile="+filepath.Join(dir, "known_hosts"))
		return cmd
	}
	var ours, theirs []run
	for range runs {
		r, err := measure(begin(picket, "audit", "all", "--config", filepath.Join(dir, "picket.yaml"), "--known-hosts", filepath.Join(dir, "known_hosts"),
			"--parallel", fmt.Sprint(n), "--output", "json:"+filepath.Join(dir, "reports.json"), "--fail-on", "none"))
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 3 { // something is unknown in a container, as AppArmor
			err = nil
		}
		if err != nil {
			return err
		}
		ours = append(ours, r)
		if r, err = measure(begin("ansible", "all", "-i", filepath.Join(dir, "hosts.ini"), "-m", "setup", "-f", fmt.Sprint(n))); err != nil {
			return err
		}
		theirs = append(theirs, r)
		time.Sleep(5 * time.Second) // Ansible's connections end: the next run connects anew, as ours does
	}
	p, a := middle(ours), middle(theirs)
	first, _, _ := strings.Cut(string(version), "\n")
	fmt.Printf("%d booted hosts on this machine, all at a time, median of %d runs in turn\n", n, runs)
	fmt.Printf("%-28s %10s %12s %10s\n", "", "wall", "CPU here", "memory")
	fmt.Printf("%-28s %10s %12s %10s\n", "picket audit all", seconds(p.wall), seconds(p.cpu), megabytes(p.memory))
	fmt.Printf("%-28s %10s %12s %10s\n", first+" setup", seconds(a.wall), seconds(a.cpu), megabytes(a.memory))
	fmt.Printf("picket takes 1/%.1f of the wall time\n", a.wall.Seconds()/p.wall.Seconds())
	return nil
}
