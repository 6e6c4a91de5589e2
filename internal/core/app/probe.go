package app

import (
	"maps"
	"path"
	"slices"
	"strings"

	"picket/internal/core/yaml"
)

// A Probe is one attempt at an application that shows what it really does:
// whether it lets somebody in. It is made only when asked for, against the
// audited host, and must do no harm whatever the answer is: a request that
// reads, or an order that is refused for its form if for nothing else.
type Probe struct {
	Control string   `yaml:"control"` // whose verdict the answer bears on
	What    string   `yaml:"what"`    // for a person, of what is tried: "the web interface without a password"
	Process []string `yaml:"process"` // who listens, where that is known; empty: anybody at Ports
	Ports   []int    `yaml:"ports"`   // where it listens, where the process is not known

	// One of these says what is tried.
	HTTP string `yaml:"http"` // a request: "GET /path"
	MQTT bool   `yaml:"mqtt"` // a login to a broker
	TLS  bool   `yaml:"tls"`  // handshakes, a version each

	// User and Password are a login that the application ships with, and so is
	// known to everybody; "": none.
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	Mark     string `yaml:"mark"` // text in an HTTP answer that gives the word "mark"; the answer itself is not kept

	// Bad and Good are what an answer may be, each some of its words joined by
	// "+": "200+plain". What is neither says nothing. Bad goes before Good.
	Bad  []string `yaml:"bad"`
	Good []string `yaml:"good"`
}

// Words that an answer is made of, besides the status of HTTP as a number.
var probeWords = []string{
	"plain", "tls", // HTTP without or with TLS
	"to-https",            // it sends on to https://
	"mark",                // see Probe.Mark
	"accepted", "refused", // a login
	"refused-tls",                                    // it speaks TLS, and not with us: to other names, or with a client's certificate
	"no-tls", "tls1.0", "tls1.1", "tls1.2", "tls1.3", // what it agrees to
}

// Request splits HTTP into method and path.
func (p Probe) Request() (method, path string) {
	method, path, _ = strings.Cut(p.HTTP, " ")
	return method, path
}

// Matches reports whether an answer's words are one of some alternatives.
func Matches(alternatives, words []string) bool {
	return slices.ContainsFunc(alternatives, func(a string) bool {
		return !slices.ContainsFunc(strings.Split(a, "+"), func(w string) bool { return !slices.Contains(words, w) })
	})
}

// wrong says what a probe has too much or too little of.
func (p Probe) wrong() string {
	kinds := 0
	for _, set := range []bool{p.HTTP != "", p.MQTT, p.TLS} {
		if set {
			kinds++
		}
	}
	method, at := p.Request()
	switch {
	case p.Control == "" || p.What == "":
		return "want control and what"
	case kinds != 1:
		return "want one of http, mqtt, tls"
	case len(p.Ports) == 0 || slices.ContainsFunc(p.Ports, func(n int) bool { return n < 1 || n > 65535 }):
		return "want ports, each of 1 to 65535"
	case p.HTTP != "" && (method != "GET" && method != "POST" || !strings.HasPrefix(at, "/") || strings.ContainsAny(at, " ?#") || path.Clean(at) != strings.TrimSuffix(at, "/") && at != "/"):
		return "http: want GET or POST, a blank, a clean path"
	case p.TLS && (p.User != "" || p.Mark != ""), p.Mark != "" && p.HTTP == "":
		return "a user goes with http and mqtt, a mark with http"
	case p.Password != "" && p.User == "":
		return "a password without a user"
	case len(p.Bad) == 0 || len(p.Good) == 0:
		return "want bad and good"
	}
	for _, a := range slices.Concat(p.Bad, p.Good) {
		for _, w := range strings.Split(a, "+") {
			if !slices.Contains(probeWords, w) && (len(w) != 3 || w < "100" || w > "599") {
				return "unknown word " + w + "; want a status of HTTP or one of " + strings.Join(probeWords, ", ")
			}
		}
	}
	return ""
}

func checkProbes(a App, n *yaml.Node) yaml.Problems {
	var ps yaml.Problems
	for _, name := range slices.Sorted(maps.Keys(a.Probes)) {
		if why := a.Probes[name].wrong(); why != "" {
			ps = append(ps, n.Get(name).Problem("%s", why))
		}
	}
	return ps
}
