// Package catalogue embeds Picket's knowledge: its controls, profiles and applications.
package catalogue

import (
	"embed"
	"io/fs"
)

//go:embed controls/*/*.yaml profiles/*.yaml apps/*.yaml
var files embed.FS

// Controls holds topic/name.yaml for every built-in control.
func Controls() fs.FS { return sub("controls") }

// Profiles holds name.yaml for every built-in profile.
func Profiles() fs.FS { return sub("profiles") }

// Apps holds name.yaml for every application that is recognised.
func Apps() fs.FS { return sub("apps") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return f
}
