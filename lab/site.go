package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// site is what the hosts of one process share: a folder, the bridge, a key. It is opened by the first
// host and ends with the process.
type site struct {
	cache   string
	dir     string   // run/<pid>…, holds the hosts' disks
	alive   *os.File // locked as long as the process lives
	keyFile string   // an ed25519 key without passphrase; every role's users accept it
	bridge  *bridge
	starts  chan startRequest
	hosts   atomic.Int32
}

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

var openSite = sync.OnceValues(func() (*site, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	runs := filepath.Join(cache, "run")
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return nil, err
	}
	sweep(runs)
	dir, err := os.MkdirTemp(runs, fmt.Sprintf("%d-", os.Getpid()))
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	s := &site{cache: cache, dir: dir, keyFile: filepath.Join(dir, "key"), starts: make(chan startRequest)}
	if s.alive, err = lockFile(context.Background(), filepath.Join(dir, "alive")); err != nil {
		return nil, err
	}
	keygen := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", s.keyFile)
	if out, err := keygen.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make the lab's key: %w: %s", err, out)
	}
	go s.starter()
	if s.bridge, err = s.openBridge(); err != nil {
		return nil, fmt.Errorf("make the lab's bridge: %w", err)
	}
	return s, nil
})

// starter starts all long-lived processes from one thread that lives as long as the process: the
// kernel sends a child its death signal when the thread that started it ends, not the process.
func (s *site) starter() {
	runtime.LockOSThread()
	for request := range s.starts {
		request.done <- request.cmd.Start()
	}
}

// start starts cmd in new namespaces. It is killed when this process ends in any way, and as the init of
// its process namespace it takes everything in there with it.
func (s *site) start(cmd *exec.Cmd, namespaces uintptr) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL, Setsid: true}
	request := startRequest{cmd, make(chan error)}
	s.starts <- request
	return <-request.done
}

// sweep clears away what dead runs have left: mounts, disks and control groups. Their processes and
// network namespaces died with them.
func sweep(runs string) {
	entries, err := os.ReadDir(runs)
	if err != nil {
		return
	}
	for _, entry := range entries {
		dir := filepath.Join(runs, entry.Name())
		alive, err := os.OpenFile(filepath.Join(dir, "alive"), os.O_RDWR, 0)
		if err != nil {
			continue // just being made, or just being swept by another
		}
		if syscall.Flock(int(alive.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = clearRun(dir)
		}
		alive.Close()
	}
}

// clearRun removes a run's folder and everything that belongs to it.
func clearRun(dir string) error {
	var problems []error
	mounts, err := mountsBelow(dir)
	problems = append(problems, err)
	for _, path := range slices.Backward(mounts) {
		problems = append(problems, syscall.Unmount(path, syscall.MNT_DETACH))
	}
	for _, group := range groupsOf(filepath.Base(dir)) {
		problems = append(problems, removeGroup(group))
	}
	if mounts, err := mountsBelow(dir); err == nil && len(mounts) == 0 {
		problems = append(problems, os.RemoveAll(dir))
	}
	return errors.Join(problems...)
}

// mountsBelow lists the mount points of this mount namespace below dir, in the order they were made.
func mountsBelow(dir string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append(found, fields[4])
		}
	}
	return found, lines.Err()
}
