package fact

import "strconv"

// A Problem is a part of a file that could not be understood.
type Problem struct {
	Place Place
	Text  string
}

func (p Problem) String() string { return p.Place.String() + ": " + p.Text }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
