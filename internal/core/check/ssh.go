package check

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var sshChecks = []Check{
	{"ssh.config-valid", sshConfigValid,
		"what sshd says of its own files (`sshd -t`)"},
	{"ssh.config-loaded", sshConfigLoaded,
		"when sshd was started or reloaded, against when /etc/ssh/sshd_config and its drop-ins were changed"},
	{"ssh.one-server", sshOneServer,
		"the command line of sshd (ssh.service, /etc/default/ssh, the running process), what else lets people in over SSH (`ss -ltnp`), and units that start such a server for a socket or, on an image, at boot"},
	{"ssh.include-first", sshIncludeFirst,
		"the place of Include in /etc/ssh/sshd_config, and the names of the files in /etc/ssh/sshd_config.d"},
	{"ssh.socket-port", sshSocketPort,
		"Port in /etc/ssh/sshd_config, against the ports of ssh.socket (`systemctl show`)"},
	{"ssh.use-pam", sshUsePAM,
		"UsePAM as sshd has it (`sshd -T`), and locked passwords in /etc/shadow"},
	{"ssh.access-list", sshAccessList,
		"AllowUsers and AllowGroups as sshd has them (`sshd -T`, /etc/ssh/sshd_config)"},
	{"ssh.banner", sshBanner,
		"Banner as sshd has it (`sshd -T`), and the file that it names"},
	{"ssh.per-source", sshPerSource,
		"PerSourceMaxStartups and PerSourcePenalties as sshd has them (`sshd -T`, /etc/ssh/sshd_config)"},
	{"ssh.host-key-size", sshHostKeySize,
		"the length of the keys in /etc/ssh (ssh_host_*_key.pub) that sshd shows"},
	{"ssh.moduli", sshModuli,
		"the fifth field of /etc/ssh/moduli, if sshd offers such a key exchange"},
}

const sshdMain = "/etc/ssh/sshd_config"

// unread is the outcome for something that was not read.
func unread(st fact.State, why string) control.Outcome {
	if st == fact.Denied {
		why += "; run as root"
	}
	return control.CannotTell(why)
}

// sshdAnswers are what sshd applies to logins: as it answered or, where nothing
// runs, as its files say. ok is false when neither is known.
func sshdAnswers(h *fact.Host) (answers []fact.SSHDAnswer, live, ok bool, o control.Outcome) {
	d := h.SSHD
	if d.Answers.Known() {
		return d.Answers.V, true, true, o
	}
	if h.Snap.Source.Kind != "image" && !d.Stopped {
		return nil, false, false, unread(d.Answers.State, d.Answers.Why)
	}
	if d.Config.State != fact.Known {
		return nil, false, false, unread(d.Config.State, d.Config.Why)
	}
	who, _ := d.Config.Logins(h.Accounts)
	for _, w := range who {
		answers = append(answers, fact.SSHDAnswer{Who: w, Place: fact.Place{Path: sshdMain}})
	}
	return answers, false, true, o
}

// facets sets what an answer of sshd, or of its files, proves.
func facets(o control.Outcome, live bool) control.Outcome {
	good := control.TriOf(o.Verdict == control.Pass)
	o.Persistent, o.Effective = good, control.Untold
	if live {
		o.Effective = good
	}
	return o
}

func sshConfigValid(h *fact.Host) control.Outcome {
	d := h.SSHD
	if d.Valid.Known() {
		if d.Valid.V {
			return facets(control.Passed("sshd accepts its files", control.Saw("sshd's answer", d.Valid.Place, "accepted", "")), true)
		}
		return facets(control.Failed("sshd refuses its files: "+d.Valid.Why+"; it will not start again",
			control.Saw("sshd's answer", d.Valid.Place, d.Valid.Why, "accepted")), true)
	}
	// Without sshd's word the files can prove that they are wrong, not that
	// every value is right.
	if len(d.Config.Problems) > 0 {
		p := d.Config.Problems[0]
		return facets(control.Failed(fmt.Sprintf("sshd will refuse %s: %s", p.Place, p.Text), control.Saw("sshd's files", p.Place, p.Text, "a line that sshd accepts")), false)
	}
	if d.Config.State != fact.Known {
		return unread(d.Config.State, d.Config.Why)
	}
	if h.Snap.Source.Kind == "image" {
		return control.CannotTell("sshd cannot be asked on an image; no line was seen that it would refuse")
	}
	return unread(d.Valid.State, d.Valid.Why)
}

