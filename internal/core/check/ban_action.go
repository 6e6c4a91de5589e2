package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// banAction wants the firewall program that bans are made with to be there.
func banAction(h *fact.Host) control.Outcome {
	if h.Ban.State != fact.Known {
		return control.CannotTell("fail2ban's settings could not be read: " + h.Ban.Why)
	}
	var o control.Outcome
	enabled := 0
	for _, j := range h.Ban.Jails {
		if !j.Enabled.V {
			continue
		}
		enabled++
		actions, told := banActions(j)
		switch {
		case len(actions) == 0 && len(told) == 0:
			return ineffective(fmt.Sprintf("jail [%s] has no action: nobody is shut out", j.Name),
				control.Saw("action of ["+j.Name+"]", j.Action.Place, "none", "%(action_)s, which bans"))
		case len(actions) == 0:
			only := strings.Join(told, ", ")
			return ineffective(fmt.Sprintf("jail [%s] does no more than %s: nobody is shut out", j.Name, only),
				control.Saw("action of ["+j.Name+"]", j.Action.Place, only, "%(action_)s, which bans"))
		}
		for _, whole := range actions {
			action, _, _ := strings.Cut(whole, "[")
			at := j.BanAction.Place
			if action != strings.Split(j.BanAction.V, "[")[0] {
				at = j.Action.Place
			}
			needs := programsOf(action)
			for _, need := range needs {
				has := h.Packages.Has(need)
				if !has.Known() {
					return control.Missing(has)
				}
				if !has.V {
					return ineffective(fmt.Sprintf("jail [%s] bans with %s, but %s is not installed: nobody is shut out", j.Name, action, need),
						control.Saw("banaction of ["+j.Name+"]", at, action, "one whose program is installed"))
				}
			}
			if action == "ufw" {
				m, _ := h.Firewall.Manager("ufw")
				if !m.On.Known() {
					return control.Missing(m.On)
				}
				if !m.On.V {
					return ineffective(fmt.Sprintf("jail [%s] bans with ufw, which is not enabled (%s): nobody is shut out", j.Name, m.On.Place),
						control.Saw("banaction of ["+j.Name+"]", at, action, "one that is in force"))
				}
			}
			if len(needs) > 0 {
				o = o.With(control.Saw("banaction of ["+j.Name+"]", at, action, ""))
			}
		}
	}
	if enabled == 0 {
		return control.DoesNotApply("no jail of fail2ban is enabled")
	}
	if len(o.Evidence) == 0 {
		return control.CannotTell("Picket does not know the ban actions used here")
	}
	p := control.Passed("the program that bans are made with is installed", o.Evidence...)
	p.Persistent = control.Yes
	return p
}

// telling are actions of fail2ban that write to somebody and ban nobody.
var telling = []string{"sendmail", "mail", "abuseipdb", "blocklist_de", "complain", "dshield", "mynetwatchman", "badips", "xarf", "dummy", "apprise"}

// banActions are the actions of a jail that ban, with their options, and the
// names of those that only tell.
func banActions(j fact.Jail) (ban, told []string) {
	if !j.Action.Known() || strings.Contains(j.Action.V, "%(") {
		return []string{j.BanAction.V}, nil
	}
	for l := range strings.SplitSeq(j.Action.V, "\n") {
		l = strings.TrimSpace(l)
		name, _, _ := strings.Cut(l, "[")
		switch {
		case l == "":
		case slices.ContainsFunc(telling, func(t string) bool { return name == t || strings.HasPrefix(name, t+"-") }):
			told = append(told, name)
		default:
			ban = append(ban, l)
		}
	}
	return ban, told
}

// programsOf are the packages that an action needs, as far as Picket knows it.
func programsOf(action string) (out []string) {
	switch {
	case strings.HasPrefix(action, "iptables"):
		out = []string{"iptables"}
	case strings.HasPrefix(action, "nftables"):
		return []string{"nftables"}
	case strings.HasPrefix(action, "firewallcmd"):
		out = []string{"firewalld"}
	case action == "ufw":
		return []string{"ufw"}
	}
	if len(out) > 0 && strings.Contains(action, "-ipset") {
		out = append(out, "ipset")
	}
	return out
}

// banPort wants the jail for SSH to close the port that sshd listens on: bans
// are for the ports of the jail only, and "ssh" is 22 wherever sshd has moved.
func banPort(h *fact.Host) control.Outcome {
	if h.Ban.State != fact.Known {
		return control.CannotTell("fail2ban's settings could not be read: " + h.Ban.Why)
	}
	var jails []fact.Jail
	for _, j := range h.Ban.Jails {
		if actions, _ := banActions(j); j.Enabled.V && j.WatchesSSH() && len(actions) > 0 {
			jails = append(jails, j)
		}
	}
	if len(jails) == 0 {
		return control.DoesNotApply("no jail of fail2ban watches SSH and bans; see ban/ssh and ban/action")
	}
	ports, at, why := sshPorts(h)
	if why != "" {
		return control.CannotTell(why)
	}
	var ev []control.Evidence
	for _, p := range ports {
		if !slices.ContainsFunc(jails, func(j fact.Jail) bool { return closes(j, p) }) {
			j := jails[0]
			actions, _ := banActions(j)
			port := portsOf(j, actions[0])
			return ineffective(fmt.Sprintf("a ban of jail [%s] closes the port %s, but sshd listens on %d", j.Name, orNot(port), p),
				control.Saw("port of jail ["+j.Name+"]", port.Place, orNot(port), strconv.Itoa(p)), control.Saw("port of sshd", at, strconv.Itoa(p), ""))
		}
		ev = append(ev, control.Saw("port of sshd", at, strconv.Itoa(p), ""))
	}
	return judged(nil, "a ban closes the port on which sshd listens").With(ev...)
}

// closes reports whether a ban of the jail closes a port of TCP; a name that is
// not known here is given the benefit of the doubt.
func closes(j fact.Jail, port int) bool {
	actions, _ := banActions(j)
	return slices.ContainsFunc(actions, func(a string) bool { return actionCloses(j, a, port) })
}

// actionPort is an option of an action that names ports.
var actionPort = regexp.MustCompile(`\bport\s*=\s*(?:"([^"]*)"|([^",\]]*))`)

// portsOf are the ports that an action of a jail closes.
func portsOf(j fact.Jail, whole string) fact.Value[string] {
	if m := actionPort.FindStringSubmatch(whole); m != nil && m[1]+m[2] != j.Port.V {
		return fact.Is(m[1]+m[2], j.Action.Place)
	}
	return j.Port
}

func actionCloses(j fact.Jail, whole string, port int) bool {
	action, _, _ := strings.Cut(whole, "[")
	ports := portsOf(j, whole)
	if strings.Contains(whole, "allports") || !strings.HasPrefix(action, "iptables") && !strings.HasPrefix(action, "nftables") || !ports.Known() {
		return true // of every port, or by a program that has its own rules
	}
	for _, f := range addressList(ports.V) {
		from, to, ranged := strings.Cut(strings.ReplaceAll(f, "-", ":"), ":")
		if !ranged {
			to = from
		}
		a, err := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		switch {
		case f == "ssh":
			a, b = 22, 22
		case slices.Contains([]string{"http", "https", "ftp", "smtp", "telnet"}, f):
			continue
		case err != nil || err2 != nil:
			return true
		}
		if port >= a && port <= b {
			return true
		}
	}
	return false
}
