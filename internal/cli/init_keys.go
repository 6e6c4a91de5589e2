package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/inventory"
	"picket/internal/core/pinned"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

// reach asks the nodes for their keys, pins those that are confirmed, and tries a login on each. Nodes behind others come after these.
func (n *initRun) reach(ctx context.Context) error {
	n.shown, n.failed = map[string]remote.Shown{}, map[string]error{}
	all := inventory.New(slices.Concat(n.inv.Nodes, slices.DeleteFunc(slices.Clone(n.have.Nodes), func(o inventory.Node) bool {
		_, found := n.inv.Node(o.Name)
		return found
	})), nil)
	n.p.nodes = &all // what names mean from now on
	todo := n.inv.Nodes
	for len(todo) > 0 {
		var now, later []string
		for _, one := range todo {
			if slices.ContainsFunc(n.via(one), func(v string) bool {
				return slices.ContainsFunc(todo, func(o inventory.Node) bool { return o.Name == v })
			}) {
				later = append(later, one.Name)
			} else {
				now = append(now, one.Name)
			}
		}
		if err := n.round(ctx, now); err != nil {
			return err
		}
		todo = nil
		for _, name := range later {
			one, _ := n.inv.Node(name)
			todo = append(todo, one)
		}
	}
	n.sameMachines(n.logins(ctx))
	return ctx.Err()
}

