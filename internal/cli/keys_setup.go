package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/trust"
	"picket/internal/host/remote"
	"picket/internal/host/shell"
)

type setupOptions struct {
	askedOptions
	leader string
	user   string
	to     string
	from   string
	pty    bool
	tight  bool
}

func (p *program) keysSetupCommand() *cobra.Command {
	var opt setupOptions
	cmd := &cobra.Command{
		Use:   "setup [TARGET…]",
		Short: "have the leader come in on its workers by a key, and nobody else by it",
		Long: `Makes an Ed25519 key for an account of the leader, where it has none, and adds its public half
to authorized_keys on the workers: for commands and files, from the leader's addresses alone,
without a terminal, and without forwarding of ports or of an agent. What stands in the files
stays as it is. The workers' host keys are pinned for that account on the leader.

The leader is changed first, then one worker, then the others at once. A worker's change
is kept only if the leader then logs in there with the key. Who is away, or refuses, keeps no
other from being changed, and each host's change can be taken back by itself. TARGETs are the workers (default: all other nodes).

The key has no passphrase, since nobody is there to type it: whoever takes the leader has
the workers. picket trust shows that. A leader whose address changes is not let in any
more: give it a fixed one, or name its network with --from.

` + changeHelp,
		Example: `  picket keys setup
  picket keys setup worker1 worker2 --user pi
  picket keys setup --from 192.168.1.0/24 --pty`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.keysSetup(cmd.Context(), args, opt) },
	}
	f := cmd.Flags()
	f.StringVar(&opt.leader, "leader", "", "`NODE` that drives the others (default: the one with the role leader or master)")
	f.StringVar(&opt.user, "user", "", "`ACCOUNT` of the leader that drives the workers (default: the one that Picket logs in as)")
	f.StringVar(&opt.to, "to", "", "`ACCOUNT` of the workers that it comes in as (default: of the same name)")
	f.StringVar(&opt.from, "from", "", "addresses that the key lets in from, a `LIST` as for from= in authorized_keys (default: those of the leader in the worker's networks)")
	f.BoolVar(&opt.pty, "pty", false, "let it open a terminal, too: for a person on the leader who types ssh worker1")
	f.BoolVar(&opt.tight, "tighten", false, "also limit the key where it lets in already without any limit, as guides and ssh-copy-id leave it")
	opt.flags(f)
	return cmd
}

func (p *program) keysSetup(ctx context.Context, words []string, opt setupOptions) error {
	if strings.ContainsAny(opt.from, "\"\n \t") {
		return usage(fmt.Errorf("--from %q: want addresses, networks or patterns with commas between them", opt.from))
	}
	for _, name := range []string{opt.user, opt.to} {
		if name != "" && account.CheckName(name) != nil {
			return usage(account.CheckName(name))
		}
	}
	leader, err := p.leaderOf(opt.leader)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"all"}
	}
	workers, err := p.hosts(words, opt.ssh)
	if err != nil {
		return err
	}
	if workers = slices.DeleteFunc(workers, func(w string) bool { return w == leader }); len(workers) == 0 {
		return usage(fmt.Errorf("there is no worker besides %s", leader))
	}
	all, errs := p.beginAll(ctx, append([]string{leader}, workers...), opt.askedOptions)
	defer closeAll(all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(all) == 0 || all[0].target != leader {
		return allOf(errs)
	}
	s := &setup{program: p, opt: opt, leader: all[0], pins: map[*asked]pin{}}
	if err := s.key(); err != nil {
		return err
	}
	if s.leader.name, s.leader.title = "keys setup", s.user.Name+" knows the workers by their host keys"; s.private != nil {
		s.leader.title = fmt.Sprintf("%s gets a key, %s, and knows the workers by theirs", s.user.Name, s.print)
	}
	led, errs := p.partsOf(ctx, all[1:], errs, s.worker)
	// The leader comes first, since a worker's change is proved by the leader coming in with the key that it has by then.
	parts := []part{{asked: s.leader, fix: func(_ *fact.Host, d *change.Draft) error { return s.onLeader(d, led) }, planned: true}}
	if parts[0].made, err = s.leader.plan(ctx, parts[0].fix); err != nil {
		return err
	}
	for _, one := range led {
		if err := s.strange[one.asked]; err != nil {
			errs = append(errs, named(one.target, err))
			continue
		}
		one.turn = 1
		parts = append(parts, one)
	}
	if led = parts[1:]; len(led) == 0 {
		return allOf(errs)
	}
	end := p.leaveOut(errs)
	done, err := p.together(ctx, parts, sharing{yes: opt.yes, first: true})
	if err != nil {
		return err
	}
	if len(done) == 0 {
		fmt.Fprintf(p.io.Out, "nothing to do: the key of %s on %s is known on %s\n", s.user.Name, leader, strings.Join(partHosts(led), ", "))
	}
	return end(s.proveAll(ctx, led))
}

