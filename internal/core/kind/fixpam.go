package kind

import (
	"path"
	"slices"
	"strconv"

	"picket/internal/core/change"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// Fix implements control.Fixer. What stands on the module's line wins over its files, so it is changed there; else a
// file of our own says it, or the module's own file.
func (r *pamOption) Fix(h *fact.Host, d *change.Draft) error {
	var value *string
	if !r.Flag && !r.Unset {
		v := strconv.Itoa(r.nearest())
		value = &v
	}
	onLine := func(at string) error {
		return d.Edit(at, 0o644, func(was []byte) ([]byte, error) {
			return edit.ModuleOption(was, r.Module, r.Option, !r.Unset, value)
		})
	}
	var lines []fact.PAMLine
	for _, l := range h.Session.PAM[r.Stack].V {
		if l.Module == r.Module {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		d.Leave("%s is not in /etc/pam.d/%s", r.Module, r.Stack)
		return nil
	}
	files, why := r.readsFiles(h)
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	said := func(l fact.PAMLine) bool { _, ok := r.onLine(l); return ok }
	if r.Unset || !files || len(r.Files) == 0 || slices.ContainsFunc(lines, said) {
		for _, l := range lines {
			if err := onLine(l.Place.Path); err != nil {
				return err
			}
		}
		return stillWrong(r, d)
	}
	at := r.Files[len(r.Files)-1]
	if v := r.fromFiles(h); v.Known() {
		at = v.Place.Path
	} else if i := slices.IndexFunc(r.Files, snap.IsPattern); i >= 0 {
		at = path.Dir(r.Files[i]) + "/zz-picket.conf"
	}
	text := ""
	if value != nil {
		text = *value
	}
	if err := d.Say(at, 0o644, edit.Flags, "", r.Option, text); err != nil {
		return err
	}
	return stillWrong(r, d)
}

// nearest is the value that is right and asks for the least change.
func (r *pamOption) nearest() int {
	if r.Min == nil {
		return *r.Max
	}
	if n, err := strconv.Atoi(r.Default); r.Max != nil && (err != nil || n < *r.Min || n > *r.Max) {
		return *r.Max // of a bounded number, such as how often a letter may repeat
	}
	return *r.Min
}
