// Command audit measures Picket side by side with Lynis and OpenSCAP on one
// booted Debian 12. It needs root on a Debian 12, as the tests on booted hosts
// do; docs/benchmarks.md holds what it printed and what that means.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "measure" {
		if err := measure(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 2, "how often each tool runs, in turns; Picket more often within each")
	limit := flag.Duration("limit", 20*time.Minute, "time after which no further run begins")
	skipLynis := flag.Bool("without-lynis", false, "leave out Lynis, which takes minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *rounds, *limit, *skipLynis); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, rounds int, limit time.Duration, skipLynis bool) error {
	say("booting a host (the first time its root folder is built, which takes some minutes)")
	h, err := boot(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := prepare(ctx, h); err != nil {
		return err
	}
	list := tools()
	if skipLynis {
		list = list[:len(list)-1]
	}
	facts(ctx, h, list)
	if err := startUp(ctx, h); err != nil {
		return err
	}
	if err := waits(ctx, h); err != nil {
		return err
	}
	if err := sideBySide(ctx, h, list, rounds, limit); err != nil {
		return err
	}
	return nil
}

// say is progress; results go to stdout.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// facts says what was measured and on what.
func facts(ctx context.Context, h *host, list []*tool) {
	fmt.Printf("machine   %d × %s, %s memory, Linux %s, load %s\n", runtime.NumCPU(),
		h.Sh(ctx, "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"),
		h.Sh(ctx, "awk '/^MemTotal/ {printf \"%d MB\", $2 / 1024}' /proc/meminfo"),
		h.Sh(ctx, "uname -r"), h.Sh(ctx, "cut -d' ' -f1-3 /proc/loadavg"))
	fmt.Printf("host      Debian %s booted by systemd-nspawn, %s packages, %s files\n", h.Sh(ctx, "cat /etc/debian_version"),
		h.Sh(ctx, "dpkg-query -f '.\n' -W | wc -l"), h.Sh(ctx, "find / -xdev | wc -l"))
	for _, t := range list {
		fmt.Printf("%-9s %s\n", strings.Fields(t.name)[0], t.version(ctx, h))
	}
	fmt.Printf("size      %s MB, stripped, %s\n\n", h.Sh(ctx, "stat -c %s "+picketOnHost+" | awk '{printf \"%.1f\", $1 / 1e6}'"), runtime.GOARCH)
}

// sideBySide runs the tools in turns and prints their figures and ratios.
func sideBySide(ctx context.Context, h *host, list []*tool, rounds int, limit time.Duration) error {
	end := time.Now().Add(limit)
	for round := range rounds {
		for i := range list {
			t := list[(i+round)%len(list)] // each is first in turn
			for n := range t.repeat {
				if time.Now().After(end) && len(t.runs) > 0 {
					say("out of time: %s has %d runs", t.name, len(t.runs))
					break
				}
				// Adding up a tree's memory costs time itself: the last run of a round does it, and is not timed.
				sample := n == t.repeat-1 && t.repeat > 1 || t.repeat == 1 && round == rounds-1 && rounds > 1
				say("round %d of %d: %s (%d of %d)", round+1, rounds, t.name, n+1, t.repeat)
				r, err := t.once(ctx, h, sample)
				if err != nil {
					return err
				}
				t.runs = append(t.runs, r)
			}
		}
	}
	table(list)
	return nil
}
