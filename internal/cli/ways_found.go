package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/inventory"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

// names are those by which another node may know one.
func namesOf(n inventory.Node) []string {
	if n.Host() == n.Name {
		return []string{n.Name}
	}
	return []string{n.Name, n.Host()}
}

// lines runs a program of root that finds something out on a host, and that needs some programs there.
func (w *walker) lines(ctx context.Context, host string, needs []string, program string, tell ui.Teller) ([]string, error) {
	const lacks = "lacks "
	out, exit, err := w.run(ctx, host, fmt.Sprintf("for c in %s; do command -v $c >/dev/null || { echo %s$c; exit 9; }; done\n%s", strings.Join(needs, " "), lacks, program), tell)
	all := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' })
	switch {
	case err != nil:
		return nil, err
	case exit == 9 && len(all) == 1 && strings.HasPrefix(all[0], lacks):
		return nil, fmt.Errorf("%s has no %s, with which it would be found out", host, all[0][len(lacks):])
	case exit != 0:
		return nil, fmt.Errorf("exit status %d", exit)
	}
	return all, nil
}

// mostPorts bounds at how many ports of a leader the others are held to reach it.
const mostPorts = 16

// served are the TCP ports at which a host listens for others.
func (w *walker) served(ctx context.Context, host string, tell ui.Teller) (ports, unknown []string, err error) {
	tell.Say("which ports it serves")
	ports, err = w.lines(ctx, host, []string{"ss", "awk"}, `t=$(ss -Hltn) || exit 3
printf '%s\n' "$t" | awk '$4 != "" && $4 !~ /^(127\.|\[::1\])/ { n = split($4, a, ":"); print a[n] }' | sort -un`, tell)
	if len(ports) > mostPorts {
		unknown = append(unknown, fmt.Sprintf("who reaches %s at %s: the lowest %d ports of a leader are tried", host, strings.Join(ports[mostPorts:], ", "), mostPorts))
		ports = ports[:mostPorts]
	}
	return ports, unknown, err
}

// asClient sets the words that a client is tried with. Whoever lets it trust a new host key gets that here as well, without
// that anything is written.
const asClient = `try() {
	o='-o BatchMode=yes -o ConnectTimeout=8 -o ControlPath=none -o UpdateHostKeys=no -o StrictHostKeyChecking=yes'
	su -s /bin/sh "$1" -c "cd 2>/dev/null; case \$(ssh -G '$2' 2>/dev/null | sed -n 's/^stricthostkeychecking //p') in false|no|off|accept-new)
		set -- -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no ;; esac
		exec timeout 14 ssh \"\$@\" $o -- '$2' true" </dev/null
}
`

// comes tries an account at one node: by its first name, and by the next unless it was turned away. Whom the client would be
// there has to be one whom the account's keys let in as.
const comes = `refused=0
comes() {
	account=$1 users=$2
	shift 2
	for name do
		client=$(su -s /bin/sh "$account" -c "cd 2>/dev/null; ssh -G '$name'" 2>/dev/null </dev/null)
		case " $users " in *" $(printf '%s\n' "$client" | sed -n 's/^user //p') "*) ;; *) continue ;; esac
		[ "$refused" -lt "$most" ] || { echo "left $account $name"; return; }
		if said=$(try "$account" "$name" 2>&1); then
			echo "came $account $name $(printf '%s\n' "$client" | awk '/^(kexalgorithms|hostkeyalgorithms|macs|ciphers) / { printf "%s=%s ", $1, $2 }')"
			continue
		fi
		case $said in *"Permission denied"* | *"Too many authentication failures"*) refused=$((refused + 1)); return ;; esac
	done
}
`

// mostAccounts bounds the accounts of a leader that log in at others, and mostRefused how often one node may turn them away
// until it is left alone: fail2ban shuts out whoever fails five times.
const (
	mostAccounts = 8
	mostRefused  = 2
)

