package kind

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// sshdOption wants options of the SSH server to have certain values for
// everybody who might log in, not only in its main file.
type sshdOption struct {
	want []sshdWant // all of these
	or   []sshdWant // all of these instead, where they make the others void
	who  string
}

func decodeSSHDOption(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &sshdOption{who: "all"}
	var ps yaml.Problems
	for _, k := range n.Keys() {
		if k != "want" && k != "for" && k != "or" {
			ps = append(ps, n.Get(k).Problem("%s", yaml.UnknownKey(k, []string{"want", "for", "or"})))
		}
	}
	if f := n.Get("for"); f != nil {
		ps = append(ps, f.Decode(&r.who)...)
		if !slices.Contains([]string{"all", "root", "stranger"}, r.who) {
			ps = append(ps, f.Problem("for is %q; one of: all, root, stranger", r.who))
		}
	}
	want := n.Get("want")
	if want == nil || len(want.Keys()) == 0 {
		return nil, append(ps, n.Problem("want is missing: {Option: [values]}"))
	}
	var p yaml.Problems
	r.want, p = decodeSSHDWants(want)
	ps = append(ps, p...)
	if or := n.Get("or"); or != nil {
		r.or, p = decodeSSHDWants(or)
		ps = append(ps, p...)
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return r, nil
}

// Ask implements control.Asker.
func (r *sshdOption) Ask() snap.Manifest {
	var m snap.Manifest
	for _, w := range r.want {
		if w.Exactly != nil {
			m.Commands = append(m.Commands, snap.Command{Argv: []string{"ssh", "-Q", fact.SSHQuery(w.option)}})
		}
	}
	return m
}

// Evaluate implements control.Rule.
func (r *sshdOption) Evaluate(h *fact.Host) control.Outcome {
	d := h.SSHD
	filesOnly := h.Snap.Source.Kind == "image" || d.Stopped
	if !filesOnly && d.Valid.Known() && !d.Valid.V {
		return control.CannotTell("sshd refuses its files ("+d.Valid.Why+"), so that it runs with older settings, if at all",
			control.Saw("sshd's configuration", d.Valid.Place, d.Valid.Why, "accepted"))
	}
	want := slices.DeleteFunc(slices.Clone(r.want), func(w sshdWant) bool { return d.Config.Lacks(w.option) != "" })
	if len(want) == 0 {
		return control.DoesNotApply(d.Config.Lacks(r.want[0].option))
	}
	for i := range want {
		var why string
		if want[i], why = want[i].forHost(h); why != "" {
			return control.CannotTell(want[i].option + ": " + why)
		}
	}
	answers, asked, left := d.Answers.V, !filesOnly && len(d.Answers.V) > 0, d.LeftOut
	if !asked {
		if d.Config.State != fact.Known {
			return control.CannotTell(sshdUnread(d.Config.State, d.Config.Why))
		}
		if len(d.Config.Problems) > 0 {
			p := d.Config.Problems[0]
			return control.CannotTell(fmt.Sprintf("sshd will refuse its files: %s at %s", p.Text, p.Place))
		}
		var who []fact.SSHDWho
		who, left = d.Config.Logins(h.Accounts)
		for _, w := range who {
			answers = append(answers, fact.SSHDAnswer{Who: w})
		}
	}
	// A Match for a user speaks of somebody who is in a list that must be known.
	everybody := h.Accounts.State == fact.Known && h.Accounts.GroupState == fact.Known || len(d.Config.Matches) == 0 || r.who == "stranger"
	elsewhere := ""
	if d.Config.TellsUsers() && r.who == "all" {
		elsewhere = h.Accounts.Elsewhere
	}
	answers = slices.DeleteFunc(slices.Clone(answers), func(a fact.SSHDAnswer) bool {
		return r.who == "root" && !isRoot(h, a.Who.User) || r.who == "stranger" && a.Who.Exists
	})

	if len(want) > 1 && len(answers) > 0 {
		// Without PAM nothing asks questions: sshd offers that way, and nobody comes in by it.
		if v, found := d.Option(answers[0], "UsePAM"); found.Explicit() && slices.Equal(v, []string{"no"}) {
			want = slices.DeleteFunc(want, func(w sshdWant) bool { return w.option == "KbdInteractiveAuthentication" })
		}
	}
	out := judgeAll(h, want, answers)
	if out.Effective == control.No && len(r.or) > 0 && !r.void(h) {
		// Each login has to be right in one of the two ways.
		var others, otherwise []fact.SSHDAnswer
		for _, a := range answers {
			if o := judgeAll(h, want, []fact.SSHDAnswer{a}); o.Effective == control.No {
				otherwise = append(otherwise, a)
			} else {
				others = append(others, a)
			}
		}
		if o := judgeAll(h, r.or, otherwise); o.Verdict != control.Unknown && o.Effective == control.Yes && o.Persistent == control.Yes {
			if len(others) > 0 {
				one := judgeAll(h, want, others)
				o.Reason, o.Evidence = one.Reason+"; "+o.Reason, append(one.Evidence, o.Evidence...)
				o.Persistent, o.Configured, o.Explicit = o.Persistent.And(one.Persistent), o.Configured.And(one.Configured), o.Explicit.And(one.Explicit)
			}
			out = o
		}
	}
	switch {
	case out.Verdict == control.Unknown:
		return out
	case asked && !d.Answers.Known() && out.Effective == control.Yes:
		return control.CannotTell("not every login could be asked about: "+d.Answers.Why, out.Evidence...)
	case asked && d.Config.State != fact.Known && out.Effective == control.Yes && inMatch(want):
		// A Match that was not read may be for others than those asked about.
		return control.CannotTell(sshdUnread(d.Config.State, d.Config.Why), out.Evidence...)
	case left > 0 && out.Persistent == control.Yes && inMatch(want):
		return control.CannotTell(fmt.Sprintf("sshd's Match lines tell more logins apart than are asked about: %d are left out", left), out.Evidence...)
	case asked && out.Effective == control.Yes && len(d.Changed(h.Snap)) > 0:
		// A line that is gone since may have said something else.
		out.Verdict, out.Effective = control.Unknown, control.Untold
		out.Reason = d.Changed(h.Snap)[0].String() + " changed after sshd last read its files, so that what it runs with is not known: reload it"
		return out
	case asked && d.StaleUnknown() != "" && out.Effective == control.Yes:
		return control.CannotTell(d.StaleUnknown(), out.Evidence...)
	case elsewhere != "" && out.Persistent == control.Yes && inMatch(want):
		return control.CannotTell("a Match may be for users who are not known: "+elsewhere, out.Evidence...)
	case !everybody && out.Persistent == control.Yes:
		return control.CannotTell("a Match may be for users who are not known: "+sshdUnread(h.Accounts.State, h.Accounts.Why), out.Evidence...)
	case asked:
		return out.Judge()
	case filesOnly:
		out.Effective = control.Untold
		return out.Judge()
	case out.Persistent == control.No:
		// What the files say is what sshd runs with, or will at its next start.
		out.Effective = control.Untold
		out.Verdict = control.Fail
		if out.Configured == control.Yes {
			out.Verdict = control.Ineffective
		}
		return out
	}
	why := sshdUnread(d.Answers.State, d.Answers.Why)
	return control.Outcome{Verdict: control.Unknown, Configured: out.Configured, Persistent: control.Untold, Explicit: out.Explicit, Evidence: out.Evidence, Reason: why}
}

// isRoot reports whether an account has root's rights, whatever its name.
func isRoot(h *fact.Host, name string) bool {
	return name == "root" || slices.ContainsFunc(h.Accounts.Users, func(u fact.User) bool { return u.Name == name && u.UID == 0 })
}

// void reports whether the options of or do not yet do what they say in this
// version of sshd.
func (r *sshdOption) void(h *fact.Host) bool {
	return slices.ContainsFunc(r.or, func(w sshdWant) bool { return w.option == "DisableForwarding" }) && !h.DisablesForwarding() &&
		slices.ContainsFunc(r.want, func(w sshdWant) bool { return w.option == "X11Forwarding" || w.option == "AllowAgentForwarding" })
}

// inMatch reports whether one of the options may differ from login to login.
func inMatch(want []sshdWant) bool {
	return slices.ContainsFunc(want, func(w sshdWant) bool { return fact.SSHDOptionInMatch(w.option) })
}

// judgeAll compares several options; all must be right.
func judgeAll(h *fact.Host, want []sshdWant, answers []fact.SSHDAnswer) control.Outcome {
	out := control.Outcome{Configured: control.Yes, Effective: control.Yes, Persistent: control.Yes, Explicit: control.Yes}
	var bad, good []string
	lists := map[string][]string{} // options of which another list is in force, by what else is said of them
	for _, w := range want {
		one := w.judge(h, answers)
		if one.Verdict == control.Unknown {
			return one
		}
		out.Configured = out.Configured.And(one.Configured)
		out.Effective = out.Effective.And(one.Effective)
		out.Persistent = out.Persistent.And(one.Persistent)
		out.Explicit = out.Explicit.And(one.Explicit)
		out.Evidence = append(out.Evidence, one.Evidence...)
		switch rest, list := strings.CutPrefix(one.Reason, w.option+anotherList); {
		case one.Effective == control.Yes:
			good = append(good, one.Reason)
		case list:
			lists[rest] = append(lists[rest], w.option)
		default:
			bad = append(bad, one.Reason)
		}
	}
	for _, rest := range slices.Sorted(maps.Keys(lists)) {
		text := lists[rest][0] + anotherList
		if all := lists[rest]; len(all) > 1 {
			last := len(all) - 1
			text = strings.Join(all[:last], ", ") + " and " + all[last] + " are other lists than wanted"
			rest = strings.Replace(rest, "no file sets it", "no file sets them", 1)
		}
		bad = append(bad, text+rest)
	}
	if out.Reason = strings.Join(bad, "; "); len(bad) == 0 {
		out.Reason = strings.Join(good, "; ")
	}
	return out
}

func sshdUnread(st fact.State, why string) string {
	if st == fact.Denied {
		return why + "; run as root"
	}
	return why
}

// judge compares one option for all logins.
func (w sshdWant) judge(h *fact.Host, answers []fact.SSHDAnswer) control.Outcome {
	d := h.SSHD
	if !fact.SSHDOptionInMatch(w.option) && len(answers) > 0 {
		answers = answers[:1]
	}
	out := control.Outcome{Configured: control.Yes, Effective: control.Yes, Persistent: control.Yes, Explicit: control.No}
	var wrong []string
	for _, a := range answers {
		values, found := d.Option(a, w.option)
		if found.Explicit() {
			out.Explicit = control.Yes
		}
		if values == nil && found.Unknown != "" {
			return control.CannotTell(w.option + ": " + found.Unknown)
		}
		place := a.Place
		if len(found.By) > 0 {
			place = found.By[0].Place
		}
		if place == (fact.Place{}) {
			place = fact.Place{Path: "/etc/ssh/sshd_config"}
		}
		if ok, weak := w.accepts(values); !ok {
			text, configured := w.wrong(d, a, values, found, weak)
			out.Effective, out.Persistent = control.No, control.No
			out.Configured = out.Configured.And(control.TriOf(configured))
			if !slices.Contains(wrong, text) {
				wrong = append(wrong, text)
				out.Evidence = append(out.Evidence, control.Saw(w.option+whoOf(w, d, a), place, seenValue(values, weak), w.String()))
				for _, o := range found.Others {
					out.Evidence = append(out.Evidence, control.Saw(w.option+", which has no effect here", o.Place, strings.Join(o.Values, " "), ""))
				}
			}
			continue
		}
		if now, next, differ := d.Between(a, w.option); differ {
			// A value of the command line comes and goes with a restart only.
			okNow, _ := w.accepts(now)
			okNext, _ := w.accepts(next)
			out.Effective, out.Persistent = out.Effective.And(control.TriOf(okNow)), out.Persistent.And(control.TriOf(okNext))
			if !okNow || !okNext {
				is, was := "the running sshd", now
				if okNow {
					is, was = "sshd after its next start", next
				}
				out.Configured = out.Configured.And(control.TriOf(okNext))
				wrong = append(wrong, fmt.Sprintf("%s is set at %s, but is %s for %s: only a restart changes its command line", w.option, place, show(was), is))
				out.Evidence = append(out.Evidence, control.Saw(w.option+" for "+is, place, show(was), w.String()))
				continue
			}
		}
		if len(found.By) > 0 && d.Stale(h.Snap, found.By[0].Place) && out.Effective == control.Yes {
			out.Effective = control.No
			wrong = append(wrong, fmt.Sprintf("%s is set at %s, which was written after sshd last read its files: reload it", w.option, place))
			out.Evidence = append(out.Evidence, control.Saw("written after sshd read its files", place, show(values), ""))
		}
	}
	if len(wrong) > 0 {
		if len(wrong) > 3 {
			wrong = append(wrong[:3], fmt.Sprintf("and %d more", len(wrong)-3))
		}
		out.Reason = strings.Join(wrong, "; ")
		return out
	}
	if len(answers) > 0 {
		values, found := d.Option(answers[0], w.option)
		out.Reason = w.option + " is " + show(values)
		place := answers[0].Place
		if found.Explicit() {
			place = found.By[0].Place
			out.Reason += " (" + place.String() + ")"
		} else {
			out.Reason += " by default"
		}
		if place == (fact.Place{}) {
			place = fact.Place{Path: "/etc/ssh/sshd_config"}
		}
		out.Evidence = append(out.Evidence, control.Saw(w.option, place, show(values), ""))
	}
	return out
}

// wrong says why a login gets a wrong value, and whether the files ask for the
// right one for everybody.
func (w sshdWant) wrong(d fact.SSHD, a fact.SSHDAnswer, values []string, found fact.SSHDFound, weak []string) (text string, configured bool) {
	is, which := w.state(values, weak)
	for _, o := range found.Others {
		if ok, _ := w.accepts(d.Config.Canonical(o)); ok && len(o.Match) == 0 {
			configured = true
			text = fmt.Sprintf("%s %s at %s has no effect: ", w.option, strings.Join(o.Values, " "), o.Place)
		}
	}
	text += is
	if len(found.By) == 0 {
		text += " by default"
		which = cmp.Or(which, ": no file sets it")
	} else {
		by := found.By[0]
		if m := d.Config.Block(by); m != "" {
			configured = false // somebody chose this for some logins
			text += fmt.Sprintf(" for %s (%s, %s)", a.Who, m, by.Place)
		} else if configured {
			text += fmt.Sprintf(" at %s, which sshd reads first", by.Place)
		} else {
			text += fmt.Sprintf(" (%s)", by.Place)
		}
	}
	if !configured {
		for _, s := range d.Config.Settings {
			if ok, _ := w.accepts(d.Config.Canonical(s)); ok && s.Keyword == fact.SSHDKeyword(w.option) && len(s.Match) > 0 {
				return text + fmt.Sprintf("; %s at %s stands in %q and counts only there", strings.Join(s.Values, " "), s.Place, d.Config.Block(s)), false
			}
		}
	}
	return text + which, configured
}

// anotherList is what is said of an option that is to be just one list.
const anotherList = " is another list than wanted"

// state is what an option is, in words. Of a list only what is wrong in it is
// worth a word: how much, and (which) the first of it.
func (w sshdWant) state(values, weak []string) (is, which string) {
	if w.exact != nil {
		return w.option + anotherList, ""
	}
	if len(weak) == 0 {
		return w.option + " is " + show(values), ""
	}
	what := "entries too many"
	if len(weak) == 1 {
		what = "entry too many"
	}
	if strings.HasSuffix(w.option, "Algorithms") || w.option == "Ciphers" || w.option == "MACs" {
		what = "algorithms beyond the strong ones" // not all of them are broken: some are only doubted
		if len(weak) == 1 {
			what = "algorithm beyond the strong ones"
		}
	}
	return fmt.Sprintf("%s allows %d %s", w.option, len(weak), what), ": " + firstFew(weak, 3)
}

// seenValue is a value for evidence; of a list, what is wrong in it.
func seenValue(values, weak []string) string {
	if len(weak) > 0 {
		return firstFew(weak, 12)
	}
	return show(values)
}

// firstFew joins the first n words and counts the rest.
func firstFew(words []string, n int) string {
	if len(words) <= n+1 {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}

// whoOf names the login in evidence, where a Match tells logins apart: else all
// have the option alike.
func whoOf(w sshdWant, d fact.SSHD, a fact.SSHDAnswer) string {
	if a.Who.User == "" || !slices.ContainsFunc(d.Config.Settings, func(s fact.SSHDSetting) bool {
		return len(s.Match) > 0 && s.Keyword == fact.SSHDKeyword(w.option)
	}) {
		return ""
	}
	return " for " + a.Who.String()
}

// show joins the lines of a value; a long list is cut.
func show(values []string) string {
	s := strings.Join(values, " ")
	if s == "" {
		return "not set"
	}
	if r := []rune(s); len(r) > 120 {
		return string(r[:117]) + "…"
	}
	return s
}
