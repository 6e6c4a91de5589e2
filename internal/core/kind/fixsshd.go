package kind

import (
	"maps"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

// Fix implements control.Fixer: the options go into a file of our own. Whether they hold then is worked out from
// all files; a line of another that still wins becomes a comment, where it is in /etc/ssh.
func (r *sshdOption) Fix(h *fact.Host, d *change.Draft) error {
	settings := map[string]string{}
	want, why := r.forHost(h)
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	drafted := d.Touches("/etc/ssh/")
	if drafted { // what another rule has set is not set back
		h = control.DraftedFiles(d)
	}
	for _, w := range want {
		for _, a := range answersOf(h) {
			values, _ := h.SSHD.Option(a, w.option)
			if ok, _ := w.accepts(values); ok {
				continue
			}
			value, ok := w.choose(h, values)
			if !ok {
				d.Leave("which value %s is to have is yours to decide", w.option)
				return nil
			}
			settings[w.option] = value
		}
	}
	if len(settings) == 0 && drafted {
		d.Covered(change.SSHDFile)
		return nil
	}
	if len(settings) == 0 {
		d.Leave("sshd does not run with what its files say: `sudo systemctl reload ssh`, or restart for what its command line sets, when nobody works over it")
		return nil
	}
	for _, option := range slices.Sorted(maps.Keys(settings)) {
		var err error
		if option == "HostKey" { // a line each
			var lines []string
			for _, key := range strings.Fields(settings[option]) {
				lines = append(lines, option+" "+key)
			}
			if err = d.Edit(change.SSHDFile, 0o600, only("HostKey", lines)); err == nil {
				err = d.Add(change.SSHDFile, 0o600, lines...)
			}
		} else {
			err = d.Say(change.SSHDFile, 0o600, change.SSHD, "", option, settings[option])
		}
		if err != nil {
			return err
		}
	}
	return r.settle(want, h, d)
}

// only takes the lines of an option out that are not among these.
func only(option string, lines []string) func([]byte) ([]byte, error) {
	return func(was []byte) (out []byte, _ error) {
		for l := range strings.Lines(string(was)) {
			if !strings.HasPrefix(l, option+" ") || slices.Contains(lines, strings.TrimSpace(l)) {
				out = append(out, l...)
			}
		}
		return out, nil
	}
}

// forHost are the options that this host's sshd has, each with what is wanted of it.
func (r *sshdOption) forHost(h *fact.Host) (out []sshdWant, why string) {
	for _, w := range r.want {
		if h.SSHD.Config.Lacks(w.option) != "" {
			continue
		}
		w, why := w.forHost(h)
		if why != "" {
			return nil, w.option + ": " + why
		}
		w.Exactly = nil // it is in exact now
		out = append(out, w)
	}
	return out, ""
}

// settle makes lines that still win comments, until what the files say is right.
func (r *sshdOption) settle(want []sshdWant, h *fact.Host, d *change.Draft) error {
	as := *r
	as.want = want
	for range 30 {
		then := control.DraftedFiles(d)
		o := as.Evaluate(then)
		if o.Persistent == control.Yes {
			return nil
		}
		at, ok := winner(want, then)
		if !ok {
			d.Leave("another file or a Match would still win: %s", o.Reason)
			return nil
		}
		if err := d.Edit(at.Path, 0o644, func(was []byte) ([]byte, error) { return edit.CommentOut(was, change.Mark, at.Line) }); err != nil {
			return err
		}
	}
	d.Leave("too many lines of sshd's files say otherwise")
	return nil
}

// winner is a line in /etc/ssh, none of ours, that gives a login a wrong value.
func winner(want []sshdWant, h *fact.Host) (fact.Place, bool) {
	for _, w := range want {
		for _, a := range answersOf(h) {
			values, found := h.SSHD.Option(a, w.option)
			if ok, _ := w.accepts(values); ok {
				continue
			}
			for _, by := range found.By {
				if by.Place.Line > 0 && by.Place.Path != change.SSHDFile && strings.HasPrefix(by.Place.Path, "/etc/ssh/") {
					return by.Place, true
				}
			}
		}
	}
	return fact.Place{}, false
}

// answersOf are the logins that an option is looked up for.
func answersOf(h *fact.Host) []fact.SSHDAnswer {
	if len(h.SSHD.Answers.V) > 0 {
		return h.SSHD.Answers.V
	}
	who, _ := h.SSHD.Config.Logins(h.Accounts)
	var out []fact.SSHDAnswer
	for _, w := range who {
		out = append(out, fact.SSHDAnswer{Who: w})
	}
	return out
}

// choose is a value that is right, near to what there is.
func (w sshdWant) choose(h *fact.Host, values []string) (string, bool) {
	one := strings.Join(values, " ")
	if w.option == "HostKey" { // the first of which all keys are there
		for _, v := range w.values {
			if !slices.ContainsFunc(strings.Fields(v), func(key string) bool {
				_, st, _ := h.Snap.Stat(key)
				return st != fact.Known || slices.ContainsFunc(h.SSHD.HostKeys, func(k fact.HostKey) bool { return k.Path == key && k.Weak() != "" })
			}) {
				return v, true
			}
		}
		return "", false
	}
	switch {
	case w.Set != "":
		return w.Set, true
	case len(w.values) > 0:
		return w.values[0], true
	case w.exact != nil:
		return strings.Join(w.exact, ","), true
	case w.Min != "" && !within(one, w.Min, ""):
		return w.Min, true
	case w.Max != "":
		return w.Max, true
	case w.Subset != nil || w.Without != nil:
		between := ","
		if w.option == "AcceptEnv" {
			between = " "
		}
		_, wrong := w.accepts(values)
		var left []string
		for e := range strings.FieldsFuncSeq(one, func(r rune) bool { return r == ',' || r == ' ' }) {
			if !slices.Contains(wrong, e) {
				left = append(left, e)
			}
		}
		if len(left) == 0 && w.option == "AcceptEnv" {
			left = w.Subset[:1]
		}
		return strings.Join(left, between), len(left) > 0
	}
	return "", false
}
