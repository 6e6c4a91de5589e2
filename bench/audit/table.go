package main

import (
	"fmt"
	"slices"
	"time"
)

// table prints figures, and each tool's as a multiple of Picket's.
func table(list []*tool) {
	fmt.Printf("%-14s %5s %7s %22s %9s %9s %9s %9s\n", "side by side", "runs", "checks", "wall (least to most)", "CPU", "systemd", "largest", "all")
	type figures struct{ wall, cpu, largest float64 }
	var first figures
	for _, t := range list {
		timed := t.timed()
		wall := pick(timed, func(r run) time.Duration { return r.Wall })
		cpu := pick(timed, func(r run) time.Duration { return r.CPU })
		own := pick(timed, func(r run) time.Duration { return r.Systemd })
		var largest, all int64
		for _, r := range t.runs {
			largest, all = max(largest, r.Largest), max(all, r.Tree)
		}
		f := figures{float64(median(wall)), float64(median(cpu) + median(own)), float64(largest)}
		fmt.Printf("%-14s %5d %7d %22s %9s %9s %9s %9s\n", t.name, len(timed), t.checks(t.runs[0]),
			fmt.Sprintf("%s (%s to %s)", seconds(median(wall)), seconds(slices.Min(wall)), seconds(slices.Max(wall))),
			seconds(median(cpu)), seconds(median(own)), megabytes(largest), megabytes(all))
		if first == (figures{}) {
			first = f
			continue
		}
		fmt.Printf("%-14s picket takes 1/%.1f of its wall time, 1/%.1f of its CPU time, %.2f of its memory; for each check 1/%.1f of the wall time\n", "",
			f.wall/first.wall, f.cpu/first.cpu, first.largest/f.largest,
			(f.wall/float64(t.checks(t.runs[0])))/(first.wall/float64(list[0].checks(list[0].runs[0]))))
	}
	fmt.Println("\nCPU is that of the tool and its commands; systemd is what process 1 spent for it meanwhile, and counts in the ratio.")
	fmt.Println("largest is the peak of the largest process, all that of all processes together with shared pages counted for each.")
}

// timed are the runs that were not slowed down by looking at their memory.
func (t *tool) timed() []run {
	var list []run
	for _, r := range t.runs {
		if r.Tree == 0 {
			list = append(list, r)
		}
	}
	return list
}

func pick(runs []run, of func(run) time.Duration) []time.Duration {
	var all []time.Duration
	for _, r := range runs {
		all = append(all, of(r))
	}
	return all
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func millis(d time.Duration) string  { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
func megabytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
