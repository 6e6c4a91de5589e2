package fact

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"picket/internal/core/snap"
)

// A wifiForm is one of the line-based forms in which networks are written.
type wifiForm int

const (
	supplicantForm wifiForm = iota // network={ key=value }
	hostapdForm                    // key=value, bss= begins another
	interfacesForm                 // iface NAME inet METHOD, then keys
	iniForm                        // [section], key=value
)

// A wifiLine is one line of such a file, taken apart.
type wifiLine struct {
	block   int    // which network the line belongs to; 0: none or the first
	section string // of an ini
	key     string // in small letters, - for _; "" for a line that is no setting
	raw     string // the key as it was written
	value   string
	frame   bool // a line that holds the blocks together: network={, [wifi], iface
	at      Place
}

// scanWifi takes a file apart. It is the same for what the host wrote and for
// what redaction left of it.
func scanWifi(form wifiForm, ls []line) []wifiLine {
	out := make([]wifiLine, len(ls))
	blocks, block, section, inBlob := 0, 0, "", false
	for i, l := range ls {
		t := strings.TrimSpace(l.text)
		o := &out[i]
		o.at = l.at
		switch {
		case t == "" || t[0] == '#' || t[0] == ';' && form == iniForm:
			continue
		case inBlob:
			inBlob = t != "}"
			continue
		}
		switch form {
		case supplicantForm:
			head := strings.ReplaceAll(strings.ReplaceAll(t, " ", ""), "\t", "")
			switch {
			case head == "network={":
				blocks++
				block, o.frame = blocks, true
				o.block = block
				continue
			case strings.HasPrefix(head, "blob-") && strings.HasSuffix(head, "={"):
				inBlob = true
				continue
			case strings.HasSuffix(head, "={"):
				block = -1 // cred={ and what else may come
				continue
			case t == "}":
				o.frame = block > 0
				block = 0
				continue
			}
			o.block = block
			o.setting(strings.Cut(t, "="))
			o.value = uncomment(o.value, "#")
			if o.block < 0 {
				o.key = ""
			}
		case hostapdForm:
			o.setting(strings.Cut(t, "="))
			if o.key == "bss" {
				blocks++
				block = blocks
			}
			o.block = block
		case interfacesForm:
			k, v := word(t)
			o.setting(k, v, true)
			o.key = strings.TrimPrefix(o.key, "wpa-")
			switch o.key {
			case "iface", "auto", "allow-hotplug", "mapping", "source":
				o.frame = true
				if block = 0; o.key == "iface" {
					blocks++
					block = blocks
				}
			}
			o.block = block
		case iniForm:
			if t[0] == '[' && strings.HasSuffix(t, "]") {
				section = strings.ToLower(t[1 : len(t)-1])
				o.frame, o.section = true, section
				continue
			}
			o.section = section
			k, v, ok := strings.Cut(t, "=")
			if i := strings.IndexByte(t, ':'); section != "" && i > 0 && (!ok || i < len(k)) && !strings.Contains(section, "wifi") {
				k, v, ok = t[:i], t[i+1:], true // as Python writes it, too
			}
			o.setting(k, v, ok)
		}
	}
	return out
}

func (o *wifiLine) setting(k, v string, ok bool) {
	if !ok {
		return
	}
	o.raw = strings.TrimSpace(k)
	o.key = strings.ReplaceAll(strings.ToLower(o.raw), "_", "-")
	o.value = strings.TrimSpace(v)
}

// values collects the settings of one block, the last of a key wins.
func wifiValues(ls []wifiLine, block int) map[string]wifiLine {
	out := map[string]wifiLine{}
	for _, l := range ls {
		if l.block == block && l.key != "" && !l.frame {
			out[l.key] = l
		}
	}
	return out
}

// ssidOf reads a network's name as the forms write it: quoted, plain, as
// hexadecimal digits or as NetworkManager's list of bytes.
func ssidOf(form wifiForm, v string) string {
	switch form {
	case supplicantForm:
		if strings.HasPrefix(v, `P"`) {
			if s, err := strconv.Unquote(v[1:]); err == nil {
				return printable(s)
			}
		}
		if len(v) >= 2 && v[0] == '"' {
			return printable(strings.TrimSuffix(v[1:], `"`))
		}
		if b, err := hex.DecodeString(v); err == nil {
			return printable(string(b))
		}
	case iniForm:
		if strings.HasSuffix(v, ";") {
			var b []byte
			for _, n := range strings.Split(strings.TrimSuffix(v, ";"), ";") {
				c, err := strconv.ParseUint(n, 10, 8)
				if err != nil {
					return printable(v)
				}
				b = append(b, byte(c))
			}
			return printable(string(b))
		}
	}
	return printable(strings.Trim(v, `"`))
}

// printable keeps what may stand in a report's line.
func printable(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// notRead tells that redaction could not make out what a file says.
func notRead(e *snap.Entry) string {
	if strings.HasPrefix(string(e.Content), fileNotKept) {
		return e.Path + " is not valid YAML"
	}
	if e.Cut {
		return e.Path + " is too long to be read whole"
	}
	return ""
}

const fileNotKept = "# not kept: "
