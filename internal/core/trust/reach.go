package trust

import (
	"cmp"
	"slices"
)

// close fills in what falls with each host.
func (m *Map) close() {
	by := map[string][]Edge{}
	for _, e := range m.Edges {
		if e.Only == "" { // who may run one command does not become anybody
			by[e.From] = append(by[e.From], e)
		}
	}
	of := map[string][]Account{}
	at := map[string]Account{}
	for _, a := range m.Accounts {
		of[a.Host] = append(of[a.Host], a)
		at[a.ID] = a
	}
	r := reach{by, of, at}
	m.Anybody = append(m.Anybody, m.fallen("", of, r.from([]string{Anybody}, false))...)
	for i := range m.Nodes {
		n := &m.Nodes[i]
		start := []string{Anybody}
		for _, a := range of[n.Name] {
			start = append(start, a.ID)
		}
		n.Takes = m.fallen(n.Name, of, r.from(start, false))
		n.Later = []Fallen{}
		for _, f := range m.fallen(n.Name, of, r.from(start, true)) {
			if j := slices.IndexFunc(n.Takes, func(g Fallen) bool { return g.Host == f.Host }); j < 0 || f.Root && !n.Takes[j].Root {
				n.Later = append(n.Later, f)
			}
		}
	}
}

// reach follows edges.
type reach struct {
	by map[string][]Edge    // from whom
	of map[string][]Account // of a host
	at map[string]Account   // by id
}

// from is all that whoever is one of these becomes. Who is patient waits until a person types what is needed.
func (r reach) from(start []string, patient bool) map[string]bool {
	been := map[string]bool{}
	var next []string
	come := func(who string) {
		if !been[who] {
			been[who] = true
			next = append(next, who)
		}
	}
	for _, s := range start {
		come(s)
	}
	for len(next) > 0 {
		who := next[0]
		next = next[1:]
		for _, e := range r.by[who] {
			if e.Needs == "" || patient {
				come(e.To)
			}
		}
		if a := r.at[who]; a.Root {
			for _, other := range r.of[a.Host] {
				come(other.ID)
			}
		}
	}
	return been
}

// fallen puts accounts together by their hosts, in the order of the map, but for one host.
func (m *Map) fallen(but string, of map[string][]Account, been map[string]bool) []Fallen {
	out := []Fallen{}
	for _, n := range m.Nodes {
		if n.Name == but {
			continue
		}
		f := Fallen{Host: n.Name}
		for _, a := range of[n.Name] {
			if been[a.ID] {
				f.Root = f.Root || a.Root
				f.Accounts = append(f.Accounts, a.Name)
			}
		}
		if len(f.Accounts) > 0 {
			slices.SortFunc(f.Accounts, cmp.Compare[string])
			out = append(out, f)
		}
	}
	return out
}
