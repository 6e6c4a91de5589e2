package snap

import "fmt"

// A Place is where a value was found: a line of a file, or a command.
type Place struct {
	Path    string // of a file
	Line    int    // from 1; 0 when the whole file is meant
	Command string // as typed
}

func (p Place) String() string {
	switch {
	case p.Command != "":
		return "`" + p.Command + "`"
	case p.Line > 0:
		return fmt.Sprintf("%s:%d", p.Path, p.Line)
	default:
		return p.Path
	}
}
