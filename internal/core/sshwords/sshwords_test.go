package sshwords

import (
	"slices"
	"testing"
)

func TestFirst(t *testing.T) {
	for line, want := range map[string][2]string{
		"Port 22":        {"Port", "22"},
		"Port=22":        {"Port", "22"},
		"Port \t=  22":   {"Port", "22"},
		`"Port" 22`:      {"Port", "22"},
		`"Port 22`:       {"", ""},
		"Port":           {"Port", ""},
		"Ciphers a=b c":  {"Ciphers", "a=b c"},
		"AcceptEnv = =x": {"AcceptEnv", "=x"},
	} {
		if word, rest := First(line); word != want[0] || rest != want[1] {
			t.Errorf("%q: %q, %q", line, word, rest)
		}
	}
}

func TestArgs(t *testing.T) {
	for line, want := range map[string][]string{
		"":               nil,
		"a  b\tc":        {"a", "b", "c"},
		`"a b" 'c"d'`:    {"a b", `c"d`},
		`a\ b \"c \x \\`: {"a b", `"c`, `\x`, `\`},
		"a # b":          {"a"},
		"a#b":            {"a#b"},
		`a"b c"d`:        {"ab cd"},
		`""`:             {""},
	} {
		if got, ok := Args(line); !ok || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", line, got, ok)
		}
	}
	for _, line := range []string{`"a`, `a 'b`, `a"`} {
		if got, ok := Args(line); ok {
			t.Errorf("%q is split into %q", line, got)
		}
	}
}
