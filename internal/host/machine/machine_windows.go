package machine

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// Owner is whose a file is: not known here.
func Owner(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }

// Names is how many names a file has: not known here.
func Names(fs.FileInfo) int { return 1 }

// Mode is a file's mode, as far as there is one here.
func Mode(info fs.FileInfo) uint32 { return uint32(info.Mode().Perm()) }

// Access always agrees: what may not be written fails when it is.
func Access(string, uint32) error { return nil }

// Lock is not had here.
func Lock(*os.File) error { return errors.ErrUnsupported }

// Sync does nothing: each file was synced by itself.
func Sync() {}

// Getenv is os.Getenv, with what Windows calls otherwise: HOME and USER.
func Getenv(name string) string {
	switch name {
	case "HOME":
		return cmp.Or(os.Getenv(name), os.Getenv("USERPROFILE"))
	case "USER":
		return cmp.Or(os.Getenv(name), os.Getenv("USERNAME"))
	}
	return os.Getenv(name)
}

// An Agent is a connection to what holds somebody's SSH keys.
type Agent interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// agentPipe is where the agent of the OpenSSH that comes with Windows listens.
const agentPipe = `\\.\pipe\openssh-ssh-agent`

// A pipe has no deadlines: the agent is on this machine.
type pipe struct{ *os.File }

func (pipe) SetDeadline(time.Time) error { return nil }

// DialAgent connects to the agent at a socket, which SSH_AUTH_SOCK names, or else to that of Windows' own OpenSSH. Both are nil
// where there is none.
func DialAgent(socket string, within time.Duration) (Agent, error) {
	if socket == NoAgent {
		return nil, nil
	}
	if socket != "" && socket != agentPipe {
		return net.DialTimeout("unix", socket, within)
	}
	f, err := os.OpenFile(agentPipe, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && socket == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return pipe{f}, nil
}

// Paints has a console show colours, and reports whether it does.
func Paints(f *os.File) bool {
	var mode uint32
	h := windows.Handle(f.Fd())
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return mode&windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING != 0 || windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
