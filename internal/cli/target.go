package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"picket/internal/core/snap"
	"picket/internal/core/yaml"
	"picket/internal/host/machine"
	"picket/internal/host/remote"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// sshOptions are the flags of every command that reaches hosts over SSH.
type sshOptions struct {
	identities       []string
	knownHosts       string
	config           string
	sudoPasswordFile string
	askSudo          bool // once, for all hosts

	user   string // who to be, instead of the target's; empty: that
	given  bool   // the keys of the command line alone, not the node's
	port   int    // instead of the target's; 0: that
	secret []byte // sudo's password where a command knows it; nil: from the file, or asked for
}

func (o *sshOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.identities, "identity", "i", nil, "private key `FILE` for SSH; may be repeated (default: the agent's keys and ~/.ssh/id_*)")
	f.StringVar(&o.knownHosts, "known-hosts", "", "`FILE` of pinned host keys (default ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts)")
	f.StringVar(&o.config, "ssh-config", "", "settings `FILE` of ssh, for aliases, users, ports and keys; none: no file (default ~/.ssh/config)")
	f.StringVar(&o.sudoPasswordFile, "sudo-password-file", "", "`FILE` with the password for sudo on the target (default: asked for, once)")
	f.BoolVarP(&o.askSudo, "ask-sudo-password", "K", false, "ask for the password for sudo once, before anything else, and use it on all hosts")
}

// check finds files that flags name and that are not there.
func (o *sshOptions) check() error {
	for flag, files := range map[string][]string{"identity": o.identities, "known-hosts": {o.knownHosts}, "ssh-config": {o.config}, "sudo-password-file": {o.sudoPasswordFile}} {
		for _, f := range files {
			if strings.Contains(f, "://") {
				return withHint(usage(fmt.Errorf("--%s %s: that is a target, and no file", flag, f)), "the flag's own value is missing before it")
			}
		}
	}
	if o.askSudo && o.sudoPasswordFile != "" {
		return usage(errors.New("--ask-sudo-password and --sudo-password-file exclude each other"))
	}
	for _, f := range o.identities {
		if _, err := os.Stat(f); errors.Is(err, fs.ErrNotExist) {
			return withHint(usage(fmt.Errorf("--identity %s: there is no such file", f)), "`ls ~/.ssh` shows the keys that you have; ssh-keygen -t ed25519 makes one")
		}
	}
	if _, err := os.Stat(o.config); o.config != "" && o.config != "none" && errors.Is(err, fs.ErrNotExist) {
		return usage(fmt.Errorf("--ssh-config %s: there is no such file", o.config))
	}
	return nil
}

// isTarget is whether a word can only be meant as a target.
func isTarget(word string) bool {
	return word == "local" || strings.Contains(word, "://") || strings.HasPrefix(word, "image:") || strings.Contains(word, "@") || looksLikeFile(word)
}

// open turns a target into a taker, or into a snapshot that was saved before.
func (p *program) open(ctx context.Context, target string, opt sshOptions, progress ui.Teller, timed snapshot.Timed) (snapshot.Taker, *snap.Snapshot, error) {
	switch {
	case target == "local":
		return snapshot.NewLocal(snapshot.LocalOptions{Timed: timed}), nil, nil
	case p.isSSH(target):
		t, err := p.openSSH(ctx, target, opt, progress)
		return t, nil, err
	case strings.HasPrefix(target, "image:"):
		dir := strings.TrimPrefix(target, "image:")
		t, err := snapshot.NewImage(dir)
		if hint := imageHint(dir); err != nil && hint != "" {
			err = withHint(usage(err), hint)
		}
		return t, nil, err
	}
	s, err := snapshot.Open(target)
	if err != nil && isDisk(target) {
		return nil, nil, withHint(usage(err), diskHint(target))
	}
	if err != nil {
		return nil, nil, withHint(err, "a saved snapshot is written by `picket audit --save FILE`")
	}
	return nil, s, nil
}

// checkTarget finds what is wrong with a target before any host is read.
func (p *program) checkTarget(target string) error {
	if target == "local" && runtime.GOOS != "linux" {
		return withHint(usage(machine.ErrNotLinux), "`"+p.typed("audit ssh://USER@HOST")+"`")
	}
	if _, ok := p.node(target); ok || target == "local" {
		return nil
	}
	if dir, ok := strings.CutPrefix(target, "image:"); ok {
		if dir == "" {
			return withHint(usage(errors.New("image: names no folder")), "type image:/mnt for a card that is mounted at /mnt")
		}
		return nil
	}
	if strings.HasPrefix(target, "ssh://") {
		if _, err := remote.ParseTarget(target); err != nil {
			return usage(err)
		}
		return nil
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if filepath.Ext(target) == ".plan" {
			return withHint(usage(fmt.Errorf("there is no file %s", target)), "a plan is written by `picket plan ssh://user@host --save "+target+"`")
		}
		if looksLikeFile(target) {
			return withHint(usage(fmt.Errorf("there is no file %s", target)), "a snapshot is written by `picket audit ssh://user@host --save FILE`")
		}
		return withHint(usage(fmt.Errorf("unknown target %q", target)), targetHint(target))
	case err == nil && info.IsDir():
		return withHint(usage(fmt.Errorf("%s is a folder", target)), "to audit a mounted card, type image:"+target)
	}
	return nil // what else is wrong concerns this target alone
}

