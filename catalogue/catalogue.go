// Package catalogue embeds Picket's knowledge: its controls and profiles.
package catalogue

import (
	"embed"
	"io/fs"
)

//go:embed controls/*/*.yaml profiles/*.yaml
var files embed.FS

// Controls holds topic/name.yaml for every built-in control.
func Controls() fs.FS { return sub("controls") }

// Profiles holds name.yaml for every built-in profile.
func Profiles() fs.FS { return sub("profiles") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return f
}
