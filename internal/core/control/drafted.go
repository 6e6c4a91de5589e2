package control

import (
	"picket/internal/core/change"
	"picket/internal/core/fact"
)

// Drafted are the facts of the host as it would be. They are not to be changed: others are given the same.
func Drafted(d *change.Draft) *fact.Host {
	return change.Worked(d, "host", func() *fact.Host { return fact.Parse(d.Snapshot()) })
}

// DraftedFiles are those facts as the files alone tell them: see change.Draft.ByFiles.
func DraftedFiles(d *change.Draft) *fact.Host {
	return change.Worked(d, "files", func() *fact.Host { return fact.Parse(d.ByFiles()) })
}
