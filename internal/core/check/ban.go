package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var ban = []Check{
	{"ban.ssh", banSSH,
		"fail2ban's jails as its files set them (/etc/fail2ban) and as they run (`fail2ban-client status`, `systemctl list-units`), and whether a changed filter still finds a failed login (`fail2ban-regex`); crowdsec or sshguard will do instead (`dpkg-query -W`)"},
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
	switch sees := h.FilterSees(); {
	case sees.Known() && !sees.V:
		return no(sees.Place, "finds no failed login in what sshd writes", "fail2ban's own filter for sshd", "has a filter that matches no line of sshd's")
	case sees.Missing() && sees.State != fact.Absent:
		return control.CannotTell("the filter of jail [" + j.Name + "] was changed, and whether it still finds failed logins is not known: " + sees.Why), true
	}
	for _, f := range addressList(j.IgnoreIP.V) {
		if wide(f) {
			return no(j.IgnoreIP.Place, "ignoreip is "+j.IgnoreIP.V, "the addresses that administer this host", "ignores "+f+": nobody is shut out")
		}
	}
	if n, at, ok := j.PerHour(); ok && n > mayTry {
		found := fmt.Sprintf("maxretry is %s, findtime %s, bantime %s", j.MaxRetry.V, j.FindTime.V, j.BanTime.V)
		return no(at, found, "a few tries, counted over minutes or longer", fmt.Sprintf("lets one address try %.0f passwords an hour", n))
	}
	return control.Outcome{}, false
}

// wide reports whether an entry of ignoreip is a good part of the Internet.
func wide(f string) bool {
	p, err := netip.ParsePrefix(f)
	return err == nil && (p.Bits() < 4 || p.Addr().Is4() && p.Bits() < 8) || strings.HasSuffix(f, "/0.0.0.0")
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
