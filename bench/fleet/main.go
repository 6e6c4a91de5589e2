// Command fleet measures how long one Picket takes for many hosts. Simulated ones are SSH servers in this process, which give the
// answers that a booted host has given before, over lines with a delay: there Picket is held to the floor, a program that
// connects, authenticates and runs one true. Booted ones are real: there it is held to Ansible's setup.
//
//	go run ./bench/fleet [-nodes 10,100,500] [-delay 20ms,100ms] [-parallel 16,64] [-runs 3]
//	go run ./bench/fleet -booted 10 [-runs 3]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		if err := floor(os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "error: %v\n", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	nodes := flag.String("nodes", "10,100,500", "how many simulated nodes, separated by commas")
	delay := flag.String("delay", "20ms,100ms", "round trips of their lines, separated by commas")
	parallel := flag.String("parallel", "16,64", "how many hosts at a time, separated by commas")
	runs := flag.Int("runs", 3, "how often each is measured; the median counts")
	booted := flag.Int("booted", 0, "measure with so many booted hosts, beside Ansible")
	flag.Parse()
	if flag.NArg() > 0 || *runs < 1 {
		flag.Usage()
		os.Exit(2)
	}
	err := func() error {
		dir, err := os.MkdirTemp("", "picket-fleet")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		picket := filepath.Join(dir, "picket")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", picket, "picket/cmd/picket")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build picket: %w\n%s", err, out)
		}
		if *booted > 0 {
			return besideAnsible(ctx, dir, picket, *booted, *runs)
		}
		return simulated(ctx, dir, picket, each(*nodes, number), each(*delay, time.ParseDuration), each(*parallel, number), *runs)
	}()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// each reads a list of words with commas between them.
func each[T any](list string, read func(string) (T, error)) (out []T) {
	for _, w := range strings.Split(list, ",") {
		v, err := read(w)
		if err != nil {
			fmt.Fprintf(os.Stderr, "error: %q: %v\n", w, err)
			os.Exit(2)
		}
		out = append(out, v)
	}
	return out
}

func number(w string) (int, error) {
	n, err := strconv.Atoi(w)
	if err == nil && n < 1 {
		err = errors.New("want a number above zero")
	}
	return n, err
}

// A run is what one program took.
type run struct {
	wall, cpu time.Duration
	memory    int64 // bytes at its peak
}

// measure runs a program to its end.
func measure(cmd *exec.Cmd) (run, error) {
	var said strings.Builder
	cmd.Stderr = &said
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	begun := time.Now()
	err := cmd.Start()
	var r run
	if err == nil {
		// What the kernel gives at the end is the peak of this program as well, from which the other was made.
		ended, peak := make(chan struct{}), make(chan int64)
		go func() { peak <- watched(cmd.Process.Pid, ended) }()
		err = cmd.Wait()
		r.wall = time.Since(begun)
		close(ended)
		r.memory = <-peak
		r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if err != nil {
		text := said.String()
		return r, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, text[max(0, len(text)-2000):])
	}
	return r, nil
}

// watched is the peak of a process's memory, in bytes, as it was last seen.
func watched(pid int, ended <-chan struct{}) (peak int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, ok := strings.Cut(string(text), "VmHWM:"); ok && err == nil {
			var kB int64
			if _, err := fmt.Sscan(rest, &kB); err == nil {
				peak = max(peak, kB<<10)
			}
		}
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
	}
}

// middle is the median of each figure by itself; memory is the most.
func middle(runs []run) (m run) {
	by := func(of func(run) time.Duration) time.Duration {
		var all []time.Duration
		for _, r := range runs {
			all = append(all, of(r))
			m.memory = max(m.memory, r.memory)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	m.wall, m.cpu = by(func(r run) time.Duration { return r.wall }), by(func(r run) time.Duration { return r.cpu })
	return m
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
