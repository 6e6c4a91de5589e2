package ruleset

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Limits of what is read of one ruleset. A set of a ban list can be long; one
// that is longer is opaque.
const (
	MaxElements = 65_536
	MaxRules    = 20_000
)

// ParseNFT reads the JSON of `nft -j list ruleset`.
func ParseNFT(data []byte, at Place) ([]Chain, error) {
	var doc struct {
		Items []struct {
			Table *struct {
				Family, Name string
				Flags        any
			} `json:"table"`
			Chain *struct {
				Family, Table, Name, Type, Hook, Policy string
				Prio                                    int
				Dev                                     any
			} `json:"chain"`
			Rule *struct {
				Family, Table, Chain string
				Expr                 []map[string]any `json:"expr"`
			} `json:"rule"`
			Set *nftSet `json:"set"`
			Map *nftSet `json:"map"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("not the expected JSON: %w", err)
	}
	r := nftReader{at: at, sets: map[string][]any{}}
	for _, it := range doc.Items {
		for _, s := range []*nftSet{it.Set, it.Map} {
			if s != nil && len(s.Elem) <= MaxElements {
				r.sets[s.Family+" "+s.Table+" @"+s.Name] = s.Elem
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
	var chains []Chain
	index := map[string]int{}
	for _, it := range doc.Items {
		if c := it.Chain; c != nil && !asleep[c.Family+" "+c.Table] {
			index[c.Family+" "+c.Table+" "+c.Name] = len(chains)
			devices, _ := nftValues([]any{c.Dev})
			chains = append(chains, Chain{
				Family: c.Family, Table: c.Table, Name: c.Name, Type: c.Type, Hook: c.Hook, Devices: devices,
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
		if r.rules += len(made); r.rules > MaxRules {
			return nil, fmt.Errorf("more than %d rules", MaxRules)
		}
		chains[i].Rules = append(chains[i].Rules, made...)
	}
	return chains, nil
}

type nftSet struct {
	Family, Table, Name string
	Elem                []any `json:"elem"`
}

type nftReader struct {
	at    Place
	sets  map[string][]any // elements by "family table @name"
	rules int
}

// Statements that do nothing to whether a packet arrives.
var nftIdle = []string{"counter", "log", "comment", "ct helper", "ct timeout", "ct expectation", "flow", "last", "secmark"}

// rule makes one rule, or one for each element of a map.
func (r *nftReader) rule(scope string, expr []map[string]any) []Rule {
	base := Rule{Place: r.at}
	var out []Rule
	for _, e := range expr {
		for word, arg := range e {
			switch word {
			case "match":
				op, _ := dig(arg, "op").(string)
				base.Matches = append(base.Matches, r.conditions(scope, op, dig(arg, "left"), dig(arg, "right"))...)
			case "accept", "drop", "return", "masquerade":
				base.Verdict = word
			case "reject":
				base.Verdict = word
				kind, _ := dig(arg, "type").(string)
				base.Matches = append(base.Matches, Rejected(kind)...)
			case "snat":
				base.Verdict, base.Target = word, natTarget(nftText(dig(arg, "addr")), nftText(dig(arg, "port")))
			case "jump", "goto":
				base.Verdict = word
				base.Target, _ = dig(arg, "target").(string)
			case "dnat", "redirect":
				// In a table of both families it may be for one.
				if family, _ := dig(arg, "family").(string); family != "" {
					base.Matches = append(base.Matches, Match{Key: "family", Values: []string{family}})
				}
				if m := dig(dig(arg, "addr"), "map"); m != nil && word == "dnat" {
					out = append(out, r.mapped(scope, base, dig(m, "key"), dig(m, "data"), func(one *Rule, to any) {
						one.Verdict = "dnat"
						if pair, ok := dig(to, "concat").([]any); ok && len(pair) == 2 {
							one.Target = natTarget(nftText(pair[0]), nftText(pair[1]))
							return
						}
						one.Target = natTarget(nftText(to), nftText(dig(arg, "port")))
					})...)
					continue
				}
				if m := dig(dig(arg, "port"), "map"); m != nil {
					out = append(out, r.mapped(scope, base, dig(m, "key"), dig(m, "data"), func(one *Rule, to any) {
						one.Verdict, one.Target = word, natTarget(nftText(dig(arg, "addr")), nftText(to))
					})...)
					continue
				}
				base.Verdict, base.Target = word, natTarget(nftText(dig(arg, "addr")), nftText(dig(arg, "port")))
			case "notrack":
				base.NoTrack = true
			case "mangle":
				r.mangle(&base, arg)
			case "limit":
				base.Matches = append(base.Matches, Match{Key: "limit", Values: []string{
					nftText(dig(arg, "rate")) + "/" + nftText(dig(arg, "per"))}})
			case "ct count", "meter", "quota":
				base.Matches = append(base.Matches, Match{Key: "limit", Values: []string{word}})
			case "set":
				if text := nftText(dig(arg, "elem")) + nftText(dig(arg, "stmt")); strings.Contains(text, "limit") || strings.Contains(text, "ct count") || strings.Contains(text, "quota") {
					base.Matches = append(base.Matches, Match{Key: "limit", Values: []string{"per address"}})
				}
			case "xt":
				r.xt(&base, arg)
			case "vmap":
				out = append(out, r.mapped(scope, base, dig(arg, "key"), dig(arg, "data"), func(one *Rule, to any) {
					verdict, _ := to.(map[string]any)
					one.Verdict, one.Target = "other", "verdict map"
					for word, arg := range verdict {
						one.Verdict = word
						one.Target, _ = dig(arg, "target").(string)
					}
				})...)
			case "queue", "fwd", "dup", "tproxy", "synproxy":
				base.Verdict, base.Target = "other", word
			default:
				if !slices.Contains(nftIdle, word) {
					base.Matches = append(base.Matches, Match{Key: "opaque", Values: []string{word}})
				}
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

// Rejected are conditions that nft adds to a rule for the kind of its refusal,
// and does not show.
func Rejected(kind string) []Match {
	switch kind {
	case "icmp":
		return []Match{{Key: "family", Values: []string{"ip"}}}
	case "icmpv6":
		return []Match{{Key: "family", Values: []string{"ip6"}}}
	case "tcp reset":
		return []Match{{Key: "proto", Values: []string{"tcp"}}}
	}
	return nil
}

// natTarget is where dnat leads: 10.0.0.2:80, [fe80::1]:80, an address, or :80.
func natTarget(addr, port string) string {
	switch {
	case port == "":
		return addr
	case strings.Contains(addr, ":"):
		return "[" + addr + "]:" + port
	}
	return addr + ":" + port
}

// mangle is a change of the packet or of its connection.
func (r *nftReader) mangle(rule *Rule, arg any) {
	key, value := dig(arg, "key"), dig(arg, "value")
	if k, _ := dig(dig(key, "meta"), "key").(string); k == "mark" {
		rule.Marks = append(rule.Marks, nftMark(false, value))
	}
	if k, _ := dig(dig(key, "ct"), "key").(string); k == "mark" {
		rule.Marks = append(rule.Marks, nftMark(true, value))
	}
	if f, _ := dig(dig(key, "payload"), "field").(string); slices.Contains([]string{"saddr", "daddr", "sport", "dport", "protocol", "nexthdr"}, f) {
		rule.Verdict, rule.Target = "other", "sets "+f
	}
}

// xt is an extension of iptables, of which nft tells no more than the name.
func (r *nftReader) xt(rule *Rule, arg any) {
	name, _ := dig(arg, "name").(string)
	switch kind, _ := dig(arg, "type").(string); {
	case kind == "target" && (name == "LOG" || name == "NFLOG" || name == "TCPMSS"):
	case kind == "target" && (name == "MARK" || name == "CONNMARK"):
		rule.Marks = append(rule.Marks, SetMark{Unread: true}, SetMark{Conn: true, Unread: true})
	case kind == "target" && name == "CT":
	case kind == "target" && name == "REJECT":
		rule.Verdict = "reject"
	case kind == "target":
		rule.Verdict, rule.Target = "other", name
	case name == "comment":
	case name == "icmp" || name == "icmp6":
	default:
		rule.Matches = append(rule.Matches, Match{Key: "opaque", Values: []string{name}})
	}
}

// mapped makes a rule of every pair of a map, by what end does with its value.
func (r *nftReader) mapped(scope string, base Rule, key, data any, end func(one *Rule, to any)) []Rule {
	pairs, ok := dig(data, "set").([]any)
	if name, isName := data.(string); isName {
		pairs, ok = r.sets[scope+name]
	}
	if !ok || len(pairs) > MaxRules {
		base.Verdict, base.Target = "other", "map"
		return []Rule{base}
	}
	var out []Rule
	var rest *Rule // what holds for all other keys
	others := Match{Key: "one-of", Not: true}
	for _, p := range pairs {
		pair, ok := p.([]any)
		one := base
		if !ok || len(pair) != 2 {
			one.Verdict, one.Target = "other", "map"
			out = append(out, one)
			continue
		}
		left := pair[0]
		if e := dig(left, "elem"); e != nil {
			left = dig(e, "val")
		}
		end(&one, pair[1])
		if left == anyValue {
			rest = &one
			continue
		}
		conds := r.conditions(scope, "==", key, left)
		one.Matches = append(slices.Clone(base.Matches), conds...)
		others.Any = append(others.Any, conds)
		out = append(out, one)
	}
	if rest != nil {
		rest.Matches = append(append(slices.Clone(base.Matches), r.before(key)...), others)
		out = append(out, *rest)
	}
	return out
}

// nftValues flattens values, sets, ranges and prefixes into words.
func nftValues(vs []any) (out []string, ok bool) {
	for _, v := range vs {
		if len(out) > MaxElements {
			return nil, false
		}
		switch v := v.(type) {
		case nil:
		case string:
			out = append(out, v)
		case bool:
			out = append(out, strconv.FormatBool(v))
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
				more, ok := nftValues(elements(v))
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

// elements of {"set": […]}, where one alone may stand without a list.
func elements(v any) []any {
	switch s := dig(v, "set").(type) {
	case nil:
		return []any{v}
	case []any:
		return s
	default:
		return []any{s}
	}
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
		if vs, ok := nftValues([]any{v}); ok && len(vs) == 1 {
			return vs[0]
		}
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

// contiguous is the prefix of an address and a mask such as 255.255.255.0.
func contiguous(addr, mask string) (string, bool) {
	a, err := netip.ParseAddr(addr)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || a.BitLen() != m.BitLen() {
		return "", false
	}
	bits := 0
	for _, b := range m.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
		if b != 0 {
			return "", false
		}
	}
	p := netip.PrefixFrom(m, bits).Masked()
	if p.Addr() != m { // ones after a zero
		return "", false
	}
	return netip.PrefixFrom(a, bits).String(), true
}
