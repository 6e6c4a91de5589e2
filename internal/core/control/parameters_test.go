package control_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
)

func TestProfileHasParameters(t *testing.T) {
	all, ps := control.Load(catalogue.Controls(), kind.All())
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	ptrace := func(p control.Profile) string {
		for _, c := range p.Select(all) {
			if c.ID == "kernel/ptrace" {
				return strings.Join(c.Rule.(control.Describer).Describe(), "\n") + c.Title
			}
		}
		return ""
	}
	profiles, ps := control.LoadProfiles(fstest.MapFS{
		"plain.yaml": {Data: []byte("title: t\nwhy: w\ninclude: [kernel]\n")},
		"own.yaml":   {Data: []byte("title: t\nwhy: w\ninclude: [kernel]\nparameters:\n  kernel/ptrace:\n    title: Mine\n    want: {kernel.yama.ptrace_scope: [\"3\"]}\n")},
	}, all)
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	own, plain := ptrace(profiles[0]), ptrace(profiles[1])
	if !strings.Contains(own, "ptrace_scope: 3") || !strings.HasSuffix(own, "Mine") || !profiles[0].Tunes("kernel/ptrace") {
		t.Errorf("with parameters it judges by %q", own)
	}
	if !strings.Contains(plain, "ptrace_scope: at least 1") || profiles[1].Tunes("kernel/ptrace") {
		t.Errorf("a control of another profile has changed: %q", plain)
	}
}

func TestBadParametersAreRefused(t *testing.T) {
	all, _ := control.Load(catalogue.Controls(), kind.All())
	for text, want := range map[string]string{
		"parameters: {kernel/ptrac: {want: {}}}":                                      `no control matches "kernel/ptrac"; did you mean "kernel/ptrace"?`,
		"parameters: {kernel/ptrace: {wnat: {}}}":                                     "wnat is no parameter of kernel/ptrace; it has: want",
		"parameters: {kernel/ptrace: {want: {kernel.yama.ptrace_scope: [\">=x\"]}}}":  "kernel/ptrace: kernel.yama.ptrace_scope: \"x\" is not a number",
		"parameters: {ssh/idle: {want: {ClientAliveCountMax: {max: 2}}}}":             "does not select it",
		"benchmark: {name: cis-debian13, numbers: [1.1.1.1]}":                         "unknown benchmark",
		"benchmark: {name: cis-debian12, numbers: [9.9.9]}":                           "no control stands for 9.9.9",
		"benchmark: {name: cis-debian12, numbers: [1.5.1, 1.5.1]}":                    "1.5.1 is there twice",
		"benchmark: {name: cis-debian12, numbers: [], not-covered: {1.5.1: by hand}}": "1.5.1 is covered: kernel/aslr stands for it",
		"benchmark: {name: cis-debian12, numbers: [], not-covered: {1.1.1.10: \"\"}}": "the reason is missing",
	} {
		_, ps := control.LoadProfiles(fstest.MapFS{"p.yaml": {Data: []byte("title: t\nwhy: w\ninclude: [kernel]\n" + text + "\n")}}, all)
		if len(ps) != 1 || !strings.Contains(ps[0].Text, want) || ps[0].Line != 4 {
			t.Errorf("%s:\ngot  %v\nwant %s, at line 4", text, ps, want)
		}
	}
}

// TestBenchmarkIsWhole wants each number of CIS Debian 12, level 1 for servers,
// in one of the two lists: those that a control stands for, and those with the
// reason why none does.
func TestBenchmarkIsWhole(t *testing.T) {
	all, _ := control.Load(catalogue.Controls(), kind.All())
	profiles, ps := control.LoadProfiles(catalogue.Profiles(), all)
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	p, err := control.Named(profiles, "cis-debian12-l1")
	if err != nil {
		t.Fatal(err)
	}
	numbers := len(p.Benchmark.Numbers) + len(p.Benchmark.NotCovered)
	if numbers != 251 {
		t.Errorf("%d numbers, and the benchmark has 251 of that level", numbers)
	}
	for _, level2 := range []string{"1.1.1.6", "1.1.1.7", "1.1.2.3.1", "1.3.1.4", "1.7.1", "2.1.20", "3.2.1", "5.1.8", "5.1.9", "5.2.4", "5.3.3.1.3", "5.4.1.2", "5.4.3.1", "6.2.1.1", "6.3.3"} {
		for _, n := range p.Benchmark.Numbers {
			if n == level2 {
				t.Errorf("%s is of level 2", n)
			}
		}
	}
}
