package plan

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"picket/internal/core/change"
)

// Wanted are the files that a plan would change, and that have to be read anew for that: Options.Raw.
func (p Plan) Wanted() (paths []string) {
	for _, i := range p.Items {
		for _, w := range i.Wanted {
			if !slices.Contains(paths, w) {
				paths = append(paths, w)
			}
		}
	}
	return paths
}

func wanted(err error) []string {
	var unread *change.Unread
	if errors.As(err, &unread) && unread.Secret {
		return []string{unread.Path}
	}
	return nil
}

// shown are edits as they may be shown: without the secrets of files that were read anew. Only the steps hold those.
func shown(d *change.Draft, edits []change.Edit, hide func(string, []byte) []byte) []change.Edit {
	edits = slices.Clone(edits)
	for i, e := range edits {
		if !d.Hidden(e.Path) {
			continue
		}
		before, after := e.Before.Content, e.After.Content
		if len(before) > 0 {
			e.Before.Content = hide(e.Path, before)
		}
		if len(after) > 0 {
			e.After.Content = hide(e.Path, after)
		}
		e.Before.Content, e.After.Content = untried(e.Before.Content), untried(e.After.Content)
		e.After.Content = renewed(before, after, e.Before.Content, e.After.Content)
		e.Secret = max(0, changed(before, after)-changed(e.Before.Content, e.After.Content))
		edits[i] = e
	}
	return edits
}

// untried leaves out that no password was tried on a hash: nobody asked for it here.
func untried(shown []byte) []byte {
	return bytes.ReplaceAll(shown, []byte(", not checked (ran out of time)]"), []byte("]"))
}

// renewed marks the hashes of accounts that are others than before, where they are replaced by one and the same text.
func renewed(before, after, was, shown []byte) []byte {
	had := map[string][2]string{} // by account: the hash, and what is shown of it
	b, w := bytes.Split(before, []byte("\n")), bytes.Split(was, []byte("\n"))
	a, s := bytes.Split(after, []byte("\n")), bytes.Split(shown, []byte("\n"))
	if len(b) != len(w) || len(a) != len(s) {
		return shown
	}
	fields := func(l []byte) [][]byte { return bytes.SplitN(l, []byte(":"), 3) }
	for i := range b {
		if raw, masked := fields(b[i]), fields(w[i]); len(raw) == 3 && len(masked) == 3 {
			had[string(raw[0])] = [2]string{string(raw[1]), string(masked[1])}
		}
	}
	for i := range a {
		raw, masked := fields(a[i]), fields(s[i])
		if len(raw) < 3 || len(masked) < 3 || !bytes.HasSuffix(masked[1], []byte("]")) {
			continue
		}
		if h, ok := had[string(raw[0])]; ok && h[0] != string(raw[1]) && strings.TrimLeft(h[1], "!*") == strings.TrimLeft(string(masked[1]), "!*") &&
			strings.TrimLeft(h[0], "!*") != strings.TrimLeft(string(raw[1]), "!*") {
			masked[1] = append(bytes.TrimSuffix(bytes.Clone(masked[1]), []byte("]")), ", another one]"...)
			s[i] = bytes.Join(masked, []byte(":"))
		}
	}
	return bytes.Join(s, []byte("\n"))
}

// changed is how many lines one text has that the other has not.
func changed(before, after []byte) int {
	have := map[string]int{}
	for l := range bytes.Lines(before) {
		have[string(bytes.TrimSuffix(l, []byte("\n")))]++
	}
	n := 0
	for l := range bytes.Lines(after) {
		if key := string(bytes.TrimSuffix(l, []byte("\n"))); have[key] > 0 {
			have[key]--
		} else {
			n++
		}
	}
	left := 0
	for _, k := range have {
		left += k
	}
	return max(n, left)
}
