package plan_test

import (
	"maps"
	"strings"
	"testing"

	"picket/internal/core/account"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
)

const someHash = "$y$j9T$abcdefghijklmnop$ZDloJgfb9iMP/OhlO6VibvzQwWOMaT5q5ZGAWJe8us."

// TestFixesOfAccounts drafts the fix of each bad host of these controls' cases, with the files that it wants as they would
// be read anew. It has to pass then, a second draft has nothing left to do, and no hash may be seen in what is shown.
func TestFixesOfAccounts(t *testing.T) {
	mended := map[string]int{}
	accounts := func(c control.Control) bool { return c.Kind == "go" && strings.HasPrefix(c.ID, "accounts/") }
	eachBad(t, accounts, func(c control.Control, fixer control.Fixer, tc cases.Case) {
		one := []control.Control{c}
		r := audit.Evaluate(one, tc.Snapshot, audit.Options{Now: tc.Snapshot.Taken})
		raw := map[string][]byte{}
		for _, file := range account.Files {
			e, st, _ := tc.Snapshot.File(file)
			if st != snap.Known {
				continue
			}
			text := string(e.Content)
			for _, form := range []string{"[yescrypt]", "[sha512crypt]", "[yescrypt, factory password]"} {
				text = strings.ReplaceAll(text, form, someHash)
			}
			raw[file] = []byte(text)
		}
		made := plan.Make(one, tc.Snapshot, r, plan.Options{Raw: raw})
		i := made.Items[0]
		if i.Left != "" {
			t.Logf("%s, %q: %s", c.ID, tc.Name, i.Left)
			if len(made.Steps) > 0 {
				t.Errorf("%s, %q: it is left, and %d steps are taken", c.ID, tc.Name, len(made.Steps))
			}
			return
		}
		mended[strings.TrimPrefix(c.ID, "accounts/")]++
		for _, e := range i.Edits {
			if strings.Contains(string(e.Before.Content)+string(e.After.Content), someHash) {
				t.Errorf("%s, %q: the change of %s shows a hash", c.ID, tc.Name, e.Path)
			}
		}
		d := change.On(tc.Snapshot, raw, change.Policy{}).Hiding(func(p string, b []byte) []byte { return fact.Hide(tc.Snapshot, p, b) })
		if err := d.For(c.ID, func(d *change.Draft) error { return fixer.Fix(fact.Parse(tc.Snapshot), d) }); err != nil {
			t.Errorf("%s, %q: %v", c.ID, tc.Name, err)
			return
		}
		after := d.Snapshot()
		if o := c.Rule.Evaluate(fact.Parse(after)); o.Verdict != control.Pass && o.Persistent != control.Yes {
			t.Errorf("%s, %q: still %s: %s", c.ID, tc.Name, o.Verdict, o.Reason)
		}
		for _, e := range after.Entries {
			if strings.Contains(string(e.Content), someHash) {
				t.Errorf("%s, %q: the draft's snapshot holds a hash in %s", c.ID, tc.Name, e.Path)
			}
		}
	})
	want := map[string]int{
		"root-locked": 3, "empty-password": 3, "no-shell-locked": 2, "system-shells": 3, "shadow-group": 2, "shells": 2, "password-max-age": 4, "password-min-age": 3,
		"password-warning": 3, "inactive-accounts": 4, "password-change-date": 1, "homes-private": 4, "umask": 3, "root-umask": 1, "shell-timeout": 3, "hash-algorithm": 1,
	}
	if !maps.Equal(mended, want) {
		t.Errorf("mended are %v, want %v", mended, want)
	}
}