// targetHint guesses what was meant.
func targetHint(target string) string {
	if yaml.Nearest(target, []string{"local"}) != "" {
		return "did you mean local? For a machine on the network, type ssh://" + target
	}
	if ssh := meantSSH(target); ssh != "" {
		return "for a machine on the network, type " + ssh
	}
	return "want local, ssh://user@host[:port], image:DIR, or a file written with --save"
}

// meant is the target that a word with the look of one stands for.
func meant(word string) string {
	if word == "local" || strings.HasPrefix(word, "image:") || looksLikeFile(word) {
		return word
	}
	return cmp.Or(meantSSH(word), word)
}

// meantSSH is what is written for a machine on the network, as it has to be
// written here; "" for what looks like none.
func meantSSH(target string) string {
	const ssh = "ssh://"
	scheme, rest, ok := strings.Cut(target, ":")
	switch {
	case ok && (scheme == "ssh" || strings.HasPrefix(rest, "//")): // ssh:pi@leader, http://leader
		if rest = strings.TrimLeft(rest, "/"); rest != "" {
			return ssh + rest
		}
	case ok && rest != "" && strings.Trim(rest, "0123456789") == "" && !strings.Contains(scheme, "/"): // leader:22
		return ssh + target
	case ok && strings.Contains(scheme, "@"): // pi@leader:/home, as for scp
		return ssh + scheme
	case strings.Contains(target, "@"), !strings.ContainsAny(target, "/:") && !strings.HasPrefix(target, "-"):
		return ssh + target
	}
	return ""
}

// looksLikeFile tells the name of a file that is not there from that of a host.
func looksLikeFile(target string) bool {
	switch filepath.Ext(target) {
	case ".snapshot", ".gz", ".tar", ".tgz", ".json", ".img", ".txt", ".html", ".yaml", ".plan":
		return true
	}
	return strings.HasPrefix(target, "/") || strings.HasPrefix(target, "./") || strings.HasPrefix(target, "../") || strings.HasPrefix(target, "~/")
}

// isDisk tells the copy of a card from a snapshot.
func isDisk(file string) bool {
	info, err := os.Stat(file)
	return err == nil && (filepath.Ext(file) == ".img" || info.Mode()&fs.ModeDevice != 0)
}

// diskHint says how a card, or the copy of one, becomes a folder.
func diskHint(disk string) string {
	if info, err := os.Stat(disk); err == nil && info.Mode().IsRegular() {
		return "to audit the copy of a card, mount its second partition first:\n" +
			"sudo losetup --find --show --partscan --read-only " + disk + "\n" +
			"sudo mount -o ro /dev/loop0p2 /mnt   # with the name that losetup has shown\n" +
			"sudo picket audit image:/mnt"
	}
	return "to audit a card, mount its second partition first:\nsudo mount -o ro " + disk + " /mnt\nsudo picket audit image:/mnt"
}

// imageHint says what to do about a folder that is none.
func imageHint(dir string) string {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "`lsblk -f` shows where cards are mounted"
	case err == nil && !info.IsDir():
		return diskHint(dir)
	}
	return ""
}

// openSSH connects to a host that is to be read.
func (p *program) openSSH(ctx context.Context, target string, opt sshOptions, progress ui.Teller) (snapshot.Taker, error) {
	c, _, password, err := p.dial(ctx, target, opt, progress)
	if err != nil {
		return nil, err
	}
	return snapshot.NewSSH(c, target, snapshot.SSHOptions{SudoPassword: password}), nil
}

// dial connects to a host. Whoever is asked for something is asked on the
// terminal; where there is none, nothing is asked and what it was for fails
// with its reason. password gives that for the host's sudo; it is nil where nobody can be asked.
func (p *program) dial(ctx context.Context, target string, opt sshOptions, progress ui.Teller) (c *remote.Client, t remote.Target, password func(string) ([]byte, error), err error) {
	t, o, err := p.way(target, opt)
	if err != nil {
		return nil, t, nil, err
	}
	if opt.sudoPasswordFile != "" {
		if _, err := firstLine(opt.sudoPasswordFile); err != nil {
			return nil, t, nil, usage(err) // before somebody waits for a host
		}
	}
	prompt := ui.Prompt{IO: p.io, Progress: progress, Context: ctx}
	if prompt.Possible() {
		o.Prompter = prompt
	}
	password = sudoPassword(t.Host, opt.sudoPasswordFile, prompt)
	switch ask := password; {
	case opt.askSudo && opt.secret == nil:
		secret, err := p.passwords.forAll(prompt)
		if err != nil {
			return nil, t, nil, err
		}
		password = func(string) ([]byte, error) { return bytes.Clone(secret), nil }
	case opt.secret != nil:
		password = func(string) ([]byte, error) { return bytes.Clone(opt.secret), nil } // whoever gets it clears it
	case ask != nil:
		password = func(user string) ([]byte, error) {
			return p.passwords.once(user+"@"+t.Host, func() ([]byte, error) { return ask(user) })
		}
	}
	c, err = remote.Dial(ctx, t, o)
	if err != nil {
		return nil, t, nil, hinted(err, target, opt)
	}
	return c, c.Target(), password, nil
}

