package fact

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/compose"
	"picket/internal/core/snap"
)

// appIni reads a file as Python's ConfigParser does for applications: names as
// they are written, keys without a value, what stands twice counts last.
func appIni(e *snap.Entry) *pyIni {
	p := newPyIni()
	p.exact = true
	p.parse(e)
	return p
}

func readAppIni(r *appReader, text string) {
	p := appIni(&snap.Entry{Path: r.file, Content: []byte(text)})
	for _, bad := range p.refused {
		r.fail(bad.Place.Line, "%s", bad.Text)
	}
	type one struct {
		section, key string
		v            Value[string]
	}
	var all []one
	for _, section := range append([]string{pyDefault}, p.order...) {
		for key, v := range p.sections[section] {
			all = append(all, one{section, key, v})
		}
	}
	slices.SortFunc(all, func(a, b one) int { return a.v.Place.Line - b.v.Place.Line })
	for _, o := range all {
		v := p.fill(o.section, o.v.V, 0)
		if secretKey([]string{o.key}) {
			v = o.v.V // a reference stays one
		}
		r.add(o.v.Place.Line, strings.ReplaceAll(v, "%%", "%"), true, o.section, o.key)
	}
}

// keepIni keeps the form of the file, which others read as well.
func keepIni(e *snap.Entry, sec Secrets) []byte {
	p := appIni(e)
	ls := rawLines(e.Content)
	out := make([]string, len(ls))
	for i, l := range ls {
		if t := strings.TrimSpace(l); strings.HasPrefix(t, "[") {
			if name, _, ok := strings.Cut(t[1:], "]"); ok {
				out[i] = "[" + keepName(name) + "]"
			}
		}
	}
	for section, keys := range p.sections {
		for key, v := range keys {
			kept := keepValue([]string{section, key}, v.V, true, sec)
			if i := v.Place.Line - 1; i >= 0 && i < len(out) {
				out[i] = keepName(key) + " = " + strings.ReplaceAll(kept, "\n", " ")
			}
		}
	}
	for _, bad := range p.refused { // it stays one that cannot be read
		if i := bad.Place.Line - 1; i >= 0 && i < len(out) && out[i] == "" {
			out[i] = "="
		}
	}
	kept := joinLines(out)
	if len(kept) > snap.MaxFile {
		return []byte("=\n") // which cannot be read
	}
	return kept
}

// maxVariables is how many a file of variables may have.
const maxVariables = 1000

// readAppEnv reads KEY=value, as of a .env beside a compose file.
func readAppEnv(r *appReader, text string) {
	for i, l := range compose.ParseEnv(text, func(line int, what string) { r.fail(line, "%s", what) }) {
		switch {
		case i == maxVariables:
			r.fail(l.Line, "more variables than are read")
			return
		case len(l.Name) > 80:
			r.fail(l.Line, "not a line of KEY=value")
		case !l.Bare:
			r.add(l.Line, l.Value, true, l.Name)
		}
	}
}

// keepEnv keeps the names of variables. Of values it keeps what a rule reads:
// those of some names, and of those that a compose file beside it puts where
// one looks.
func keepEnv(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	list, why := envSettings(s, e, sec)
	return writeSettings(e.Path, list, why)
}

// envSettings are the variables of a file as they are kept.
func envSettings(s *snap.Snapshot, e *snap.Entry, sec Secrets) ([]AppSetting, string) {
	list, why := readApp(e, "env", sec)
	wanted := composeWants(s, e.Path)
	for i, v := range list {
		name := v.Last()
		switch {
		case v.Value == "", secretNote.MatchString(v.Value), isNote(v.Value), wanted[name], composeOrdered.MatchString(name):
		case composeRead.MatchString(name) && composePlain.MatchString(v.Value):
		default:
			list[i].Value = valueNotKept
		}
	}
	return list, why
}

// readAppWords reads lines of a name and a value with a blank between, as of
// mosquitto.
func readAppWords(r *appReader, text string) {
	for i, l := range splitText(text) {
		t := strings.TrimSpace(l)
		if t == "" || t[0] == '#' {
			continue
		}
		k, v := word(t)
		r.add(i+1, v, true, k)
	}
}

// textMarks are what is kept of a text that is no settings file: only that a
// line of it says so.
var textMarks = []struct {
	name string
	form *regexp.Regexp
}{
	{"root token", regexp.MustCompile(`(?i)(?:root[ _-]?token"?\s*[:=]\s*\S+|"root_token\\?")`)},
	{"unseal key", regexp.MustCompile(`(?i)(?:unseal[ _-]key(?:[ _]\d+)?"?\s*[:=]\s*\S+|"(?:unseal_)?keys(?:_b64|_base64)?\\?"\s*:\s*\[)`)},
	{"USER is set", regexp.MustCompile(`^\s*(?:export\s+)?USER=`)},
	{"unpinned download", regexp.MustCompile(`(?:curl|wget)\b.*\b(?:raw\.githubusercontent\.com|github\.com)/\S*/(?:master|main|HEAD)/`)},
	{"download into a shell", regexp.MustCompile(`(?:curl|wget)\b[^|#]*\|\s*(?:sudo\s+)?(?:ba|da|z)?sh\b`)},
	{"clock over HTTP", regexp.MustCompile(`\bhtpdate\b(?:[^#]*\s)?(?:http://|[a-z0-9.-]+\.[a-z]{2,})`)},
	{"a worker", regexp.MustCompile(`^\s*[0-9a-fA-F.:]+\s+\S*worker`)},
	{"a master", regexp.MustCompile(`^\s*[0-9a-fA-F.:]+\s+\S*master`)},
	{"not a host and taken for one", regexp.MustCompile(`^\s*#.*(?:worker|master)`)},
}

// textStems are what the expressions above look for: a line without any of
// them says nothing. A log is long, and most of its lines are such.
var textStems = []string{"token", "unseal", "keys", "user=", "curl", "wget", "htpdate", "worker", "master"}

// readAppText looks for what is known in any text: a script, a log.
func readAppText(r *appReader, text string) {
	seen := map[string]int{}
	for i, l := range splitText(text) {
		low := strings.ToLower(l)
		if !slices.ContainsFunc(textStems, func(stem string) bool { return strings.Contains(low, stem) }) {
			continue
		}
		comment := strings.HasPrefix(strings.TrimSpace(l), "#")
		for _, m := range textMarks {
			if comment != strings.HasPrefix(m.name, "not a host") && comment || seen[m.name] >= 20 || !m.form.MatchString(l) {
				continue
			}
			seen[m.name]++
			v := fmt.Sprintf("line %d", i+1)
			if strings.HasPrefix(m.name, "USER") {
				_, v, _ = strings.Cut(l, "=")
				v = unquote(uncomment(strings.TrimSpace(v), "#;"))
				if !plainUser.MatchString(v) {
					v = "something else"
				}
			}
			r.add(i+1, v, true, m.name)
		}
	}
}

var plainUser = regexp.MustCompile(`^[a-z_$][a-zA-Z0-9_-]{0,31}$`)
