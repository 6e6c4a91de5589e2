package ruleset

// walk follows packets through chains. Of a packet on its way (packet) all is
// said; of those of a question (asked) not.
type walk struct {
	made *compiled

	// The packet on its way, and what has become of it.
	packet     *packet
	early      bool // conntrack has not seen it
	dropped    bool
	hit        Rule // the last that decided, and its chain
	hitIn      Chain
	rule       Rule // that decided in the last base chain
	where      Chain
	unsure     bool // it may be dropped, and may not
	unread     bool // and that hangs on more than a limit
	lost       bool // where it leads is not known
	doubt      Rule // the first that could not be judged
	doubtWhere Chain
	nat        *rule // translation that a nat chain has chosen
	natSure    bool
	guessing   int // chains that perhaps are not asked

	// A question about many packets.
	asked      Packet
	prerouting bool
	untracked  bool // it may be that no connection is kept for the packet
	accepted   Rule
}

// outcome of a chain: what may have happened to the packet.
type outcome struct{ accepts, drops, falls bool }

const maxJumps = 16 // as deep as the kernel lets chains nest

func (w *walk) chain(c *chain, depth int) outcome {
	var out outcome
	for i := range c.rules {
		r := &c.rules[i]
		if depth > maxJumps || !w.made.spend(r.cost) {
			w.doubtful(Rule{Verdict: "other", Text: tooMuch}, c.Chain, true)
			return outcome{true, true, true}
		}
		match := no
		if w.packet != nil {
			if match = w.packet.all(r.conds); match != no {
				w.effects(r, match == yes)
			}
		} else {
			match = w.matches(*r.Rule)
		}
		if match == no || r.Verdict == "" {
			continue
		}
		sub := outcome{}
		switch r.Verdict {
		case "accept":
			sub.accepts = true
			if w.accepted.Verdict == "" && !w.prerouting {
				w.accepted = *r.Rule
			}
		case "drop", "reject":
			sub.drops = true
		case "return":
			sub.falls = true
		case "jump", "goto":
			if r.to == nil {
				sub = outcome{true, true, true}
				w.doubtful(*r.Rule, c.Chain, true)
				break
			}
			if match == maybe {
				w.guessing++
			}
			sub = w.chain(r.to, depth+1)
			if match == maybe {
				w.guessing--
			}
			if r.Verdict == "jump" && sub.falls {
				// The packet comes back and goes on with the next rule.
				sub.falls = false
				if !sub.accepts && !sub.drops {
					continue
				}
				if match = maybe; w.packet != nil {
					w.doubtAbout(r, c)
				}
			}
		case "dnat", "redirect", "snat", "masquerade":
			if w.packet == nil {
				sub = outcome{true, true, true}
				break
			}
			sub.accepts = true
			w.nat, w.natSure = r, w.natSure && match == yes && w.guessing == 0 && w.nat == nil
		default:
			sub = outcome{true, true, true}
			w.doubtful(*r.Rule, c.Chain, true)
		}
		if match == maybe && (r.Verdict != "jump" || w.packet != nil && (sub.accepts || sub.drops)) {
			w.doubtAbout(r, c)
		}
		if match == yes && (sub.accepts || sub.drops) && r.Verdict != "jump" && r.Verdict != "goto" {
			w.hit, w.hitIn = *r.Rule, c.Chain
		}
		out.accepts = out.accepts || sub.accepts
		out.drops = out.drops || sub.drops
		out.falls = out.falls || sub.falls
		if match == yes {
			return out
		}
	}
	out.falls = true
	return out
}

// doubtAbout notes a rule that may match or not.
func (w *walk) doubtAbout(r *rule, c *chain) {
	more := false
	if w.packet != nil {
		for i, k := range r.conds {
			if w.packet.holds(&k) == maybe && r.Matches[i].Key != "limit" {
				more = true
			}
		}
	}
	w.doubtful(*r.Rule, c.Chain, more)
}

// doubtful keeps the first rule that could not be judged; unread: not just for
// a limit.
func (w *walk) doubtful(r Rule, c Chain, unread bool) {
	w.unread = w.unread || unread
	if w.doubt.Verdict == "" && w.doubt.Text == "" {
		w.doubt, w.doubtWhere = r, c
	}
}

// effects are what a rule does to a packet besides its verdict.
func (w *walk) effects(r *rule, certain bool) {
	certain = certain && w.guessing == 0
	for _, m := range r.Marks {
		if w.packet.blind && (m.Conn || m.From == "conn") {
			continue
		}
		m.apply(&w.packet.mark, &w.packet.connection.mark, certain)
	}
	if r.NoTrack && w.early {
		if !certain {
			w.lost = true
			w.doubtful(*r.Rule, w.where, true)
			return
		}
		w.packet.untracked = true
		w.packet.state = stateUntracked
	}
}

// mayNotBeAsked is why it is not known whether the kernel asks a chain; "" when
// it is.
func (c Chain) mayNotBeAsked() string {
	switch {
	case c.MaySleep:
		return "whether the table " + c.Family + " " + c.Table + " is dormant, which nft does not say"
	case (c.Family == "netdev" || c.Hook == "ingress") && len(c.Devices) == 0: // nft 1.0.6
		return "by which card packets pass through the chain " + c.String() + ", which nft does not say"
	}
	return ""
}

const tooMuch = "there are more rules and addresses in them than Picket follows"
