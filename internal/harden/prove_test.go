package harden

import (
	"context"
	"errors"
	"strings"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/shell"
)

// willing is a host on which all succeeds: of a plan's items it does those that are not left out.
type willing struct{ items []plan.Item }

func (willing) Close() error { return nil }
func (willing) Run(context.Context, string, []byte, func(string)) ([]byte, int, error) {
	return nil, 0, nil
}
func (h willing) Shell() shell.Shell                         { return h }
func (h willing) Fresh(context.Context) (shell.Shell, error) { return h, nil }
func (h willing) Judge(context.Context) (audit.Report, plan.Plan, error) {
	var r audit.Report
	for _, i := range h.items {
		r.Results = append(r.Results, audit.Result{Control: i.Control, Verdict: control.Pass})
	}
	return r, plan.Plan{}, nil
}
func (h willing) Plan(_ context.Context, without map[string]string) (p plan.Plan, err error) {
	for _, i := range h.items {
		if _, left := without[i.Control]; left {
			continue
		}
		p.Items = append(p.Items, i)
		p.Steps = append(p.Steps, change.Step{Verb: change.File, Name: i.Edits[0].Path, After: change.Thing{Type: snap.File, Mode: 0o644}})
		if i.Control == "a/port" {
			p.Opens = 2022
		}
	}
	return p, nil
}

// TestProvesWhatIsDone: what is done once more, without what could not be proved, is not held to that again.
func TestProvesWhatIsDone(t *testing.T) {
	h := willing{[]plan.Item{
		{Control: "a/port", Edits: []change.Edit{{Path: "/etc/a"}}, Risk: []string{"lose-ssh"}}, {Control: "a/other", Edits: []change.Edit{{Path: "/etc/b"}}},
	}}
	first, _ := h.Plan(t.Context(), nil)
	done, err := Apply(t.Context(), h, first, Options{ID: "x", Prove: func(_ context.Context, p plan.Plan, _ shell.Shell) error {
		if p.Opens != 0 {
			return errors.New("nobody comes in at port 2022")
		}
		return nil
	}})
	if err != nil || done.ID != "x-2" || len(done.Left) != 1 || !strings.Contains(done.Left["a/port"], "port 2022") {
		t.Errorf("%+v, %v", done, err)
	}
}

// interrupted is a host whose connection ends with the context that it is used with, as over SSH.
type interrupted struct {
	willing
	stop func()
	told *[]string
	gone *bool
}

func (h interrupted) Shell() shell.Shell { return h }
func (h interrupted) Fresh(ctx context.Context) (shell.Shell, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	*h.gone = false
	return h, nil
}
func (h interrupted) Run(ctx context.Context, program string, _ []byte, _ func(string)) ([]byte, int, error) {
	if *h.gone = *h.gone || ctx.Err() != nil; *h.gone {
		return nil, 0, errors.New("the connection is closed")
	}
	*h.told = append(*h.told, program)
	return nil, 0, nil
}
func (h interrupted) Judge(ctx context.Context) (audit.Report, plan.Plan, error) {
	h.stop()
	return audit.Report{}, plan.Plan{}, ctx.Err()
}

// TestInterruptedWhileProving: who interrupts it while it is being proved still has the host go back, and hears how that ended.
func TestInterruptedWhileProving(t *testing.T) {
	items := willing{[]plan.Item{{Control: "a/one", Edits: []change.Edit{{Path: "/etc/a"}}}}}
	first, _ := items.Plan(t.Context(), nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var told []string
	h := interrupted{items, stop, &told, new(bool)}
	_, err := Apply(ctx, h, first, Options{ID: "x"})
	if !errors.Is(err, ErrRolledBack) || errors.Is(err, ErrAway) || !strings.HasPrefix(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	if n := len(told); n == 0 || !strings.Contains(told[n-1], "tx undo") {
		t.Errorf("the host was not told to go back: %q", told)
	}
}
