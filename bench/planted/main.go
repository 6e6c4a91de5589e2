// Command planted counts how many planted faults Picket, Lynis and OpenSCAP find
// on a booted Debian 12 that is otherwise protected, and on one with Docker. It needs root on a Debian
// 12, as the tests on booted hosts do; docs/benchmarks.md holds what it printed.
//
// Picket has found a fault when the control that the fault is of says so. Of the
// others anything counts that they do not report on the same host without it: that is
// generous, since nobody asks whether what they report is the fault.
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
	"syscall"
	"time"

	"picket/bench/booted"
	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/lab"
	"picket/lab/planted"
)

func main() {
	limit := flag.Duration("limit", 3*time.Hour, "time after which no further fault is planted")
	part := flag.String("part", "engine,traps,cases", "what is planted")
	dir := flag.String("controls", "catalogue/controls", "where the controls and their cases lie")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *part, time.Now().Add(*limit)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// A fault can be put on a host and taken away. Several can be there at once.
type fault struct {
	name, control string
	trap          *planted.Trap // else a case
	files         planted.Case
}

func run(ctx context.Context, dir, parts string, end time.Time) error {
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		return err
	}
	cases, err := planted.Cases(dir, controls)
	if err != nil {
		return err
	}
	wants := func(part string) bool { return slices.Contains(strings.Split(parts, ","), part) }
	if wants("engine") {
		h, list, err := ready(ctx, lab.BenchEngine, planted.EngineReady)
		if err != nil {
			return err
		}
		err = count(ctx, h, list, "traps on a host with Docker, ufw and Prometheus", together(planted.OnEngine), end)
		if err := errors.Join(err, h.Close()); err != nil {
			return err
		}
	}
	if !wants("traps") && !wants("cases") {
		return nil
	}
	h, list, err := ready(ctx, lab.Bench, livedADay)
	if err != nil {
		return err
	}
	defer h.Close()
	if wants("traps") {
		if err := count(ctx, h, list, "traps: what looks protected and is not", together(planted.Rounds), end); err != nil {
			return err
		}
	}
	if wants("cases") {
		groups := batches(cases, func(c planted.Case) bool { return !list[0].verdict(list[0].usual, c.Control) })
		return count(ctx, h, list, "a bad case of each control, of those made of files alone", groups, end)
	}
	return nil
}

// livedADay makes the host one that has been up for a day: its timers of apt have
// run, which nothing in the lab could serve.
const livedADay = `mkdir -p /var/lib/apt/periodic; cd /var/lib/apt; touch lists
	for s in update upgrade update-success unattended-upgrades; do touch periodic/$s-stamp; done`

// ready boots a host and lets each tool say what it says of it without any fault.
func ready(ctx context.Context, role lab.Role, script string) (*booted.Host, []*tool, error) {
	say("booting a host (the first time its root folder is built, which takes some minutes)")
	h, err := booted.Boot(ctx, role, nil)
	if err != nil {
		return nil, nil, err
	}
	list := tools()
	if err := usual(ctx, h, list, script); err != nil {
		return nil, nil, errors.Join(err, h.Close())
	}
	return h, list, nil
}

func usual(ctx context.Context, h *booted.Host, list []*tool, script string) error {
	if _, err := h.Do(ctx, nil, "sh", "-ec", script); err != nil {
		return err
	}
	fmt.Printf("host      Debian %s booted by systemd-nspawn, %s packages\n", h.Sh(ctx, "cat /etc/debian_version"), h.Sh(ctx, "dpkg-query -f '.\n' -W | wc -l"))
	for _, t := range list {
		fmt.Printf("%-9s %s\n", t.name, t.version(ctx, h))
	}
	for _, t := range list {
		say("%s on the host as it is, twice: what differs by itself is left out", t.name)
		for range 2 {
			r, err := t.report(ctx, h)
			if err != nil {
				return err
			}
			t.knows(r)
		}
		fmt.Printf("%-9s reports %d things on the host without any fault: %s\n", t.name, len(t.usual), t.usually())
	}
	fmt.Println()
	return nil
}

// together are the traps that can be there at once, without the set-ups that are not bad or
// of which that is not known.
func together(rounds [][]planted.Trap) (groups [][]fault) {
	for _, round := range rounds {
		var group []fault
		for _, tr := range round {
			if tr.Verdicts == "" || strings.Contains(tr.Verdicts, "fail") || strings.Contains(tr.Verdicts, "ineffective") {
				group = append(group, fault{name: tr.Name, control: tr.Control, trap: &tr})
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// batches are cases that can be there at once: one of each control that is right on the
// host so far.
func batches(cases []planted.Case, right func(planted.Case) bool) (groups [][]fault) {
	var wanted []planted.Case
	for _, c := range cases {
		if planted.None[c.Control] == "" && right(c) && !slices.ContainsFunc(wanted, func(w planted.Case) bool { return w.Control == c.Control }) {
			wanted = append(wanted, c)
		}
	}
	for len(wanted) > 0 {
		var now []planted.Case
		now, wanted = planted.Batch(wanted, 25)
		var group []fault
		for _, c := range now {
			group = append(group, fault{name: c.Name, control: c.Control, files: c})
		}
		groups = append(groups, group)
	}
	return groups
}

// count plants each fault of the groups and prints which tools find it.
func count(ctx context.Context, h *booted.Host, list []*tool, title string, groups [][]fault, end time.Time) error {
	total := 0
	found := map[*tool]int{}
	var lines []string
	for i, group := range groups {
		if len(group) == 0 {
			continue
		}
		if time.Now().After(end) {
			say("out of time: %d of %d groups were planted", i, len(groups))
			break
		}
		say("%s: group %d of %d, %d faults", title, i+1, len(groups), len(group))
		hits := make([]map[*tool]bool, len(group))
		for n := range hits {
			hits[n] = map[*tool]bool{}
		}
		for _, t := range list {
			if err := t.search(ctx, h, group, func(n int) { hits[n][t] = true }); err != nil {
				return err
			}
		}
		for n, f := range group {
			total++
			line := fmt.Sprintf("  %-34.34s %-58.58s", f.control, f.name)
			for _, t := range list {
				mark := "-"
				if hits[n][t] {
					found[t]++
					mark = "found"
				}
				line += fmt.Sprintf(" %-9s", mark)
			}
			lines = append(lines, line)
		}
	}
	fmt.Printf("%s\n  %-34s %-58s", title, "control of Picket", "fault")
	for _, t := range list {
		fmt.Printf(" %-9s", t.name)
	}
	fmt.Println()
	fmt.Println(strings.Join(lines, "\n"))
	fmt.Printf("  %-93s", fmt.Sprintf("found, of %d", total))
	for _, t := range list {
		fmt.Printf(" %-9d", found[t])
	}
	fmt.Print("\n\n")
	return nil
}

// say is progress; results go to stdout.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
