package cli

import (
	"slices"
	"strings"

	"picket/internal/core/inventory"
	"picket/internal/host/remote"
)

// cluster is the inventory of picket.yaml, which is read once.
func (p *program) cluster() (inventory.Inventory, error) {
	if p.nodes == nil {
		s, err := p.settings()
		if err != nil {
			return inventory.Inventory{}, err
		}
		inv := s.Inventory()
		p.nodes = &inv
	}
	return *p.nodes, nil
}

// isPlain is whether a target can be the name of a node: it is no other kind of target, by its looks.
func isPlain(target string) bool {
	return target != "local" && !strings.Contains(target, "://") && !strings.HasPrefix(target, "image:")
}

// node is the node that a target names. Bad settings are checkTarget's to tell.
func (p *program) node(target string) (inventory.Node, bool) {
	if !isPlain(target) {
		return inventory.Node{}, false
	}
	inv, err := p.cluster()
	if err != nil {
		return inventory.Node{}, false
	}
	return inv.Node(target)
}

// isSSH reports whether a target is reached over SSH: ssh://…, or a node.
func (p *program) isSSH(target string) bool {
	_, node := p.node(target)
	return node || strings.HasPrefix(target, remote.Scheme)
}

// remoteTarget is who to be on which host, for a target that is reached over SSH.
func (p *program) remoteTarget(target string) (remote.Target, error) {
	if n, ok := p.node(target); ok {
		return at(n), nil
	}
	return remote.ParseTarget(target)
}

// at is where a node is, with the key that is tried first there.
func at(n inventory.Node) remote.Target {
	return remote.Target{User: n.User, Host: n.Host(), Port: n.Port, Identity: n.Identity}
}

// targets are what the words of a command line mean: local where there is none, groups, roles and "all" with each of their
// nodes, and every other word as it is. Each node comes once.
func (p *program) targets(words []string) (out []string, err error) {
	if len(words) == 0 {
		return []string{"local"}, nil
	}
	for _, w := range words {
		names, nodes := []string{w}, false
		if inv, err := p.cluster(); isPlain(w) && err != nil {
			return nil, err
		} else if isPlain(w) {
			some, err := inv.Select([]string{w})
			switch {
			case err == nil:
				names, nodes = nil, true
				for _, n := range some {
					names = append(names, n.Name)
				}
			case w == inventory.All:
				return nil, withHint(usage(err), "`picket init` looks for them")
			case len(inv.Nodes) > 0 && !looksLikeFile(w) && p.checkTarget(w) != nil:
				return nil, usage(err)
			}
		}
		for _, n := range names {
			if !nodes || !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// jump are the hosts through which a node is reached, nil where the settings of ssh are to say it. A hop may be a node itself.
func (p *program) jump(target string) (way []remote.Target, err error) {
	n, ok := p.node(target)
	if !ok || n.Jump == "" {
		return nil, nil
	}
	hops, err := inventory.Hops(n.Jump)
	if err != nil {
		return nil, err
	}
	for _, h := range hops {
		if h.User == "" && h.Port == 0 {
			if via, ok := p.node(h.Host); ok {
				before, err := p.jump(h.Host) // the settings have no circle
				if err != nil {
					return nil, err
				}
				way = append(append(way, before...), at(via))
				continue
			}
		}
		way = append(way, remote.Target{User: h.User, Host: h.Host, Port: h.Port})
	}
	return way, nil
}
