package plan

import (
	"bytes"
	"errors"
	"slices"

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
		e.Secret = max(0, changed(before, after)-changed(e.Before.Content, e.After.Content))
		edits[i] = e
	}
	return edits
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
