package report

import "cmp"

// Risks says in words what a change could cost, of a control's risks.
func Risks(names []string) []string {
	words := map[string]string{
		"lose-ssh":     "you could lock yourself out of SSH: keep this session open, and try a second login before you end it",
		"lose-network": "the host could lose its network: have a screen and a keyboard at hand",
		"reboot":       "it takes a reboot to be in force",
		"data":         "data could be lost: make a copy first",
	}
	var out []string
	for _, n := range names {
		out = append(out, cmp.Or(words[n], n))
	}
	return out
}
