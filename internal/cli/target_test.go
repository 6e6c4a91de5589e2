package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/ui"
)

// TestPasswordFile: the first line is the password, whatever ends it, and
// nothing else.
func TestPasswordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for content, want := range map[string]string{
		"it's $ecret": "it's $ecret", "a b \n": "a b ", "windows\r\nmore\n": "windows", "first\nsecond\n": "first", "": "", "\n": "", "\r\n": "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := firstLine(file)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v", content, got, err)
		}
	}
	if _, err := firstLine(file + "x"); err == nil || !strings.Contains(err.Error(), "--sudo-password-file") {
		t.Errorf("no file: %v", err)
	}
}

// TestMessagesCannotSteerTheTerminal: a host's words may be in an error and in
// its hint.
func TestMessagesCannotSteerTheTerminal(t *testing.T) {
	var errs strings.Builder
	p := &program{io: ui.IO{Err: &errs}}
	if code := p.fail(withHint(usage(errText("bad \x1b[2J")), "type \x1b]0;x\a")); code != ExitUsage {
		t.Errorf("exit code %d", code)
	}
	if strings.ContainsAny(errs.String(), "\x1b\a") || !strings.Contains(errs.String(), "type ") {
		t.Errorf("%q", errs.String())
	}
}

type errText string

func (e errText) Error() string { return string(e) }

// TestHugeSettings are refused before they are read.
func TestHugeSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "picket.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, maxSettings+1); err != nil {
		t.Fatal(err)
	}
	if data, err := readBounded(file); err == nil || len(data) > 0 {
		t.Errorf("%d bytes were read", len(data))
	}
}
