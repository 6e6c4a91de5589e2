package check

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var ban = []Check{
	{"ban.ssh", banSSH,
		"fail2ban's jails as its files set them (/etc/fail2ban) and as they run (`fail2ban-client status`, `systemctl list-units`); crowdsec or sshguard will do instead (`dpkg-query -W`)"},
	{"ban.ignore-own", banIgnoresOwn,
		"bantime and ignoreip of the jails in /etc/fail2ban"},
	{"ban.action", banAction,
		"the action of the jails in /etc/fail2ban, and whether its program is installed"},
	{"ban.ssh-port", banPort,
		"the ports that the jails in /etc/fail2ban close, against those on which sshd listens (`ss -Hltunpe`, /etc/ssh/sshd_config)"},
}

// banSSH wants a daemon that bans addresses which fail to log in over SSH, and
// wants it alive: T2.
func banSSH(h *fact.Host) control.Outcome {
	if h.Packages.State != fact.Known {
		return control.CannotTell(h.Packages.Why)
	}
	if len(h.Ban.Installed) == 0 {
		o := control.Failed("no ban daemon is installed: passwords can be guessed without end",
			control.Saw("packages", h.Packages.Place, "none of fail2ban, crowdsec, sshguard", "one of them"))
		o.Configured, o.Persistent = control.No, control.No
		return o
	}
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	var best control.Outcome
	for i, name := range h.Ban.Installed {
		o := otherBan(h, name)
		if name == "fail2ban" {
			o = fail2ban(h)
		}
		if i == 0 || o.Verdict == control.Pass && best.Verdict != control.Pass {
			best = o
		}
	}
	return best
}

func otherBan(h *fact.Host, name string) control.Outcome {
	u := h.Units.Get(name + ".service")
	o, done := daemonState(h, name, u)
	if done {
		return o
	}
	if name == "crowdsec" { // it finds out whom to shut out; a bouncer does it
		b, dead := daemonState(h, bouncer, h.Units.Get(bouncer+".service"))
		switch {
		case dead && b.Verdict == control.Unknown:
			return b
		case dead:
			return ineffective("crowdsec is there, but nothing shuts out whom it finds: "+bouncer+" is not installed, or not running", b.Evidence...)
		}
		o.Persistent, o.Effective = o.Persistent.And(b.Persistent), o.Effective.And(b.Effective)
		o = o.With(b.Evidence...)
	}
	return o.Judge().Because("%s is there and %s", name, stateWord(u))
}

const bouncer = "crowdsec-firewall-bouncer"

func stateWord(u fact.Unit) string {
	if u.Running() {
		return "runs"
	}
	return "starts at boot"
}

// daemonState judges the unit alone; done when it is dead.
func daemonState(h *fact.Host, name string, u fact.Unit) (o control.Outcome, done bool) {
	o = control.Outcome{Configured: control.Yes, Persistent: control.TriOf(u.Enabled())}
	ev := control.Saw(u.Name, u.FileState.Place, u.FileState.V, "enabled")
	now := control.Saw(u.Name+" now", u.Active.Place, u.Active.V, "active")
	switch {
	case u.FileState.Missing():
		return control.CannotTell(u.FileState.Why), true
	case u.Masked():
		return ineffective(name+" is installed, but masked: it cannot start", ev), true
	case !u.Exists:
		return ineffective(name+" is installed, but has no service", control.Saw(u.Name, fact.Place{}, "not there", "enabled")), true
	case u.Active.Missing() && h.Snap.Source.Kind != "image":
		return control.CannotTell(u.Active.Why), true
	case u.Active.Known() && !u.Running():
		return ineffective(fmt.Sprintf("%s is installed, but not running (%s)", name, u.Active.V), ev, now), true
	case u.Active.Known():
		o.Effective = control.Yes
		o = o.With(now)
	case !u.Enabled():
		return ineffective(name+" is installed, but not started at boot", ev), true
	}
	return o.With(ev), false
}

