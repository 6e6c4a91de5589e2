// Package catalogue embeds Picket's knowledge: its controls and profiles.
package catalogue

import (
	"embed"
	"io/fs"
)

//go:embed controls/*/*.yaml
var controls embed.FS

// Controls holds topic/name.yaml for every built-in control.
func Controls() fs.FS {
	sub, err := fs.Sub(controls, "controls")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
