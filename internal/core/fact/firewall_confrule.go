package fact

import (
	"slices"
	"strings"

	"picket/internal/core/ruleset"
)

// Keys of nft's language by their words.
var confKeys = map[string]struct{ key, proto string }{
	"iif": {"iif", ""}, "iifname": {"iif", ""}, "oif": {"oif", ""}, "oifname": {"oif", ""},
	"meta iif": {"iif", ""}, "meta iifname": {"iif", ""}, "meta oif": {"oif", ""}, "meta oifname": {"oif", ""},
	"meta l4proto": {"proto", ""}, "meta nfproto": {"family", ""}, "meta protocol": {"family", ""},
	"pkttype": {"pkttype", ""}, "meta pkttype": {"pkttype", ""},
	"ip protocol": {"proto", ""}, "ip6 nexthdr": {"proto", ""},
	"ip saddr": {"saddr", ""}, "ip daddr": {"daddr", ""}, "ip6 saddr": {"saddr", ""}, "ip6 daddr": {"daddr", ""},
	"tcp dport": {"dport", "tcp"}, "tcp sport": {"sport", "tcp"}, "udp dport": {"dport", "udp"}, "udp sport": {"sport", "udp"},
	"th dport": {"dport", ""}, "th sport": {"sport", ""},
	"icmp type": {"icmp-type", "icmp"}, "icmpv6 type": {"icmp-type", "ipv6-icmp"},
	"ct state": {"state", ""}, "ct status": {"ct-status", ""},
}

// rule reads one rule of a script: conditions, then what to do.
func (p *confReader) rule(scope string, w []confToken) []ruleset.Rule {
	base := ruleset.Rule{Place: w[0].at, Text: confText(w)}
	var out []ruleset.Rule
	word := func(i int) string {
		if i < len(w) {
			return w[i].text
		}
		return ""
	}
	opaque := func(s string) {
		base.Matches = append(base.Matches, ruleset.Match{Key: "opaque", Values: []string{s}})
	}
	for i := 0; i < len(w); {
		switch t := word(i); t {
		case "accept", "drop", "return":
			base.Verdict = t
			i++
		case "reject":
			base.Verdict = t
			if word(i+1) == "with" {
				kind := word(i + 2)
				if kind == "tcp" {
					kind = "tcp reset"
				}
				base.Matches = append(base.Matches, ruleset.Rejected(kind)...)
			}
			i = len(w)
		case "jump", "goto":
			base.Verdict, base.Target = t, word(i+1)
			i += 2
		case "dnat", "redirect", "snat", "masquerade", "queue":
			base.Verdict, base.Target = t, confText(w[min(i+1, len(w)):])
			i = len(w)
		case "notrack":
			base.NoTrack = true
			i++
		case "counter":
			for i++; i+1 < len(w) && (word(i) == "packets" || word(i) == "bytes" || word(i) == "name"); i += 2 {
			}
		case "log":
			for i++; i+1 < len(w) && slices.Contains([]string{"prefix", "level", "group", "flags", "snaplen", "queue-threshold"}, word(i)); i += 2 {
			}
		case "comment":
			i += 2
		case "limit":
			rate := ""
			for i++; i < len(w) && slices.Contains([]string{"rate", "over", "burst"}, word(i)) || strings.Contains(word(i), "/") ||
				word(i) == "packets" || word(i) == "bytes" || word(i) != "" && strings.Trim(word(i), "0123456789") == ""; i++ {
				if strings.Contains(word(i), "/") {
					rate = word(i)
				}
			}
			base.Matches = append(base.Matches, ruleset.Match{Key: "limit", Values: []string{rate}})
		case "add", "update", "meter":
			// A set that counts: add @name { ip saddr limit rate 6/minute }
			end := i
			for end < len(w) && word(end) != "}" {
				end++
			}
			if strings.Contains(confText(w[i:end]), "limit") || strings.Contains(confText(w[i:end]), "ct count") {
				base.Matches = append(base.Matches, ruleset.Match{Key: "limit", Values: []string{"per address"}})
			}
			i = end + 1
		default:
			key, ok := confKeys[t]
			n := 1
			if !ok {
				key, ok = confKeys[t+" "+word(i+1)]
				n = 2
			}
			if t == "fib" && word(i+1) == "daddr" && word(i+2) == "type" {
				key.key, ok, n = "dst-type", true, 3
			}
			if !ok {
				opaque(t)
				i++
				continue
			}
			i += n
			if t == "ip" || t == "ip6" { // no packet of the other family has such a header
				base.Matches = append(base.Matches, ruleset.Match{Key: "family", Values: []string{t}})
			}
			if key.proto != "" {
				base.Matches = append(base.Matches, ruleset.Match{Key: "proto", Values: []string{key.proto}})
			}
			if word(i) == "vmap" {
				end := confEnd(w, i+1)
				out = append(out, p.vmap(scope, base, key.key, w[min(i+1, len(w)):end])...)
				i = end
				continue
			}
			m := ruleset.Match{Key: key.key}
			switch word(i) {
			case "!=":
				m.Not = true
				i++
			case "==":
				i++
			case "<", ">", "<=", ">=":
				opaque(t)
				i += 2
				continue
			}
			end := confEnd(w, i)
			m.Values = p.values(w[min(i, len(w)):end], scope)
			if m.Values == nil {
				m = ruleset.Match{Key: "opaque", Values: []string{t}}
			}
			base.Matches = append(base.Matches, m)
			i = end
		}
	}
	if base.Verdict != "" || len(out) == 0 {
		out = append(out, base)
	}
	return out
}

