package fact

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of what is read of one ruleset. A set of a ban list can be long; a
// set cut off is opaque.
const (
	maxSetElements = 4096
	maxRules       = 20_000
)

// parseNFT reads the JSON of `nft -j list ruleset`.
func parseNFT(data []byte, at Place) ([]FirewallChain, error) {
	var doc struct {
		Items []struct {
			Table *struct {
				Family, Name string
				Flags        any
			} `json:"table"`
			Chain *struct {
				Family, Table, Name, Type, Hook, Policy string
				Prio                                    int
			} `json:"chain"`
			Rule *struct {
				Family, Table, Chain string
				Expr                 []map[string]any `json:"expr"`
			} `json:"rule"`
			Set *struct {
				Family, Table, Name string
				Elem                []any `json:"elem"`
			} `json:"set"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("not the expected JSON: %w", err)
	}
	r := nftReader{at: at, sets: map[string][]string{}}
	for _, it := range doc.Items {
		if s := it.Set; s != nil {
			if values, ok := nftValues(s.Elem); ok {
				r.sets[s.Family+" "+s.Table+" @"+s.Name] = values
			}
		}
	}
	asleep, flagged := map[string]bool{}, map[string]bool{} // tables that the kernel keeps and does not ask, and that it may not
	for _, it := range doc.Items {
		if t := it.Table; t != nil && t.Flags != nil {
			flags, _ := nftValues([]any{t.Flags})
			for _, f := range flags {
				key := t.Family + " " + t.Name
				// For any flag nft 1.0.6 writes the name of the table: tried with dormant and with owner.
				asleep[key] = asleep[key] || f == "dormant"
				flagged[key] = flagged[key] || f != "owner" && f != "persist"
			}
		}
	}
	var chains []FirewallChain
	index := map[string]int{}
	rules := 0
	for _, it := range doc.Items {
		if c := it.Chain; c != nil && !asleep[c.Family+" "+c.Table] {
			index[c.Family+" "+c.Table+" "+c.Name] = len(chains)
			chains = append(chains, FirewallChain{
				Family: c.Family, Table: c.Table, Name: c.Name, Type: c.Type, Hook: c.Hook,
				Priority: c.Prio, Policy: c.Policy, Place: at, MaySleep: flagged[c.Family+" "+c.Table],
			})
		}
	}
	for _, it := range doc.Items {
		if it.Rule == nil {
			continue
		}
		i, ok := index[it.Rule.Family+" "+it.Rule.Table+" "+it.Rule.Chain]
		if !ok {
			continue
		}
		made := r.rule(it.Rule.Family+" "+it.Rule.Table+" ", it.Rule.Expr)
		if rules += len(made); rules > maxRules {
			return nil, fmt.Errorf("more than %d rules", maxRules)
		}
		chains[i].Rules = append(chains[i].Rules, made...)
	}
	return chains, nil
}

type nftReader struct {
	at   Place
	sets map[string][]string // "family table @name"
}

// rule makes one rule, or one for each element of a verdict map.
func (r nftReader) rule(scope string, expr []map[string]any) []FirewallRule {
	var base FirewallRule
	base.Place = r.at
	var out []FirewallRule
	for _, e := range expr {
		for word, arg := range e {
			switch word {
			case "match":
				base.Matches = append(base.Matches, r.match(scope, arg)...)
			case "accept", "drop", "return", "reject":
				base.Verdict = word
			case "jump", "goto":
				base.Verdict = word
				base.Target, _ = dig(arg, "target").(string)
			case "dnat", "redirect", "snat", "masquerade", "queue":
				base.Verdict = word
				base.Target = nftText(dig(arg, "addr"))
				if port := nftText(dig(arg, "port")); port != "" {
					base.Target += ":" + port
				}
			case "notrack":
				base.NoTrack = true
			case "counter", "log", "mangle", "comment", "ct helper", "flow":
			case "limit":
				base.Matches = append(base.Matches, FirewallMatch{Key: "limit", Values: []string{
					nftText(dig(arg, "rate")) + "/" + nftText(dig(arg, "per"))}})
			case "ct count", "meter", "quota":
				base.Matches = append(base.Matches, FirewallMatch{Key: "limit", Values: []string{word}})
			case "set":
				if text := nftText(dig(arg, "elem")) + nftText(dig(arg, "stmt")); strings.Contains(text, "limit") || strings.Contains(text, "ct count") || strings.Contains(text, "quota") {
					base.Matches = append(base.Matches, FirewallMatch{Key: "limit", Values: []string{"per address"}})
				}
			case "xt":
				r.xt(&base, arg)
			case "vmap":
				out = append(out, r.vmap(scope, base, arg)...)
			default:
				base.Matches = append(base.Matches, FirewallMatch{Key: "opaque", Values: []string{word}})
			}
		}
	}
	if base.Verdict != "" || len(out) == 0 {
		out = append(out, base)
	}
	for i := range out {
		out[i].Text = out[i].String()
	}
	return out
}

// xt is an extension of iptables, of which nft tells no more than the name.
func (r nftReader) xt(rule *FirewallRule, arg any) {
	name, _ := dig(arg, "name").(string)
	switch kind, _ := dig(arg, "type").(string); {
	case kind == "target" && (name == "LOG" || name == "NFLOG" || name == "MARK" || name == "CT" || name == "TCPMSS"):
	case kind == "target" && name == "REJECT":
		rule.Verdict = "reject"
	case kind == "target":
		rule.Verdict, rule.Target = "other", name
	case name == "comment":
	case name == "icmp" || name == "icmp6":
	default:
		rule.Matches = append(rule.Matches, FirewallMatch{Key: "opaque", Values: []string{name}})
	}
}

// match reads {"op": "==", "left": …, "right": …}.
func (r nftReader) match(scope string, arg any) []FirewallMatch {
	op, _ := dig(arg, "op").(string)
	left, right := dig(arg, "left"), dig(arg, "right")
	key, proto := nftKey(left)
	m := FirewallMatch{Key: key, Not: op == "!="}
	var values []string
	ok := true
	if name, isName := right.(string); isName && strings.HasPrefix(name, "@") {
		values, ok = r.sets[scope+name]
	} else {
		values, ok = nftValues([]any{right})
	}
	if !ok || op != "==" && op != "!=" && op != "in" {
		m = FirewallMatch{Key: "opaque", Values: []string{nftText(left)}}
	} else {
		m.Values = values
	}
	if m.Key == "opaque" && len(m.Values) == 0 {
		m.Values = []string{nftText(left)}
	}
	var out []FirewallMatch
	if proto != "" {
		out = append(out, FirewallMatch{Key: "proto", Values: []string{proto}})
	}
	// A condition on a header holds for no packet without that header, also
	// when it is negated.
	if header, _ := dig(dig(left, "payload"), "protocol").(string); header == "ip" || header == "ip6" {
		out = append(out, FirewallMatch{Key: "family", Values: []string{header}})
	}
	return append(out, m)
}

// nftKey names the left side of a comparison; proto is set when it implies one.
func nftKey(left any) (key, proto string) {
	if p := dig(left, "payload"); p != nil {
		protocol, _ := dig(p, "protocol").(string)
		field, _ := dig(p, "field").(string)
		switch {
		case field == "sport" || field == "dport":
			if protocol == "th" {
				return field, ""
			}
			return field, protocol
		case (protocol == "ip" || protocol == "ip6") && (field == "saddr" || field == "daddr"):
			return field, ""
		case protocol == "ip" && field == "protocol" || protocol == "ip6" && field == "nexthdr":
			return "proto", ""
		case protocol == "icmp" && field == "type":
			return "icmp-type", "icmp"
		case protocol == "icmpv6" && field == "type":
			return "icmp-type", "ipv6-icmp"
		}
		return "opaque", ""
	}
	if m := dig(left, "meta"); m != nil {
		k, _ := dig(m, "key").(string)
		if word, ok := nftMeta[k]; ok {
			return word, ""
		}
		return "opaque", ""
	}
	if ct := dig(left, "ct"); ct != nil {
		switch k, _ := dig(ct, "key").(string); k {
		case "state":
			return "state", ""
		case "status":
			return "ct-status", ""
		}
		return "opaque", ""
	}
	if fib := dig(left, "fib"); fib != nil {
		if k, _ := dig(fib, "result").(string); k == "type" && nftText(dig(fib, "flags")) == "daddr" {
			return "dst-type", ""
		}
	}
	return "opaque", ""
}

var nftMeta = map[string]string{
	"iif": "iif", "iifname": "iif", "oif": "oif", "oifname": "oif",
	"l4proto": "proto", "nfproto": "family", "protocol": "family", "pkttype": "pkttype",
}

// vmap makes a rule of every pair of a verdict map.
func (r nftReader) vmap(scope string, base FirewallRule, arg any) []FirewallRule {
	pairs, ok := dig(dig(arg, "data"), "set").([]any)
	key := dig(arg, "key")
	if !ok || len(pairs) > maxSetElements {
		base.Verdict, base.Target = "other", "verdict map"
		return []FirewallRule{base}
	}
	var out []FirewallRule
	for _, p := range pairs {
		pair, ok := p.([]any)
		one := base
		if !ok || len(pair) != 2 {
			one.Verdict, one.Target = "other", "verdict map"
			out = append(out, one)
			continue
		}
		one.Matches = append(slices.Clone(base.Matches),
			r.match(scope, map[string]any{"op": "==", "left": key, "right": pair[0]})...)
		if verdict, ok := pair[1].(map[string]any); ok {
			for word, arg := range verdict {
				one.Verdict = word
				one.Target, _ = dig(arg, "target").(string)
			}
		}
		out = append(out, one)
	}
	return out
}

// nftValues flattens values, sets, ranges and prefixes into words.
func nftValues(vs []any) (out []string, ok bool) {
	for _, v := range vs {
		if len(out) > maxSetElements {
			return nil, false
		}
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case float64:
			out = append(out, strconv.FormatFloat(v, 'f', -1, 64))
		case []any:
			more, ok := nftValues(v)
			if !ok {
				return nil, false
			}
			out = append(out, more...)
		case map[string]any:
			switch {
			case v["set"] != nil:
				list, isList := v["set"].([]any)
				if !isList {
					list = []any{v["set"]}
				}
				more, ok := nftValues(list)
				if !ok {
					return nil, false
				}
				out = append(out, more...)
			case v["elem"] != nil:
				more, ok := nftValues([]any{dig(v["elem"], "val")})
				if !ok {
					return nil, false
				}
				out = append(out, more...)
			case v["prefix"] != nil:
				out = append(out, nftText(dig(v["prefix"], "addr"))+"/"+nftText(dig(v["prefix"], "len")))
			case v["range"] != nil:
				ends, ok := nftValues([]any{v["range"]})
				if !ok || len(ends) != 2 {
					return nil, false
				}
				out = append(out, ends[0]+"-"+ends[1])
			default:
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return out, true
}

// dig returns a key of a JSON object, or nil.
func dig(v any, key string) any {
	m, _ := v.(map[string]any)
	return m[key]
}

// nftText is a JSON value as short text.
func nftText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var parts []string
		for _, p := range v {
			parts = append(parts, nftText(p))
		}
		return strings.Join(parts, ",")
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		var parts []string
		for _, k := range keys {
			parts = append(parts, strings.TrimSpace(k+" "+nftText(v[k])))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// String is the rule in short words, for evidence.
func (r FirewallRule) String() string {
	var parts []string
	for _, m := range r.Matches {
		word := m.Key
		if m.Not {
			word += " !="
		}
		values := m.Values
		more := ""
		if len(values) > 6 {
			more = fmt.Sprintf(" and %d more", len(values)-6)
			values = values[:6]
		}
		parts = append(parts, strings.TrimSpace(word+" "+strings.Join(values, ","))+more)
	}
	if r.Verdict != "" {
		parts = append(parts, strings.TrimSpace(r.Verdict+" "+r.Target))
	}
	return strings.Join(parts, " ")
}