func partHosts(parts []part) (out []string) {
	for _, one := range parts {
		out = append(out, one.target)
	}
	return out
}

// A setup is what is known of the leader's key while it is handed out.
type setup struct {
	*program
	opt     setupOptions
	leader  *asked
	user    fact.User
	private []byte // of a new key; nil where it has one
	public  string // TYPE BLOB COMMENT
	print   string
	file    string // of the private key
	pins    map[*asked]pin
	strange map[*asked]error // workers that the leader knows by another key
}

// A pin is a worker's host keys, under the names by which the leader may reach it.
type pin struct {
	names, keys []string // keys: TYPE BLOB
}

// key finds the key of the account on the leader, or makes one.
func (s *setup) key() (err error) {
	name := s.opt.user
	if name == "" {
		if name, err = s.loginOf(s.leader.target, s.opt.ssh); err != nil {
			return err
		}
	}
	if s.user, err = s.leader.account(name); err != nil {
		return err
	}
	const file = "id_ed25519"
	s.file = s.user.Home + "/.ssh/" + file
	for _, k := range s.leader.host.Keys.Private[name] {
		if k.Place.Path != s.file {
			continue
		}
		switch {
		case k.Type != "ssh-ed25519":
			return withCode(ExitRefused, fmt.Errorf("%s: %s is no Ed25519 key", s.leader.target, s.file))
		case k.Lock == fact.Locked:
			return withHint(withCode(ExitRefused, fmt.Errorf("%s: %s has a passphrase, and nobody is there to type it", s.leader.target, s.file)), "--user names another account for what runs by itself")
		}
		pub, st, why := s.leader.shot.File(s.file + ".pub")
		if st != fact.Known {
			return withHint(withCode(ExitRefused, fmt.Errorf("%s: the public half of %s is not there: %s", s.leader.target, s.file, cmp.Or(why, "no such file"))), "ssh-keygen -y -f "+s.file+" writes it")
		}
		key, ok := fact.ReadKey(strings.TrimSpace(string(pub.Content)))
		if !ok || key.Fingerprint != k.Fingerprint {
			return withCode(ExitRefused, fmt.Errorf("%s: %s.pub is not the public half of the key beside it", s.leader.target, s.file))
		}
		s.public, s.print = strings.TrimSpace(string(pub.Content)), key.Fingerprint
		return nil
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	wire, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	comment := name + "@" + cmp.Or(s.leader.host.OS.Hostname.V, s.leader.target)
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return err
	}
	s.private, s.print = pem.EncodeToMemory(block), ssh.FingerprintSHA256(wire)
	s.public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(wire))) + " " + comment
	return nil
}

// loginOf is the account that Picket logs in as.
func (p *program) loginOf(target string, ssh sshOptions) (string, error) {
	if target == "local" {
		return "", usage(errors.New("--user ACCOUNT has to say which account drives the workers"))
	}
	if _, err := p.remoteTarget(target); err != nil {
		return "", usage(err)
	}
	name := p.whoLogsIn(target, ssh)
	if name == "" {
		return "", usage(errors.New("--user ACCOUNT has to say which account drives the workers"))
	}
	return name, nil
}

