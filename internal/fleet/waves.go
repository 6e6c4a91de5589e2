package fleet

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
