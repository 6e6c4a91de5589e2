package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// parseNFTConf reads a script of nft, such as /etc/nftables.conf, as far as
// people write them: tables with chains, sets, defines and includes. What it
// does not know becomes an opaque condition; commands (add rule …) make the
// whole unknown.
func parseNFTConf(s *snap.Snapshot, file string) Ruleset {
	p := &confReader{s: s, sets: map[string][]string{}, vars: map[string][]string{}}
	p.rules = Ruleset{State: Known, Place: Place{Path: file}}
	p.file(file, 0)
	return p.rules
}

type confReader struct {
	s      *snap.Snapshot
	rules  Ruleset
	sets   map[string][]string // "family table @name"
	vars   map[string][]string
	tokens []confToken
	at     int
	files  int
}

type confToken struct {
	text string
	at   Place
}

func (p *confReader) unknown(why string) {
	if p.rules.State == Known {
		p.rules.State, p.rules.Why = Unknown, why
	}
}

// includes are the patterns that a later round has to read.
func (r Ruleset) includes() []string {
	var out []string
	for _, c := range r.Chains {
		if c.Hook == "include" {
			out = append(out, c.Name)
		}
	}
	return out
}

func (p *confReader) file(name string, depth int) {
	e, st, why := p.s.File(name)
	if st != Known {
		p.rules.State, p.rules.Why = st, why
		return
	}
	if p.files++; p.files > 50 || depth > 8 {
		p.unknown(name + ": too many includes")
		return
	}
	outer, outerAt := p.tokens, p.at
	p.tokens, p.at = confTokens(e), 0
	for p.at < len(p.tokens) {
		p.top(depth)
	}
	p.tokens, p.at = outer, outerAt
}

// top reads one command outside of tables.
func (p *confReader) top(depth int) {
	t := p.next()
	switch t.text {
	case ";":
	case "flush", "destroy", "delete":
		p.remove(t, p.statement())
	case "define":
		w := p.statement()
		if i := slices.IndexFunc(w, func(t confToken) bool { return t.text == "=" }); i == 1 {
			p.vars["$"+w[0].text] = p.values(w[2:], "")
		}
	case "include":
		for _, w := range p.statement() {
			p.include(w.text, depth)
		}
	case "table":
		family, name := "ip", p.next().text
		switch name {
		case "ip", "ip6", "inet", "arp", "bridge", "netdev":
			family, name = name, p.next().text
		}
		for p.peek() == ";" {
			p.next()
		}
		if p.peek() != "{" {
			return // declares a table that is to be flushed
		}
		p.next()
		p.table(family, name)
	default:
		p.statement()
		p.unknown(t.at.String() + ": Picket does not read the command " + firstOf(t.text))
	}
}

func (p *confReader) include(pattern string, depth int) {
	if !path.IsAbs(pattern) {
		pattern = "/etc/" + pattern
	}
	if path.Clean(pattern) != pattern {
		p.unknown("an include of nftables.conf is not a clean path: " + firstOf(pattern))
		return
	}
	// The pattern is kept as a chain that no packet meets, for askFirewall.
	p.rules.Chains = append(p.rules.Chains, ruleset.Chain{Hook: "include", Name: pattern})
	es, st, why := p.s.Glob(pattern)
	if st == Unknown || st == Denied {
		p.unknown(why)
	}
	for _, e := range es {
		p.file(e.Path, depth+1)
	}
}

func (p *confReader) table(family, table string) {
	for p.at < len(p.tokens) {
		switch t := p.next(); t.text {
		case "}":
			return
		case ";":
		case "chain":
			name := p.next().text
			for p.peek() == ";" {
				p.next()
			}
			if p.peek() == "{" {
				p.next()
				p.chain(ruleset.Chain{Family: family, Table: table, Name: name, Place: t.at})
			}
		case "set", "map", "flowtable", "counter", "limit", "quota", "ct":
			name := p.next().text
			body := p.block()
			if i := slices.IndexFunc(body, func(t confToken) bool { return t.text == "elements" }); t.text == "set" && i >= 0 && i+2 < len(body) {
				p.sets[family+" "+table+" @"+name] = p.values(body[i+2:], "")
			}
		case "include":
			p.statement()
			p.unknown(t.at.String() + ": Picket does not read an include within a table")
		case "flags":
			if w := p.statement(); slices.ContainsFunc(w, func(t confToken) bool { return t.text == "dormant" }) {
				p.unknown(t.at.String() + ": the table is dormant")
			}
		default:
			p.statement()
		}
	}
}

