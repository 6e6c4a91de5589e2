package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/internal/core/inventory"
	"picket/internal/core/trust"
	"picket/internal/harden"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

// A way is how one node of a cluster reaches another before anything is changed. It has to be there afterwards.
type way struct {
	from, to string              // targets
	account  string              // that goes it over SSH; "" where it is a port
	offers   map[string][]string // by that account's client: keyword in lower case → algorithms
	name     string              // for a person
	program  string              // of root on from: exit status 0 where it comes through
	walker   *walker
}

// path is the way as a change of either end is held to it. Where an end is away altogether, the change of the other is not to
// blame.
func (w way) path() harden.Path {
	return harden.Path{Name: w.name, Try: func(ctx context.Context) error {
		out, exit, err := w.walker.run(ctx, w.from, w.program, nil)
		switch {
		case err == nil && exit == 0, err != nil && ctx.Err() == nil && !w.walker.alive(ctx, w.from), !w.walker.alive(ctx, w.to):
			return nil
		case err == nil:
			err = errors.New(lastLine(string(out), fmt.Errorf("exit status %d", exit)))
		}
		return err
	}}
}

// A walker goes ways: it has one connection to each host that they begin at.
type walker struct {
	p     *program
	ssh   sshOptions
	mu    sync.Mutex
	hosts map[string]*walked
}

type walked struct {
	mu    sync.Mutex
	sh    shell.Shell
	slots chan struct{}
}

// atOnceFrom is how many ways are gone at a time from one host: sshd allows ten sessions of a connection, or fewer.
const atOnceFrom = 2

func (p *program) walker(ssh sshOptions) *walker {
	return &walker{p: p, ssh: ssh, hosts: map[string]*walked{}}
}

// run runs a program of root on a host.
func (w *walker) run(ctx context.Context, host, program string, tell ui.Teller) (out []byte, exit int, err error) {
	w.mu.Lock()
	h := w.hosts[host]
	if h == nil {
		h = &walked{slots: make(chan struct{}, atOnceFrom)}
		w.hosts[host] = h
	}
	w.mu.Unlock()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	sh, err := h.connected(func() (shell.Shell, error) { return w.p.rootShell(ctx, host, w.ssh, tell) })
	if err != nil {
		return nil, 0, err
	}
	if out, exit, err = sh.Run(ctx, program, nil, nil); err != nil {
		h.lose(sh)
	}
	return out, exit, err
}

func (h *walked) connected(dial func() (shell.Shell, error)) (sh shell.Shell, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sh == nil {
		h.sh, err = dial()
	}
	return h.sh, err
}

// lose drops a connection that has failed: the next one who needs it makes another.
func (h *walked) lose(sh shell.Shell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sh == sh {
		h.sh = nil
	}
	sh.Close()
}

func (w *walker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		h.mu.Lock()
		if h.sh != nil {
			h.sh.Close()
			h.sh = nil
		}
		h.mu.Unlock()
	}
}