// confEnd is the end of the value that begins at i: a word, words joined by
// commas, or braces.
func confEnd(w []confToken, i int) int {
	if i < len(w) && w[i].text == "{" {
		for ; i < len(w); i++ {
			if w[i].text == "}" {
				return i + 1
			}
		}
		return len(w)
	}
	for i++; i+1 < len(w) && w[i].text == ","; i += 2 {
	}
	return min(i, len(w))
}

// values reads a word, a list or a set; nil when one of them is not known.
func (p *confReader) values(w []confToken, scope string) []string {
	out := []string{}
	for _, t := range w {
		switch {
		case t.text == "{" || t.text == "}" || t.text == "," || t.text == ";":
		case strings.HasPrefix(t.text, "$"):
			v, ok := p.vars[t.text]
			if !ok {
				return nil
			}
			out = append(out, v...)
		case strings.HasPrefix(t.text, "@"):
			v, ok := p.sets[scope+t.text]
			if !ok {
				return nil
			}
			out = append(out, v...)
		default:
			v := t.text
			if port, ok := ruleset.Services[v]; ok {
				v = port
			}
			out = append(out, v)
		}
		if len(out) > ruleset.MaxElements {
			return nil
		}
	}
	return out
}

// vmap makes a rule of every pair of { value : verdict, … }.
func (p *confReader) vmap(scope string, base ruleset.Rule, key string, w []confToken) []ruleset.Rule {
	if len(w) == 0 || w[0].text != "{" {
		base.Verdict, base.Target = "other", "verdict map"
		return []ruleset.Rule{base}
	}
	var out []ruleset.Rule
	var pair []confToken
	end := func() {
		// "22 : accept" and "22: accept" are both written.
		var left, right []confToken
		for i, t := range pair {
			if v, ok := strings.CutSuffix(t.text, ":"); ok {
				if left = pair[:i]; v != "" {
					left = append(slices.Clone(left), confToken{v, t.at})
				}
				right = pair[i+1:]
			}
		}
		if len(left) > 0 && len(right) > 0 {
			one := base
			m := ruleset.Match{Key: key, Values: p.values(left, scope)}
			if m.Values == nil {
				m = ruleset.Match{Key: "opaque", Values: []string{confText(left)}}
			}
			one.Matches = append(slices.Clone(base.Matches), m)
			one.Verdict = right[0].text
			if len(right) > 1 {
				one.Target = right[1].text
			}
			out = append(out, one)
		} else if slices.ContainsFunc(pair, func(t confToken) bool { return t.text != ";" }) {
			one := base // such as 22:accept
			one.Verdict, one.Target = "other", confText(pair)
			out = append(out, one)
		}
		pair = nil
	}
	for _, t := range w[1:] {
		if t.text == "," || t.text == "}" {
			end()
			continue
		}
		pair = append(pair, t)
	}
	end()
	return out
}

func confText(w []confToken) string {
	var parts []string
	for _, t := range w {
		parts = append(parts, t.text)
	}
	return strings.Join(parts, " ")
}
