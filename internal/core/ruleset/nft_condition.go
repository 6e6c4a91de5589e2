package ruleset

import (
	"slices"
	"strconv"
	"strings"
)

// before is what must hold for there to be such a field at all: a condition on
// a header holds for no packet without it, also when it is negated.
func (r *nftReader) before(left any) []Match {
	if parts, ok := dig(left, "concat").([]any); ok {
		var out []Match
		for _, p := range parts {
			out = append(out, r.before(p)...)
		}
		return out
	}
	if masked, ok := dig(left, "&").([]any); ok && len(masked) == 2 {
		left = masked[0]
	}
	protocol, _ := dig(dig(left, "payload"), "protocol").(string)
	switch protocol {
	case "ip", "ip6":
		return []Match{{Key: "family", Values: []string{protocol}}}
	case "tcp", "udp", "sctp", "dccp", "udplite", "icmp":
		return []Match{{Key: "proto", Values: []string{protocol}}}
	case "icmpv6":
		return []Match{{Key: "proto", Values: []string{"ipv6-icmp"}}}
	}
	return nil
}

// conditions of a comparison.
func (r *nftReader) conditions(scope, op string, left, right any) []Match {
	out := r.before(left)
	var list []any // what the right side may be
	name, named := right.(string)
	if named = named && strings.HasPrefix(name, "@"); named {
		var ok bool
		if list, ok = r.sets[scope+name]; !ok {
			return append(out, Match{Key: "opaque", Values: []string{nftText(left) + " " + name}})
		}
	} else {
		list = elements(right)
	}
	if parts, ok := dig(left, "concat").([]any); ok {
		return append(out, r.joined(op, parts, list))
	}
	return append(out, r.condition(op, left, list))
}

// joined is a condition on several fields at once: ip saddr . tcp dport.
func (r *nftReader) joined(op string, fields, list []any) Match {
	m := Match{Key: "one-of", Not: op == "!="}
	for _, e := range list {
		if v := dig(e, "elem"); v != nil {
			e = dig(v, "val")
		}
		values, ok := dig(e, "concat").([]any)
		if !ok || len(values) != len(fields) {
			return Match{Key: "opaque", Values: []string{"several fields at once"}}
		}
		var alt []Match
		for i, f := range fields {
			alt = append(alt, r.condition("==", f, []any{values[i]}))
		}
		m.Any = append(m.Any, alt)
	}
	return m
}

// condition is a comparison of one field.
func (r *nftReader) condition(op string, left any, list []any) Match {
	opaque := Match{Key: "opaque", Values: []string{nftText(left)}}
	not := op == "!="
	if masked, ok := dig(left, "&").([]any); ok && len(masked) == 2 {
		switch key := nftKey(masked[0]); {
		case key == "tcp-flags" && len(list) == 1 && (op == "==" || not):
			return Match{Key: key, Not: not, Values: []string{flagText(masked[1]), flagText(list[0])}}
		case (key == "mark" || key == "ct-mark") && (op == "==" || not):
			mask, ok := masked[1].(float64)
			m := Match{Key: key, Not: not}
			for _, v := range list {
				n, isNumber := v.(float64)
				ok = ok && isNumber
				m.Values = append(m.Values, markText(uint32(n), uint32(mask)))
			}
			if ok {
				return m
			}
		case (key == "saddr" || key == "daddr") && len(list) == 1 && (op == "==" || not):
			if p, ok := contiguous(nftText(list[0]), nftText(masked[1])); ok {
				return Match{Key: key, Not: not, Values: []string{p}}
			}
		}
		return opaque
	}
	key := nftKey(left)
	if key == "opaque" {
		return opaque
	}
	if key == "tcp-flags" {
		if op == "in" {
			values, _ := nftValues(list)
			return Match{Key: "tcp-flags-any", Values: values}
		}
		m := Match{Key: "one-of", Not: not}
		for _, v := range list {
			m.Any = append(m.Any, []Match{{Key: key, Values: []string{"ALL", flagText(v)}}})
		}
		return m
	}
	values, ok := nftValues(list)
	if !ok {
		return opaque
	}
	switch op {
	case "==", "!=", "in":
	case "<", ">", "<=", ">=":
		if key != "sport" && key != "dport" || len(values) != 1 {
			return opaque
		}
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 0 || n > 65535 {
			return opaque
		}
		switch op {
		case "<":
			n--
			fallthrough
		case "<=":
			values = []string{"0-" + strconv.Itoa(n)}
		case ">":
			n++
			fallthrough
		case ">=":
			values = []string{strconv.Itoa(n) + "-65535"}
		}
	default:
		return opaque
	}
	if key == "route-back" {
		if len(values) != 1 || values[0] != "true" && values[0] != "false" {
			return opaque
		}
		return Match{Key: key, Not: not != (values[0] == "true"), Values: []string{"missing"}}
	}
	return Match{Key: key, Not: not, Values: values}
}

