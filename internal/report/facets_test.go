package report

import (
	"testing"

	"picket/internal/core/audit"
)

// What is not known is left out, and what follows it is not.
func TestFacets(t *testing.T) {
	yes, no := true, false
	got := facets(audit.Result{Effective: &yes, Persistent: &no})
	if len(got) != 2 || got[0].Name != "in force now" || got[0].State != "yes" || got[1].State != "no" {
		t.Errorf("%+v", got)
	}
	if got := facets(audit.Result{Configured: &no, Effective: &no}); got != nil {
		t.Errorf("a finding that is wrong in every way says so: %+v", got)
	}
}
