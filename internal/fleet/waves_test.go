package fleet

import (
	"fmt"
	"slices"
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
