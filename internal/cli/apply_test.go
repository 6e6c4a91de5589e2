package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/ui"
)

// deciding is apply up to the point where the host would be changed, of a recorded host.
func deciding(t *testing.T, io ui.IO, opt applyOptions) *changed {
	t.Helper()
	file, err := filepath.Abs("../../testdata/hosts/debian12.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{name: "picket", io: io, getenv: func(name string) string { return map[string]string{"HOME": t.TempDir()}[name] }, now: fixedNow}
	opt.only = []string{"ssh", "network"}
	h := &changed{p: p, target: file, opt: opt, accepted: opt.risks}
	if err := h.choose(); err != nil {
		t.Fatal(err)
	}
	return h
}

type decision struct {
	made plan.Plan
	err  error
}

// TestRisksAreAskedFor sits at the terminal of an apply.
func TestRisksAreAskedFor(t *testing.T) {
	const risk, question = "Type lose-ssh to accept, Enter to leave them out: ", "so? (yes/no) "
	for name, c := range map[string]struct {
		risks   []string
		types   []string // what is typed, after what is seen for which time
		sees    []string
		changes []string
		refused bool
	}{
		"accepted":             {nil, []string{"lose-ssh\n", "yes\n"}, []string{risk, question}, []string{"ssh/password-login", "network/accept-redirects", "network/rp-filter", "ssh/root-login", "ssh/audit-policy", "ssh/host-key-algorithms", "ssh/key-exchange", "ssh/macs"}, false},
		"after a slip":         {nil, []string{"yes\n", "lose-ssh\n", "yes\n"}, []string{risk, risk, question}, []string{"ssh/password-login", "network/accept-redirects", "network/rp-filter", "ssh/root-login", "ssh/audit-policy", "ssh/host-key-algorithms", "ssh/key-exchange", "ssh/macs"}, false},
		"a slip, and left out": {nil, []string{"yes\n", "\n", "yes\n"}, []string{risk, risk, question}, []string{"network/accept-redirects", "network/rp-filter"}, false},
		"left out":             {nil, []string{"\n", "yes\n"}, []string{risk, question}, []string{"network/accept-redirects", "network/rp-filter"}, false},
		"no":                   {nil, []string{"lose-ssh\n", "no\n"}, []string{risk, question}, nil, true},
		"no answer at all":     {nil, []string{"\x04"}, []string{risk}, nil, true},
		"no answer in the end": {nil, []string{"\n", "\x04"}, []string{risk, question}, nil, true},
		"accepted beforehand":  {[]string{"lose-ssh"}, []string{"yes\n"}, []string{question}, []string{"ssh/password-login", "network/accept-redirects", "network/rp-filter", "ssh/root-login", "ssh/audit-policy", "ssh/host-key-algorithms", "ssh/key-exchange", "ssh/macs"}, false},
		"another accepted":     {[]string{"data"}, []string{"yes\n"}, []string{question}, []string{"network/accept-redirects", "network/rp-filter"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := sitDown(t)
			h := deciding(t, ui.IO{In: w.slave, Out: w.slave, Err: w.slave}, applyOptions{risks: c.risks})
			done := make(chan decision, 1)
			go func() {
				made, err := h.decide(t.Context())
				done <- decision{made, err}
			}()
			seen := map[string]int{}
			for n, text := range c.sees {
				seen[text]++
				w.sees(text, seen[text], c.types[n])
			}
			got := <-done
			if got.err != nil != c.refused || c.refused && w.exitOf(got.err) != ExitRefused {
				t.Fatalf("%v\n%s", got.err, w.text())
			}
			if !slices.Equal(got.made.Planned(), c.changes) {
				t.Errorf("%q is changed, want %q", got.made.Planned(), c.changes)
			}
			asked := slices.Contains(c.sees, risk)
			for _, text := range []string{"needed for: ssh/password-login, ssh/root-login", "You could lock yourself out of SSH."} {
				if strings.Contains(w.text(), text) != asked {
					t.Errorf("it is asked: %v; %q in\n%s", asked, text, w.text())
				}
			}
			if again := strings.Contains(w.text(), "Without what could cost that (lose-ssh):"); again != (strings.HasSuffix(name, "left out") || name == "no answer in the end") {
				t.Errorf("a second plan is shown: %v", again)
			}
		})
	}
}

func (w *typist) exitOf(err error) int {
	var c *coded
	if !errors.As(err, &c) {
		return -1
	}
	return c.code
}

// TestRisksWithoutTerminal: nobody is asked, what could cost something is left out, and that is said.
func TestRisksWithoutTerminal(t *testing.T) {
	var out strings.Builder
	h := deciding(t, ui.IO{In: strings.NewReader(""), Out: &out, Err: &out}, applyOptions{yes: true})
	made, err := h.decide(t.Context())
	if err != nil || !slices.Equal(made.Planned(), []string{"network/accept-redirects", "network/rp-filter"}) {
		t.Errorf("%q, %v", made.Planned(), err)
	}
	if !strings.Contains(out.String(), "its risk was not accepted: --accept-risk lose-ssh:\nHIGH      ssh/password-login") {
		t.Errorf("it is not said:\n%s", out.String())
	}
}

// TestSavedPlanIsPinned has a plan that was kept meet its host as it was, and as it was not.
func TestSavedPlanIsPinned(t *testing.T) {
	io := ui.IO{In: strings.NewReader(""), Out: &strings.Builder{}, Err: &strings.Builder{}}
	h := deciding(t, io, applyOptions{risks: []string{"lose-ssh"}, yes: true})
	shot, r, err := h.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := h.plan(shot, r, h.accepted)
	again := func(opt applyOptions, spoil func(*plan.Saved)) (plan.Plan, error) {
		t.Helper()
		saved := plan.Saved{Picket: Version, Made: fixedNow(), Taken: shot.Taken, Profile: "recommended", Identity: plan.IdentityOf(shot), Plan: made}
		spoil(&saved)
		data, err := saved.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := plan.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		h := deciding(t, io, opt)
		h.saved, h.file = &read, "leader.plan"
		if err := h.choose(); err != nil {
			return plan.Plan{}, err
		}
		return h.decide(context.Background())
	}
	accepts := applyOptions{risks: []string{"lose-ssh"}, yes: true}
	got, err := again(accepts, func(*plan.Saved) {})
	if err != nil || len(made.Differs(got)) > 0 || len(got.Steps) != len(made.Steps) {
		t.Errorf("%v, %q", err, made.Differs(got))
	}
	w := &typist{}
	for want, c := range map[string]struct {
		opt    applyOptions
		change func(*plan.Saved)
	}{
		"takes risks that were not accepted": {applyOptions{yes: true}, func(*plan.Saved) {}},
		"its SSH host keys are others":       {accepts, func(s *plan.Saved) { s.Identity.HostKeys = []string{"SHA256:x"} }},
		"/etc/ssh/sshd_config.d/00-picket.conf: it is gone": {accepts, func(s *plan.Saved) {
			s.Plan.Steps = slices.Clone(s.Plan.Steps)
			for n := range s.Plan.Steps {
				if s.Plan.Steps[n].Name == "/etc/ssh/sshd_config.d/00-picket.conf" {
					s.Plan.Steps[n].Before = s.Plan.Steps[n].After
				}
			}
		}},
		"a new plan would be another; nothing was changed\nit would also: check sshd -t": {accepts, func(s *plan.Saved) {
			s.Plan.Steps = slices.DeleteFunc(slices.Clone(s.Plan.Steps), func(st change.Step) bool { return st.Verb == "check" })
		}},
		"made with other settings than those of today (policy.ssh.port)": {accepts, func(s *plan.Saved) { s.Policy.SSHPort = 2222 }},
		"ssh/strange": {accepts, func(s *plan.Saved) {
			s.Plan.Items = slices.Clone(s.Plan.Items)
			s.Plan.Items[0].Control = "ssh/strange"
		}},
	} {
		_, err := again(c.opt, c.change)
		if err == nil || w.exitOf(err) != ExitRefused || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, exit code %d; want %q", err, w.exitOf(err), want)
		}
	}
}
