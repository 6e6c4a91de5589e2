package harden

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/plan"
)

// Unheld are controls that were changed and do not pass, and units that do not work with what was changed, with why.
type Unheld map[string]string

// Error names them all.
func (u Unheld) Error() string { return strings.Join(u.Lines(), "; ") }

// Lines are the reasons, each with its controls.
func (u Unheld) Lines() (all []string) {
	of := map[string][]string{}
	for _, c := range slices.Sorted(maps.Keys(u)) {
		of[u[c]] = append(of[u[c]], c)
	}
	for why, controls := range of {
		all = append(all, strings.Join(controls, ", ")+": "+why)
	}
	slices.Sort(all)
	return all
}

// shutOut is why somebody cannot come in any more. Where it is not known which change did it, it is held against all that
// carry that risk.
func shutOut(p plan.Plan, why error) error {
	if known, ok := errors.AsType[Unheld](why); ok {
		return known
	}
	out := Unheld{}
	for _, i := range p.Items {
		if i.Changes() && (slices.Contains(i.Risk, "lose-ssh") || slices.Contains(i.Risk, "lose-network")) {
			out[i.Control] = why.Error()
		}
	}
	if words := unmatched(why.Error()); len(words) > 0 {
		could := maps.Clone(out)
		maps.DeleteFunc(could, func(id string, _ string) bool {
			return !slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Control == id && sets(i, words) })
		})
		if len(could) > 0 {
			out = could
		}
	}
	if len(out) == 0 {
		return why
	}
	return out
}

// unmatched are the settings of sshd at which a client has failed, by what OpenSSH's client says then; nil where it is anything
// else that has failed as well.
func unmatched(why string) (words []string) {
	for one := range strings.SplitSeq(why, "; ") {
		m := noMatch.FindStringSubmatch(one)
		if m == nil {
			return nil
		}
		words = append(words, map[string]string{"key exchange method": "kexalgorithms", "host key type": "hostkeyalgorithms", "MAC": "macs", "cipher": "ciphers"}[m[1]])
	}
	return words
}

var noMatch = regexp.MustCompile(`no matching (key exchange method|host key type|MAC|cipher) found`)

// sets reports whether an item brings a line that begins with one of these words.
func sets(i plan.Item, words []string) bool {
	for _, e := range i.Edits {
		for line := range strings.Lines(string(e.After.Content)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if slices.Contains(words, strings.ToLower(word)) && !strings.Contains(string(e.Before.Content), line) {
				return true
			}
		}
	}
	return false
}

// unheld are those of a plan. What is in force later has to hold after a reboot at least.
func unheld(p plan.Plan, r audit.Report) Unheld {
	out := Unheld{}
	for _, i := range p.Items {
		if !i.Changes() {
			continue
		}
		why := "it is not judged any more"
		for _, res := range r.Results {
			if res.Control != i.Control {
				continue
			}
			good := res.Verdict == control.Pass || res.Verdict == control.NotApplicable
			later := len(i.Later) > 0 && res.Persistent != nil && *res.Persistent
			if why = fmt.Sprintf("still %s: %s", res.Verdict, res.Reason); good || later || i.Rest != "" && !about(res, i) {
				why = ""
			}
		}
		if why != "" {
			out[i.Control] = why
		}
	}
	return out
}

// about reports whether a result is still about a unit that an item starts anew.
func about(res audit.Result, i plan.Item) bool {
	return slices.ContainsFunc(i.Steps, func(s change.Step) bool {
		return s.Verb == change.Unit && slices.ContainsFunc(res.Evidence, func(e control.Evidence) bool { return e.Fact == s.Name })
	})
}