func sshConfigLoaded(h *fact.Host) control.Outcome {
	d := h.SSHD
	if d.Read.State == fact.Absent {
		return control.DoesNotApply("sshd reads its files when it starts: " + d.Read.Why)
	}
	if !d.Read.Known() {
		return control.Missing(d.Read)
	}
	when := d.Read.V.UTC().Format("2006-01-02 15:04:05 UTC")
	changed := d.Changed(h.Snap)
	if len(changed) == 0 {
		if d.Config.State != fact.Known {
			return unread(d.Config.State, d.Config.Why)
		}
		o := control.Passed("nothing was written since sshd read its files at "+when, control.Saw("sshd read its files", d.Read.Place, when, ""))
		o.Configured, o.Persistent = control.Yes, control.Yes
		return o
	}
	var ev []control.Evidence
	var names []string
	for _, p := range changed {
		e, _, _ := h.Snap.Stat(p.Path)
		ev = append(ev, control.Saw("last written", p, e.MTime.UTC().Format("2006-01-02 15:04:05 UTC"), "before "+when))
		names = append(names, p.Path)
	}
	o := control.IsIneffective(strings.Join(names, ", ")+" changed after sshd last read its files at "+when+"; it still runs with the older ones", ev...)
	o.Persistent = control.Yes
	return o
}

// sshOneServer finds servers that read other files than those which all other
// controls of SSH judge.
func sshOneServer(h *fact.Host) control.Outcome {
	var ev []control.Evidence
	if st := h.SSHD.Start; st.File != "" {
		ev = append(ev, control.Saw("file that sshd is started with", st.At, st.File, sshdMain))
	}
	unsure := ""
	var own []int // processes that listen in ssh.service
	for _, s := range h.Sockets.Listening {
		if s.Proto == "tcp" && s.Process == "sshd" && s.Unit.V == "ssh.service" && len(s.PIDs) > 0 && !slices.Contains(own, s.PIDs[0]) {
			own = append(own, s.PIDs[0])
		}
	}
	for _, s := range h.Sockets.Listening {
		if s.Proto != "tcp" || !s.Exposed() || !fact.SSHServer(s.Process) {
			continue
		}
		switch {
		case s.Unit.State == fact.Unknown || s.Unit.State == fact.Denied:
			unsure = s.Unit.Why
		case s.Unit.V == "ssh.service" && len(own) > 1 && (h.SSHD.PID == "" || !s.User.Known()):
			unsure = "which of the processes that listen in ssh.service lets people in is not known"
		case s.Unit.V == "ssh.service" && len(own) > 1 && s.User.V == "root" && !slices.ContainsFunc(s.PIDs, func(pid int) bool { return strconv.Itoa(pid) == h.SSHD.PID }):
			ev = append(ev, control.Saw("another SSH server of "+s.Unit.V, s.Place, s.Who()+" at "+s.Where(), "its main process alone"))
		case slices.Contains([]string{"ssh.service", "ssh.socket", "sshd.service"}, s.Unit.V), strings.HasSuffix(s.Unit.V, ".scope"):
			// In a login's scope it is a forwarded port, or started by hand, of which network/listen-by-hand tells.
		default:
			ev = append(ev, control.Saw(strings.TrimSpace("another SSH server "+s.Unit.V), s.Place, s.Who()+" at "+s.Where(), "ssh.service alone"))
		}
	}
	others, hidden := h.OtherSSH()
	for _, l := range others {
		ev = append(ev, control.Saw("another SSH server "+l.Section, l.Place, l.Value, "ssh.service alone"))
	}
	if len(ev) > 0 {
		o := control.IsIneffective("not all logins go by "+sshdMain+": "+ev[0].Fact+" is "+ev[0].Found+" ("+ev[0].Place+")", ev...)
		if h.Snap.Source.Kind == "image" {
			o.Effective = control.Untold
		}
		return o
	}
	switch {
	case h.SSHD.Start.Hidden != "":
		return control.CannotTell(h.SSHD.Start.Hidden + "; run as root")
	case hidden != "":
		return control.CannotTell("whether another SSH server is set up is not known: " + hidden)
	case h.SSHD.Start.Odd != "":
		return control.CannotTell(h.SSHD.Start.Odd)
	case h.Snap.Source.Kind == "image":
		o := control.Passed("sshd is started with its own file")
		o.Effective, o.Persistent = control.Untold, control.Yes
		return o
	case h.Sockets.State != fact.Known:
		return unread(h.Sockets.State, h.Sockets.Why)
	case unsure != "":
		return control.CannotTell(unsure)
	}
	return facets(control.Passed("ssh.service alone lets people in, by its own file"), true)
}

