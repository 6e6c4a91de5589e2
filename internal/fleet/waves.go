package fleet

import "slices"

// Waves parts n hosts that are changed wave after wave: one goes first, by itself, to show that it works there; the others
// follow, at most size at a time. Those that lead the others come last, one at a time: while they are as they were, the
// others can be reached through them. Each wave is a list of places, in the order in which they were given.
func Waves(n, size int, leads func(int) bool) (waves [][]int) {
	var others, leaders []int
	for i := range n {
		if leads(i) {
			leaders = append(leaders, i)
		} else {
			others = append(others, i)
		}
	}
	if len(others) > 0 {
		waves, others = append(waves, others[:1]), others[1:]
	}
	for len(others) > 0 {
		now := min(max(size, 1), len(others))
		waves, others = append(waves, others[:now]), others[now:]
	}
	for i := range leaders {
		waves = append(waves, leaders[i:i+1])
	}
	return waves
}

// Shown is what a wave has shown of a change.
type Shown int

// A change has shown nothing where its hosts were away or refused it.
const (
	Nothing Shown = iota
	Holds
	Broken
)

// InWaves has take work on one wave after the other, and stops after one that is Broken. Until the change holds somewhere no more
// than one host has it at a time: where the first showed nothing, the next goes first. take is told which wave this is of how many,
// from 0, and whether it is one that goes first.
func InWaves(waves [][]int, take func(n, of int, first bool, wave []int) Shown) {
	waves = slices.Clone(waves)
	for n, first := 0, true; n < len(waves); n++ {
		if wave := waves[n]; first && len(wave) > 1 {
			waves = slices.Insert(waves, n+1, wave[1:])
			waves[n] = wave[:1]
		}
		switch take(n, len(waves), first, waves[n]) {
		case Broken:
			return
		case Holds:
			first = false
		}
	}
}
