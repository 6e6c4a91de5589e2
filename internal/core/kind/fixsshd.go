package kind

import (
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// sshdFile is read before all others of its folder: of sshd's settings the first wins.
const sshdFile = "/etc/ssh/sshd_config.d/00-picket.conf"

// Fix implements control.Fixer: the options go into a file of our own. Whether they hold then is worked out from
// all files; where another still wins, it is left to a person.
func (r *sshdOption) Fix(h *fact.Host, d *change.Draft) error {
	settings := map[string]string{}
	for _, w := range r.want {
		if h.SSHD.Config.Lacks(w.option) != "" {
			continue
		}
		w, why := w.forHost(h)
		if why != "" {
			d.Leave("%s: %s", w.option, why)
			return nil
		}
		for _, a := range answersOf(h) {
			values, _ := h.SSHD.Option(a, w.option)
			if ok, _ := w.accepts(values); ok {
				continue
			}
			value, ok := w.choose(values)
			if !ok {
				d.Leave("which value %s is to have is yours to decide", w.option)
				return nil
			}
			settings[w.option] = value
		}
	}
	if len(settings) == 0 {
		d.Leave("sshd does not run with what its files say: `sudo systemctl restart ssh`, when nobody works over it")
		return nil
	}
	if err := setOwn(d, sshdFile, 0o600, " ", settings); err != nil {
		return err
	}
	if o := r.predict(h, d); o.Persistent != control.Yes {
		d.Leave("another file or a Match would still win: %s", o.Reason)
		return nil
	}
	return nil
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
func (w sshdWant) choose(values []string) (string, bool) {
	one := strings.Join(values, " ")
	if w.option == "HostKey" { // a line each, and a key that goes is one that somebody may know this host by
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
		_, wrong := w.accepts(values)
		var left []string
		for e := range strings.SplitSeq(one, ",") {
			if !slices.Contains(wrong, e) {
				left = append(left, e)
			}
		}
		return strings.Join(left, ","), len(left) > 0
	}
	return "", false
}

// predict judges the host by its files as the draft has them.
func (r *sshdOption) predict(h *fact.Host, d *change.Draft) control.Outcome {
	s := d.Snapshot()
	for key, o := range s.Commands { // what was asked before
		if len(o.Argv) > 0 && strings.HasSuffix(o.Argv[0], "sshd") {
			delete(s.Commands, key)
		}
	}
	s.Source.Kind = "image"
	return r.Evaluate(fact.Parse(s))
}
