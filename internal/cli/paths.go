package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/plan"
	"picket/internal/harden"
	"picket/internal/host/remote"
)

// sshTry are the options with which a client shows whether it gets in: it asks nothing and trusts nobody anew.
var sshTry = []string{"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10", "-o", "ControlPath=none"}

// paths are those on which the host is reached besides Picket's own login: the operator's own ssh, peers with
// theirs, and its open ports. done closes what they hold open.
func (p *program) paths(ctx context.Context, target string, opt applyOptions, made plan.Plan) (all []harden.Path, done func(), err error) {
	var open []io.Closer
	done = func() {
		for _, c := range open {
			c.Close()
		}
	}
	if target == "local" {
		return nil, done, nil
	}
	t, err := p.remoteTarget(target)
	if err != nil {
		return nil, done, usage(err)
	}
	if own, err := exec.LookPath("ssh"); err == nil {
		all = append(all, harden.Path{Name: "your own ssh, with its settings", Try: func(ctx context.Context) error {
			return trySSH(ctx, own, ownArgs(t, opt.ssh))
		}})
	}
	for _, peer := range opt.peers {
		from, to, named := strings.Cut(peer, "=")
		if !named {
			to = t.Host
		}
		if to == "" || strings.HasPrefix(to, "-") || strings.ContainsFunc(to, func(r rune) bool { return !strings.ContainsRune("@.:-_[]%", r) && !isWord(r) }) {
			return nil, done, usage(fmt.Errorf("--peer %s: %q is no host that ssh could be given", peer, to))
		}
		c, _, _, err := p.dial(ctx, from, opt.ssh, nil)
		if err != nil {
			done()
			return nil, func() {}, fmt.Errorf("--peer %s: %w", peer, err)
		}
		open = append(open, c)
		all = append(all, harden.Path{Name: "ssh " + to + " from " + from, Try: func(ctx context.Context) error {
			came := make(chan error, 1)
			go func() { came <- tryFrom(c, "ssh "+strings.Join(sshTry, " ")+" "+to+" true") }()
			select {
			case err := <-came:
				return err
			case <-ctx.Done(): // it ends when the connection is closed
				return ctx.Err()
			}
		}})
	}
	anew := made.Restarts()
	for _, port := range made.Ports {
		if made.Stops(port.Unit) {
			continue
		}
		at := net.JoinHostPort(t.Host, strconv.Itoa(port.Number))
		try := func(ctx context.Context) error { return connects(ctx, at) }
		if anew[port.Unit] != nil && isWeb(port.Number) {
			try = answers(at)
		}
		all = append(all, harden.Path{Name: fmt.Sprintf("port %d (%s)", port.Number, port.Unit), Unit: port.Unit, Try: try})
	}
	return all, done, nil
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// ownArgs are what the operator would type, with what Picket was told of keys and files.
func ownArgs(t remote.Target, opt sshOptions) []string {
	args := slices.Clone(sshTry)
	for _, i := range opt.identities {
		args = append(args, "-i", i)
	}
	if t.Identity != "" {
		args = append(args, "-i", t.Identity)
	}
	if opt.config != "" {
		args = append(args, "-F", opt.config)
	}
	if opt.knownHosts != "" {
		args = append(args, "-o", "UserKnownHostsFile="+opt.knownHosts)
	}
	if t.Port != 0 {
		args = append(args, "-p", strconv.Itoa(t.Port))
	}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	return append(args, "--", t.Host, "true")
}

func trySSH(ctx context.Context, program string, args []string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return errors.New(lastLine(said.String(), err))
	}
	return nil
}

// tryFrom runs a command on a host that is connected to, as whoever logged in there.
func tryFrom(c *remote.Client, command string) error {
	const good = "picket-came-through"
	stdin, stdout, stderr, err := c.Start(command + " && echo " + good)
	if err != nil {
		return err
	}
	stdin.Close()
	said := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(stderr, 1<<16))
		said <- string(b)
	}()
	out, err := io.ReadAll(io.LimitReader(stdout, 1<<16))
	text := <-said
	if err == nil && strings.Contains(string(out), good) {
		return nil
	}
	return errors.New(lastLine(text, errors.Join(err, errors.New("ssh does not come through"))))
}

// lastLine is what a program said last, else the error.
func lastLine(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if l := strings.TrimSpace(lines[len(lines)-1]); l != "" {
		return l
	}
	return err.Error()
}

// fetch is a command that gets a URL with what the host has for that. Whose certificate it is is another matter.
const fetch = `u=%s
if command -v curl >/dev/null; then curl -fsSk -m 10 -o /dev/null "$u"
elif command -v wget >/dev/null; then wget -q -T 10 -t 1 --no-check-certificate -O /dev/null "$u"
elif command -v python3 >/dev/null; then python3 -c 'import ssl, sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10, context=ssl._create_unverified_context())' "$u"
else echo 'there is no curl, no wget and no python3 to get it with'; false; fi`

// healthTime is how long a health check may take: a web application that was started anew is slow at first. The host ends it then,
// and we wait a little longer for the login and for what it says.
const healthTime = 20 * time.Second

// health are the checks that the owner has named of services. Each has a connection of its own: when its time is over that is
// closed, and over the first one the steps are taken.
func (h *changed) health() (all []harden.Path) {
	turns := make(chan struct{}, atOnceFrom) // sshd lets in few who log in at the same time
	for _, s := range h.policy.Services {
		if s.Health == "" {
			continue
		}
		command := s.Health
		if strings.HasPrefix(command, "http://") || strings.HasPrefix(command, "https://") {
			command = fmt.Sprintf(fetch, "'"+strings.ReplaceAll(command, "'", `'\''`)+"'")
		}
		command = fmt.Sprintf("exec </dev/null 2>&1\nlimit='timeout -k 2 %d'\ncommand -v timeout >/dev/null || limit=\n$limit %s",
			int(healthTime.Seconds()), remote.Command([]string{"/bin/sh", "-c", command}))
		all = append(all, harden.Path{
			Name: "the health check of " + s.Unit, Unit: s.Unit, Asks: true, Takes: healthTime + 15*time.Second,
			Turn: func(ctx context.Context) (func(), error) { return turn(ctx, turns) },
			Try: func(ctx context.Context) error {
				sh := h.Shell()
				if h.target != "local" {
					own, err := h.Fresh(ctx)
					if err != nil {
						return err
					}
					defer own.Close()
					sh = own
				}
				out, exit, err := sh.Run(ctx, command, nil, nil)
				switch {
				case err != nil && ctx.Err() != nil, err == nil && (exit == 124 || exit == 137): // of timeout
					return fmt.Errorf("it has not ended after %v", healthTime)
				case err == nil && exit != 0:
					return errors.New(lastLine(string(out), fmt.Errorf("exit status %d", exit)))
				}
				return err
			},
		})
	}
	return all
}
