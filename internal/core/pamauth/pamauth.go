// Package pamauth writes the common stacks of PAM as pam-auth-update(8) does: from profiles, so that it goes on
// managing them. The rules are those of Debian 12's program, to which the tests hold it; on the host itself [Check] does.
package pamauth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Where it keeps things.
const (
	Profiles = "/usr/share/pam-configs" // what packages offer, a file each
	Saved    = "/var/lib/pam"           // what it wrote last, a file for each kind of stack
)

// Kinds of stacks.
var Kinds = []string{"auth", "account", "password", "session", "session-noninteractive"}

// Stack is the file of a kind of stack.
func Stack(kind string) string { return "/etc/pam.d/common-" + kind }

// Check is a command that fails where pam-auth-update would not manage the stacks as they are now, or would write others
// of some kinds: it is run over a copy, with answers of its own. Profiles that it has not seen yet are no part of the
// question.
func Check(kinds ...string) string { return check + "for f in " + strings.Join(kinds, " ") + checkEach }

const check = `command -v pam-auth-update >/dev/null || exit 0; t=$(mktemp -d) && trap 'rm -rf "$t"' EXIT && ` +
	`mkdir -p "$t/etc" "$t/var/lib" "$t/usr/share" && cp -a /etc/pam.d "$t/etc" && cp -a /var/lib/pam "$t/var/lib" && cp -a /usr/share/pam-configs "$t/usr/share" && ` +
	`ls "$t/usr/share/pam-configs" >"$t/var/lib/pam/seen" && ` +
	`DEBIAN_FRONTEND=noninteractive DEBCONF_DB_REPLACE='Pipe{infd:none outfd:none}' pam-auth-update --root "$t" --package </dev/null >"$t/said" 2>&1; r=$?; ` +
	`! grep 'Local modifications' "$t/said" && [ $r = 0 ] && `

const checkEach = `; do grep -v '^#' "/etc/pam.d/common-$f" >"$t/is"; grep -v '^#' "$t/etc/pam.d/common-$f" | cmp -s - "$t/is" || { echo "pam-auth-update would write another common-$f"; exit 1; }; done`

// CheckWords is what Check stands for.
const CheckWords = "pam-auth-update has to write the same"

// Drop is a command that has nothing name a profile of ours that is gone, when a change is taken back: where
// pam-auth-update has run since, its list of what it has seen does, and where a package has changed a stack, so that it
// was not put back as it was, the stack does.
const Drop = `cd /var/lib/pam || exit 0; for m in $(sed -n 's/^\(Module: \)\{0,1\}\(picket-[a-z-]*\)$/\2/p' ./* | sort -u); do [ ! -e "/usr/share/pam-configs/$m" ] || continue; ` +
	`if grep -qx "Module: $m" ./*; then DEBIAN_FRONTEND=noninteractive pam-auth-update --package </dev/null; else sed -i "/^$m\$/d" seen; fi; done`

// DropWords is what Drop stands for.
const DropWords = "when it is taken back, pam-auth-update writes no line of it any more"

// A Host is what pam-auth-update works on, by names of files without their folders.
type Host struct {
	Profiles map[string]string // by name
	Stacks   map[string]string // common-KIND, by kind
	Saved    map[string]string // by kind
}

// ErrByHand is that pam-auth-update leaves the stacks alone, since somebody has changed them.
var ErrByHand = errors.New("/etc/pam.d/common-* was edited by hand, so pam-auth-update leaves it alone")

// Using are the profiles in use, in their order. The error is [ErrByHand] with the place.
func (h Host) Using() ([]string, error) {
	using, _, err := h.merge()
	return using, err
}

// Enable returns the host with some of its profiles in use besides those that are: stacks and what is saved of them, of
// the kinds that these profiles are for. It refuses to change more than that.
func (h Host) Enable(names ...string) (Host, error) {
	using, all, err := h.merge()
	if err != nil {
		return h, err
	}
	profiles := h.profiles()
	out := Host{Profiles: h.Profiles, Stacks: maps.Clone(h.Stacks), Saved: maps.Clone(h.Saved)}
	for _, n := range names {
		if profiles[n] == nil {
			return h, fmt.Errorf("there is no profile %s in %s", n, Profiles)
		}
	}
	using = order(profiles, append(using, names...))
	for _, kind := range Kinds {
		if !slices.ContainsFunc(names, func(n string) bool { return profiles[n][field(kind)+"-Type"] != "" }) {
			continue
		}
		if out.Stacks[kind], err = write(h.Stacks[kind], kind, profiles, using, all[kind]); err != nil {
			return h, err
		}
		out.Saved[kind] = save(kind, profiles, using)
		if err := same(kind, h.Stacks[kind], out.Stacks[kind], profiles, names); err != nil {
			return h, err
		}
	}
	return out, nil
}

