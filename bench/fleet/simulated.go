package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"picket/bench/booted"
	"picket/lab"
)

// simulated measures audits of simulated nodes, each beside the floor.
func simulated(ctx context.Context, dir, picket string, counts []int, delays []time.Duration, parallel []int, runs int) error {
	plays, err := recorded(ctx, dir, picket)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var size int
	for _, p := range plays {
		size += len(p.out)
	}
	fmt.Printf("audit of simulated nodes, which answer at once with what a booted host has answered (%d kB); floor: connect, authenticate, true\n", size/1000)
	fmt.Printf("%6s %8s %9s %20s %20s %7s %12s %10s\n", "nodes", "delay", "parallel", "floor (CPU)", "picket (CPU)", "ratio", "memory", "a node")
	for _, delay := range delays {
		for _, n := range counts {
			at := filepath.Join(dir, fmt.Sprintf("%d-%s", n, delay))
			if err := os.Mkdir(at, 0o700); err != nil {
				return err
			}
			s, err := start(at, n, delay)
			if err != nil {
				return err
			}
			s.plays = plays
			for _, most := range parallel {
				if most > n && most != parallel[0] {
					continue
				}
				var low, own []run
				for range runs { // in turn, so that a busy moment meets both
					r, err := measure(exec.CommandContext(ctx, self, "floor", at, strconv.Itoa(most)))
					if err != nil {
						return errors.Join(err, s.close())
					}
					low = append(low, r)
					if r, err = audit(ctx, picket, at, n, most); err != nil {
						return errors.Join(err, s.failed(), s.close())
					}
					if err := s.failed(); err != nil {
						return errors.Join(err, s.close())
					}
					own = append(own, r)
				}
				f, p := middle(low), middle(own)
				fmt.Printf("%6d %8s %9d %20s %20s %7.2f %12s %10s\n", n, delay, most,
					seconds(f.wall)+" ("+seconds(f.cpu)+")", seconds(p.wall)+" ("+seconds(p.cpu)+")", p.wall.Seconds()/f.wall.Seconds(),
					megabytes(p.memory), (p.wall / time.Duration(n)).Round(time.Millisecond))
			}
			if err := s.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// audit has Picket audit all nodes of a folder, and sees that it has.
func audit(ctx context.Context, picket, dir string, n, parallel int) (run, error) {
	file := filepath.Join(dir, "reports.json")
	cmd := exec.CommandContext(ctx, picket, "audit", "all", "--config", filepath.Join(dir, "picket.yaml"), "--known-hosts", filepath.Join(dir, "known_hosts"),
		"--parallel", strconv.Itoa(parallel), "--output", "json:"+file, "--fail-on", "none")
	cmd.Env = append(os.Environ(), "HOME="+dir, "SSH_AUTH_SOCK=")
	r, err := measure(cmd)
	if err != nil {
		return r, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	type report struct{ Score, Confidence int }
	var reports []report
	if n == 1 {
		reports = make([]report, 1)
		err = json.Unmarshal(text, &reports[0])
	} else {
		err = json.Unmarshal(text, &reports)
	}
	if err != nil {
		return r, err
	}
	for _, one := range reports {
		if one.Confidence < 90 {
			err = fmt.Errorf("a report judges only %d %%", one.Confidence)
		}
	}
	if len(reports) != n {
		err = fmt.Errorf("%d reports of %d nodes", len(reports), n)
	}
	return r, err
}

// recorded is what Picket and a booted host say to each other in an audit.
func recorded(ctx context.Context, dir, picket string) ([]*dialog, error) {
	h, err := booted.Boot(ctx, lab.Debian, nil)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	at := filepath.Join(dir, "recorded")
	if err := os.Mkdir(at, 0o700); err != nil {
		return nil, err
	}
	s, err := start(at, 1, 0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.real = func(ctx context.Context, command string) (*exec.Cmd, error) {
		return h.Exec(ctx, "/bin/sh", "-c", command)
	}
	if _, err := audit(ctx, picket, at, 1, 1); err != nil {
		return nil, errors.Join(err, s.failed())
	}
	return s.plays, s.failed()
}
