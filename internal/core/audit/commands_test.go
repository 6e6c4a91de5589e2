package audit_test

import (
	"slices"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/snap"
)

// TestEveryPermittedCommandIsAskedFor: what nobody needs is not permitted.
func TestEveryPermittedCommandIsAskedFor(t *testing.T) {
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	s, err := crowd()
	if err != nil {
		t.Fatal(err)
	}
	asked := audit.Ask(controls, snap.New(snap.Source{Kind: "local"}, cases.Taken)).Commands
	for _, o := range s.Commands {
		asked = append(asked, snap.Command{Argv: o.Argv})
	}
	for _, p := range snap.Table {
		if !slices.ContainsFunc(asked, func(c snap.Command) bool {
			got, err := snap.Permit(c.Argv)
			return err == nil && slices.Equal(got.Argv, p.Argv)
		}) {
			t.Errorf("nothing asks for %q", p.Argv)
		}
	}
}