// Offering are the profiles that call a module and are not in use.
func (h Host) Offering(module string) (names []string) {
	using, _ := h.Using()
	for name, p := range h.profiles() {
		if !slices.Contains(using, name) && slices.ContainsFunc(slices.Collect(maps.Values(p)), func(text string) bool { return slices.Contains(strings.Fields(text), module) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A profile is its fields.
type profile map[string]string

var fieldLine = regexp.MustCompile(`^(\S+):(?:\s+(.*))?$`)

// parse reads a profile as pam-auth-update does.
func parse(text string) profile {
	p, name := profile{}, ""
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if m := fieldLine.FindStringSubmatch(l); m != nil {
			name = strings.TrimSuffix(m[1], "-Final")
			p[name] = m[2]
			continue
		}
		if l = strings.TrimSpace(l); l != "" {
			p[name] = strings.TrimSpace(p[name] + "\n" + l)
		}
	}
	if _, only := p["Session-Interactive-Only"]; !only {
		for _, end := range []string{"-Type", "", "-Initial"} {
			if v, ok := p["Session"+end]; ok {
				p["Session-noninteractive"+end] = v
			}
		}
	}
	return p
}

func (h Host) profiles() map[string]profile {
	out := map[string]profile{}
	for name, text := range h.Profiles {
		if strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") || strings.Contains(text, "pam_tally") {
			continue
		}
		out[name] = parse(text)
	}
	return out
}

// order sorts by priority, then by name, both falling.
func order(profiles map[string]profile, names []string) []string {
	rank := func(n string) int {
		v, _ := strconv.Atoi(strings.TrimSpace(profiles[n]["Priority"]))
		return v
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return profiles[n] == nil })
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(b, a)) })
	return slices.Compact(names)
}

// field is how profiles name a kind.
func field(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] }

// lines are a profile's for a kind; the first in its stack may have others.
func (p profile) lines(kind string, first bool) []string {
	text := p[field(kind)]
	if i := p[field(kind)+"-Initial"]; first && i != "" {
		text = i
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// What marks the parts of a stack that it writes.
const (
	primary    = `# here are the per-package modules (the "Primary" block)`
	fallback   = `# here's the fallback if no module succeeds`
	additional = `# and here are more per-package modules (the "Additional" block)`
	end        = `# end of pam-auth-update config`
)

var (
	moduleLine = regexp.MustCompile(`^((?:\[[^]]+\]|\w+)\s+\S+)\s*(.*)`)
	jumpNumber = regexp.MustCompile(`(\[[^0-9]*)[0-9]+(.*\])`)
	jumpEnd    = regexp.MustCompile(`(\[.*)end(.*\])`)
)

// edits are what somebody has changed of the options of a line, by control and module without the numbers of jumps.
type edits struct{ add, remove map[string][]string }

// merge compares what lies there with what was written last, line by line: options may be others and lines may be gone,
// but no line may have come.
func (h Host) merge() (using []string, all map[string]edits, err error) {
	all = map[string]edits{}
	for _, kind := range Kinds {
		saved, there := h.Saved[kind]
		if !there {
			return nil, nil, fmt.Errorf("%w: there is no %s", ErrByHand, path.Join(Saved, kind))
		}
		type line struct{ of, text string }
		var list []line
		of := ""
		for l := range strings.Lines(saved) {
			l = strings.TrimSuffix(l, "\n")
			if name, is := strings.CutPrefix(l, "Module: "); is {
				of = name
				continue
			}
			list = append(list, line{of, jumpEnd.ReplaceAllString(jumpNumber.ReplaceAllString(l, "$1$2"), "$1$2")})
		}
		e := edits{map[string][]string{}, map[string][]string{}}
		parts, ok := cut(h.Stacks[kind])
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s lacks the marks of the part that it writes", ErrByHand, Stack(kind))
		}
		for _, l := range append(slices.Clone(parts.primary), parts.additional...) {
			text := jumpNumber.ReplaceAllString(untyped(l, kind), "$1$2")
			found := false
			for !found && len(list) > 0 {
				m := moduleLine.FindStringSubmatch(list[0].text)
				of, list = list[0].of, list[1:]
				if m == nil {
					continue
				}
				var rest string
				if rest, found = strings.CutPrefix(text, m[1]); !found {
					continue
				}
				using = append(using, of)
				was := strings.Fields(m[2])
				for _, o := range strings.Fields(rest) {
					if slices.Contains(was, o) {
						was = slices.DeleteFunc(was, func(w string) bool { return w == o })
					} else {
						e.add[m[1]] = append(e.add[m[1]], o)
					}
				}
				e.remove[m[1]] = append(e.remove[m[1]], was...)
			}
			if !found {
				return nil, nil, fmt.Errorf("%w: the line %q of %s is of no profile", ErrByHand, strings.TrimSpace(l), Stack(kind))
			}
		}
		all[kind] = e
	}
	return order(h.profiles(), using), all, nil
}

// untyped is a line without the word in front.
func untyped(l, kind string) string {
	word := strings.TrimSuffix(kind, "-noninteractive")
	if rest, is := strings.CutPrefix(l, word); is && strings.TrimLeft(rest, " \t") != rest {
		return strings.TrimLeft(rest, " \t")
	}
	return l
}

// A stack in its parts: head, between and tail are outside of what is written anew.
type stack struct {
	head, primary, between, additional, tail []string
}

func cut(text string) (s stack, ok bool) {
	part := &s.head
	next := []struct {
		mark string
		own  bool // the mark belongs to the part before it
		part *[]string
	}{{primary, true, &s.primary}, {fallback, false, &s.between}, {additional, true, &s.additional}, {end, false, &s.tail}}
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if len(next) > 0 && strings.HasPrefix(l, next[0].mark) {
			if next[0].own {
				*part = append(*part, l)
				part, next = next[0].part, next[1:]
				continue
			}
			part, next = next[0].part, next[1:]
		}
		*part = append(*part, l)
	}
	return s, len(next) == 0
}

