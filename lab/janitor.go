package lab

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

//go:embed janitor.sh
var janitorScript string

// A janitor outlives this process to clear away its run of the lab: when a test panics or is killed, nobody
// else does before the next run.
type janitor struct {
	cmd  *exec.Cmd
	pipe *os.File // closed by the kernel when this process ends
}

func (s *site) callJanitor() (*janitor, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	var groups []string
	for _, tree := range hierarchies() {
		groups = append(groups, filepath.Join(tree, groupPrefix+s.run()+"-"))
	}
	cmd := exec.Command("sh", "-c", janitorScript)
	cmd.Env = []string{"PATH=" + hostPath, "DIR=" + s.dir, "GROUPS_OF_RUN=" + strings.Join(groups, " ")}
	cmd.Dir = "/"
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's ^C is not for it
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, err
	}
	return &janitor{cmd, write}, nil
}

// dismiss sends the janitor home: there is nothing left for it.
func (j *janitor) dismiss() {
	if j == nil {
		return
	}
	_ = j.cmd.Process.Kill()
	_ = j.cmd.Wait()
	j.pipe.Close()
}