func sshIncludeFirst(h *fact.Host) control.Outcome {
	c := h.SSHD.Config
	main, st, why := h.Snap.File(sshdMain)
	if st != fact.Known {
		return unread(st, why)
	}
	i := slices.IndexFunc(c.Includes, func(s fact.SSHDSetting) bool {
		return s.Place.Path == main.Path && slices.ContainsFunc(s.Values, func(v string) bool {
			return strings.HasPrefix(strings.TrimPrefix(v, "/etc/ssh/"), "sshd_config.d/*")
		})
	})
	drops, _, _ := h.Snap.Glob("/etc/ssh/sshd_config.d/*.conf")
	if i < 0 {
		reason := "sshd_config does not include sshd_config.d: a file that is put there does nothing"
		if len(drops) > 0 {
			return facets(control.IsIneffective(fmt.Sprintf("%s, as %s does", reason, drops[0].Path),
				control.Saw("not included", fact.Place{Path: drops[0].Path}, "no Include", "Include /etc/ssh/sshd_config.d/*.conf")), true)
		}
		return facets(control.Failed(reason, control.Saw("Include", fact.Place{Path: sshdMain}, "none", "Include /etc/ssh/sshd_config.d/*.conf")), true)
	}
	inc := c.Includes[i]
	if b := c.Block(inc); b != "" {
		return facets(control.Failed(fmt.Sprintf("the Include stands in %q and counts only there", b), control.Saw("Include", inc.Place, b, "above every Match")), true)
	}
	for _, s := range c.Settings {
		// Of options that collect, those of the folder count too.
		if s.Place.Path == main.Path && s.Place.Line < inc.Place.Line && !fact.SSHDOptionCollects(s.Keyword) {
			return facets(control.Failed(fmt.Sprintf("%s at %s stands above the Include and wins over every file in sshd_config.d", s.Written, s.Place),
				control.Saw("first setting", s.Place, s.Written, "Include above it")), true)
		}
	}
	return facets(control.Passed("sshd_config.d is included before any setting", control.Saw("Include", inc.Place, strings.Join(inc.Values, " "), "")), true)
}

func sshSocketPort(h *fact.Host) control.Outcome {
	k := h.SSHD.Socket
	if !k.InUse.Known() && k.InUse.State != fact.Absent {
		return control.Missing(k.InUse)
	}
	if !k.InUse.V {
		return control.DoesNotApply("ssh.socket is not in use; sshd listens by itself")
	}
	answers, live, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	ports, found := h.SSHD.Option(answers[0], "Port")
	if k.Hidden != "" {
		return control.CannotTell("where ssh.socket listens is not known: " + k.Hidden)
	}
	if len(k.Ports) == 0 {
		return control.CannotTell("where ssh.socket listens could not be read")
	}
	slices.Sort(ports)
	sockets := slices.Sorted(slices.Values(k.Ports))
	if slices.Equal(slices.Compact(ports), sockets) {
		return facets(control.Passed("ssh.socket listens on port "+strings.Join(sockets, ", ")+", as sshd's files say"), live)
	}
	at := fact.Place{Path: sshdMain}
	if len(found.By) > 0 {
		at = found.By[0].Place
	}
	out := control.IsIneffective(fmt.Sprintf("ssh.socket listens on port %s; Port %s of sshd's files has no effect", strings.Join(sockets, ", "), strings.Join(ports, ", ")),
		control.Saw("Port", at, strings.Join(ports, ", "), strings.Join(sockets, ", ")), control.Saw("ssh.socket listens on", k.Place, strings.Join(sockets, ", "), ""))
	out.Persistent = control.No
	return out
}

