package snapshot

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/lab/leftout"
)

func TestProgramIsCleanShell(t *testing.T) {
	sc, err := exec.LookPath("shellcheck")
	if err != nil {
		leftout.Missing(t, "no shellcheck")
	}
	m := snap.Manifest{Files: []string{"/tmp/it's here/*", "/etc/x", "/proc/self/mounts", "/proc/sys/a/*"}, Stats: []string{"/", "/a/[0-1]?/*"}}
	m.Commands = []snap.Command{{Argv: []string{"uname", "-srm"}}, {Argv: []string{"apt-get", "-s", "-qq", "-o", "Debug::NoLocking=true", "dist-upgrade"}}}
	m.Walk = &snap.Walk{Roots: []string{"/"}, Skip: []string{"/proc", "/home/*/x"}, UIDs: []int{0}, GIDs: []int{0, 1}}
	c := exec.Command(sc, "-s", "sh", "-S", "warning", "-e", "SC2043", "-") // a loop over one word is one pattern
	c.Stdin = strings.NewReader("#!/bin/sh\n" + program(m, "picket-00", limits{walk: time.Second}))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestProgramCutOffDoesNothing(t *testing.T) {
	text := program(snap.Manifest{Commands: []snap.Command{{Argv: []string{"uname", "-srm"}}}}, "picket-00", limits{walk: time.Second})
	for _, name := range shells {
		t.Run(name, func(t *testing.T) {
			connect, _ := shell(t, name)
			argv := connect().argv
			for part := 1; part < 40; part++ {
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Stdin = strings.NewReader(text[:len(text)*part/40])
				if out, _ := cmd.Output(); len(out) > 0 {
					t.Errorf("%d/40 of a program said %q", part, out)
				}
			}
		})
	}
}

// The words of sh for a manifest's patterns. They match at least what the
// pattern does: real shells expand them in the conformance suite.
func TestShellPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"/etc/passwd":      "/etc/passwd",
		"/etc/*.conf":      "/etc/*.conf",
		"/etc/a?":          "/etc/a?*",
		"/etc/[a-c]x*":     "/etc/[a-c]x*",
		"/etc/[a-c]x/[0]y": "/etc/[a-c]x/[0]y",
		"/etc/[-a]x*":      "/etc/*", // not the same to every shell
		"/etc/[a-]x*":      "/etc/*",
		"/etc/[^a]x*":      "/etc/*",
		"/etc/a b*":        "/etc/a' 'b*",
		`/etc/\*x*`:        `/etc/'*'x*`,
		"/etc/[a*":         "",
		`/etc/*\`:          "",
		"/etc/../x":        "",
		"etc":              "",
		"/":                "/",
	} {
		if got, ok := shellPattern(pattern); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v, want %q", pattern, got, ok, want)
		}
	}
}
