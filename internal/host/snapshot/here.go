package snapshot

import (
	"fmt"

	"picket/internal/core/snap"
)

// LocalOptions of NewLocal.
type LocalOptions struct {
	Client string // where the user sits, when logged in over the network
	Timed  Timed  // told how long each command, the walk and all files took
}

// NoCommands is what every command answers on an image.
const NoCommands = "a mounted image cannot run commands"

// maxStderr is how much of a command's complaints is kept.
const maxStderr = 16 << 10

// tooMuch is said of a command whose output was cut off: what is missing may
// be what matters.
var tooMuch = fmt.Sprintf("it printed more than %d MB", snap.MaxOutput>>20)