// flagText joins flags with commas: "syn", ["syn", "ack"] or {"|": […]}.
func flagText(v any) string {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, p := range v {
			parts = append(parts, flagText(p))
		}
		return strings.Join(parts, ",")
	case map[string]any:
		return flagText(v["|"])
	case float64:
		if v == 0 {
			return "NONE"
		}
	}
	return nftText(v)
}

var nftMeta = map[string]string{
	"iif": "iif", "iifname": "iif", "oif": "oif", "oifname": "oif", "mark": "mark",
	"l4proto": "proto", "nfproto": "family", "protocol": "family", "pkttype": "pkttype",
}

// What conntrack kept of a packet as it came.
var nftOriginal = map[string]string{
	"ip daddr": "orig-daddr", "ip6 daddr": "orig-daddr", "daddr": "orig-daddr", "proto-dst": "orig-dport",
	"ip saddr": "orig-saddr", "ip6 saddr": "orig-saddr", "saddr": "orig-saddr", "proto-src": "orig-sport",
}

// nftKey names the left side of a comparison.
func nftKey(left any) string {
	if p := dig(left, "payload"); p != nil {
		protocol, _ := dig(p, "protocol").(string)
		field, _ := dig(p, "field").(string)
		switch {
		case field == "sport" || field == "dport":
			return field
		case (protocol == "ip" || protocol == "ip6") && (field == "saddr" || field == "daddr"):
			return field
		case protocol == "ip" && field == "protocol" || protocol == "ip6" && field == "nexthdr":
			return "proto"
		case (protocol == "icmp" || protocol == "icmpv6") && field == "type":
			return "icmp-type"
		case protocol == "tcp" && field == "flags":
			return "tcp-flags"
		}
		return "opaque"
	}
	if m := dig(left, "meta"); m != nil {
		k, _ := dig(m, "key").(string)
		if word, ok := nftMeta[k]; ok {
			return word
		}
		return "opaque"
	}
	if ct := dig(left, "ct"); ct != nil {
		k, _ := dig(ct, "key").(string)
		switch dir, _ := dig(ct, "dir").(string); {
		case dir == "original" && nftOriginal[k] != "":
			return nftOriginal[k]
		case dir != "":
		case k == "state":
			return "state"
		case k == "status":
			return "ct-status"
		case k == "direction":
			return "ct-dir"
		case k == "mark":
			return "ct-mark"
		}
		return "opaque"
	}
	if fib := dig(left, "fib"); fib != nil {
		flags, _ := nftValues([]any{dig(fib, "flags")})
		slices.Sort(flags)
		switch result, _ := dig(fib, "result").(string); result + " " + strings.Join(flags, " ") {
		case "type daddr":
			return "dst-type"
		case "type daddr iif":
			return "dst-type-here"
		case "type saddr":
			return "src-type"
		case "oif iif saddr":
			return "route-back"
		}
	}
	return "opaque"
}
