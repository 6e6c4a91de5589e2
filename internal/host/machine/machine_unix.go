//go:build unix

package machine

import (
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// Owner is whose a file is. ok is false where that is not known.
func Owner(info fs.FileInfo) (uid, gid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// Names is how many names a file has.
func Names(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Nlink)
	}
	return 1
}

// Mode is a file's mode with its set-id and sticky bits, as chmod(2) takes it.
func Mode(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint32(st.Mode) & 0o7777
	}
	return uint32(info.Mode().Perm())
}

// Access reports whether we may do all of what with a file: [MayWrite], [MayEnter].
func Access(file string, what uint32) error { return syscall.Access(file, what) }

// Lock waits until nobody else has the folder locked. It ends when the folder is closed.
func Lock(folder *os.File) error { return syscall.Flock(int(folder.Fd()), syscall.LOCK_EX) }

// Sync has all that was written reach the disks.
func Sync() { syscall.Sync() }

// Getenv is os.Getenv.
func Getenv(name string) string { return os.Getenv(name) }

// An Agent is a connection to what holds somebody's SSH keys.
type Agent interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// DialAgent connects to the agent at a socket, which SSH_AUTH_SOCK names. Both are nil where there is none.
func DialAgent(socket string, within time.Duration) (Agent, error) {
	if socket == "" || socket == NoAgent {
		return nil, nil
	}
	return net.DialTimeout("unix", socket, within)
}

// Paints reports whether a terminal shows colours.
func Paints(*os.File) bool { return true }
