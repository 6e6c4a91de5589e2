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

// RiskMeans says in two sentences what somebody accepts with a risk, when Picket is to make the change.
func RiskMeans(name string) string {
	return map[string]string{
		"lose-ssh": "You could lock yourself out of SSH. The change is kept only after a new login has worked, and else the host goes back by itself; " +
			"keep a session open all the same.",
		"lose-network": "The host could lose its network, and with it your way in. It goes back by itself when nobody confirms; have a screen and a keyboard at hand all the same.",
		"reboot":       "It is in force only after the host was started anew. Picket does not do that: choose the time yourself.",
		"data":         "Data could be lost, and going back brings back settings, not data. Make a copy first.",
	}[name]
}