func sshUsePAM(h *fact.Host) control.Outcome {
	answers, live, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	v, found := h.SSHD.Option(answers[0], "UsePAM")
	at := answers[0].Place
	if len(found.By) > 0 {
		at = found.By[0].Place
	}
	if strings.EqualFold(strings.Join(v, " "), "yes") {
		out := facets(control.Passed("UsePAM is yes", control.Saw("UsePAM", at, "yes", "")), live)
		out.Explicit = control.TriOf(found.Explicit())
		return out
	}
	ev := []control.Evidence{control.Saw("UsePAM", at, "no", "yes")}
	reason := "UsePAM is no: accounts whose password is locked cannot log in even with their key"
	if h.Accounts.Passwords.Known() {
		var locked []string
		for _, u := range h.Accounts.Users {
			if p, ok := h.Accounts.Passwords.V[u.Name]; ok && p.Barred && u.LoginShell() {
				locked = append(locked, u.Name)
				ev = append(ev, control.Saw("password of "+u.Name, p.Place, "locked", ""))
			}
		}
		if len(locked) > 0 {
			reason = "UsePAM is no, and the password of " + strings.Join(locked, ", ") + " is locked: sshd may refuse their keys"
		}
	}
	out := facets(control.Failed(reason, ev...), live)
	out.Explicit = control.TriOf(found.Explicit())
	return out
}

func sshAccessList(h *fact.Host) control.Outcome {
	answers, live, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	for _, a := range answers {
		found := ""
		for _, k := range []string{"AllowUsers", "AllowGroups"} {
			v, f := h.SSHD.Option(a, k)
			if len(v) > 0 && !slices.ContainsFunc(v, anybody) {
				at := a.Place
				if len(f.By) > 0 {
					at = f.By[0].Place
				}
				found = fmt.Sprintf("%s %s (%s)", k, strings.Join(v, " "), at)
			}
		}
		if found == "" {
			out := facets(control.Failed("any account may try to log in: neither AllowUsers nor AllowGroups is set for "+a.Who.String(),
				control.Saw("AllowUsers, AllowGroups", a.Place, "not set", "the accounts or groups that need SSH")), live)
			out.Explicit = control.No
			return out
		}
		o = control.Passed(found, control.Saw("who may log in", a.Place, found, ""))
	}
	return facets(o, live)
}

// anybody reports whether one line of a list of users or groups has a pattern
// that fits all.
func anybody(line string) bool {
	return slices.ContainsFunc(strings.Fields(line), func(p string) bool {
		return strings.Trim(p, "*?") == "" || strings.Trim(p, "*?@") == "" && strings.Count(p, "@") == 1
	})
}

func sshBanner(h *fact.Host) control.Outcome {
	answers, live, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	v, found := h.SSHD.Option(answers[0], "Banner")
	at := answers[0].Place
	if len(found.By) > 0 {
		at = found.By[0].Place
	}
	if len(v) == 0 || strings.EqualFold(v[0], "none") {
		return facets(control.Failed("nobody is told before logging in that the machine is private", control.Saw("Banner", at, "none", "a file")), live)
	}
	e, st, why := h.Snap.File(h.SSHD.BannerFile())
	switch {
	case st == fact.Absent:
		return facets(control.IsIneffective("Banner names "+v[0]+", but "+why, control.Saw("Banner", at, v[0], "a file that exists")), live)
	case st != fact.Known:
		return unread(st, why)
	}
	text := strings.ToLower(string(e.Content))
	for _, word := range []string{"debian", "raspbian", "raspberry pi os", "ubuntu", "linux"} {
		if strings.Contains(text, word) {
			return facets(control.Failed("the banner tells strangers what the machine runs: it says "+strconv.Quote(word),
				control.Saw("Banner", fact.Place{Path: e.Path}, word, "no name of the system")), live)
		}
	}
	if strings.TrimSpace(text) == "" {
		return facets(control.Failed("the banner is empty", control.Saw("Banner", fact.Place{Path: e.Path}, "empty", "a text")), live)
	}
	return facets(control.Passed("the banner is "+e.Path, control.Saw("Banner", at, v[0], "")), live)
}

// sshPerSource wants one client not to take all of the places for logins that
// are under way, and neither to be held to a single one.
func sshPerSource(h *fact.Host) control.Outcome {
	answers, live, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	if why := h.SSHD.Config.Lacks("PerSourceMaxStartups"); why != "" {
		return control.DoesNotApply(why)
	}
	starts, found := h.SSHD.Option(answers[0], "PerSourceMaxStartups")
	at := answers[0].Place
	if len(found.By) > 0 {
		at = found.By[0].Place
	}
	limit := strings.Join(starts, " ")
	n, err := strconv.Atoi(limit)
	if err == nil && n >= 2 {
		return facets(control.Passed("one client may have "+limit+" logins under way", control.Saw("PerSourceMaxStartups", at, limit, "")), live)
	}
	if err == nil {
		return facets(control.Failed("PerSourceMaxStartups "+limit+" also stops honest clients that connect twice at once", control.Saw("PerSourceMaxStartups", at, limit, "2 or more")), live)
	}
	if p, f := h.SSHD.Option(answers[0], "PersourcePenalties"); len(p) > 0 && !strings.EqualFold(p[0], "no") {
		if len(f.By) > 0 {
			at = f.By[0].Place
		}
		return facets(control.Passed("sshd makes clients wait that fail again and again", control.Saw("PerSourcePenalties", at, strings.Join(p, " "), "")), live)
	}
	if h.SSHD.Config.Version >= 908 && !live {
		return facets(control.Passed("this sshd makes clients wait that fail again and again, by default"), live)
	}
	return facets(control.Failed("one client can take all places for logins that are under way", control.Saw("PerSourceMaxStartups", at, limit, "2 or more")), live)
}

