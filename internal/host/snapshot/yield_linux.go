package snapshot

import (
	"sync"

	"golang.org/x/sys/unix"
)

// guessNice makes the trying of passwords wait for whatever else wants the
// processor: the host's own work, and the commands that we run and that have a
// time limit of their own.
const guessNice = 15

// yield lowers the priority of this thread and returns what undoes that. Where
// it could not be undone, without root, it is left as it is.
func yield() (restore func()) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 less the niceness, of this thread
	if err != nil || unix.Geteuid() != 0 {
		return func() {}
	}
	before := 20 - raw
	if before >= guessNice || unix.Setpriority(unix.PRIO_PROCESS, 0, guessNice) != nil {
		return func() {}
	}
	return sync.OnceFunc(func() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, before) })
}
