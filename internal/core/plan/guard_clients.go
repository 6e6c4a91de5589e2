package plan

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// A Client is one that has to come in over SSH afterwards as before, and what it agrees to, as `ssh -G` tells.
type Client struct {
	Name   string              // for a person: "pioreactor on leader"
	Offers map[string][]string // keyword of sshd_config in lower case → algorithms
}

// agreed are the lists of sshd of which a client has to know one algorithm.
var agreed = []struct{ keyword, what string }{
	{"KexAlgorithms", "way to agree on keys"}, {"HostKeyAlgorithms", "kind of host key"}, {"Ciphers", "cipher"}, {"MACs", "MAC"},
}

// clientsAgree: each client that has to come in knows an algorithm of every list that sshd would have then (T19).
func clientsAgree(_ *fact.Host, d *change.Draft, opt Options) (refused, holds string) {
	sshd := control.DraftedFiles(d).SSHD.Config
	for _, c := range opt.Clients {
		for _, a := range agreed {
			f := sshd.Find(fact.SSHDAnswer{}.Who, a.keyword)
			offers := c.Offers[strings.ToLower(a.keyword)]
			if !f.Explicit() || len(f.Values) == 0 || len(offers) == 0 {
				continue
			}
			wanted := strings.Split(f.Values[0], ",")
			if strings.ContainsAny(f.Values[0][:min(1, len(f.Values[0]))], "+-^") {
				continue // a change of the default, which is not known here
			}
			if slices.ContainsFunc(offers, func(o string) bool { return slices.Contains(wanted, o) }) {
				continue
			}
			if a.keyword == "MACs" && slices.ContainsFunc(c.Offers["ciphers"], func(o string) bool { return strings.Contains(o, "gcm") || strings.Contains(o, "poly1305") }) {
				continue // these ciphers bring their own
			}
			return fmt.Sprintf("%s would be shut out: it knows no %s of those that stay, only %s (%s in the settings of its ssh)", c.Name, a.what, few(offers), a.keyword), ""
		}
	}
	if len(opt.Clients) > 0 {
		return "", fmt.Sprintf("the clients that come in today (%d) know an algorithm of each list, and are tried afterwards", len(opt.Clients))
	}
	return "", ""
}

func few(all []string) string {
	if len(all) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return strings.Join(all, ", ")
}
