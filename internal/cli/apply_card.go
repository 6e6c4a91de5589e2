package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/harden"
)

// openCard opens the card of a target for changes.
func openCard(target string) (*harden.Card, error) {
	c, err := harden.OpenCard(strings.TrimPrefix(target, "image:"))
	if err != nil {
		return nil, usage(err)
	}
	if why := c.Writable(); why != "" {
		c.Close()
		return nil, withHint(usage(fmt.Errorf("%s cannot be changed: %s", target, why)), "type it with sudo")
	}
	return c, nil
}

// card changes a card.
func (h *changed) card(ctx context.Context) error {
	c, err := openCard(h.target)
	if err != nil {
		return err
	}
	defer c.Close()
	made, err := h.decide(ctx)
	if err != nil || len(made.Steps) == 0 {
		return err
	}
	files, packages := atFirstStart(made)
	opt := harden.Options{ID: h.newID(), Within: h.opt.within}
	if err := c.Apply(files, opt); err != nil {
		return howLeft(err)
	}
	later := "What needs the running host is done at its first start; picket history there says how it ended.\n"
	if len(packages.Steps) > 0 {
		also := opt
		also.ID = h.newID()
		if err := c.Apply(packages, also); err != nil {
			return howLeft(errors.Join(err, c.Back(opt.ID)))
		}
		later = "What needs the running host is done at its first start, and packages as " + also.ID + " when it has a network; picket history there says how it ended.\n"
	}
	fmt.Fprintf(h.p.io.Out, "\n%s: its files are changed, as %s\n%sTo take it back before that: %s\n", h.target, opt.ID, later, h.p.typedAsRoot("rollback "+opt.ID+" "+h.target))
	return nil
}

// howLeft gives an error of harden the exit code that it stands for.
func howLeft(err error) error {
	switch {
	case errors.Is(err, harden.ErrNotUndone):
		return withCode(ExitNotUndone, err)
	case errors.Is(err, harden.ErrRolledBack):
		return withCode(ExitRolledBack, err)
	case errors.Is(err, harden.ErrRefused):
		return withCode(ExitRefused, err)
	}
	return err
}

// atFirstStart parts a plan: packages, and the units that come with them, need a network and may fail by themselves.
func atFirstStart(p plan.Plan) (files, packages plan.Plan) {
	var need []string
	for _, s := range p.Steps {
		if s.Verb == change.Install || s.Verb == change.Remove {
			need = append(need, s.Controls...)
		}
	}
	files, packages = p, p
	files.Steps, packages.Steps = nil, nil
	for _, s := range p.Steps {
		unit := s.Verb == change.Unit && !slices.ContainsFunc(s.Controls, func(c string) bool { return !slices.Contains(need, c) })
		if s.Verb == change.Install || s.Verb == change.Remove || unit {
			packages.Steps = append(packages.Steps, s)
		} else {
			files.Steps = append(files.Steps, s)
		}
	}
	return files, packages
}

// cardRaw plans again with files of the card that hold secrets.
func (h *changed) cardRaw(shot *snap.Snapshot, r audit.Report, accepted []string) (plan.Plan, error) {
	c, err := openCard(h.target)
	if err != nil {
		return plan.Plan{}, err
	}
	defer c.Close()
	made := h.plan(shot, r, accepted)
	for range 3 {
		want := made.Wanted()
		if len(want) == 0 {
			break
		}
		more, err := c.Raw(want)
		if err != nil {
			return made, err
		}
		if h.raw == nil {
			h.raw = map[string][]byte{}
		}
		for p, content := range more {
			h.raw[p] = content
		}
		made = h.plan(shot, r, accepted)
	}
	return made, nil
}