// alive reports whether anything answers at a host's SSH port. Behind a jump host that is not known from here: then it
// counts as alive.
func (w *walker) alive(ctx context.Context, target string) bool {
	t, err := w.p.remoteTarget(target)
	if way, _ := w.p.jump(target); err != nil || len(way) > 0 {
		return true
	}
	if t.Port == 0 {
		t.Port = 22
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return connects(limited, net.JoinHostPort(t.Host, strconv.Itoa(t.Port))) == nil
}

func leads(n inventory.Node) bool {
	return slices.ContainsFunc(n.Roles, func(r string) bool { return slices.Contains(trust.Leaders, r) })
}

// mostWays bounds to how many other nodes the ways of one leader are looked for.
const mostWays = 64

// found is what one node told of its ways.
type found struct {
	ways []way
	says string
}

// ways finds out how the nodes of the cluster reach each other today: the leaders the others over SSH, each account with the
// settings of its own client; the others the leaders at the ports that those serve. Only what concerns a target counts. unknown is
// what could not be found out.
func (p *program) ways(ctx context.Context, w *walker, targets []string, many manyOptions) (all []way, unknown []error) {
	inv, err := p.cluster()
	if err != nil {
		return nil, []error{err}
	}
	var lead, rest []inventory.Node
	for _, n := range inv.Nodes {
		if leads(n) {
			lead = append(lead, n)
		} else {
			rest = append(rest, n)
		}
	}
	if len(lead) == 0 || len(inv.Nodes) < 2 {
		return nil, nil
	}
	concerns := func(a, b inventory.Node) bool {
		return a.Name != b.Name && (slices.Contains(targets, a.Name) || slices.Contains(targets, b.Name))
	}
	var names []string
	var ask []func(context.Context, ui.Teller) (found, error)
	ports := map[string][]string{}
	var portsMu sync.Mutex
	for _, l := range lead {
		var to []inventory.Node
		for _, n := range inv.Nodes {
			if concerns(l, n) && len(to) < mostWays {
				to = append(to, n)
			}
		}
		if len(to) == 0 {
			continue
		}
		names = append(names, l.Name)
		ask = append(ask, func(ctx context.Context, tell ui.Teller) (found, error) {
			served, err := w.served(ctx, l.Name, tell)
			if err != nil {
				return found{}, err
			}
			portsMu.Lock()
			ports[l.Name] = served
			portsMu.Unlock()
			return w.logins(ctx, l, to, tell)
		})
	}
	first, errs := askEach(ctx, p, names, many, ask)
	names, ask = nil, nil
	for _, n := range rest {
		to := slices.DeleteFunc(slices.Clone(lead), func(l inventory.Node) bool { return !concerns(l, n) || len(ports[l.Name]) == 0 })
		if len(to) == 0 {
			continue
		}
		names = append(names, n.Name)
		ask = append(ask, func(ctx context.Context, tell ui.Teller) (found, error) { return w.reached(ctx, n, to, ports, tell) })
	}
	second, more := askEach(ctx, p, names, many, ask)
	for _, f := range slices.Concat(first, second) {
		all = append(all, f.ways...)
	}
	return all, slices.DeleteFunc(slices.Concat(errs, more), func(err error) bool { return err == nil })
}

// waysOf finds out which ways there are, and says so, and what is not known of them.
func (p *program) waysOf(ctx context.Context, w *walker, targets []string, opt manyOptions) []way {
	inv, _ := p.cluster()
	if len(targets) == 0 || len(inv.Nodes) < 2 {
		return nil
	}
	if !slices.ContainsFunc(inv.Nodes, leads) {
		fmt.Fprintln(p.io.Err, "no node leads the others (roles: [leader] in picket.yaml): whether they still reach each other is not tried")
		return nil
	}
	fmt.Fprintln(p.io.Err, "which nodes reach each other today:")
	all, unknown := p.ways(ctx, w, targets, opt)
	for _, err := range unknown {
		fmt.Fprintf(p.io.Err, "  not known, and not tried afterwards: %s\n", ui.Clean(err.Error()))
	}
	return all
}

// askEach asks each node in its own way.
func askEach(ctx context.Context, p *program, names []string, opt manyOptions, ask []func(context.Context, ui.Teller) (found, error)) ([]found, []error) {
	if len(names) == 0 {
		return nil, nil
	}
	return many(ctx, p, names, opt, func(ctx context.Context, name string, tell ui.Teller) (found, error) {
		return ask[slices.Index(names, name)](ctx, tell)
	}, func(f found) string { return f.says })
}

// names are those by which another node may know one.
func namesOf(n inventory.Node) []string {
	if n.Host() == n.Name {
		return []string{n.Name}
	}
	return []string{n.Name, n.Host()}
}

// served are the TCP ports at which a host listens for others.
func (w *walker) served(ctx context.Context, host string, tell ui.Teller) ([]string, error) {
	tell.Say("which ports it serves")
	out, exit, err := w.run(ctx, host, `ss -Hltn | awk '$4 !~ /^(127\.|\[::1\])/ { n = split($4, a, ":"); print a[n] }' | sort -un`, tell)
	if err == nil && exit != 0 {
		err = fmt.Errorf("ss: exit status %d", exit)
	}
	ports := strings.Fields(string(out))
	return ports[:min(len(ports), 16)], err
}

// asClient sets the words that a client is tried with. Whoever lets it trust a new host key gets that here as well, without
// that anything is written.
const asClient = `try() {
	o='-o BatchMode=yes -o ConnectTimeout=8 -o ControlPath=none -o UpdateHostKeys=no -o StrictHostKeyChecking=yes'
	su -s /bin/sh "$1" -c "cd 2>/dev/null; case \$(ssh -G '$2' 2>/dev/null | sed -n 's/^stricthostkeychecking //p') in false|no|off|accept-new)
		set -- -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no ;; esac
		exec timeout 14 ssh \"\$@\" $o -- '$2' true" </dev/null
}
`

// logins are the accounts of a leader that come into other nodes over SSH.
func (w *walker) logins(ctx context.Context, l inventory.Node, to []inventory.Node, tell ui.Teller) (f found, err error) {
	tell.Say("whom it reaches over SSH")
	var names []string
	at := map[string]string{} // node by name
	for _, n := range to {
		for _, name := range namesOf(n) {
			names, at[name] = append(names, name), n.Name
		}
	}
	out, exit, err := w.run(ctx, l.Name, asClient+`who=$(getent passwd | while IFS=: read -r u _ _ _ _ home shell; do
		case $shell in */nologin | */false) continue ;; esac
		for k in "$home"/.ssh/id_* "$home"/.ssh/config; do [ ! -f "$k" ] || { echo "$u"; break; }; done
	done | head -n 8)
	n=0
	for u in $who; do for name in `+strings.Join(names, " ")+`; do
		(try "$u" "$name" >/dev/null 2>&1 && echo "$u $name $(su -s /bin/sh "$u" -c "cd 2>/dev/null; ssh -G $name" 2>/dev/null </dev/null |
			awk '/^(kexalgorithms|hostkeyalgorithms|macs|ciphers) / { printf "%s=%s ", $1, $2 }')") &
		n=$((n + 1)); [ $((n % 8)) != 0 ] || wait
	done; done
	wait`, tell)
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit status %d", exit)
	}
	if err != nil {
		return f, err
	}
	var reached, accounts []string
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 2 || at[words[1]] == "" {
			continue
		}
		account, name, n, offers := words[0], words[1], at[words[1]], map[string][]string{}
		for _, list := range words[2:] {
			keyword, algorithms, _ := strings.Cut(list, "=")
			offers[keyword] = strings.Split(algorithms, ",")
		}
		f.ways = append(f.ways, way{from: l.Name, to: n, account: account, offers: offers, walker: w, name: fmt.Sprintf("ssh %s from %s as %s", name, l.Name, account),
			program: asClient + "try " + account + " " + name + " 2>&1"})
		if !slices.Contains(reached, n) {
			reached = append(reached, n)
		}
		if !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	slices.SortFunc(f.ways, func(a, b way) int { return strings.Compare(a.name, b.name) })
	if f.says = "reaches nobody over SSH"; len(reached) > 0 {
		f.says = fmt.Sprintf("reaches %d of %d over SSH as %s", len(reached), len(to), strings.Join(accounts, ", "))
	}
	return f, nil
}

