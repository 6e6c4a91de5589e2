package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWaves(t *testing.T) {
	for _, c := range []struct {
		n, size int
		leaders []int
		want    string
	}{
		{0, 5, nil, "[]"},
		{1, 5, []int{0}, "[[0]]"},
		{6, 5, []int{0}, "[[1] [2 3 4 5] [0]]"},
		{6, 2, []int{2}, "[[0] [1 3] [4 5] [2]]"},
		{4, 0, nil, "[[0] [1] [2] [3]]"},
		{3, 9, []int{0, 1, 2}, "[[0] [1] [2]]"},
	} {
		if got := fmt.Sprint(Waves(c.n, c.size, func(i int) bool { return slices.Contains(c.leaders, i) })); got != c.want {
			t.Errorf("%d hosts, %d at a time, %v lead: %s, want %s", c.n, c.size, c.leaders, got, c.want)
		}
	}
}

// TestInWaves: each host has its turn, and no two at a time before the change has held on one.
func TestInWaves(t *testing.T) {
	shown := map[rune]Shown{'-': Nothing, '+': Holds, '!': Broken}
	for _, c := range []struct {
		waves [][]int
		shows string // by host
		want  string
	}{
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "++++++", "[0]1 [1 2 3] [4 5]"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "-+++++", "[0]1 [1]1 [2 3] [4 5]"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "--++++", "[0]1 [1]1 [2]1 [3] [4 5]"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "----++", "[0]1 [1]1 [2]1 [3]1 [4]1 [5]"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "------", "[0]1 [1]1 [2]1 [3]1 [4]1 [5]1"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "!+++++", "[0]1"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "-!++++", "[0]1 [1]1"},
		{[][]int{{0}, {1, 2, 3}, {4, 5}}, "++-!++", "[0]1 [1 2 3]"},
		{[][]int{{1}, {2}, {0}}, "+--", "[1]1 [2]1 [0]1"},
		{[][]int{{0}}, "-", "[0]1"},
		{nil, "", ""},
	} {
		var got []string
		InWaves(c.waves, func(n, of int, first bool, wave []int) Shown {
			if n != len(got) || of <= n {
				t.Errorf("wave %d of %d after %d", n, of, len(got))
			}
			s := fmt.Sprint(wave)
			if first {
				s += "1"
			}
			got = append(got, s)
			all := Nothing
			for _, i := range wave {
				all = max(all, shown[rune(c.shows[i])])
			}
			return all
		})
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v, %s: %s, want %s", c.waves, c.shows, s, c.want)
		}
	}
}
