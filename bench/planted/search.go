package main

import (
	"context"

	"picket/bench/booted"
	"picket/lab/planted"
)

// search finds out which of the faults a tool finds. All are planted at once. Of
// Picket the verdict of the control that each fault is of counts, and nothing else. Where
// another reports nothing new it finds none of them, else each half is tried by
// itself. So a tool that takes minutes has to run but seldom.
func (t *tool) search(ctx context.Context, h *booted.Host, group []fault, hit func(int)) error {
	return t.half(ctx, h, group, 0, hit)
}

func (t *tool) half(ctx context.Context, h *booted.Host, group []fault, first int, hit func(int)) error {
	if err := plant(ctx, h, group); err != nil {
		return err
	}
	r, err := t.report(ctx, h)
	if err == nil {
		err = remove(ctx, h, group)
	}
	if err != nil {
		return err
	}
	if t.verdict != nil { // it says itself which
		for n, f := range group {
			if t.verdict(r, f.control) {
				hit(first + n)
			}
		}
		return nil
	}
	switch news := t.news(r); {
	case len(news) == 0:
		return nil
	case len(group) == 1:
		say("  %s: %s: %s", t.name, group[0].name, news[0])
		hit(first)
		return nil
	}
	middle := len(group) / 2
	if err := t.half(ctx, h, group[:middle], first, hit); err != nil {
		return err
	}
	return t.half(ctx, h, group[middle:], first+middle, hit)
}

// plant puts faults on the host.
func plant(ctx context.Context, h *booted.Host, group []fault) error {
	var list []planted.Case
	for _, f := range group {
		if f.trap == nil {
			list = append(list, f.files)
			continue
		}
		if _, err := h.Do(ctx, nil, "sh", "-ec", f.trap.Plant); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	files, err := planted.Files(list)
	if err != nil {
		return err
	}
	if _, err := h.Do(ctx, nil, "sh", "-ec", planted.Keep); err != nil {
		return err
	}
	if _, err := h.Do(ctx, files, "sh", "-ec", "cat >"+planted.Archive); err != nil {
		return err
	}
	_, err = h.Do(ctx, nil, "sh", "-ec", planted.Plant)
	return err
}

// remove takes them away again, the last first.
func remove(ctx context.Context, h *booted.Host, group []fault) error {
	files := false
	for i := len(group) - 1; i >= 0; i-- {
		if group[i].trap == nil {
			files = true
			continue
		}
		if _, err := h.Do(ctx, nil, "sh", "-ec", group[i].trap.Undo); err != nil {
			return err
		}
	}
	if !files {
		return nil
	}
	_, err := h.Do(ctx, nil, "sh", "-ec", planted.Remove)
	return err
}
