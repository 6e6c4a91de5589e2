package kind

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// forms of file-setting's formats. Of apt a line is: Key "value";
var forms = map[string]edit.Form{"systemd": edit.Systemd, "ini": edit.INI, "assignment": edit.Equals, "words": edit.Words, "apt": change.Apt}

// Fix implements control.Fixer: a file of our own where the program reads such, else the line that counts now.
func (r *fileSetting) Fix(h *fact.Host, d *change.Draft) error {
	value, why := r.choose(d.Policy())
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	v := r.value(h)
	at, section, key := v.Place.Path, r.Section, r.Key
	switch r.Format {
	case "systemd":
		at = "/etc/systemd/" + r.File + ".d/zz-picket.conf"
	case "apt":
		at, value = change.AptFile, `"`+value+`";`
	default:
		if !v.Known() {
			at = r.home(h)
		}
	}
	if err := d.Say(at, 0o644, forms[r.Format], section, key, value); err != nil {
		return err
	}
	return stillWrong(r, d)
}

// choose is the value that is to be set, or why a person has to.
func (r *fileSetting) choose(p change.Policy) (value, why string) {
	switch {
	case r.Format == "apt" && r.Key == "Unattended-Upgrade::Automatic-Reboot":
		if p.UpdateReboot == nil {
			return "", "whether updates may start the host anew is yours to decide: policy.updates.reboot in picket.yaml"
		}
		return strconv.FormatBool(*p.UpdateReboot), ""
	case len(r.Want) > 0:
		return r.Want[0], ""
	case r.Min != nil:
		return strconv.Itoa(*r.Min), ""
	case r.Max != nil:
		return strconv.Itoa(*r.Max), ""
	}
	return "", "which value " + r.Key + " is to have is yours to decide"
}

// home is where a setting goes that no file has: a drop-in where there is a folder for such, else the first file that is
// there.
func (r *fileSetting) home(h *fact.Host) string {
	for _, f := range r.Files {
		if dir, last := path.Split(f); snap.IsPattern(last) && strings.HasSuffix(last, ".conf") {
			return dir + "00-picket.conf"
		}
	}
	for _, f := range r.Files {
		if _, st, _ := h.Snap.File(f); st == fact.Known {
			return f
		}
	}
	return r.Files[0]
}

// stillWrong leaves it to a person when the files as drafted would not bring what is wanted.
func stillWrong(r control.Rule, d *change.Draft) error {
	if o := r.Evaluate(control.Drafted(d)); o.Persistent == control.No {
		d.Leave("another file would still win: %s", o.Reason)
	}
	return nil
}

// Fix implements control.Fixer.
func (r *fileAbsent) Fix(h *fact.Host, d *change.Draft) error {
	for _, p := range r.Paths {
		es, _, _ := h.Snap.Glob(p)
		for _, e := range es {
			if e.Target == "/dev/null" {
				continue
			}
			if err := d.Remove(e.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fix implements control.Fixer.
func (r *fileLine) Fix(h *fact.Host, d *change.Draft) error {
	if r.Do == "" {
		d.Leave("what is to stand there instead is yours to decide")
		return nil
	}
	for _, p := range r.Paths {
		es, _, _ := h.Snap.Glob(p)
		for _, e := range es {
			if _, st, _ := h.Snap.File(e.Path); st != fact.Known || len(r.look(e)) == 0 {
				continue
			}
			if !strings.HasPrefix(e.Path, "/etc/") {
				d.Leave("%s belongs to a package", e.Path)
				return nil
			}
			at := e.Path
			if e.Real != "" {
				at = e.Real
			}
			err := d.Edit(at, 0o644, func(was []byte) ([]byte, error) {
				if r.Do == "replace" {
					return []byte(r.By), nil
				}
				var bad []int
				for i, l := range strings.Split(strings.ToValidUTF8(string(was), "\uFFFD"), "\n") {
					for _, re := range r.forbid {
						if re.MatchString(l) && !slices.Contains(bad, i+1) {
							bad = append(bad, i+1)
						}
					}
				}
				return edit.CommentOut(was, change.Mark, bad...)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