// logins are the accounts of a leader that come into other nodes over SSH. Nobody is tried whose keys let in nowhere there.
func (w *walker) logins(ctx context.Context, l inventory.Node, to []inventory.Node, keys trusted, tell ui.Teller) (f found, err error) {
	tell.Say("whom it reaches over SSH")
	f.says = "reaches nobody over SSH"
	good, unknown := keys.logins(l.Name, to)
	f.unknown = unknown
	if len(good) == 0 {
		return f, nil
	}
	program, at := asClient+comes+fmt.Sprintf("most=%d\n", mostRefused), map[string]string{} // node by name
	for i, n := range to {
		var one []string
		for _, g := range good {
			if g.node == n.Name {
				one = append(one, remote.Command(append([]string{"comes", g.account, strings.Join(g.users, " ")}, namesOf(n)...)))
			}
		}
		for _, name := range namesOf(n) {
			at[name] = n.Name
		}
		if len(one) > 0 {
			program += "(" + strings.Join(one, "; ") + ") &\n"
		}
		if i%8 == 7 {
			program += "wait\n"
		}
	}
	lines, err := w.lines(ctx, l.Name, []string{"su", "ssh", "timeout", "awk"}, program+"wait", tell)
	if err != nil {
		return f, err
	}
	var reached, accounts []string
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) < 3 || at[words[2]] == "" {
			continue
		}
		account, name, n, offers := words[1], words[2], at[words[2]], map[string][]string{}
		if words[0] == "left" {
			f.unknown = append(f.unknown, fmt.Sprintf("whether %s comes in as %s of %s: it turned %d logins away, and one more could get %[3]s banned there", n, account, l.Name, mostRefused))
			continue
		}
		for _, list := range words[3:] {
			keyword, algorithms, _ := strings.Cut(list, "=")
			offers[keyword] = strings.Split(algorithms, ",")
		}
		f.ways = append(f.ways, way{from: l.Name, to: n, account: account, offers: offers, walker: w, name: fmt.Sprintf("ssh %s from %s as %s", name, l.Name, account),
			program: asClient + remote.Command([]string{"try", account, name}) + " 2>&1"})
		if !slices.Contains(reached, n) {
			reached = append(reached, n)
		}
		if !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	slices.SortFunc(f.ways, func(a, b way) int { return strings.Compare(a.name, b.name) })
	slices.Sort(f.unknown)
	if len(reached) > 0 {
		slices.Sort(accounts)
		f.says = fmt.Sprintf("reaches %d of %d over SSH as %s", len(reached), len(to), strings.Join(accounts, ", "))
	}
	return f, nil
}

// knock tries a port, and speaks HTTP or MQTT where it is that.
const knock = `knock() { timeout 8 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1
	case $1 in
	80 | 8080) printf "GET / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$0" >&3; IFS= read -r l <&3 || exit 1; case $l in HTTP/*" 5"*) echo "$l"; exit 1 ;; esac ;;
	1883) printf "\020\024\000\004MQTT\004\002\000\074\000\010picketee" >&3; IFS= LC_ALL=C read -r -d "" -n 1 l <&3; case $l in " ") ;; *) echo "it does not answer as a broker does"; exit 1 ;; esac ;;
	esac' "$1" "$2"; }
`

// reached are the ports of leaders that a node reaches.
func (w *walker) reached(ctx context.Context, n inventory.Node, to []inventory.Node, ports map[string][]string, tell ui.Teller) (f found, err error) {
	tell.Say("which ports it reaches")
	program := knock
	at := map[string]string{}
	for _, l := range to {
		for _, name := range namesOf(l) {
			at[name] = l.Name
			program += fmt.Sprintf("for port in %s; do (knock %s $port >/dev/null 2>&1 && echo %[2]s $port) & done\n", strings.Join(ports[l.Name], " "), name)
		}
	}
	lines, err := w.lines(ctx, n.Name, []string{"bash", "timeout"}, program+"wait", tell)
	if err != nil {
		return f, err
	}
	var reached []string
	for _, line := range lines {
		name, port, _ := strings.Cut(strings.TrimSpace(line), " ")
		l, ok := at[name]
		if _, err := strconv.Atoi(port); !ok || err != nil {
			continue
		}
		f.ways = append(f.ways, way{from: n.Name, to: l, walker: w, name: fmt.Sprintf("port %s of %s from %s", port, name, n.Name), program: knock + remote.Command([]string{"knock", name, port})})
		if !slices.Contains(reached, l+":"+port) {
			reached = append(reached, l+":"+port)
		}
	}
	slices.SortFunc(f.ways, func(a, b way) int { return strings.Compare(a.name, b.name) })
	slices.Sort(reached)
	if f.says = "reaches no leader"; len(reached) > 0 {
		f.says = "reaches " + strings.Join(reached, ", ")
	}
	return f, nil
}
