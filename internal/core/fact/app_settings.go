package fact

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"picket/internal/core/app"
	"picket/internal/core/snap"
)

// An AppSetting is one setting of an application: the parts of its name from
// the outside in, items of a list by their number, and its value as written.
// A secret is only ever the note that stands for it.
type AppSetting struct {
	Key   []string
	Value string
	Place Place
}

// Name is the setting's name for a person.
func (s AppSetting) Name() string { return strings.Join(s.Key, ".") }

// Last part of the setting's name.
func (s AppSetting) Last() string { return s.Key[len(s.Key)-1] }

// Last is what the file sets last for a key.
func (f AppFile) Last(key ...string) (AppSetting, bool) {
	for _, s := range slices.Backward(f.Settings) {
		if slices.Equal(s.Key, key) {
			return s, true
		}
	}
	return AppSetting{}, false
}

// All are the settings that match a pattern of app.Match.
func (f AppFile) All(pattern string) []AppSetting {
	var out []AppSetting
	for _, s := range f.Settings {
		if app.Match(pattern, s.Key) {
			out = append(out, s)
		}
	}
	return out
}

// Named are the settings whose name ends in this part, however deep they lie.
func (f AppFile) Named(last string) []AppSetting {
	var out []AppSetting
	for _, s := range f.Settings {
		if s.Last() == last {
			out = append(out, s)
		}
	}
	return out
}

// Under are the settings below some parts, with those taken off.
func (f AppFile) Under(key ...string) []AppSetting {
	var out []AppSetting
	for _, s := range f.Settings {
		if len(s.Key) > len(key) && slices.Equal(s.Key[:len(key)], key) {
			s.Key = s.Key[len(key):]
			out = append(out, s)
		}
	}
	return out
}

const (
	maxAppSettings = 20_000
	maxAppDepth    = 60
)

// settingsHead begins what is kept of a settings file: every other line is the
// number of a line, the parts of a name and a value, each as JSON, or after
// an exclamation mark why the file could not be understood.
const settingsHead = "# settings as Picket keeps them\n"

// An appReader collects settings; it keeps no secret.
type appReader struct {
	file string
	sec  Secrets
	list []AppSetting
	err  string
}

// add takes one setting in.
func (r *appReader) add(line int, value string, text bool, key ...string) {
	if len(r.list) >= maxAppSettings {
		r.fail(line, "more settings than are read")
		return
	}
	key = slices.Clone(key)
	for i, k := range key {
		key[i] = keepName(k)
	}
	r.list = append(r.list, AppSetting{key, keepValue(key, value, text, r.sec), At(r.file, line)})
}

// fail records the first thing that could not be understood.
func (r *appReader) fail(line int, format string, args ...any) {
	if r.err == "" {
		r.err = Problem{At(r.file, line), fmt.Sprintf(format, args...)}.String()
	}
}

// appFormats read a file's text.
var appFormats = map[string]func(r *appReader, text string){
	"ini":      readAppIni,
	"toml":     readAppTOML,
	"yaml":     readAppYAML,
	"json":     readAppJSON,
	"hcl":      readAppHCL,
	"env":      readAppEnv,
	"words":    readAppWords,
	"nginx":    readAppNginx,
	"lighttpd": readAppLighttpd,
	"caddy":    readAppCaddy,
	"users":    readAppUsers,
	"git":      readAppGit,
	"text":     readAppText,
}

// appSettings reads a file, as the host has it or as it was kept; why says what
// could not be understood.
func appSettings(e *snap.Entry, format string) (list []AppSetting, why string) {
	return readApp(e, format, Secrets{})
}

func readApp(e *snap.Entry, format string, sec Secrets) ([]AppSetting, string) {
	r := &appReader{file: e.Path, sec: sec}
	text := string(e.Content)
	kept, ok := strings.CutPrefix(text, settingsHead)
	switch {
	case ok:
		r.kept(kept)
	case !utf8.ValidString(text) && format != "text" && format != "git":
		r.fail(0, "not a text in UTF-8")
	default:
		appFormats[format](r, strings.TrimPrefix(text, "\uFEFF"))
	}
	return r.list, r.err
}

// kept reads what keepSettings wrote.
func (r *appReader) kept(text string) {
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if why, ok := strings.CutPrefix(l, "! "); ok {
			r.err = hideSecrets(why)
			continue
		}
		f := strings.SplitN(l, "\t", 3)
		var key []string
		var value string
		if len(f) != 3 || json.Unmarshal([]byte(f[1]), &key) != nil || json.Unmarshal([]byte(f[2]), &value) != nil || len(key) == 0 {
			r.fail(0, "not as it was kept")
			return
		}
		line, _ := strconv.Atoi(f[0])
		r.add(line, value, true, key...)
	}
}

// keepSettings is the redaction of a format.
func keepSettings(format string) func(*snap.Snapshot, *snap.Entry, Secrets) []byte {
	switch format {
	case "ini":
		return func(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte { return keepIni(e, sec) }
	case "env":
		return keepEnv
	}
	return func(_ *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
		list, why := readApp(e, format, sec)
		return writeSettings(e.Path, list, why)
	}
}

// writeSettings writes what is kept of a settings file.
func writeSettings(file string, list []AppSetting, why string) []byte {
	var b strings.Builder
	b.WriteString(settingsHead)
	for _, s := range list {
		key, _ := json.Marshal(s.Key)
		value, _ := json.Marshal(s.Value)
		fmt.Fprintf(&b, "%d\t%s\t%s\n", s.Place.Line, key, value)
	}
	if b.Len() > snap.MaxFile {
		b.Reset()
		b.WriteString(settingsHead)
		why = file + ": more settings than are kept"
	}
	if why != "" {
		b.WriteString("! " + firstOf(hideSecrets(why)) + "\n")
	}
	return []byte(b.String())
}

// appRedactions cover the settings files of all applications.
func appRedactions() []redaction {
	var out []redaction
	for _, a := range knownApps() {
		for _, s := range a.Settings {
			for _, p := range s.Files {
				out = append(out, redaction{p, keepSettings(s.Format)})
			}
		}
	}
	return out
}
