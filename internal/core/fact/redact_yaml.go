package fact

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/passhash"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// yamlKept are the keys of netplan and cloud-init whose values rules read.
var yamlKept = []string{
	"version", "renderer", "mode", "key-management", "method", "hidden", "optional", "dhcp4", "phase2-auth", "name", "user", "ssh_pwauth",
	"lock_passwd", "enable_ssh", "hostname", "shell", "type", "expire", "disable_root",
	"wifi-security.key-mgmt", "wifi-security.proto", "wifi-security.pairwise", "wifi-security.wep-key-type", "wifi-security.psk-flags",
	"802-1x.system-ca-certs", "connection.autoconnect", "connection.id",
}

// yamlPasswords are those whose values are secrets, as they are or hashed.
var yamlPasswords = []string{"password", "passwd", "hashed_passwd", "plain_text_passwd", "client-key-password", "passphrase", "psk", "sae-password"}

// redactYAML writes the file anew with what rules read, every key on the line
// on which it stood. What cannot be read as YAML is not kept at all.
func redactYAML(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	if strings.HasPrefix(string(e.Content), fileNotKept) {
		return e.Content
	}
	root, ps := yaml.Read(e.Path, e.Content)
	switch {
	case len(ps) > 0 && ps[0].Line > 0:
		return fmt.Appendf(nil, "%sline %d is not valid YAML\n", fileNotKept, ps[0].Line)
	case len(ps) > 0:
		return []byte(fileNotKept + "not valid YAML\n")
	case root == nil:
		return nil
	}
	w := &yamlWriter{line: 1, sec: sec}
	w.node(root, "", "", 0)
	w.text.WriteString("\n")
	return []byte(w.text.String())
}

// A yamlWriter writes block style and keeps the lines.
type yamlWriter struct {
	text strings.Builder
	line int
	sec  Secrets
	here bool // what comes next stays on this line
}

// to goes on to a line, or to the next one.
func (w *yamlWriter) to(line, indent int) {
	if w.here {
		w.here = false
		return
	}
	for first := w.text.Len() > 0; first || w.line < line; first = false {
		w.text.WriteByte('\n')
		w.line++
	}
	w.text.WriteString(strings.Repeat(" ", indent))
}

// node writes what stands under a key; ssid is that key where it may be a
// network's name.
func (w *yamlWriter) node(n *yaml.Node, key, ssid string, indent int) {
	if items, ok := n.Items(); ok {
		for _, it := range items {
			if v, scalar := it.Scalar(); scalar {
				w.to(it.Line(), indent)
				w.text.WriteString("- " + w.scalar(key, v, ssid))
				continue
			}
			w.to(it.Line(), indent)
			w.text.WriteString("- ")
			if it.Flow() || it.Empty() {
				w.flow(it, key, ssid)
				continue
			}
			w.here = true // its first key stands behind the dash
			w.node(it, key, ssid, indent+2)
		}
		return
	}
	if v, ok := n.Scalar(); ok {
		w.to(n.Line(), indent)
		w.text.WriteString(w.scalar(key, v, ssid))
		return
	}
	if key == "auth" && accountAuth(n) {
		ssid = ""
	}
	if n.Flow() {
		w.flow(n, key, ssid)
		return
	}
	for _, k := range n.Keys() {
		c := n.Get(k)
		name := ssid
		if key == "access-points" {
			name = k
		}
		w.to(n.KeyLine(k), indent)
		w.text.WriteString(yamlName(k) + ":")
		if v, ok := c.Scalar(); ok {
			if v != "" {
				w.text.WriteString(" " + w.scalar(k, v, name))
			}
			continue
		}
		if c.Flow() || c.Empty() {
			w.text.WriteString(" ")
			w.flow(c, k, name)
			continue
		}
		w.node(c, k, name, indent+2)
	}
}

// accountAuth tells a network on which every user has a password of his own.
func accountAuth(n *yaml.Node) bool {
	if n.Get("method") != nil {
		return true
	}
	if m := n.Get("key-management"); m != nil {
		v, _ := m.Scalar()
		return strings.HasPrefix(v, "eap") || v == "802.1x"
	}
	return false
}

// flow writes {key: value} and [value] on one line.
func (w *yamlWriter) flow(n *yaml.Node, key, ssid string) {
	if v, ok := n.Scalar(); ok {
		w.text.WriteString(w.scalar(key, v, ssid))
		return
	}
	if items, ok := n.Items(); ok {
		w.text.WriteString("[")
		for i, it := range items {
			if i > 0 {
				w.text.WriteString(", ")
			}
			w.flow(it, key, ssid)
		}
		w.text.WriteString("]")
		return
	}
	if key == "auth" && accountAuth(n) {
		ssid = ""
	}
	w.text.WriteString("{")
	for i, k := range n.Keys() {
		if i > 0 {
			w.text.WriteString(", ")
		}
		name := ssid
		if key == "access-points" {
			name = k
		}
		w.text.WriteString(yamlName(k) + ": ")
		w.flow(n.Get(k), k, name)
	}
	w.text.WriteString("}")
}

// scalar is what may be kept of a value.
func (w *yamlWriter) scalar(key, v, ssid string) string {
	switch {
	case v == "":
		return `""`
	case slices.Contains(yamlPasswords, key):
		if isNote(v) {
			return strconv.Quote(v)
		}
		if kind := passhash.Scheme(v); kind != "" {
			return strconv.Quote(hashNote("", v, w.sec))
		}
		if ssid == "" {
			return strconv.Quote("[" + plainPassword + "]")
		}
		return strconv.Quote(wifiNote(v, ssid, w.sec.More))
	case key == "ca-certificate":
		return `"[a certificate]"`
	case strings.HasPrefix(key, "wifi-security.wep-key"):
		return `"[` + wepKey + `]"`
	case slices.Contains(yamlKept, key):
		return strconv.Quote(v)
	}
	return `"[not kept]"`
}

func yamlName(k string) string {
	for _, r := range k {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' {
			return strconv.Quote(k)
		}
	}
	if k == "" || k == "-" {
		return strconv.Quote(k)
	}
	return k
}

// hashNote is what replaces the hash of an account's password.
func hashNote(user, h string, sec Secrets) string {
	more := sec.More
	if more == nil {
		more = func() bool { return false }
	}
	s := &suspect{user: user, hash: h}
	newTrial([]*suspect{s}, "", sec).run(more)
	return s.String()
}