// worker drafts what lets the leader in on one.
func (s *setup) worker(_ context.Context, w *asked) (part, error) {
	u, err := w.account(cmp.Or(s.opt.to, s.user.Name))
	if err != nil {
		return part{}, err
	}
	file, err := trust.KeyFile(w.host, u)
	if err != nil {
		return part{}, withCode(ExitRefused, err)
	}
	at, p, err := s.pin(w)
	if err != nil {
		return part{}, err
	}
	s.pins[w] = p
	w.name, w.title, w.by = "keys setup", fmt.Sprintf("%s of %s comes in as %s, with the key %s", s.user.Name, s.leader.target, u.Name, s.print), ""
	w.prove = func(ctx context.Context, _ plan.Plan, _ shell.Shell) error { return s.reaches(ctx, at, u.Name) }
	has, bare := false, false
	for _, k := range w.host.Keys.Authorized[u.Name] {
		has = has || k.Fingerprint == s.print
		bare = bare || k.Fingerprint == s.print && len(k.Options) == 0 && k.Place.Path == file
	}
	if has && !(bare && s.opt.tight) {
		if bare {
			fmt.Fprintf(s.io.Err, "%s: the key lets in already, from anywhere and for anything; --tighten limits it\n", w.target)
		}
		return part{asked: w, fix: nothing}, nil
	}
	from := s.opt.from
	if from == "" {
		for _, a := range trust.Between(s.leader.host, w.host) {
			word := a.String()
			switch {
			case a.IsLinkLocalUnicast():
				continue
			case a.Is6(): // privacy extensions give it another every day
				word = netip.PrefixFrom(a, 64).Masked().String()
			}
			if !slices.Contains(strings.Split(from, ","), word) {
				from = strings.TrimPrefix(from+","+word, ",")
			}
		}
	}
	if from == "" {
		return part{}, withHint(withCode(ExitRefused, fmt.Errorf("from which address %s comes in is not known: they share no network", s.leader.target)), "--from LIST says it")
	}
	limits := "restrict,"
	if s.opt.pty {
		limits += "pty,"
	}
	limits += `from="` + from + `"`
	if bare {
		return part{asked: w, fix: func(_ *fact.Host, d *change.Draft) error { return trust.Tighten(d, file, s.print, limits) }}, nil
	}
	return part{asked: w, fix: func(_ *fact.Host, d *change.Draft) error {
		mode := uint32(0o600)
		if !strings.HasPrefix(file, u.Home+"/") {
			mode = 0o644 // sshd reads it as the user
		}
		return trust.Add(d, u, file, mode, limits+" "+s.public)
	}}, nil
}

func nothing(*fact.Host, *change.Draft) error { return nil }

// An end is where the leader finds a worker.
type end struct {
	host string
	port int
}

// known is how known_hosts names a host.
func (e end) known(name string) string {
	if e.port == 22 {
		return name
	}
	return "[" + name + "]:" + strconv.Itoa(e.port)
}

// endOf is where one host finds another, and all names by which it may.
func (p *program) endOf(w, from *asked) (at end, names []string, err error) {
	t, err := p.remoteTarget(w.target)
	if err != nil {
		return at, nil, usage(err)
	}
	at = end{t.Host, cmp.Or(t.Port, 22)}
	if isPlain(w.target) {
		names = append(names, w.target)
	}
	names = append(names, t.Host)
	first := true
	for _, a := range trust.Between(w.host, from.host) {
		if a.IsLinkLocalUnicast() {
			continue
		}
		if first || a.Is4() && net.ParseIP(at.host).To4() == nil {
			at.host, first = a.String(), false
		}
		names = append(names, a.String())
	}
	return at, names, nil
}

