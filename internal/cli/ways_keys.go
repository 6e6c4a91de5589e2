package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/inventory"
	"picket/internal/core/trust"
)

// trusted is whose keys let in where, by the files of the hosts: nobody logs in to find that out. Who tries accounts that a host
// does not have is soon banned there.
type trusted struct {
	hosts []trust.Host
	m     trust.Map
}

// A caller is an account of a leader at one node, and whom its keys let in as there.
type caller struct {
	account, node string
	users         []string
}

// trusted reads the nodes for that. unknown is what could not be read.
func (p *program) trusted(ctx context.Context, w *walker, lead, nodes []string, many manyOptions) (t trusted, unknown []error) {
	hosts, unknown, err := p.trusting(ctx, nodes, time.Nanosecond, w.ssh, many) // no password is guessed
	if err != nil {
		return t, []error{err}
	}
	for _, l := range lead {
		i := slices.IndexFunc(hosts, func(h trust.Host) bool { return h.Name == l && h.Facts != nil })
		if i < 0 {
			continue
		}
		lines, err := w.lines(ctx, l, []string{"ssh-keygen", "awk"}, keysElsewhere, nil)
		if err != nil {
			unknown = append(unknown, fmt.Errorf("which keys in other places the clients on %s use: %w", l, err))
		}
		for _, line := range lines {
			account, rest, _ := strings.Cut(line, " ")
			print, file, _ := strings.Cut(rest, " ")
			if print == "?" {
				unknown = append(unknown, fmt.Errorf("where %s, the key of %s on %s, lets in: ssh-keygen cannot read it", file, account, l))
				continue
			}
			private := hosts[i].Facts.Keys.Private
			private[account] = append(private[account], fact.PrivateKey{PublicKey: fact.PublicKey{Fingerprint: print}, Place: fact.Place{Path: file}})
		}
	}
	t = trusted{hosts, trust.Of(hosts)}
	return t, append(unknown, t.unread(lead)...)
}

// keysElsewhere are the keys that clients are told of by their settings, and that do not lie in ~/.ssh, where all are read.
const keysElsewhere = `getent passwd | while IFS=: read -r user _ _ _ _ home shell; do
	case $shell in */nologin | */false) continue ;; esac
	[ -d "$home" ] || continue
	cat "$home/.ssh/config" /etc/ssh/ssh_config /etc/ssh/ssh_config.d/*.conf 2>/dev/null |
		sed -n 's/^[[:space:]]*identityfile[[:space:]=]*"\{0,1\}\([^"]*[^"[:space:]]\)"\{0,1\}[[:space:]]*$/\1/Ip' | sort -u | while IFS= read -r key; do
		case $key in "~/"* | "%d/"*) key=$home/${key#*/} ;; esac
		case $key in "$home"/.ssh/*/*) ;; "$home"/.ssh/* | [!/]*) continue ;; esac
		[ -f "$key" ] || continue
		print=$(ssh-keygen -lf "$key" 2>/dev/null </dev/null | awk '{ print $2; exit }')
		echo "$user ${print:-?} $key"
	done
done`

// logins are the accounts of a leader whose keys let in at some nodes. unknown is where that is not known, or cannot be tried.
func (t trusted) logins(leader string, to []inventory.Node) (good []caller, unknown []string) {
	type pair struct{ account, user, node, why string }
	var not []pair
	var over []string
	for _, e := range t.m.Edges {
		account, from := strings.CutSuffix(e.From, "@"+leader)
		at := strings.LastIndexByte(e.To, '@')
		user, node := e.To[:at], e.To[at+1:]
		if !from || e.How != trust.Key || !slices.ContainsFunc(to, func(n inventory.Node) bool { return n.Name == node }) {
			continue
		}
		switch i := slices.IndexFunc(good, func(l caller) bool { return l.account == account && l.node == node }); {
		case e.Only != "":
			not = append(not, pair{account, user, node, "a key lets it run one command there, which is not run"})
		case e.Needs != "":
			not = append(not, pair{account, user, node, "that needs " + e.Needs})
		case i >= 0:
			good[i].users = append(good[i].users, without([]string{user}, good[i].users)...)
		case !slices.Contains(over, account) && (slices.ContainsFunc(good, func(l caller) bool { return l.account == account }) || accountsOf(good) < mostAccounts):
			good = append(good, caller{account, node, []string{user}})
		case !slices.Contains(over, account):
			over = append(over, account)
		}
	}
	if len(over) > 0 {
		unknown = append(unknown, fmt.Sprintf("whom %s of %s reach: of one leader %d accounts are tried", strings.Join(over, ", "), leader, mostAccounts))
	}
	at := map[string][]string{} // nodes, by what is said of them
	for _, p := range not {
		if slices.ContainsFunc(good, func(l caller) bool {
			return l.account == p.account && l.node == p.node && slices.Contains(l.users, p.user)
		}) {
			continue // by another key
		}
		says := fmt.Sprintf("whether %s of %s comes in as %s (%s) at ", p.account, leader, p.user, p.why)
		at[says] = append(at[says], without([]string{p.node}, at[says])...)
	}
	for _, says := range slices.Sorted(maps.Keys(at)) {
		unknown = append(unknown, says+strings.Join(at[says], ", "))
	}
	return good, unknown
}

func accountsOf(all []caller) int {
	names := map[string]bool{}
	for _, l := range all {
		names[l.account] = true
	}
	return len(names)
}

// unread is what of the keys themselves could not be read: more may be let in.
func (t trusted) unread(leaders []string) (unknown []error) {
	for _, h := range t.hosts {
		if h.Facts == nil {
			continue // told already
		}
		sshd := h.Facts.SSHD.Config
		if ca := sshd.Find(fact.SSHDWho{}, "trustedusercakeys").Values; len(ca) > 0 && ca[0] != "none" {
			unknown = append(unknown, fmt.Errorf("whom %s lets in by a certificate (TrustedUserCAKeys %s)", h.Name, strings.Join(ca, " ")))
		}
		if v := sshd.Find(fact.SSHDWho{}, "hostbasedauthentication").Values; len(v) > 0 && v[0] == "yes" {
			unknown = append(unknown, fmt.Errorf("whom %s lets in by the key of the host that they come from (HostbasedAuthentication)", h.Name))
		}
		not := map[string][]string{} // accounts, by why
		for _, home := range h.Facts.Keys.Homes {
			user := home.User.Name
			if why := h.Facts.Keys.Unseen(user); why != "" {
				not["whose keys let in there: "+why] = append(not["whose keys let in there: "+why], user)
			}
			if !slices.Contains(leaders, h.Name) {
				continue
			}
			if (home.SSH == fact.Denied || home.SSH == fact.Unknown) && home.State != fact.Absent {
				not["which keys it has: "+home.SSHWhy] = append(not["which keys it has: "+home.SSHWhy], user)
			}
			for _, k := range h.Facts.Keys.Private[user] {
				if k.Fingerprint == "" {
					unknown = append(unknown, fmt.Errorf("where %s of %s lets in: it is no key that can be read", k.Place.Path, h.Name))
				}
			}
		}
		for _, why := range slices.Sorted(maps.Keys(not)) {
			unknown = append(unknown, fmt.Errorf("%s as %s, %s", h.Name, strings.Join(not[why], ", "), why))
		}
	}
	return unknown
}
