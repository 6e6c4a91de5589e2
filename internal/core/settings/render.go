package settings

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"picket/internal/core/inventory"
)

// Render writes an inventory as the part cluster of picket.yaml: a line a
// node, with the place from which it is known. What all have in common is said once. An inventory
// that Merge or Inventory made is read back as it was.
func Render(inv inventory.Inventory) []byte {
	var b bytes.Buffer
	b.WriteString("cluster:\n")
	user, port, identity := common(inv.Nodes)
	if user != "" {
		fmt.Fprintf(&b, "  user: %s\n", quoted(user))
	}
	if port != 0 {
		fmt.Fprintf(&b, "  port: %d\n", port)
	}
	if identity != "" {
		fmt.Fprintf(&b, "  identity: %s\n", quoted(identity))
	}
	if len(inv.Nodes) > 0 {
		b.WriteString("  nodes:\n")
	}
	b.WriteString(nodeLines(inv.Nodes, "    ", user, port, identity, false))
	any := false
	for _, g := range inv.Groups {
		if len(g.Nodes) == 0 {
			continue
		}
		if !any {
			b.WriteString("  groups:\n")
			any = true
		}
		fmt.Fprintf(&b, "    %s: %s\n", quoted(g.Name), list(g.Nodes))
	}
	if len(inv.Nodes) == 0 {
		return []byte("cluster: {}\n")
	}
	return b.Bytes()
}

// nodeLines are a line for each node, less what holds for all.
func nodeLines(nodes []inventory.Node, indent, user string, port int, identity string, groups bool) string {
	var lines, from []string
	widest := 0
	for _, n := range nodes {
		var keys []string
		add := func(key, value, all string) {
			if value != "" && value != all {
				keys = append(keys, key+": "+quoted(value))
			}
		}
		add("address", n.Address, "")
		add("user", n.User, user)
		if n.Port != port && n.Port != 0 {
			keys = append(keys, "port: "+strconv.Itoa(n.Port))
		}
		add("identity", n.Identity, identity)
		add("jump", n.Jump, "")
		if len(n.Roles) > 0 {
			keys = append(keys, "roles: "+list(n.Roles))
		}
		if groups && len(n.Groups) > 0 {
			keys = append(keys, "groups: "+list(n.Groups))
		}
		line := fmt.Sprintf("%s%s: {%s}", indent, quoted(n.Name), strings.Join(keys, ", "))
		lines, from = append(lines, line), append(from, comment(n.At))
		if n := len([]rune(line)); n <= 100 {
			widest = max(widest, n)
		}
	}
	var b strings.Builder
	for i, line := range lines {
		b.WriteString(line)
		if from[i] != "" {
			b.WriteString(strings.Repeat(" ", max(0, widest-len([]rune(line)))) + "  # " + from[i])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// common is what every node has. A single one says it itself.
func common(nodes []inventory.Node) (user string, port int, identity string) {
	if len(nodes) < 2 {
		return "", 0, ""
	}
	user, port, identity = nodes[0].User, nodes[0].Port, nodes[0].Identity
	for _, n := range nodes {
		if n.User != user {
			user = ""
		}
		if n.Port != port {
			port = 0
		}
		if n.Identity != identity {
			identity = ""
		}
	}
	return user, port, identity
}

func list(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, quoted(w))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_./~][A-Za-z0-9_./@+-]*$`)

// quoted is a word as YAML takes it for the same word.
func quoted(s string) string {
	if bare.MatchString(s) && s != "~" && s[len(s)-1] != ':' {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// comment is a place on one line, whatever its name holds.
func comment(p inventory.Place) string {
	if p.File == "" {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, p.String())
}