// pin works out where the leader finds a worker, and by which keys it knows it.
func (s *setup) pin(w *asked) (at end, p pin, err error) {
	at, names, err := s.endOf(w, s.leader)
	if err != nil {
		return at, p, err
	}
	for _, n := range names {
		if n = at.known(n); !slices.Contains(p.names, n) {
			p.names = append(p.names, n)
		}
	}
	for _, k := range w.host.SSHD.HostKeys {
		e, st, _ := w.shot.File(k.Place.Path)
		if st != fact.Known {
			continue
		}
		if f := strings.Fields(string(e.Content)); k.Print != "" && (!k.Used.Known() || k.Used.V) && len(f) >= 2 {
			p.keys = append(p.keys, f[0]+" "+f[1])
		}
	}
	if len(p.keys) == 0 {
		return at, p, withCode(ExitRefused, errors.New("its host keys were not read, so that the leader could not know it"))
	}
	return at, p, nil
}

// onLeader drafts the key, where it is new, and the pins of workers. One that the leader knows by another key keeps no other from
// being pinned.
func (s *setup) onLeader(d *change.Draft, workers []part) error {
	if s.private != nil {
		if err := trust.Pair(d, s.user, "id_ed25519", s.private, []byte(s.public+"\n")); err != nil {
			return err
		}
	}
	file := s.user.Home + "/.ssh/known_hosts"
	is, err := d.At(file)
	if err != nil {
		return err
	}
	s.strange = map[*asked]error{} // drafted once more, the file may have been read
	var lines []string
	for _, w := range workers {
		own, err := s.pins[w.asked].missing(is.Content)
		if err != nil {
			s.strange[w.asked] = withHint(withCode(ExitRefused, fmt.Errorf("%s knows it by another key: %w", s.leader.target, err)),
				"if it was set up anew, as "+s.user.Name+" on "+s.leader.target+": ssh-keygen -R '"+s.pins[w.asked].names[0]+"', and once more")
		}
		lines = append(lines, own...)
	}
	if len(lines) == 0 {
		return nil
	}
	return trust.Add(d, s.user, file, 0o600, lines...)
}

// missing are the lines that a known_hosts file lacks to know a worker.
func (p pin) missing(content []byte) (lines []string, err error) {
	for _, k := range p.keys {
		names, err := trust.Known(content, p.names, k)
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			lines = append(lines, strings.Join(names, ",")+" "+k)
		}
	}
	return lines, nil
}

// proveAll wants the leader to come in everywhere, also where nothing had to be changed.
func (s *setup) proveAll(ctx context.Context, parts []part) error {
	var errs []error
	for _, one := range parts {
		if err := one.prove(ctx, plan.Plan{}, nil); err != nil {
			errs = append(errs, named(one.target, err))
		} else {
			fmt.Fprintf(s.io.Out, "%s comes in on %s\n", s.user.Name+" of "+s.leader.target, one.target)
		}
	}
	return allOf(errs)
}

// reaches has the leader log in on a worker, with the key and nothing else.
func (s *setup) reaches(ctx context.Context, at end, user string) error {
	done, err := turn(ctx, s.leader.asking)
	if err != nil {
		return err
	}
	defer done()
	limited, cancel := context.WithTimeout(ctx, 30*time.Second) // others wait for their turn
	defer cancel()
	return s.leader.comesTo(limited, s.user.Name, s.file, at, user)
}

// comesTo has an account of a host log in on another host, with one key and nothing else.
func (a *asked) comesTo(ctx context.Context, user, key string, at end, as string) error {
	const good = "picket-came-through"
	args := append([]string{"ssh"}, sshTry...)
	args = append(args, "-o", "UpdateHostKeys=no", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", key, "-p", strconv.Itoa(at.port), "-l", as, "--", at.host, "echo "+good)
	// It ends there by itself: were it ended from here, the connection would go with it, which others need.
	program := "cd /; exec </dev/null 2>&1; exec timeout 12 runuser -u " + remote.Command([]string{user}) + " -- " + remote.Command(args)
	out, exit, err := a.shell.Run(ctx, program, nil, nil)
	if err != nil || exit != 0 || !bytes.Contains(out, []byte(good)) {
		return fmt.Errorf("%s of %s does not come in with its key: %s", user, a.target, lastLine(string(out), errors.Join(err, errors.New("ssh does not come through"))))
	}
	return nil
}