// round sees to nodes whose way is known.
func (n *initRun) round(ctx context.Context, names []string) error {
	n.ask(ctx, names)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// What does not answer here may answer the host that knows it.
	var again []string
	before := map[string]error{}
	for _, name := range names {
		var away *remote.UnreachableError
		if errors.As(n.failed[name], &away) && away.Stage == remote.Connecting && !away.Refused {
			if over := n.knownTo(name); over != "" && n.failed[over] == nil && n.throughToo(name, over) {
				again = append(again, name)
				before[name] = n.failed[name]
				delete(n.failed, name)
			}
		}
	}
	if len(again) > 0 {
		fmt.Fprintf(n.p.io.Err, "%s: no answer from here; tried through the host that knows them\n", some(again))
		n.ask(ctx, again)
		for _, name := range again {
			if n.failed[name] != nil {
				n.failed[name] = before[name]
				n.setWay(name, strings.TrimPrefix(strings.TrimPrefix(n.way(name), n.knownTo(name)), ","))
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return n.pin(ctx, names)
}

// knownTo is the node of the host whose own files name this one.
func (n *initRun) knownTo(name string) string {
	for _, l := range n.over {
		if l.name != name && slices.Contains(l.nodes, name) {
			return l.name
		}
	}
	return ""
}

func (n *initRun) way(name string) string {
	one, _ := n.inv.Node(name)
	return one.Jump
}

// throughToo puts a host before the way to a node, if that makes a way.
func (n *initRun) throughToo(name, over string) bool {
	if _, ok := n.have.Node(name); ok || slices.Contains(strings.Split(n.way(name), ","), over) {
		return false
	}
	if _, ok := n.inv.Node(over); !ok {
		return false
	}
	old := n.way(name)
	n.setWay(name, strings.TrimSuffix(over+","+old, ","))
	if circle, _ := inventory.Circle(n.inv.Nodes); circle != "" {
		n.setWay(name, old)
		return false
	}
	return true
}

func (n *initRun) setWay(name, way string) {
	for _, inv := range []*inventory.Inventory{&n.inv, n.p.nodes} {
		for i := range inv.Nodes {
			if inv.Nodes[i].Name == name {
				inv.Nodes[i].Jump = way
			}
		}
	}
}

// ask has nodes show their keys.
func (n *initRun) ask(ctx context.Context, names []string) {
	p := n.p
	shown, errs := many(ctx, p, names, n.opt.many, func(ctx context.Context, name string, tell ui.Teller) (remote.Shown, error) {
		tell.Say("asking for its key")
		t, o, err := p.way(name, n.opt.ssh)
		if err != nil {
			return remote.Shown{}, err
		}
		if prompt := (ui.Prompt{IO: n.prompt(ctx).IO, Progress: tell, Context: ctx}); prompt.Possible() {
			o.Prompter = prompt // of hosts on the way
		}
		s, err := remote.HostKey(ctx, t, o)
		if err != nil {
			return s, hinted(err, name, n.opt.ssh)
		}
		if s.Problem != nil && !s.New() {
			return s, hinted(s.Problem, name, n.opt.ssh)
		}
		return s, nil
	}, func(s remote.Shown) string {
		if s.New() {
			return "shows a key that is not known yet"
		}
		return "shows the key that is known"
	})
	for i, name := range names {
		if errs[i] != nil {
			n.failed[name] = errs[i]
			continue
		}
		n.shown[name] = shown[i]
	}
}

// pin shows the keys that are not known yet, and pins them if somebody finds them right.
func (n *initRun) pin(ctx context.Context, names []string) error {
	rows := [][]string{{"node", "key", "fingerprint", "the leader knows it"}}
	var fresh []remote.Shown
	var whose []string
	for _, name := range names {
		s, ok := n.shown[name]
		if !ok || !s.New() {
			continue
		}
		vouched, other := n.vouched(name, s)
		if other != "" {
			n.failed[name] = withHint(fmt.Errorf("%s shows %s %s here, and %s knows it by %s: not pinned; it was set up anew, or another machine has its address here, or somebody is in between",
				name, s.Key.Type(), s.Fingerprint(), n.knownTo(name), other), "compare it on the node: ssh-keygen -lf "+s.KeyFile()+"\nif it shows what is seen here: `picket audit "+name+"` asks and pins it")
			continue
		}
		rows = append(rows, []string{name, s.Key.Type(), s.Fingerprint(), vouched})
		fresh, whose = append(fresh, s), append(whose, name)
	}
	if len(fresh) == 0 {
		return nil
	}
	fmt.Fprintf(n.out, "\nHost keys that are not known yet:\n")
	n.table(rows)
	yes := n.opt.newKeys
	if prompt := n.prompt(ctx); !yes && prompt.Possible() {
		fmt.Fprintf(n.out, "On a node itself, this shows the same: ssh-keygen -lf %s\n", fresh[0].KeyFile())
		var err error
		if yes, err = prompt.Confirm(fmt.Sprintf("\nPin %s?", count(len(fresh), "this key", "these %d keys"))); err != nil {
			return unanswered(err)
		}
	}
	if !yes {
		for i, name := range whose {
			n.failed[name] = withHint(fmt.Errorf("%s: its key is not pinned: %s %s", name, fresh[i].Key.Type(), fresh[i].Fingerprint()), "`picket audit "+name+"` shows it again and asks; or `picket init --accept-new-host-keys`")
		}
		return nil
	}
	if err := remote.Pin(fresh); err != nil {
		return err
	}
	for _, name := range whose {
		s := n.shown[name]
		s.Problem = nil
		n.shown[name] = s
	}
	fmt.Fprintf(n.p.io.Err, "pinned: %s\n", strings.Join(whose, ", "))
	return nil
}

func count(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(more, n)
}

// vouched says whether the host whose files name a node knows the key that the node shows; other is a key of the same type that it knows in its place.
func (n *initRun) vouched(name string, s remote.Shown) (yes, other string) {
	over := n.knownTo(name)
	if over == "" {
		return "", ""
	}
	one, _ := n.inv.Node(name)
	key := s.Key.Type() + " " + s.Fingerprint()
	for _, l := range n.over {
		if l.name != over {
			continue
		}
		for _, line := range pinned.Lines(l.known) {
			if line.Marker != "" || line.Key.Type != s.Key.Type() || !line.Holds(pinned.Name(one.Name, one.Port)) && !line.Holds(pinned.Name(one.Host(), one.Port)) {
				continue
			}
			if line.Key.Type+" "+line.Key.Fingerprint() == key {
				return "yes", ""
			}
			other = line.Key.Fingerprint()
		}
	}
	return "", other
}

// A being is which machine a node is.
type being struct{ machine, boot string }

var (
	machineLine = regexp.MustCompile(`(?m)^([0-9a-f]{32})\r?$`)
	bootLine    = regexp.MustCompile(`(?m)^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\r?$`)
)

// logins tries a login on each node, with what needs nobody to type.
func (n *initRun) logins(ctx context.Context) map[string]being {
	p := n.p
	var names []string
	for _, one := range n.inv.Nodes {
		if n.failed[one.Name] == nil {
			names = append(names, one.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	who, errs := many(ctx, p, names, n.opt.many, func(ctx context.Context, name string, tell ui.Teller) (being, error) {
		tell.Say("logging in")
		t, o, err := p.way(name, n.opt.ssh)
		if err != nil {
			return being{}, err
		}
		c, err := remote.Dial(ctx, t, o)
		var refused *remote.AuthError
		if errors.As(err, &refused) {
			return being{}, withHint(fmt.Errorf("%s: no key lets %s in there%s", name, refused.Target.User, triedKeys(refused)), refused.Hint())
		}
		if err != nil {
			return being{}, hinted(err, name, n.opt.ssh)
		}
		defer c.Close()
		var out bytes.Buffer
		if _, err := c.Exec(ctx, "cat /etc/machine-id /proc/sys/kernel/random/boot_id", nil, &out, io.Discard); err != nil {
			return being{}, nil // it lets us in; which it is nobody knows
		}
		var b being
		if m := machineLine.FindSubmatch(out.Bytes()); m != nil {
			b.machine = string(m[1])
		}
		if m := bootLine.FindSubmatch(out.Bytes()); m != nil {
			b.boot = string(m[1])
		}
		return b, nil
	}, func(being) string { return "lets us in" })
	all := map[string]being{}
	for i, name := range names {
		if errs[i] != nil {
			n.failed[name] = errs[i]
			continue
		}
		all[name] = who[i]
	}
	return all
}

// triedKeys says what was tried where nobody was asked for a password.
func triedKeys(e *remote.AuthError) string {
	if len(e.Tried) == 0 {
		return ""
	}
	return "; tried " + strings.Join(e.Tried, ", ")
}

// sameMachines finds nodes that are one machine, of which the first is kept, and machines that are copies of one another.
func (n *initRun) sameMachines(who map[string]being) {
	shows := func(name string) string {
		if s := n.shown[name]; s.Key != nil {
			return s.Fingerprint()
		}
		return ""
	}
	drop := map[string]bool{}
	for i, one := range n.inv.Nodes {
		_, written := n.have.Node(one.Name)
		needed := written || slices.ContainsFunc(n.inv.Nodes, func(o inventory.Node) bool { return slices.Contains(n.via(o), one.Name) })
		what, same := "", false
		for _, first := range n.inv.Nodes[:i] {
			text, both := like(who[first.Name], who[one.Name], shows(one.Name) != "" && shows(first.Name) == shows(one.Name))
			if text != "" && !drop[first.Name] && (what == "" || both && !same) {
				what, same = fmt.Sprintf("%s and %s %s", first.Name, one.Name, text), both
			}
		}
		if same && !needed {
			drop[one.Name] = true
			what += "; " + one.Name + " is left out"
		}
		if what != "" {
			n.hints = append(n.hints, what)
		}
	}
	if len(drop) > 0 {
		n.inv = inventory.New(slices.DeleteFunc(slices.Clone(n.inv.Nodes), func(o inventory.Node) bool { return drop[o.Name] }), n.inv.Groups)
	}
}

// like says what two nodes have in common that no two machines should; same is that they are one and its SSH server too. Containers start with
// the machine that they run on, and have ids and keys of their own.
func like(a, b being, key bool) (what string, same bool) {
	boot, machine := a.boot != "" && a.boot == b.boot, a.machine != "" && a.machine == b.machine
	switch {
	case boot && machine && key:
		return "are one machine under two names", true
	case boot && machine:
		return "are two SSH servers on one machine", false
	case key && a.boot != "" && b.boot != "":
		return "are two machines with one host key, as copies of one card have: whoever has the one can pose as the other", false
	case machine:
		return "are two machines with one machine-id, as copies of one card have", false
	case key:
		return "show the same host key: they are one machine under two names, or copies of one card", false
	}
	return "", false
}