// remove takes out what the script has made so far and no longer wants.
func (p *confReader) remove(t confToken, w []confToken) {
	var words []string
	for _, one := range w {
		words = append(words, one.text)
	}
	made := func(c ruleset.Chain) bool { return c.Hook != "include" }
	switch {
	case !slices.ContainsFunc(p.rules.Chains, made): // what the kernel had before is none of the script's
	case slices.Equal(words, []string{"ruleset"}):
		p.rules.Chains = slices.DeleteFunc(p.rules.Chains, made)
	case len(words) > 1 && words[0] == "table":
		family, name := "ip", words[1]
		if len(words) > 2 {
			family, name = words[1], words[2]
		}
		if t.text != "flush" {
			p.rules.Chains = slices.DeleteFunc(p.rules.Chains, func(c ruleset.Chain) bool { return c.Family == family && c.Table == name })
			return
		}
		for i, c := range p.rules.Chains {
			if c.Family == family && c.Table == name {
				p.rules.Chains[i].Rules = nil
			}
		}
	default:
		p.unknown(t.at.String() + ": Picket does not read what this " + t.text + " takes away")
	}
}

// block skips to the end of the next pair of braces and returns what is within.
func (p *confReader) block() []confToken {
	start, depth := p.at, 0
	for p.at < len(p.tokens) {
		switch p.next().text {
		case "{":
			depth++
		case "}":
			if depth--; depth <= 0 {
				return p.tokens[start:p.at]
			}
		}
	}
	return p.tokens[start:p.at]
}

func (p *confReader) chain(c ruleset.Chain) {
	rules, policy := 0, ""
	for p.at < len(p.tokens) {
		if p.peek() == "}" {
			p.next()
			break
		}
		w := p.statement()
		if len(w) == 0 {
			continue // an empty line
		}
		switch w[0].text {
		case "type":
			for i := 0; i+1 < len(w); i++ {
				switch w[i].text {
				case "type":
					c.Type = w[i+1].text
				case "hook":
					c.Hook = w[i+1].text
				}
			}
			if c.Policy == "" {
				c.Policy = "accept"
			}
		case "policy":
			if len(w) > 1 {
				c.Policy, policy = w[1].text, w[1].text
			}
		case "include":
			p.unknown(w[0].at.String() + ": Picket does not read an include within a chain")
		case "comment", "flags", "devices":
		default:
			if rules++; rules > ruleset.MaxRules {
				p.unknown("nftables.conf has too many rules")
				continue
			}
			c.Rules = append(c.Rules, p.rule(c.Family+" "+c.Table+" ", w)...)
		}
	}
	// A chain may be written in several pieces, as one in each file of a folder.
	for i, old := range p.rules.Chains {
		if old.Hook != "include" && old.Family == c.Family && old.Table == c.Table && old.Name == c.Name {
			if c.Hook != "" {
				old.Type, old.Hook = c.Type, c.Hook
			}
			if policy != "" || old.Policy == "" {
				old.Policy = c.Policy
			}
			old.Rules = append(old.Rules, c.Rules...)
			p.rules.Chains[i] = old
			return
		}
	}
	p.rules.Chains = append(p.rules.Chains, c)
}

// statement takes tokens up to a line's end outside of braces.
func (p *confReader) statement() []confToken {
	start, depth := p.at, 0
	for p.at < len(p.tokens) {
		switch p.tokens[p.at].text {
		case "{":
			depth++
		case "}":
			if depth == 0 {
				return p.tokens[start:p.at]
			}
			depth--
		case ";":
			if depth == 0 {
				p.at++
				return p.tokens[start : p.at-1]
			}
		}
		p.at++
	}
	return p.tokens[start:p.at]
}

func (p *confReader) next() confToken {
	if p.at >= len(p.tokens) {
		return confToken{}
	}
	p.at++
	return p.tokens[p.at-1]
}

func (p *confReader) peek() string {
	if p.at >= len(p.tokens) {
		return ""
	}
	return p.tokens[p.at].text
}

// confTokens splits a script; a line's end is a semicolon, unless a backslash
// stands before it.
func confTokens(e *snap.Entry) []confToken {
	var out []confToken
	for _, l := range lines(e) {
		text, more := strings.CutSuffix(l.text, "\\")
		var b strings.Builder
		end := func() {
			if b.Len() > 0 {
				out = append(out, confToken{b.String(), l.at})
				b.Reset()
			}
		}
		quoted := false
	line:
		for _, c := range text {
			switch {
			case quoted:
				if c == '"' {
					quoted = false
					out = append(out, confToken{b.String(), l.at})
					b.Reset()
				} else {
					b.WriteRune(c)
				}
			case c == '"':
				end()
				quoted = true
			case c == '#':
				break line
			case c == ' ' || c == '\t':
				end()
			case strings.ContainsRune("{};,=", c):
				if c == '=' && (b.String() == "!" || b.String() == "=") {
					b.WriteRune(c)
					end()
					continue
				}
				end()
				out = append(out, confToken{string(c), l.at})
			default:
				b.WriteRune(c)
			}
		}
		end()
		if !more {
			out = append(out, confToken{";", l.at})
		}
	}
	return out
}
