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
	"picket/internal/host/remote"
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

// wayTime is how long one way may take, from when it is its turn: the program on the host ends by itself before, unless that hangs.
const wayTime = 40 * time.Second

// path is the way as a change of one of its ends is held to it. Where the other end is away altogether, that change is not to
// blame.
func (w way) path(changed string) harden.Path {
	other := w.from
	if other == changed {
		other = w.to
	}
	return harden.Path{
		Name: w.name, Takes: wayTime,
		Turn: func(ctx context.Context) (func(), error) { return turn(ctx, w.walker.at(w.from).slots) },
		Try: func(ctx context.Context) error {
			if w.walker.wasAway(other) {
				return nil
			}
			out, exit, err := w.walker.runNow(ctx, w.from, w.program, nil)
			switch {
			case err == nil && exit == 0:
				return nil
			case !w.walker.alive(ctx, other):
				return nil
			case ctx.Err() != nil: // what was not gone to its end shows nothing good
				return fmt.Errorf("it has not ended: %w", ctx.Err())
			case err == nil:
				err = errors.New(lastLine(string(out), fmt.Errorf("exit status %d", exit)))
			}
			return err
		},
	}
}

// A walker goes ways: it has one connection to each host that they begin at.
type walker struct {
	p     *program
	ssh   sshOptions
	mu    sync.Mutex
	hosts map[string]*walked
	away  map[string]time.Time // when a host was last found to be away
}

type walked struct {
	mu    sync.Mutex
	sh    shell.Shell
	slots chan struct{}
}

// atOnceFrom is how many ways are gone at a time from one host: sshd allows ten sessions of a connection, or fewer.
const atOnceFrom = 2

func (p *program) walker(ssh sshOptions) *walker {
	return &walker{p: p, ssh: ssh, hosts: map[string]*walked{}, away: map[string]time.Time{}}
}

// turn waits for a slot.
func turn(ctx context.Context, slots chan struct{}) (done func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *walker) at(host string) *walked {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[host]
	if h == nil {
		h = &walked{slots: make(chan struct{}, atOnceFrom)}
		w.hosts[host] = h
	}
	return h
}

// run runs a program of root on a host, when it is its turn.
func (w *walker) run(ctx context.Context, host, program string, tell ui.Teller) (out []byte, exit int, err error) {
	done, err := turn(ctx, w.at(host).slots)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	return w.runNow(ctx, host, program, tell)
}

// runNow runs a program of root on a host. Where the connection is lost it may be the end of another program over it that has
// closed it, so it is run once more over a new one.
func (w *walker) runNow(ctx context.Context, host, program string, tell ui.Teller) (out []byte, exit int, err error) {
	h := w.at(host)
	for try := 1; ; try++ {
		sh, err := h.connected(func() (shell.Shell, error) { return w.p.rootShell(ctx, host, w.ssh, tell) })
		if err != nil {
			return nil, 0, err
		}
		if out, exit, err = sh.Run(ctx, program, nil, nil); err == nil {
			return out, exit, nil
		}
		h.lose(sh)
		if try == 2 || ctx.Err() != nil {
			return nil, 0, err
		}
	}
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
// counts as alive. It takes its own time: what is left of the way's may be none.
func (w *walker) alive(ctx context.Context, target string) bool {
	t, opt, err := w.p.way(target, w.ssh)
	hops := 0
	if err == nil {
		t, hops, err = remote.As(t, opt)
	}
	if err != nil || hops > 0 {
		return true
	}
	if t.Port == 0 {
		t.Port = 22
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if connects(limited, net.JoinHostPort(t.Host, strconv.Itoa(t.Port))) == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[target] = w.p.now()
	return false
}

// stillAway is for how long a host that was found to be away is not asked again. Each of its ways would take as long as the
// first, while the changed host waits for us to confirm.
const stillAway = 20 * time.Second

func (w *walker) wasAway(target string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, found := w.away[target]
	return found && w.p.now().Sub(at) < stillAway
}

func leads(n inventory.Node) bool {
	return slices.ContainsFunc(n.Roles, func(r string) bool { return slices.Contains(trust.Leaders, r) })
}

// mostWays bounds to how many other nodes the ways of one leader are looked for.
const mostWays = 64

// found is what one node told of its ways.
type found struct {
	ways    []way
	says    string
	unknown []string // what is left out, and what it could not be asked
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
	to := map[string][]inventory.Node{} // by leader
	var leaders, concerned []string
	for _, l := range lead {
		var over []string
		for _, n := range inv.Nodes {
			switch {
			case !concerns(l, n):
			case len(to[l.Name]) == mostWays:
				over = append(over, n.Name)
			default:
				to[l.Name] = append(to[l.Name], n)
				concerned = append(concerned, without([]string{l.Name, n.Name}, concerned)...)
			}
		}
		if len(to[l.Name]) > 0 {
			leaders = append(leaders, l.Name)
		}
		if len(over) > 0 {
			unknown = append(unknown, fmt.Errorf("%s to %s: from one leader the ways to %d other nodes are looked at", l.Name, strings.Join(over, ", "), mostWays))
		}
	}
	if len(concerned) == 0 {
		return nil, nil
	}
	keys, more := p.trusted(ctx, w, leaders, concerned, many)
	unknown = append(unknown, more...)
	var names []string
	var ask []func(context.Context, ui.Teller) (found, error)
	ports := map[string][]string{}
	var portsMu sync.Mutex
	for _, l := range lead {
		if len(to[l.Name]) == 0 {
			continue
		}
		names = append(names, l.Name)
		ask = append(ask, func(ctx context.Context, tell ui.Teller) (found, error) {
			served, over, err := w.served(ctx, l.Name, tell)
			if err != nil {
				over = append(over, fmt.Sprintf("which ports %s serves: %v", l.Name, err))
			}
			portsMu.Lock()
			ports[l.Name] = served
			portsMu.Unlock()
			f, err := w.logins(ctx, l, to[l.Name], keys, tell)
			f.unknown = append(over, f.unknown...)
			return f, err
		})
	}
	first, errs := askEach(ctx, p, names, many, ask)
	unknown = append(unknown, errs...)
	names, ask = nil, nil
	for _, n := range rest {
		to := slices.DeleteFunc(slices.Clone(lead), func(l inventory.Node) bool { return !concerns(l, n) || len(ports[l.Name]) == 0 })
		if len(to) == 0 {
			continue
		}
		names = append(names, n.Name)
		ask = append(ask, func(ctx context.Context, tell ui.Teller) (found, error) { return w.reached(ctx, n, to, ports, tell) })
	}
	second, errs := askEach(ctx, p, names, many, ask)
	unknown = append(unknown, errs...)
	for _, f := range slices.Concat(first, second) {
		all = append(all, f.ways...)
		for _, u := range f.unknown {
			unknown = append(unknown, errors.New(u))
		}
	}
	return all, unknown
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

// askEach asks each node in its own way. What it gives of errors names the node.
func askEach(ctx context.Context, p *program, names []string, opt manyOptions, ask []func(context.Context, ui.Teller) (found, error)) (all []found, bad []error) {
	if len(names) == 0 {
		return nil, nil
	}
	all, errs := many(ctx, p, names, opt, func(ctx context.Context, name string, tell ui.Teller) (found, error) {
		return ask[slices.Index(names, name)](ctx, tell)
	}, func(f found) string { return f.says })
	for i, err := range errs {
		if err != nil {
			bad = append(bad, named(names[i], err))
		}
	}
	return all, bad
}
