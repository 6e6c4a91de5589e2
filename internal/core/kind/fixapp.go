package kind

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

// anew are the applications whose settings files what is changed in them is loaded for, see internal/core/plan. Of others
// a person has to say when they may start anew.
var anew = []string{"nginx", "lighttpd", "mosquitto", "grafana"}

// Fix implements control.Fixer: the value goes to where it stands, or where it does not, to where a person would write
// it. What is secret, or a choice, is left.
func (r *appSetting) Fix(h *fact.Host, d *change.Draft) error {
	a := h.Apps.Get(r.App)
	value, why := r.choose()
	if why == "" {
		why = a.Unread(r.File)
	}
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	settings := a.Settings[r.File]
	files := slices.DeleteFunc(slices.Clone(a.Files(r.File)), func(f fact.AppFile) bool {
		return f.State != fact.Known || r.Where != "" && len(r.find(f, r.Where)) == 0
	})
	one := settings.Merge && !strings.Contains(r.Key, "*") // only the last of all counts
	var last *fact.AppSetting
	set := false
	for _, f := range files {
		list := r.find(f, r.Key)
		if len(list) > 0 && !strings.Contains(r.Key, "*") {
			list = list[len(list)-1:]
		}
		for _, s := range list {
			set = true
			if one {
				last = &s
				continue
			}
			if err := r.replace(d, settings.Format, s, value); err != nil {
				return err
			}
		}
		if len(list) == 0 && !settings.Merge && !r.good(r.Default) {
			if err := r.write(d, settings.Format, f.Entry.Path, value); err != nil {
				return err
			}
		}
	}
	switch {
	case last != nil:
		if err := r.replace(d, settings.Format, *last, value); err != nil {
			return err
		}
	case !set && settings.Merge && len(files) > 0:
		if err := r.write(d, settings.Format, files[0].Entry.Path, value); err != nil {
			return err
		}
	}
	if !slices.Contains(anew, r.App) {
		d.Later("%s reads it at its next start", a.Title)
	}
	if o := r.Evaluate(control.Drafted(d)); o.Verdict.Bad() {
		d.Leave("it would still be wrong: %s", o.Reason)
	}
	return nil
}

// choose is the value that is to be set, or why a person has to.
func (r *appSetting) choose() (value, why string) {
	switch {
	case len(r.Want) > 0:
		return r.Want[0], ""
	case slices.Contains(r.Not, "factory"):
		return "", r.Key + " is a secret: it has to be one of your own, and given to all who use it"
	case r.Default != "" && r.good(r.Default):
		return r.Default, ""
	case r.Min != nil:
		return strconv.Itoa(*r.Min), ""
	case r.Max != nil:
		return strconv.Itoa(*r.Max), ""
	}
	return "", "which value " + r.Key + " is to have is yours to decide: " + r.wanted()
}

// replace puts the value in the place of a wrong one.
func (r *appSetting) replace(d *change.Draft, format string, s fact.AppSetting, value string) error {
	if r.good(s.Value) {
		return nil
	}
	if _, hidden := fact.AppSecret(s.Value); hidden || s.Value == "" {
		return fmt.Errorf("%s: %s is not to be replaced by a machine", s.Place, s.Name())
	}
	return d.Edit(s.Place.Path, 0o644, func(was []byte) ([]byte, error) {
		if format == "json" {
			return edit.JSON(was, s.Key, typed(value))
		}
		old := said(was, s)
		return edit.ReplaceOn(was, s.Place.Line, old, strings.TrimSuffix(old, s.Value)+value)
	})
}

// said is how a line says a setting: from its name to its value, where both stand there, as other words of the line may
// hold the value's letters.
func said(content []byte, s fact.AppSetting) string {
	lines := strings.Split(string(content), "\n")
	if s.Place.Line < 1 || s.Place.Line > len(lines) {
		return s.Value
	}
	whole := regexp.MustCompile(regexp.QuoteMeta(s.Last()) + `["']?[ \t:=]+["']?` + regexp.QuoteMeta(s.Value))
	if m := whole.FindString(lines[s.Place.Line-1]); m != "" {
		return m
	}
	return s.Value
}

// write says it where nothing does.
func (r *appSetting) write(d *change.Draft, format, path, value string) error {
	section, key := "", r.Key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		section, key = key[:i], key[i+1:]
	}
	switch {
	case format == "nginx" && section == "**":
		main, err := d.At("/etc/nginx/nginx.conf")
		if err != nil {
			return err
		}
		if !strings.Contains(string(main.Content), "/etc/nginx/conf.d/*.conf") {
			return fmt.Errorf("nginx.conf reads no folder for more settings: add %s %s; to its block http", key, value)
		}
		return d.Edit("/etc/nginx/conf.d/00-picket.conf", 0o644, func(was []byte) ([]byte, error) {
			if len(was) == 0 {
				was = []byte(change.Head)
			}
			return append(was, key+" "+value+";\n"...), nil
		})
	case strings.Contains(section, "*"), strings.Contains(section, ".") && format != "ini":
		return fmt.Errorf("%s: where %s is to stand is yours to decide", path, r.Key)
	case format == "json":
		return d.Edit(path, 0o644, func(was []byte) ([]byte, error) { return edit.JSON(was, strings.Split(r.Key, "."), typed(value)) })
	case format == "ini":
		return d.Say(path, 0o644, edit.INI, section, key, value)
	case format == "toml":
		if _, text := typed(value).(string); text {
			value = strconv.Quote(value)
		}
		return d.Say(path, 0o644, edit.Table, section, key, value)
	case format == "words" && section == "":
		return d.Say(path, 0o644, edit.Words, "", key, value)
	case format == "yaml" && section == "":
		return d.Say(path, 0o644, edit.Colon, "", key, value)
	}
	return fmt.Errorf("%s: %s is not set; where it is to stand is yours to decide: %s", path, r.Key, value)
}

// typed is a value as JSON and TOML have it: what looks like a number or a truth value is one.
func typed(value string) any {
	switch value {
	case "true", "false":
		return value == "true"
	}
	if n, err := strconv.Atoi(value); err == nil {
		return n
	}
	return value
}

// Fix implements control.Fixer: what was meant by a name that nobody reads is for a person to say.
func (r *appKeys) Fix(h *fact.Host, d *change.Draft) error {
	o := r.Evaluate(h)
	if len(o.Evidence) == 0 {
		d.Leave("%s", o.Reason)
		return nil
	}
	e := o.Evidence[0]
	d.Leave("what was meant is yours to say: %s: %s; instead: %s", e.Place, e.Fact, e.Wanted)
	return nil
}

var _ control.Fixer = (*appSetting)(nil)