func sshHostKeySize(h *fact.Host) control.Outcome {
	var ev []control.Evidence
	seen, unsure := 0, ""
	for _, k := range h.SSHD.HostKeys {
		if k.Used.Known() && !k.Used.V {
			continue
		}
		if k.Used.Missing() {
			unsure = k.Used.Why
		}
		seen++
		if want := k.Weak(); want != "" && shows(h, k) {
			ev = append(ev, control.Saw("host key", k.Place, fmt.Sprintf("%s of %d bits", k.Type, k.Bits), want))
		}
	}
	if _, _, ok, o := sshdAnswers(h); !ok && len(ev) > 0 {
		unsure = cmp.Or(unsure, o.Reason) // it may not be shown
	}
	switch {
	case len(ev) > 0 && unsure != "":
		return control.CannotTell("whether a weak host key is used is not known: "+unsure, ev...)
	case len(ev) > 0:
		return facets(control.Failed("a host key is too weak: "+ev[0].Found+" ("+ev[0].Place+")", ev...), true)
	case h.SSHD.KeysHidden != "":
		return control.CannotTell(h.SSHD.KeysHidden)
	case unsure != "":
		return control.CannotTell("which host keys are used is not known: " + unsure)
	case seen == 0:
		return control.CannotTell("no public host key could be read below /etc/ssh")
	}
	return facets(control.Passed(fmt.Sprintf("%d host keys are strong enough", seen)), true)
}

// shows reports whether sshd shows a host key: not one of a kind that it does
// not offer, nor one shorter than it asks of anybody.
func shows(h *fact.Host, k fact.HostKey) bool {
	answers, _, ok, _ := sshdAnswers(h)
	if !ok {
		return true
	}
	least, _ := h.SSHD.Option(answers[0], "RequiredRSASize")
	if n, err := strconv.Atoi(strings.Join(least, " ")); err == nil && k.Type == "ssh-rsa" && k.Bits > 0 && k.Bits < n {
		return false
	}
	list, _ := h.SSHD.Option(answers[0], "HostKeyAlgorithms")
	kind := strings.Replace(k.Type, "ssh-rsa", "rsa", 1) // rsa-sha2-512
	return len(list) == 0 || slices.ContainsFunc(strings.Split(strings.Join(list, ","), ","), func(a string) bool {
		return strings.HasPrefix(strings.TrimPrefix(a, "ssh-"), strings.TrimPrefix(kind, "ssh-"))
	})
}

func sshModuli(h *fact.Host) control.Outcome {
	answers, _, ok, o := sshdAnswers(h)
	if !ok {
		return o
	}
	kex, found := h.SSHD.Option(answers[0], "KexAlgorithms")
	if len(kex) == 0 && found.Unknown != "" {
		return control.CannotTell("KexAlgorithms: " + found.Unknown)
	}
	if !strings.Contains(strings.Join(kex, ","), "group-exchange") {
		return control.DoesNotApply("sshd does not offer diffie-hellman-group-exchange")
	}
	m := h.SSHD.Moduli
	if !m.Known() {
		return control.Missing(m)
	}
	found2 := fmt.Sprintf("%d of %d groups have fewer than 3071 bits", m.V.Small, m.V.Count)
	if m.V.Small > 0 {
		return facets(control.Failed(found2, control.Saw("smallest group", m.Place, fmt.Sprintf("%d bits", m.V.Smallest), "3071 or more")), true)
	}
	return facets(control.Passed(fmt.Sprintf("all %d groups have 3071 bits or more", m.V.Count), control.Saw("smallest group", m.Place, fmt.Sprintf("%d bits", m.V.Smallest), "")), true)
}