// knock tries a port, and speaks HTTP or MQTT where it is that.
const knock = `knock() { timeout 8 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1
	case $1 in
	80 | 8080) printf "GET / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$0" >&3; IFS= read -r l <&3 || exit 1; case $l in HTTP/*" 5"*) echo "$l"; exit 1 ;; esac ;;
	1883) printf "\020\024\000\004MQTT\004\002\000\074\000\010picketee" >&3; IFS= LC_ALL=C read -r -d "" -n 1 l <&3; case $l in " ") ;; *) echo "it does not answer as a broker does"; exit 1 ;; esac ;;
	esac' "$1" "$2"; }
`

// reached are the ports of leaders that a node reaches.
func (w *walker) reached(ctx context.Context, n inventory.Node, to []inventory.Node, ports map[string][]string, tell ui.Teller) (f found, err error) {
	tell.Say("which ports it reaches")
	program := knock
	at := map[string]string{}
	for _, l := range to {
		for _, name := range namesOf(l) {
			at[name] = l.Name
			program += fmt.Sprintf("for port in %s; do (knock %s $port >/dev/null 2>&1 && echo %[2]s $port) & done\n", strings.Join(ports[l.Name], " "), name)
		}
	}
	out, exit, err := w.run(ctx, n.Name, program+"wait", tell)
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit status %d", exit)
	}
	if err != nil {
		return f, err
	}
	var reached []string
	for line := range strings.Lines(string(out)) {
		name, port, _ := strings.Cut(strings.TrimSpace(line), " ")
		l, ok := at[name]
		if _, err := strconv.Atoi(port); !ok || err != nil {
			continue
		}
		f.ways = append(f.ways, way{from: n.Name, to: l, walker: w, name: fmt.Sprintf("port %s of %s from %s", port, name, n.Name), program: knock + "knock " + name + " " + port})
		if !slices.Contains(reached, l+":"+port) {
			reached = append(reached, l+":"+port)
		}
	}
	slices.SortFunc(f.ways, func(a, b way) int { return strings.Compare(a.name, b.name) })
	slices.Sort(reached)
	if f.says = "reaches no leader"; len(reached) > 0 {
		f.says = "reaches " + strings.Join(reached, ", ")
	}
	return f, nil
}
