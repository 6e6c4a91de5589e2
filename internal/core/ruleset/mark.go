package ruleset

import (
	"strconv"
	"strings"
)

// A mark is a number that rules put on packets and connections; known is false
// after a rule that may have set it, or whose value is not read.
type mark struct {
	value uint32
	known bool
}

// apply gives the mark after a rule that certainly (sure) or perhaps matched.
func (s SetMark) apply(packet, conn *mark, sure bool) {
	to, from := packet, packet
	if s.Conn {
		to = conn
	}
	if s.From == "conn" {
		from = conn
	}
	next := mark{value: from.value&s.And ^ s.Xor, known: sure && !s.Unread && (from.known || s.And == 0)}
	if !sure && next.known == to.known && next.value == to.value {
		return
	}
	*to = next
}

// markText is how a condition on a mark is kept: value/mask.
func markText(value, mask uint32) string {
	if mask == ^uint32(0) {
		return strconv.FormatUint(uint64(value), 10)
	}
	return strconv.FormatUint(uint64(value), 10) + "/" + strconv.FormatUint(uint64(mask), 10)
}

// parseMark reads 0x10 or 0x10/0xff.
func parseMark(v string) (value, mask uint32, ok bool) {
	a, b, has := strings.Cut(v, "/")
	n, err := strconv.ParseUint(a, 0, 32)
	if err != nil {
		return 0, 0, false
	}
	if !has {
		return uint32(n), ^uint32(0), true
	}
	m, err := strconv.ParseUint(b, 0, 32)
	return uint32(n), uint32(m), err == nil
}

// nftMark reads what nft sets a mark to: a number, another mark, and bits of it.
func nftMark(conn bool, v any) SetMark {
	s := SetMark{Conn: conn, From: "packet"}
	var read func(v any, depth int) bool
	read = func(v any, depth int) bool {
		if depth > 8 {
			return false
		}
		switch v := v.(type) {
		case float64:
			s.And, s.Xor = 0, uint32(v)
			return v >= 0 && v <= 1<<32-1
		case map[string]any:
			if k, _ := dig(v["meta"], "key").(string); k == "mark" {
				s.From, s.And, s.Xor = "packet", ^uint32(0), 0
				return true
			}
			if k, _ := dig(v["ct"], "key").(string); k == "mark" {
				s.From, s.And, s.Xor = "conn", ^uint32(0), 0
				return true
			}
			for op, arg := range v {
				pair, _ := arg.([]any)
				if len(v) != 1 || len(pair) != 2 || !read(pair[0], depth+1) {
					return false
				}
				n, ok := pair[1].(float64)
				bits := uint32(n)
				switch {
				case !ok:
					return false
				case op == "&":
					s.And, s.Xor = s.And&bits, s.Xor&bits
				case op == "|":
					s.And, s.Xor = s.And&^bits, s.Xor|bits
				case op == "^":
					s.Xor ^= bits
				default:
					return false
				}
				return true
			}
		}
		return false
	}
	if !read(v, 0) {
		return SetMark{Conn: conn, From: "packet", Unread: true}
	}
	return s
}
