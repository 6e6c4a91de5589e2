package fact

import (
	"regexp"
	"strings"

	"picket/internal/core/passhash"
	"picket/internal/core/snap"
)

// anyNote finds what stands in place of a secret, wherever it stands.
var anyNote = regexp.MustCompile(strings.Trim(noteForm.String(), "^$"))

var (
	cryptHash = regexp.MustCompile(`\$(?:y|gy|7|6|5|1|2[abxy])\$[^\s'":,;)]+`)
	hexPSK    = regexp.MustCompile(`\b[0-9a-fA-F]{64}\b`)
	tomlPair  = regexp.MustCompile(`^\s*([A-Za-z_-]+)\s*=\s*(.*)$`)
	// firstSecret is what a script of the first start does with a secret that is not hashed.
	firstSecret = regexp.MustCompile(`(?i)(psk|passphrase|password|chpasswd|set_wlan)`)
)

// redactUserconf keeps the name in name:hash.
func redactUserconf(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	var out []string
	for _, l := range rawLines(e.Content) {
		l = strings.TrimRight(l, "\r")
		name, h, ok := strings.Cut(l, ":")
		switch {
		case strings.TrimSpace(l) == "":
			l = ""
		case !ok || len(name) > 32 || strings.ContainsAny(name, " \t$"):
			l = "[" + plainPassword + "]"
		case isNote(h):
		case passhash.Scheme(h) != "":
			l = name + ":" + hashNote(name, h, sec)
		default:
			l = name + ":[" + plainPassword + "]"
		}
		out = append(out, l)
	}
	return joinLines(out)
}

// redactTOML keeps sections and what rules read of custom.toml.
func redactTOML(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	var out []string
	section, user, ssid := "", "", ""
	for _, pass := range []bool{false, true} { // the second knows the names
		section = ""
		for _, l := range rawLines(e.Content) {
			t := strings.TrimSpace(l)
			m := tomlPair.FindStringSubmatch(l)
			keep := ""
			switch {
			case strings.HasPrefix(t, "[") && strings.HasSuffix(t, "]") && !strings.ContainsAny(t, `"'`):
				section, keep = strings.Trim(t, "[] "), t
			case m == nil:
			case m[1] == "password":
				v := strings.Trim(strings.TrimSpace(m[2]), `"'`)
				note := wifiNote(v, ssid, sec.More)
				if section != "wlan" && !isNote(v) {
					if note = "[" + plainPassword + "]"; passhash.Scheme(v) != "" {
						note = hashNote(user, v, sec)
					}
				}
				keep = m[1] + ` = "` + note + `"`
			case m[1] == "name" || m[1] == "ssid":
				if v := strings.Trim(strings.TrimSpace(m[2]), `"'`); m[1] == "name" {
					user = v
				} else {
					ssid = v
				}
				keep = t
			case m[1] == "password_encrypted" || m[1] == "enabled" || m[1] == "password_authentication" || m[1] == "config_version":
				keep = t
			}
			if pass {
				out = append(out, keep)
			}
		}
	}
	return joinLines(out)
}

// redactFirstRun keeps of a script only on which lines it holds a secret, and
// what of.
func redactFirstRun(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	var out []string
	for _, l := range rawLines(e.Content) {
		keep := ""
		switch h := cryptHash.FindString(l); {
		case isNote(l):
			keep = l
		case h != "" && passhash.Scheme(h) != "":
			keep = hashNote("", h, sec)
		case strings.HasPrefix(strings.TrimSpace(l), "#"):
		case hexPSK.MatchString(l):
			keep = "[" + hashedPhrase + "]"
		case firstSecret.MatchString(l) && strings.ContainsAny(l, `='"`):
			keep = "[" + plainPassword + "]"
		}
		out = append(out, keep)
	}
	return joinLines(out)
}
