package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var cluster = []Check{
	{"apps.cluster-mesh", clusterMesh,
		"the private keys in ~/.ssh that need no passphrase, and whether authorized_keys lets in the same keys as those of other nodes"},
	{"apps.cluster-user", clusterMarks("scripts", "USER is set", "the shell's USER is overwritten with", "no script of the cluster overwrites the shell's USER"),
		"the scripts in ~/.scripts and ~/.bashrc: lines that set USER"},
	{"apps.cluster-downloads", clusterMarks("scripts", "unpinned download", "something is fetched from a branch that may change at any time, at", "no script fetches something that may change", "download into a shell"),
		"the scripts in ~/.scripts and ~/.bashrc: what is fetched from a branch, or fetched and run"},
	{"apps.cluster-hosts", clusterMarks("hosts", "not a host and taken for one", "a comment in /etc/hosts is taken for a node, at", "every line of /etc/hosts that names a worker or a master is one"),
		"the lines of /etc/hosts that the cluster's commands take for nodes"},
	{"apps.cluster-clock", clusterMarks("cron", "clock over HTTP", "the clock is set over HTTP, which anybody on the way may answer, at", "no job sets the clock over HTTP"),
		"the jobs in /etc/cron.hourly, /etc/cron.daily and /etc/rc.local: htpdate"},
}

// clusterMarks fails where a line of a group of scripts says one of these.
func clusterMarks(group, mark, reason, good string, more ...string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		a := h.Apps.Get("pi-cluster")
		var bad []control.Evidence
		for _, f := range a.Files(group) {
			for _, s := range f.Settings {
				if s.Last() == mark || slices.Contains(more, s.Last()) {
					bad = append(bad, control.Saw(s.Last(), s.Place, s.Value, "not there"))
				}
			}
		}
		switch why := a.Unread(group); {
		case len(bad) > 0 && group == "scripts" && mark == "USER is set":
			return control.Failed(fmt.Sprintf("%s %s in %s", reason, bad[0].Found, bad[0].Place), bad...)
		case len(bad) > 0:
			return control.Failed(reason+" "+bad[0].Place, bad...)
		case why != "":
			return control.CannotTell(why)
		}
		return control.Passed(good)
	}
}

// ofNode tells by a key's comment, as ssh-keygen writes it, whether it is that
// of the same account on another host; a person's key has another name.
func ofNode(h *fact.Host, account, comment string) bool {
	user, host, ok := strings.Cut(comment, "@")
	return ok && user == account && !(h.OS.Hostname.Known() && host == h.OS.Hostname.V)
}

// clusterMesh finds what a list of all nodes' keys, copied to all nodes, looks
// like from one of them: its own key opens it, as do those of others, and
// needs no passphrase.
func clusterMesh(h *fact.Host) control.Outcome {
	unseen := func(home fact.Home) (fact.State, string) {
		if st, why := unseenHome(home); why != "" {
			return st, why
		}
		return h.Keys.Unread(home.User.Name)
	}
	o := overSSH(h, "no key of this host opens it together with the keys of others", unseen, func(home fact.Home) []control.Evidence {
		name := home.User.Name
		var own *fact.PrivateKey
		var ev []control.Evidence
		for _, k := range h.Keys.Authorized[name] {
			i := slices.IndexFunc(h.Keys.Private[name], func(p fact.PrivateKey) bool {
				return p.Lock == fact.Open && p.Fingerprint == k.Fingerprint && p.Fingerprint != ""
			})
			switch {
			case i >= 0:
				own = &h.Keys.Private[name][i]
			case len(k.Options) == 0 && ofNode(h, name, k.Comment):
				ev = append(ev, control.Saw("key of another node for "+name, k.Place, "may do everything", "only the leader's, with from=").Of(name))
			}
		}
		if own == nil {
			return nil
		}
		return ev
	})
	if o.Verdict == control.Fail {
		o.Reason = fmt.Sprintf("this host's own key, which needs no passphrase, is in the same list as %d others: whoever takes one node is let into every other", len(o.Evidence))
	}
	return o
}
