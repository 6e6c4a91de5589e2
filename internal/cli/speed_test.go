package cli

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"picket/internal/core/audit"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// TestHelpLoadsNothing holds that --help and --version do not decode the
// catalogue, which takes ten times as long as they do. Memory is counted and
// not time: it is the same on a busy machine.
func TestHelpLoadsNothing(t *testing.T) {
	run := func(args ...string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var out, complaint bytes.Buffer
		code := Main(context.Background(), append([]string{"picket"}, args...), ui.IO{In: &bytes.Buffer{}, Out: &out, Err: &complaint}, func(string) string { return "" })
		runtime.ReadMemStats(&after)
		if code != ExitFine || out.Len() == 0 {
			t.Fatalf("%v: exit code %d\n%s", args, code, complaint.String())
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	list := run("controls", "list")
	for _, args := range [][]string{{"--help"}, {"--version"}, {"audit", "--help"}} {
		if got := run(args...); got > 2<<20 || got > list/5 {
			t.Errorf("%v allocates %d kB, and the list of all controls %d kB: it loads what it does not need", args, got>>10, list>>10)
		}
	}
}

// BenchmarkEvaluate judges a recorded host by the whole catalogue.
func BenchmarkEvaluate(b *testing.B) {
	controls, _, err := builtIn()
	if err != nil {
		b.Fatal(err)
	}
	s, err := snapshot.Open("../../testdata/hosts/guides.snapshot")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := audit.Evaluate(controls, s, audit.Options{Now: time.Unix(1_800_000_000, 0)})
		if len(r.Results) != len(controls) {
			b.Fatal("results are missing")
		}
	}
}