// write makes a stack of profiles, with what somebody has changed of their options.
func write(was, kind string, profiles map[string]profile, using []string, e edits) (string, error) {
	s, _ := cut(was)
	block := func(which string) (out []string, err error) {
		var all []string
		first := true
		for _, name := range using {
			if profiles[name][field(kind)+"-Type"] == which {
				all = append(all, profiles[name].lines(kind, first)...)
				first = false
			}
		}
		left := len(all)
		word := strings.TrimSuffix(kind, "-noninteractive")
		switch {
		case which == "Additional":
			left--
		case left == 0:
			return []string{word + "\t[default=1]\t\t\tpam_permit.so"}, nil
		}
		for _, l := range all {
			m := moduleLine.FindStringSubmatch(l)
			if m == nil {
				return nil, fmt.Errorf("a profile in %s has a line that is none of PAM: %q", Profiles, l)
			}
			text := strings.ReplaceAll(m[1], "end", strconv.Itoa(left))
			key := jumpNumber.ReplaceAllString(text, "$1$2")
			add := slices.Clone(e.add[key])
			var options []string
			for _, o := range strings.Fields(m[2]) {
				add = slices.DeleteFunc(add, func(a string) bool { return a == o })
				if !slices.Contains(e.remove[key], o) {
					options = append(options, o)
				}
			}
			slices.Sort(add)
			out = append(out, word+"\t"+text+" "+strings.Join(append(options, slices.Compact(add)...), " "))
			left--
		}
		return out, nil
	}
	p, err := block("Primary")
	if err != nil {
		return "", err
	}
	a, err := block("Additional")
	if err != nil {
		return "", err
	}
	return strings.Join(slices.Concat(s.head, p, s.between, a, s.tail), "\n") + "\n", nil
}

// save is what it keeps of a stack that it wrote.
func save(kind string, profiles map[string]profile, using []string) string {
	var out strings.Builder
	first := true
	for _, but := range []string{"Additional", "Primary"} {
		if but == "Primary" && first { // nothing was in the first block
			out.WriteString("Module: null\n[default=1]\t\t\tpam_permit.so\n")
		}
		first = true
		for _, name := range using {
			if is := profiles[name][field(kind)+"-Type"]; is == "" || is == but {
				continue
			}
			if lines := profiles[name].lines(kind, first); len(lines) > 0 {
				out.WriteString("Module: " + name + "\n" + strings.Join(lines, "\n") + "\n")
			}
			first = false
		}
	}
	return out.String()
}

// same wants a stack to have no other lines than before, but for those of some profiles.
func same(kind, before, after string, profiles map[string]profile, names []string) error {
	modules := func(text string) (out []string) {
		s, _ := cut(text)
		for _, l := range slices.Concat(s.primary, s.additional) {
			if m := moduleLine.FindStringSubmatch(untyped(l, kind)); m != nil {
				out = append(out, jumpNumber.ReplaceAllString(m[1], "$1$2"))
			}
		}
		return out
	}
	is, was := modules(after), modules(before)
	for _, n := range names {
		for _, l := range profiles[n].lines(kind, false) {
			if m := moduleLine.FindStringSubmatch(jumpEnd.ReplaceAllString(l, "$1$2")); m != nil {
				if i := slices.Index(is, jumpNumber.ReplaceAllString(m[1], "$1$2")); i >= 0 {
					is = slices.Delete(is, i, i+1)
				}
			}
		}
	}
	for i, m := range is {
		if i >= len(was) || was[i] != m {
			return fmt.Errorf("pam-auth-update would also write %q into %s, which somebody has taken out: `sudo pam-auth-update` first", m, Stack(kind))
		}
	}
	if len(is) != len(was) {
		return fmt.Errorf("pam-auth-update would also change other lines of %s: `sudo pam-auth-update` first", Stack(kind))
	}
	return nil
}
