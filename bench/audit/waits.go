package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// startUp compares the shortest runs.
func startUp(ctx context.Context, h *host) error {
	say("start-up")
	of := func(argv ...string) (time.Duration, error) {
		var all []time.Duration
		for range 21 {
			r, err := h.run(ctx, false, argv...)
			if err != nil {
				return 0, err
			}
			all = append(all, r.Wall)
		}
		return median(all), nil
	}
	help, err := of(picketOnHost, "--help")
	if err != nil {
		return err
	}
	fmt.Printf("start-up, median of 21 runs\n  %-34s %8s\n", "picket --help", millis(help))
	for _, other := range [][]string{{"true"}, {"sshd", "-T"}, {picketOnHost, "controls", "list"}} {
		took, err := of(other...)
		if err != nil {
			return err
		}
		fmt.Printf("  %-34s %8s   picket --help takes %.2f times as long\n", strings.TrimPrefix(strings.Join(other, " "), "/usr/local/bin/"), millis(took), ratio(help, took))
	}
	fmt.Println()
	return nil
}

// waits finds what an audit waits for longest, and measures that by itself.
func waits(ctx context.Context, h *host) error {
	say("what picket waits for")
	var walls, walks []time.Duration
	took := map[string][]time.Duration{}
	for range 5 {
		r, err := h.run(ctx, false, picketOnHost, "audit", "--timings")
		if err != nil {
			return err
		}
		walls = append(walls, r.Wall)
		for line := range strings.Lines(r.Stderr) {
			what, d, ok := timing(line)
			switch {
			case !ok:
			case what == "walk":
				walks = append(walks, d)
			case strings.HasPrefix(what, "`"):
				what = strings.Trim(what, "`")
				took[what] = append(took[what], d)
			}
		}
	}
	if len(took) == 0 || len(walks) == 0 {
		return fmt.Errorf("picket audit --timings names no commands or no walk")
	}
	var names []string
	for what := range took {
		names = append(names, what)
	}
	slices.SortFunc(names, func(a, b string) int { return int(median(took[b]) - median(took[a])) })
	wall := median(walls)
	fmt.Printf("what picket audit (%s, median of 5) waits for longest\n", millis(wall))
	slowest, which := time.Duration(0), ""
	for _, what := range names[:min(6, len(names))] {
		alone, err := h.alone(ctx, what)
		if err != nil {
			return err
		}
		fmt.Printf("  %-52.52s %8s within, %8s by itself\n", what, millis(median(took[what])), millis(alone))
		if alone > slowest {
			slowest, which = alone, what
		}
	}
	find, err := h.alone(ctx, "find / -xdev -nouser")
	if err != nil {
		return err
	}
	fmt.Printf("  %-52s %8s within, %8s for `find / -xdev -nouser`\n", "the walk", millis(median(walks)), millis(find))
	crypt, err := h.alone(ctx, guessing)
	if err != nil {
		return err
	}
	fmt.Printf("  %-52s %8s for %d by the host's crypt(3), one after the other\n", "guesses at the password of one account", millis(crypt), guesses)
	fmt.Printf("the slowest command is `%.60s`: picket's wall time is %.2f times that\n", which, ratio(wall, slowest))
	fmt.Printf("the slowest of all are the guesses: picket's wall time is %.2f times that\n\n", ratio(wall, crypt))
	return nil
}

// guesses are what Picket tries for an account with a password that is none of
// them: internal/core/fact/guess.go has the list.
const guesses = 23

// guessing is the same work done by the host's own library, on its own hash.
const guessing = `perl -e '@f = getpwnam("operator"); $f[1] =~ /^\$y\$/ or die "no yescrypt"; crypt("guess $_", $f[1]) for 1..23'`

// alone is how long one command takes with nothing beside it.
func (h *host) alone(ctx context.Context, command string) (time.Duration, error) {
	var all []time.Duration
	for range 5 {
		r, err := h.run(ctx, false, "sh", "-c", "exec "+command)
		if err != nil {
			return 0, err
		}
		all = append(all, r.Wall)
	}
	return median(all), nil
}

// timing reads a line of --timings: began, took, step.
func timing(line string) (what string, took time.Duration, ok bool) {
	f := strings.Fields(line)
	if len(f) < 3 {
		return "", 0, false
	}
	ms, err := strconv.ParseFloat(f[1], 64)
	if _, err2 := strconv.Atoi(f[0]); err != nil || err2 != nil {
		return "", 0, false
	}
	_, what, _ = strings.Cut(line, f[1])
	return strings.TrimSpace(what), time.Duration(ms * float64(time.Millisecond)), true
}
