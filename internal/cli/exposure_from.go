package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/inventory"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

// mostTries bounds how many connections one node makes.
const mostTries = 512

// tries tells of ports, a line each on standard input, what comes of a TCP connection: "NUMBER open", "NUMBER shut WHY" or
// "NUMBER failed WHY". Nothing is sent over it. Eight are made at a time.
const tries = `one() {
	if command -v bash >/dev/null 2>&1; then said=$(LC_ALL=C timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1); code=$?
	elif command -v nc >/dev/null 2>&1; then said=$(LC_ALL=C timeout 5 nc -z -w 4 "$2" "$3" </dev/null 2>&1); code=$?
	else echo "$1 failed there is neither bash nor nc"; return
	fi
	case $code:$said in
	0:*) echo "$1 open" ;;
	124:* | 143:* | *'timed out'*) echo "$1 shut no answer" ;;
	*refused*) echo "$1 shut refused" ;;
	*[Uu]nreachable* | *'No route to host'*) echo "$1 shut refused on the way" ;;
	*resol* | *'not known'* | *'bad address'*) echo "$1 failed the name $2 is not known there" ;;
	*:) echo "$1 shut" ;;
	*) echo "$1 failed $(echo "$said" | head -n 1 | sed 's/.*: //')" ;;
	esac
}
n=0
while read -r number host port; do
	one "$number" "$host" "$port" &
	n=$((n + 1)); [ $((n % 8)) != 0 ] || wait
done
wait
`

// sources are the nodes from which connections are made, for the words of --from.
func (p *program) sources(from, targets []string) ([]string, error) {
	if len(from) == 0 {
		return nil, nil
	}
	inv, err := p.cluster()
	if err != nil {
		return nil, err
	}
	if len(inv.Nodes) == 0 {
		return nil, withHint(usage(errors.New("--from: there are no nodes in picket.yaml")), "`picket init` looks for them")
	}
	some, err := inv.Select(from)
	if err != nil {
		return nil, usage(fmt.Errorf("--from: %w", err))
	}
	for _, t := range targets {
		if _, ok := p.node(t); !ok {
			return nil, withHint(usage(fmt.Errorf("%s is no node of picket.yaml: connections are made to these alone", t)), "`"+p.typed("exposure all --from "+strings.Join(from, ","))+"`")
		}
	}
	var names []string
	for _, n := range some {
		names = append(names, n.Name)
	}
	return names, nil
}

// A trial is one connection that a node makes, and what came of it.
type trial struct {
	port         *audit.ExposedPort
	host         string
	result, says string
}

// tryFrom has nodes connect to the TCP ports of the others, and notes at each port what came of it. unknown are the nodes from
// which nothing could be tried.
func (p *program) tryFrom(ctx context.Context, from []string, found map[string]*audit.Exposure, ssh sshOptions, opt manyOptions) (unknown []error) {
	made, errs := many(ctx, p, from, opt, func(ctx context.Context, source string, tell ui.Teller) ([]trial, error) {
		var all []trial
		for target, e := range found {
			n, ok := p.node(target)
			if target == source || !ok {
				continue
			}
			for i := range e.Ports {
				if port := &e.Ports[i]; port.Proto == "tcp" && tried(*port, n) {
					all = append(all, trial{port: port, host: n.Host()})
				}
			}
		}
		slices.SortFunc(all, func(a, b trial) int {
			return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.port.Port, b.port.Port))
		})
		if len(all) > mostTries {
			return nil, fmt.Errorf("it would make %d connections; %d are made at the most: name fewer targets", len(all), mostTries)
		}
		if len(all) == 0 {
			return nil, nil
		}
		tell.Say(fmt.Sprintf("making %s", counted(len(all), "connection")))
		c, _, _, err := p.dial(ctx, source, ssh, tell)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		var asked, said, complaint bytes.Buffer
		for i, t := range all {
			fmt.Fprintf(&asked, "%d %s %d\n", i, t.host, t.port.Port)
		}
		exit, err := c.Exec(ctx, remote.Command([]string{"/bin/sh", "-c", tries}), &asked, &said, &complaint)
		if err == nil && exit != 0 {
			err = errors.New(lastLine(complaint.String(), fmt.Errorf("exit status %d", exit)))
		}
		if err != nil {
			return nil, err
		}
		trialsTold(all, said.String())
		return all, nil
	}, summed)
	for i, all := range made {
		for _, t := range all {
			t.port.Try(from[i], t.result, t.says)
		}
	}
	for i, err := range errs {
		if err != nil {
			unknown = append(unknown, named(from[i], err))
		}
	}
	for _, e := range found {
		for i := range e.Ports {
			slices.SortStableFunc(e.Ports[i].Tried, func(a, b audit.Try) int { return cmp.Compare(a.From, b.From) })
		}
	}
	return unknown
}

// tried reports whether a connection to a node's address says something of a port: one that listens on another address of it, such
// as that of a bridge for containers, is not meant. What listens for the host alone is tried: it has to be shut.
func tried(port audit.ExposedPort, n inventory.Node) bool {
	if _, err := netip.ParseAddr(n.Host()); err != nil || port.Local {
		return true
	}
	return port.ListensAt(n.Host())
}

// trialsTold notes what a node has said of its connections. What else the files of a login say is passed over.
func trialsTold(all []trial, said string) {
	for i := range all {
		all[i].result, all[i].says = audit.TryFailed, "it said nothing of it"
	}
	for line := range strings.Lines(said) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		result, says, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(number)
		if err == nil && n >= 0 && n < len(all) && slices.Contains([]string{audit.TryOpen, audit.TryShut, audit.TryFailed}, result) {
			all[n].result, all[n].says = result, says
		}
	}
}

// summed are the connections of a node in a line.
func summed(all []trial) string {
	if len(all) == 0 {
		return "nothing to try"
	}
	counts := map[string]int{}
	for _, t := range all {
		counts[t.result]++
	}
	text := fmt.Sprintf("%d open, %d shut", counts[audit.TryOpen], counts[audit.TryShut])
	if n := counts[audit.TryFailed]; n > 0 {
		text += fmt.Sprintf(", %d not tried", n)
	}
	return text
}
