// Command faults tries to leave a host in between: it applies a plan of all kinds of
// steps on booted hosts, ends the program or the whole host at each place where it
// could be ended, and looks whether the host ends as it was or as it was to be.
//
//	go run ./bench/faults [-hosts 2] [-only apply-kill,boot] [-every 1] [-at 0]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hosts := flag.Int("hosts", 2, "how many hosts are tried at the same time")
	only := flag.String("only", "", "kinds of trials, separated by commas; all if there is none")
	every := flag.Int("every", 1, "only each so manieth place")
	at := flag.Int("at", 0, "only this place")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	begun := time.Now()
	c := campaign{log: func(line string) { fmt.Fprintln(os.Stderr, line) }, pick: func(t trial) bool {
		return (*only == "" || slices.Contains(strings.Split(*only, ","), t.kind)) && (t.point-1)%max(*every, 1) == 0 && (*at == 0 || t.point == *at)
	}}
	err := c.run(ctx, *hosts)
	c.print(os.Stdout, time.Since(begun))
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
	}
	if err != nil || c.count("else") > 0 {
		stop()
		os.Exit(1)
	}
}

// A trial is one fault at one place: the how manieth point that the program comes to.
type trial struct {
	kind  string
	point int
}

// A campaign is many trials, and how each ended: old, new, or else.
type campaign struct {
	log  func(string)
	pick func(trial) bool

	mu    sync.Mutex
	steps int
	todo  []trial
	made  []trial
	ended map[string]map[string]int // kind → end → how many
}

// kinds of trials, in the order in which they are made and told.
var kinds = []struct{ name, what string }{
	{"apply-kill", "kill -9 while it applies, then undo"},
	{"apply-cut", "power cut while it applies, then a start"},
	{"apply-link", "the network cable pulled while it applies over SSH, then nothing"},
	{"confirm-kill", "kill -9 while it is confirmed, then undo if it was not"},
	{"confirm-cut", "power cut while it is confirmed, then a start"},
	{"confirm-link", "the network cable pulled while it is confirmed over SSH, then nothing"},
	{"undo-kill", "kill -9 while it goes back, then undo"},
	{"undo-cut", "power cut while it goes back, then a start"},
	{"undo-link", "the network cable pulled while it goes back over SSH, then nothing"},
	{"boot", "cut off while it goes back at a start, then another power cut and start"},
}

// run makes the trials on so many hosts.
func (c *campaign) run(ctx context.Context, hosts int) error {
	c.ended = map[string]map[string]int{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := ready(ctx)
	if err != nil {
		return err
	}
	c.steps = first.steps
	for _, k := range kinds {
		what, _, _ := strings.Cut(k.name, "-")
		for n := 1; n <= first.points[what]; n++ {
			if t := (trial{k.name, n}); c.pick(t) {
				c.todo = append(c.todo, t)
			}
		}
	}
	c.log(fmt.Sprintf("%d steps; %d trials", first.steps, len(c.todo)))
	errs := make([]error, hosts)
	var all sync.WaitGroup
	for i := range hosts {
		all.Go(func() {
			h := first
			if i > 0 {
				if h, errs[i] = ready(ctx); errs[i] != nil {
					cancel()
					return
				}
			}
			if errs[i] = c.work(ctx, h); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// work makes trials on a host until there are none left. A host that ended in between is replaced.
func (c *campaign) work(ctx context.Context, h *host) error {
	defer func() {
		if h != nil {
			h.Close()
		}
	}()
	for {
		c.mu.Lock()
		if len(c.todo) == 0 || ctx.Err() != nil {
			c.mu.Unlock()
			return ctx.Err()
		}
		t := c.todo[0]
		c.todo = c.todo[1:]
		c.made = append(c.made, t)
		left := len(c.todo)
		c.mu.Unlock()
		end, why, err := h.try(ctx, t)
		if ctx.Err() != nil { // what it was cut off in is no trial
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s at point %d: %w", t.kind, t.point, err)
		}
		c.mu.Lock()
		if c.ended[t.kind] == nil {
			c.ended[t.kind] = map[string]int{}
		}
		c.ended[t.kind][end]++
		c.mu.Unlock()
		if why != "" {
			c.log(fmt.Sprintf("%s at point %d ended %s: %s", t.kind, t.point, end, why))
		}
		if left%20 == 0 {
			c.log(fmt.Sprintf("%d trials left", left))
		}
		if end == "else" {
			h.Close()
			if h, err = ready(ctx); err != nil {
				return err
			}
		}
	}
}

func (c *campaign) count(end string) (n int) {
	for _, ends := range c.ended {
		n += ends[end]
	}
	return n
}

func (c *campaign) print(out *os.File, took time.Duration) {
	fmt.Fprintf(out, "a plan of %d steps\n\n| trials | | ended old | new | else |\n|---|---|---|---|---|\n", c.steps)
	all := 0
	for _, k := range kinds {
		e := c.ended[k.name]
		n := e["old"] + e["new"] + e["else"]
		all += n
		if n > 0 {
			fmt.Fprintf(out, "| %s | %d | %d | %d | %d |\n", k.what, n, e["old"], e["new"], e["else"])
		}
	}
	fmt.Fprintf(out, "| all | %d | %d | %d | %d |\n\n%s\n", all, c.count("old"), c.count("new"), c.count("else"), took.Round(time.Second))
}