func fail2ban(h *fact.Host) control.Outcome {
	b := h.Ban
	u := h.Units.Get("fail2ban.service")
	o, dead := daemonState(h, "fail2ban", u)
	image := h.Snap.Source.Kind == "image"
	if dead {
		if why, at := fail2banCause(h); why != "" && o.Verdict == control.Ineffective && !u.Masked() {
			o.Reason += ": " + why
			o = o.With(control.Saw("fail2ban's settings", at, why, ""))
		}
		return o
	}
	if !image {
		switch {
		case b.Answers.Missing():
			return control.CannotTell("fail2ban runs, but could not be asked: " + b.Answers.Why + "; run as root")
		case !b.Answers.V:
			return ineffective("fail2ban.service is active, but the server does not answer", control.Saw("fail2ban", b.Answers.Place, "no answer", "pong"))
		case b.Running.Missing():
			return control.CannotTell("fail2ban runs, but its jails could not be listed")
		case b.State != fact.Known:
			return control.CannotTell("fail2ban runs, but its settings could not be read: " + b.Why)
		}
		jails := runningSSHJails(h)
		if len(jails) == 0 {
			why := "no jail of it watches SSH"
			if slices.ContainsFunc(b.Jails, func(j fact.Jail) bool { return j.Name == "ssh" && j.Enabled.V }) {
				why += `; the jail [ssh] is not [sshd]`
			}
			found := strings.Join(b.Running.V, ", ")
			if found == "" {
				found = "none"
			}
			return ineffective("fail2ban runs, but "+why, control.Saw("jails", b.Running.Place, found, "sshd"))
		}
		j, bad, is := bestJail(h, jails)
		if is {
			return bad
		}
		o = o.Judge()
		if o.Verdict != control.Pass {
			return o.Because("fail2ban runs now, but is not started at boot")
		}
		return o.Because("fail2ban runs and its jail [%s] watches SSH", j.Name).With(control.Saw("jails", b.Running.Place, strings.Join(b.Running.V, ", "), ""))
	}
	if b.State != fact.Known {
		return control.CannotTell("fail2ban's settings could not be read: " + b.Why)
	}
	if why, at := fail2banCause(h); why != "" {
		return ineffective("fail2ban is installed, but cannot work: "+why, control.Saw("fail2ban's settings", at, why, ""))
	}
	j, bad, is := bestJail(h, slices.DeleteFunc(slices.Clone(b.Jails), func(j fact.Jail) bool { return !j.Enabled.V || !j.WatchesSSH() }))
	if is {
		return bad
	}
	return o.Judge().Because("fail2ban starts at boot, with the jail [%s] for SSH", j.Name)
}

// runningSSHJails are the jails for SSH among those that run.
func runningSSHJails(h *fact.Host) (out []fact.Jail) {
	for _, name := range h.Ban.Running.V {
		i := slices.IndexFunc(h.Ban.Jails, func(j fact.Jail) bool { return j.Name == name })
		if i >= 0 && h.Ban.Jails[i].WatchesSSH() {
			out = append(out, h.Ban.Jails[i])
		}
		if i < 0 && name == "sshd" {
			out = append(out, fact.Jail{Name: name})
		}
	}
	return out
}

// bestJail finds a jail that shuts out who guesses, or else what is bad of one.
func bestJail(h *fact.Host, jails []fact.Jail) (good fact.Jail, bad control.Outcome, is bool) {
	bad = control.CannotTell("fail2ban's jails could not be judged")
	for i, j := range jails {
		o, useless := uselessJail(h, j)
		if !useless {
			return j, o, false
		}
		if i == 0 || o.Verdict == control.Unknown {
			bad = o
		}
	}
	return good, bad, true
}

// mayTry is how many passwords a ban may let an address try in an hour. With
// fail2ban's own settings it is 30.
const mayTry = 1000

// uselessJail tells that a jail for SSH sees no failures, or lets them be.
func uselessJail(h *fact.Host, j fact.Jail) (control.Outcome, bool) {
	no := func(at fact.Place, found, wanted, why string) (control.Outcome, bool) {
		return ineffective("fail2ban's jail ["+j.Name+"] "+why, control.Saw("jail ["+j.Name+"]", at, found, wanted)), true
	}
	if o, blind := blindJail(h, j); blind {
		return o, true
	}
	for _, f := range addressList(j.IgnoreIP.V) {
		p, err := netip.ParsePrefix(f)
		if err == nil && (p.Bits() < 4 || p.Addr().Is4() && p.Bits() < 8) || strings.HasSuffix(f, "/0.0.0.0") {
			return no(j.IgnoreIP.Place, "ignoreip is "+j.IgnoreIP.V, "the addresses that administer this host", "ignores "+f+": nobody is shut out")
		}
	}
	if n, at, ok := j.PerHour(); ok && n > mayTry {
		found := fmt.Sprintf("maxretry is %s, findtime %s, bantime %s", j.MaxRetry.V, j.FindTime.V, j.BanTime.V)
		return no(at, found, "a few tries, counted over minutes or longer", fmt.Sprintf("lets one address try %.0f passwords an hour", n))
	}
	return control.Outcome{}, false
}

// noInfo are the limits of journald that keep no messages of the level info.
var noInfo = []string{"emerg", "alert", "crit", "err", "warning", "notice", "0", "1", "2", "3", "4", "5"}

// sshLogLevel is sshd's LogLevel; why is set when it is not known.
func sshLogLevel(h *fact.Host) (level string, at fact.Place, why string) {
	d := h.SSHD
	var asked fact.SSHDAnswer
	if len(d.Answers.V) > 0 {
		asked = d.Answers.V[0]
	} else if st := d.Config.State; st == fact.Denied || st == fact.Unknown {
		return "", at, d.Config.Why
	}
	values, found := d.Option(asked, "LogLevel")
	at = fact.Place{Path: sshdMain}
	if len(found.By) > 0 {
		at = found.By[0].Place
	}
	return strings.Join(values, " "), at, ""
}