// way is who to be on which host, and how it is reached. Nobody is asked.
func (p *program) way(target string, opt sshOptions) (remote.Target, remote.Options, error) {
	t, err := p.remoteTarget(target)
	if err != nil {
		return t, remote.Options{}, usage(err)
	}
	if opt.user != "" {
		t.User = opt.user
	}
	if opt.given {
		t.Identity = ""
	}
	if opt.port != 0 {
		t = t.At(opt.port)
	}
	jump, err := p.jump(target)
	if err != nil {
		return t, remote.Options{}, usage(err)
	}
	o := p.dialing(opt)
	o.Jump = jump
	return t, o, nil
}

// dialing is what holds for every host that is reached.
func (p *program) dialing(opt sshOptions) remote.Options {
	o := remote.Options{
		User: p.getenv("USER"), Home: p.getenv("HOME"), AgentSocket: p.getenv("SSH_AUTH_SOCK"),
		Identities: opt.identities, Hops: p.hops, Config: opt.config, Version: "picket_" + sshVersion(Version),
	}
	if opt.knownHosts != "" {
		o.KnownHosts = []string{opt.knownHosts}
	}
	return o
}

// hinted says what to type after a connection failed.
func hinted(err error, target string, opt sshOptions) error {
	var key *remote.HostKeyError
	var hop *remote.HopError
	if errors.As(err, &key) {
		own := *key // several hosts may have it, of one on their way
		own.Typed = target
		if errors.As(err, &hop) {
			own.Typed = key.Target.String()
		}
		own.Typed += opt.where()
		return withHint(err, own.Hint())
	}
	var h remote.Hinter
	if errors.As(err, &h) {
		return withHint(err, h.Hint())
	}
	return err
}

// where are the flags that say which files know hosts, to be typed again.
func (o *sshOptions) where() (flags string) {
	if o.knownHosts != "" {
		flags += " --known-hosts " + snap.CommandKey(o.knownHosts)
	}
	if o.config != "" {
		flags += " --ssh-config " + snap.CommandKey(o.config)
	}
	return flags
}

// sshVersion is a version as the SSH protocol allows it: no blanks, no minus.
func sshVersion(v string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '-' {
			return r
		}
		return '.'
	}, v)
}

// sudoPassword gives the password for the target's sudo when that asks for
// one: from a file, or from a person. It is nil where nobody can be asked.
func sudoPassword(host, file string, prompt ui.Prompt) func(user string) ([]byte, error) {
	switch {
	case file != "":
		return func(string) ([]byte, error) { return firstLine(file) }
	case prompt.Possible():
		return func(user string) ([]byte, error) {
			return prompt.Password(fmt.Sprintf("sudo password of %s on %s: ", user, host))
		}
	}
	return nil
}

// typedPasswords are what was typed for sudo, by user and host, so that a command that logs in more than once asks once.
type typedPasswords struct {
	mu sync.Mutex
	of map[string][]byte

	asking sync.Mutex
	all    []byte
}

// forAll asks for the one password of all hosts, if it was not typed yet.
func (t *typedPasswords) forAll(prompt ui.Prompt) (secret []byte, err error) {
	t.asking.Lock()
	defer t.asking.Unlock()
	if t.all == nil {
		if !prompt.Possible() {
			return nil, withHint(usage(errors.New("--ask-sudo-password: there is no terminal to ask on")), "--sudo-password-file FILE takes it from a file")
		}
		t.all, err = prompt.Password("sudo password, for all hosts: ")
	}
	return t.all, err
}

// once asks for what was not typed yet. A nil t keeps nothing.
func (t *typedPasswords) once(who string, ask func() ([]byte, error)) ([]byte, error) {
	if t == nil {
		return ask()
	}
	t.mu.Lock()
	had, ok := t.of[who]
	t.mu.Unlock()
	if ok {
		return bytes.Clone(had), nil
	}
	got, err := ask()
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.of == nil {
			t.of = map[string][]byte{}
		}
		t.of[who] = bytes.Clone(got)
	}
	return got, err
}

// firstLine reads a password file: its first line, without the line's end.
func firstLine(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--sudo-password-file %s: there is no such file", file)
	}
	if err != nil {
		return nil, fmt.Errorf("--sudo-password-file: %w", err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return nil, fmt.Errorf("--sudo-password-file: %s is empty", file)
	}
	return line, nil
}
