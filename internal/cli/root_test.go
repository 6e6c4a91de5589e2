package cli

import "testing"

// What a message says to type can be typed, also when the program runs from
// its sources or out of a folder.
func TestAsTyped(t *testing.T) {
	const text = "see `picket audit --help`, or\nsudo picket audit image:/mnt of a picket"
	for name, want := range map[string]string{
		"picket":                          text,
		"./picket":                        "see `./picket audit --help`, or\nsudo ./picket audit image:/mnt of a picket",
		"/tmp/go-build12/b001/exe/picket": "see `go run ./cmd/picket audit --help`, or\ngo build ./cmd/picket && sudo ./picket audit image:/mnt of a picket",
	} {
		p := program{name: name}
		if got := p.asTyped(text); got != want {
			t.Errorf("as %s: %q, want %q", name, got, want)
		}
	}
}
