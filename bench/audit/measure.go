package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A run is one run of a program on the host, as the host saw it.
type run struct {
	Wall    time.Duration
	CPU     time.Duration // of the program and everything that it waited for
	Systemd time.Duration // that process 1 spent meanwhile: much of what systemctl costs happens there
	Largest int64         // bytes: peak of the largest single process
	Tree    int64         // bytes: peak of all its processes together, shared pages counted each time; 0: not sampled
	Exit    int
	Stdout  string
	Stderr  string
}

// measure runs on the host: it runs a program and prints a run as JSON.
func measure(args []string) error {
	sample := false
	if args[0] == "-tree" {
		sample, args = true, args[1:]
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	first := cpuOf(1)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	stop, peak := make(chan struct{}), make(chan int64)
	if sample {
		go watch(cmd.Process.Pid, stop, peak)
	}
	err := cmd.Wait()
	r := run{Wall: time.Since(begin), Systemd: cpuOf(1) - first, Exit: cmd.ProcessState.ExitCode()}
	if sample {
		close(stop)
		r.Tree = <-peak
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	r.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.Largest = int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10 // of 32 bits on some boards
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// watch adds up the memory of a process and its descendants every 5 ms.
func watch(pid int, stop chan struct{}, peak chan int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	most := int64(0)
	for {
		most = max(most, tree(pid))
		select {
		case <-stop:
			peak <- most
			return
		case <-tick.C:
		}
	}
}

// tree is the resident memory of a process and its descendants.
func tree(pid int) int64 {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	children, memory := map[int][]int{}, map[int]int64{}
	for _, file := range files {
		f := stat(file)
		if len(f) < 22 {
			continue
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		parent, _ := strconv.Atoi(f[1])
		pages, _ := strconv.ParseInt(f[21], 10, 64)
		children[parent] = append(children[parent], id)
		memory[id] = pages * int64(os.Getpagesize())
	}
	sum := int64(0)
	for todo := []int{pid}; len(todo) > 0; {
		sum += memory[todo[0]]
		todo = append(todo[1:], children[todo[0]]...)
	}
	return sum
}

// cpuOf is the processor time of one process so far, in steps of 10 ms.
func cpuOf(pid int) time.Duration {
	f := stat(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 everywhere on Linux
}

// stat is what follows the name in /proc/PID/stat: the state is field 0.
func stat(file string) []string {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil // it has ended
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	return strings.Fields(rest)
}

// parse reads what measure printed.
func parse(r io.Reader) (run, error) {
	var out run
	if err := json.NewDecoder(r).Decode(&out); err != nil {
		return out, fmt.Errorf("read a measurement: %w", err)
	}
	return out, nil
}