// blindJail tells that sshd's failures do not get to where a jail reads.
func blindJail(h *fact.Host, j fact.Jail) (control.Outcome, bool) {
	no := func(at fact.Place, found, why string) (control.Outcome, bool) {
		return ineffective("fail2ban sees nothing: "+why, control.Saw("log of jail ["+j.Name+"]", at, found, "a log that is written to")), true
	}
	if level, at, why := sshLogLevel(h); why != "" {
		return control.CannotTell("what sshd logs is not known: " + why), true
	} else if slices.Contains([]string{"QUIET", "FATAL", "ERROR"}, strings.ToUpper(level)) {
		return no(at, "LogLevel is "+level, "sshd logs no failed logins")
	}
	l := h.Logging
	limit := fact.Last(l.Journald, "Journal", map[bool]string{true: "MaxLevelStore", false: "MaxLevelSyslog"}[j.Journal()])
	if slices.Contains(noInfo, limit.V) {
		return no(limit.Place, limit.V, "journald drops what sshd says of failed logins, which is of the level info")
	}
	switch {
	case j.Journal() && l.Storage.Missing():
		return control.CannotTell("fail2ban reads the journal, and whether there is one is not known: " + l.Storage.Why), true
	case j.Journal() && l.Storage.V == "none":
		return no(l.Storage.Place, "Storage is none", "its jail ["+j.Name+"] reads the journal, which is thrown away")
	case j.Journal(), !j.LogPath.Known(), len(j.Logs()) == 0:
		return control.Outcome{}, false
	case !slices.Contains(j.Logs(), fact.SSHLog):
		return control.CannotTell("whether sshd's failures get to " + strings.Join(j.Logs(), ", ") + ", which jail [" + j.Name + "] reads, is not known"), true
	case len(j.Logs()) > 1:
		return control.Outcome{}, false
	}
	image := h.Snap.Source.Kind == "image"
	written := func(name string) bool {
		u := h.Units.Get(name)
		return u.Running() || !image && u.Active.Missing() && u.Exists || image && u.Enabled()
	}
	if !slices.ContainsFunc(syslogs, written) {
		return no(j.LogPath.Place, fact.SSHLog, "its jail ["+j.Name+"] reads "+fact.SSHLog+", which nothing writes: no syslog daemon "+map[bool]string{true: "is enabled", false: "runs here"}[image])
	}
	if o := journalForwards(h); o.Verdict == control.Ineffective || o.Verdict == control.Unknown {
		o.Reason = "its jail [" + j.Name + "] reads " + fact.SSHLog + ": " + o.Reason
		return o, true
	}
	return control.Outcome{}, false
}

// fail2banCause says why it does not start, from its settings.
func fail2banCause(h *fact.Host) (string, fact.Place) {
	if h.Ban.State != fact.Known {
		return "", fact.Place{}
	}
	for _, p := range h.Ban.Refused {
		return "it does not understand its settings: " + p.Text + " (" + p.Place.String() + ")", p.Place
	}
	ssh, any := false, false
	for _, j := range h.Ban.Jails {
		if !j.Enabled.V {
			continue
		}
		any = true
		ssh = ssh || j.WatchesSSH()
		if why, at := h.CannotStart(j); why != "" {
			return why, at
		}
	}
	switch {
	case !any:
		return "no jail is enabled", fact.Place{Path: "/etc/fail2ban/jail.local"}
	case !ssh:
		return "no enabled jail watches SSH", fact.Place{Path: "/etc/fail2ban/jail.local"}
	}
	return "", fact.Place{}
}

// banIgnoresOwn wants an endless ban to spare the people who run the host: T12.
func banIgnoresOwn(h *fact.Host) control.Outcome {
	if h.Ban.State != fact.Known {
		return control.CannotTell("fail2ban's settings could not be read: " + h.Ban.Why)
	}
	var bad []control.Evidence
	enabled := 0
	for _, j := range h.Ban.Jails {
		if !j.Enabled.V {
			continue
		}
		enabled++
		if !strings.HasPrefix(strings.TrimSpace(j.BanTime.V), "-") || ignoresSomebody(j.IgnoreIP.V) {
			continue
		}
		found := "bantime is " + j.BanTime.V + ", ignoreip is " + orNot(j.IgnoreIP)
		bad = append(bad, control.Saw("jail ["+j.Name+"]", j.BanTime.Place, found, "ignoreip with the addresses that administer this host"))
	}
	switch {
	case len(bad) > 0:
		o := control.Failed(bad[0].Fact+" bans for ever and spares nobody: a few typing errors lock the operator out", bad...)
		o.Persistent = control.No
		return o
	case enabled == 0:
		return control.DoesNotApply("no jail of fail2ban is enabled")
	}
	o := control.Passed(fmt.Sprintf("none of %d jails bans for ever without sparing your own addresses", enabled))
	o.Persistent = control.Yes
	return o
}

// ignoresSomebody reports whether a list has an entry other than this host itself.
func ignoresSomebody(list string) bool {
	for _, f := range addressList(list) {
		p, err := netip.ParsePrefix(f)
		if err != nil {
			a, err := netip.ParseAddr(f)
			if err != nil {
				if name := strings.ToLower(f); name == "localhost" || name == "ip6-localhost" {
					continue
				}
				return true // a name
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if !p.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

func addressList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
}

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
