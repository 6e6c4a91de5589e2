package ruleset

import "slices"

// A Packet opens a new connection to an address of the host itself.
type Packet struct {
	Family   string // ip or ip6
	Loopback bool   // from the host itself; otherwise by a network card
	Proto    string // tcp or udp
	Port     int    // 0: one that no rule names
	// From is the sender's port. Where none is said, the answer is that of the
	// port which is let in most easily: a sender may choose it.
	From int
	// Anybody is whether the sender may be chosen: the answer is then that of
	// the luckiest address. Otherwise it is a stranger, whom no rule names.
	Anybody bool
	// Card is the network card that it comes in by. Where none is said, the
	// answer is that of the card which lets it in most easily.
	Card string
}

// An Answer is what the rules do with a packet. Both are set when that
// hangs on something Picket does not read.
type Answer struct {
	Accept, Drop bool
	Rule         Rule // one that accepts, if it was a rule and not a policy
	Doubt        Rule // the first rule that could not be judged, where both are set
	Cut          bool // there was too much to follow: both are set, and nothing is known
}

// Ask follows a packet through the chains. It is an approximation: what it
// cannot read it takes both ways, and never the good one alone.
func (f Filter) Ask(p Packet) Answer {
	e := f.ready()
	if a, ok := e.answers[p]; ok {
		return a
	}
	ports := []int{p.From}
	if p.From == 0 {
		ports = e.ports
	}
	var most Answer
	for i, port := range ports {
		q := p
		q.From = port
		if a := f.byAnyCard(q, e); i == 0 || a.opens() > most.opens() {
			most = a
		}
	}
	e.answers[p] = most
	return most
}

// byAnyCard is Ask for one port of the sender.
func (f Filter) byAnyCard(p Packet, e *compiled) Answer {
	if p.Loopback || p.Card != "" {
		return f.ask(p, e)
	}
	var most Answer
	for i, card := range e.cards {
		p.Card = card
		if a := f.ask(p, e); i == 0 || a.opens() > most.opens() {
			most = a
		}
	}
	if p.Card = anyCard; f.CardsWhy != "" {
		if a := f.ask(p, e); a.opens() > most.opens() { // if there is such a card
			most = Answer{Accept: true, Drop: true, Doubt: f.aboutCards(), Cut: a.Cut}
		}
	}
	return most
}

// opens is how surely a packet comes in.
func (a Answer) opens() int {
	switch {
	case a.Accept && !a.Drop:
		return 2
	case a.Accept:
		return 1
	}
	return 0
}

// ask follows a packet of which all is said.
func (f Filter) ask(p Packet, e *compiled) Answer {
	if e.left <= 0 {
		return notFollowed
	}
	a := Answer{Accept: true}
	w := &walk{made: e, asked: p}
	w.untracked = w.mayBeUntracked()
	for _, c := range e.chains {
		if c.Type != "filter" || c.Hook != "input" && c.Hook != "prerouting" || !Holds(c.Family, p.Family) {
			continue
		}
		w.prerouting = c.Hook == "prerouting"
		out := w.chain(c, 0)
		if out.falls {
			if c.Policy == "drop" || c.Policy == "reject" {
				out.drops = true
			} else {
				out.accepts = true
			}
		}
		if why := c.mayNotBeAsked(); why != "" && out.drops {
			out.accepts = true
			w.doubt = Rule{Verdict: "other", Text: why}
		}
		a.Accept = a.Accept && out.accepts
		a.Drop = a.Drop || out.drops
	}
	if a.Rule = w.accepted; !a.Accept {
		a.Rule = Rule{}
	}
	a.Doubt = w.doubt
	if e.left <= 0 {
		return notFollowed
	}
	return a
}

// notFollowed is the answer when there was too much to follow.
var notFollowed = Answer{Accept: true, Drop: true, Cut: true, Doubt: Rule{Verdict: "other", Text: tooMuch}}

// mayBeUntracked finds a rule that takes the packet out of the tracking of
// connections; whether its chain is asked at all is not looked at.
func (w *walk) mayBeUntracked() bool {
	return slices.ContainsFunc(w.made.noTrack, func(n noTrackRule) bool {
		return Holds(n.family, w.asked.Family) && w.made.spend(1+len(n.rule.Matches)) && w.matches(*n.rule) != no
	})
}
