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
	"syscall"
)

// site is what the hosts of one process share: a folder, the bridge, a key. The first host opens it and
// the last one closes it.
type site struct {
	cache   string
	dir     string   // run/<pid>-…, holds the hosts' disks
	alive   *os.File // locked as long as the process lives
	keyFile string   // an ed25519 key without passphrase; every role's users accept it
	bridge  *bridge
	janitor *janitor
	starts  chan startRequest
	made    int // hosts so far: the next one's number
	open    int // hosts that are not closed
}

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

// present is the site of the hosts that are open now.
var present struct {
	sync.Mutex
	*site
}

// enter opens the site, or joins it, for one more host, and answers the host's number.
func enter() (*site, int, error) {
	present.Lock()
	defer present.Unlock()
	if present.site == nil {
		s, err := openSite()
		if err != nil {
			return nil, 0, err
		}
		present.site = s
	}
	present.open++
	present.made++
	return present.site, present.made, nil
}

// leave closes the site with its last host.
func (s *site) leave() error {
	present.Lock()
	defer present.Unlock()
	s.open--
	if s.open > 0 {
		return nil
	}
	present.site = nil
	return s.close()
}

func openSite() (_ *site, err error) {
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
	s := &site{cache: cache, starts: make(chan startRequest)}
	go s.starter()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.claim(runs); err != nil {
		return nil, err
	}
	if s.janitor, err = s.callJanitor(); err != nil {
		return nil, fmt.Errorf("start what clears away after a test that is killed: %w", err)
	}
	if err := run(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", s.keyFile)); err != nil {
		return nil, err
	}
	if s.bridge, err = s.openBridge(); err != nil {
		return nil, fmt.Errorf("make the lab's network: %w", err)
	}
	return s, nil
}

// claim makes the folder of this run, and marks it as one whose process lives before another process can
// take it for left over.
func (s *site) claim(runs string) error {
	turn, err := lockFile(context.Background(), filepath.Join(filepath.Dir(runs), "run.lock"))
	if err != nil {
		return err
	}
	defer turn.Close()
	sweep(runs)
	if s.dir, err = os.MkdirTemp(runs, fmt.Sprintf("%d-", os.Getpid())); err != nil {
		return err
	}
	s.keyFile = filepath.Join(s.dir, "key")
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	s.alive, err = lockFile(context.Background(), filepath.Join(s.dir, "alive"))
	return err
}

// run is the name of this run of the lab.
func (s *site) run() string { return filepath.Base(s.dir) }

func (s *site) close() error {
	if s.bridge != nil {
		s.bridge.close()
	}
	close(s.starts)
	var err error
	if s.dir != "" {
		err = clearRun(s.dir)
	}
	s.janitor.dismiss()
	if s.alive != nil {
		s.alive.Close()
	}
	return err
}

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
	for _, group := range groupsOf(filepath.Base(dir), "*") {
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
