package audit_test

import (
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
)

// covered are the recommendations of the CIS Debian 12 benchmark on sshd,
// kernel, network, modules and files that a control stands for. People look a
// control up by these numbers: one that is dropped must not go unnoticed.
const covered = `
	1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.7 1.1.1.8 1.1.1.9 1.3.1.1 1.3.1.2 1.3.1.3 1.4.1 1.4.2 1.5.1 1.5.2 1.5.3
	1.6.1 1.6.4 3.1.1 3.1.2 3.1.3 3.2.1 3.2.2 3.2.3 3.2.4 3.3.1 3.3.2 3.3.3 3.3.4 3.3.5 3.3.6 3.3.7 3.3.8 3.3.9 3.3.10 3.3.11
	5.1.1 5.1.2 5.1.3 5.1.4 5.1.5 5.1.6 5.1.7 5.1.8 5.1.9 5.1.10 5.1.11 5.1.12 5.1.13 5.1.14 5.1.15 5.1.16 5.1.17 5.1.18 5.1.19
	5.1.20 5.1.21 5.1.22 7.1.1 7.1.2 7.1.3 7.1.4 7.1.5 7.1.6 7.1.7 7.1.8 7.1.9 7.1.10 7.1.11 7.1.12 7.1.13`

func TestBenchmarkIsCovered(t *testing.T) {
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	for _, n := range strings.Fields(covered) {
		if !slices.ContainsFunc(controls, func(c control.Control) bool { return slices.Contains(c.Refs.CISDebian12, n) }) {
			t.Errorf("no control refers to %s", n)
		}
	}
}
