package cli_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
	"picket/internal/host/snapshot"
	"picket/lab"
)

// TestPlannedStepsHold takes the steps of a plan for a stock Debian, and wants every finding that they are for to pass
// then, a second plan to hold none of them, and the way back to make all verdicts what they were.
func TestPlannedStepsHold(t *testing.T) {
	t.Parallel()
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	profiles, problems := control.LoadProfiles(catalogue.Profiles(), controls)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	strict, err := control.Named(profiles, "strict")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range controls {
		controls[i] = strict.For(c)
	}
	h := start(t, lab.Debian)
	lived(h)
	make := func() (plan.Plan, audit.Report) {
		t.Helper()
		h.Try(onHost, "audit", "--profile", "strict", "--save", "/root/now")
		saved, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(h.Run("base64", "/root/now"), "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		s, err := snapshot.Load(strings.NewReader(string(saved)))
		if err != nil {
			t.Fatal(err)
		}
		r := audit.Evaluate(controls, s, audit.Options{Profile: "strict", Now: time.Now()})
		all := plan.Make(controls, s, r, plan.Options{})
		return plan.Make(controls, s, r, plan.Options{Leave: func(c control.Control) string { // the lab has no packages to give
			for _, st := range all.Steps {
				if st.Verb == "install" && slices.Contains(st.Controls, c.ID) {
					return "it wants a package"
				}
			}
			return ""
		}}), r
	}
	made, before := make()
	if text := h.Run(onHost, "plan", "--profile", "strict"); !strings.Contains(text, "00-picket.conf") || !strings.Contains(text, "Left to you") {
		t.Errorf("the plan:\n%s", text)
	}
	steps := made.Steps
	folder, err := plan.Compile(steps)
	if err != nil {
		t.Fatal(err)
	}
	const at = "/var/lib/picket/tx/one"
	h.Sh("mkdir -p " + at + "/new")
	for name, content := range folder {
		h.Write(at+"/"+name, 0o600, string(content))
	}
	if out, code := h.Try("sh", at+"/tx", "apply"); code != 0 {
		t.Fatalf("apply: %d\n%s", code, out)
	}
	again, after := make()
	changed := 0
	for _, i := range made.Items {
		if i.Changes() {
			changed++
			if len(i.Later) == 0 {
				must(t, after, i.Control, "pass")
			}
		}
	}
	if changed < 12 || len(steps) < 5 {
		t.Errorf("%d findings are changed by %d steps: %s", changed, len(steps), folder["plan"])
	}
	for _, i := range again.Items { // what only applies now is for the next time
		was := slices.IndexFunc(made.Items, func(m plan.Item) bool { return m.Control == i.Control })
		if was >= 0 && made.Items[was].Changes() && i.Changes() && len(i.Later) == 0 {
			t.Errorf("a second plan would change %s", i.Control)
		}
	}
	h.SSH("operator", "true")
	if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
		t.Fatalf("undo: %d\n%s", code, out)
	}
	_, back := make()
	same(t, before, back)
}
