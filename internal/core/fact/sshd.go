package fact

import (
	"path"
	"slices"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// SSHD is the SSH server: what its files say, what it answers when it is asked
// what they come to, and whether the running one has read them.
type SSHD struct {
	Config SSHDConfig
	// Valid is whether sshd accepts its files (`sshd -t`). Its Why is sshd's
	// message when it does not.
	Valid Value[bool]
	// Answers are what sshd would apply to a login, for those who might try.
	// The state is Known when every one of them was answered.
	Answers Value[[]SSHDAnswer]
	LeftOut int // logins not asked for, because there are too many
	// Stopped is set when sshd could not be asked because it does not run and
	// has no /run/sshd; its files then decide alone.
	Stopped bool
	Start   SSHDStart
	PID     string // of the running sshd; "" when it is not known
	// Read is when the running sshd last read its files.
	Read     Value[time.Time]
	Socket   SSHSocket
	HostKeys []HostKey
	// KeysHidden is why a public host key could not be read.
	KeysHidden string

	readHidden bool // systemd was asked for Read and gave no answer

	Moduli Value[Moduli]
}

// SSHDAnswer is what sshd would apply to one login.
type SSHDAnswer struct {
	Who     SSHDWho
	Options map[string][]string // keyword in lower case → values, one a line of the answer
	Place   Place
}

// SSHSocket is the unit that may listen in sshd's place.
type SSHSocket struct {
	InUse  Value[bool] // it is active (on an image: enabled)
	Ports  []string    // that it listens on
	Hidden string      // why a file that says where it listens could not be read
	Place  Place
}

const (
	sshdMain = "/etc/ssh/sshd_config"
	sshdPid  = "/run/sshd.pid"
)

var (
	sshdTest = []string{"sshd", "-t"}
	sshdDump = []string{"sshd", "-T"}
	sshShow  = []string{"systemctl", "show", "--no-pager", "--timestamp=utc",
		"--property=Id,ActiveState,StateChangeTimestamp,Listen,MainPID,ExecStart", "ssh.service", "ssh.socket"}
)

func askSSHD(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: []string{sshdMain, "/etc/ssh/sshd_config.d/*.conf", "/etc/ssh/ssh_host_*_key.pub", "/etc/ssh/moduli", "/etc/issue", "/etc/issue.net",
			"/etc/systemd/system/ssh.socket", "/etc/systemd/system/ssh.socket.d/*.conf", "/usr/lib/systemd/system/ssh.socket"},
		Stats: []string{"/etc/ssh", "/etc/ssh/sshd_config.d", "/etc/ssh/ssh_host_*_key", sshdPid, "/etc/krb5.keytab",
			"/etc/systemd/system/sockets.target.wants/ssh.socket"},
		Commands: []snap.Command{{Argv: sshdDump}, {Argv: sshShow}},
	}
	d := &h.SSHD
	if o, st, _ := s.Run(sshdDump...); st == Known && o.Exit != 0 && !d.Stopped {
		m.Commands = append(m.Commands, snap.Command{Argv: sshdTest}) // it may only want to be told of whom it is asked
	}
	m.Files = slices.Concat(m.Files, d.Config.wanted, sshdStartFiles(s))
	if _, st, _ := s.File(sshdMain); st != Unknown && d.Config.needsAsking() {
		who, _ := d.Config.Logins(h.Accounts)
		for _, w := range who {
			m.Commands = append(m.Commands, snap.Command{Argv: w.argv()})
		}
	}
	if b := d.BannerFile(); b != "" {
		m.Files = append(m.Files, b)
	}
	for _, k := range d.hostKeyPaths() {
		m.Stats = append(m.Stats, k)
		m.Files = append(m.Files, k+".pub")
	}
	return m
}

func parseSSHD(h *Host, s *snap.Snapshot) {
	d := &h.SSHD
	d.Config = readSSHD(s, opensshVersion(h.Packages.All["openssh-server"].Version))
	d.PID = sshdPID(s)
	d.parseStart(s)
	d.parseAnswers(h, s)
	d.parseRead(s)
	d.parseSocket(h, s)
	d.parseHostKeys(s)
	d.Moduli = parseModuli(s, d.Config)
}

// parseAnswers reads what sshd says of its files, and of the logins. Where no
// Match can apply, the plain answer is everybody's. Where a Match asks for more
// than a name and an address, sshd refuses the plain question though its files
// are right: then `sshd -t` and the other questions have the word.
func (d *SSHD) parseAnswers(h *Host, s *snap.Snapshot) {
	plain, st, _ := s.Run(sshdDump...)
	d.Stopped = st == Known && plain.Exit != 0 && strings.Contains(plain.Stderr, noPrivsepDir)
	dump := sshdAccepts(s, sshdDump)
	d.Valid = sshdAccepts(s, sshdTest)
	test, _, _ := s.Run(sshdTest...)
	each := d.Config.needsAsking()
	if d.Valid.State == Unknown && (test == nil || test.Unusable() == "") && !d.Stopped && (!each || dump.V) {
		d.Valid = dump
	}
	ok := dump
	if each {
		ok = d.Valid
	}
	d.Answers = Not[[]SSHDAnswer](Unknown, "sshd was not asked")
	if ok.Missing() || ok.State == Absent || ok.Known() && !ok.V {
		if d.Answers.Why = ok.Why; ok.State == Denied {
			d.Answers.State = Denied
		}
		if !each || ok.Known() || ok.State == Denied {
			return
		}
	}
	var who []SSHDWho
	who, d.LeftOut = d.Config.Logins(h.Accounts)
	d.Answers = Is([]SSHDAnswer(nil), By(sshdDump...))
	for _, w := range who {
		a := SSHDAnswer{Who: w, Place: By(sshdDump...)}
		if each {
			o, st, why := s.Run(w.argv()...)
			if st == Known && o.Exit != 0 {
				st, why = Unknown, "`"+snap.CommandKey(o.Argv...)+"`: "+firstOf(o.Stderr)
			}
			if st != Known {
				d.Answers.State, d.Answers.Why = Unknown, why
				continue
			}
			a.Options, a.Place = dumped(o), By(o.Argv...)
		} else {
			a.Options = dumped(plain)
		}
		d.started(a)
		d.Answers.V = append(d.Answers.V, a)
	}
	if d.Start != (SSHDStart{}) {
		d.Answers = Not[[]SSHDAnswer](d.Config.State, d.Config.Why)
	}
}

// noPrivsepDir is in what sshd says where its service does not run.
const noPrivsepDir = "privilege separation directory"

// sshdAccepts judges the exit of sshd -t or -T. As anybody but root sshd cannot
// read its host keys and refuses for that reason alone.
func sshdAccepts(s *snap.Snapshot, argv []string) Value[bool] {
	o, st, why := s.Run(argv...)
	switch {
	case st != Known:
		return Not[bool](st, why)
	case o.Exit == 0:
		return Is(true, By(argv...))
	case strings.Contains(o.Stderr, noPrivsepDir):
		return Not[bool](Unknown, "sshd does not run, so it cannot be asked ("+firstOf(o.Stderr)+")")
	case !s.Root():
		return Not[bool](Denied, "only root may ask sshd for its settings")
	}
	v := Is(false, By(argv...))
	v.Why = firstOf(o.Stderr)
	return v
}

// dumped reads the answer of sshd -T.
func dumped(o *snap.Output) map[string][]string {
	m := map[string][]string{}
	for _, l := range outLines(o) {
		k, v, _ := strings.Cut(strings.TrimSpace(l.text), " ")
		switch k = strings.ToLower(k); k {
		case "pubkeyacceptedkeytypes", "hostbasedacceptedkeytypes": // before 8.5
			k = SSHDKeyword(k)
		}
		if k != "" {
			m[k] = append(m[k], strings.TrimSpace(v))
		}
	}
	return m
}

// Option is the value of an option for one login: as sshd answered or, for the
// few that it does not print, as the files say.
func (d SSHD) Option(a SSHDAnswer, keyword string) ([]string, SSHDFound) {
	found := d.Config.Find(a.Who, keyword)
	if v, ok := a.Options[SSHDKeyword(keyword)]; ok {
		return v, found
	}
	return found.Values, found
}

// BannerFile is the file that everybody is shown before they log in; "" for none.
func (d SSHD) BannerFile() string {
	var a SSHDAnswer
	if len(d.Answers.V) > 0 {
		a = d.Answers.V[0]
	}
	v, _ := d.Option(a, "Banner")
	if len(v) != 1 || !path.IsAbs(v[0]) || path.Clean(v[0]) != v[0] || snap.IsPattern(v[0]) {
		return ""
	}
	return v[0]
}

// parseRead finds when the running sshd last read its files. It writes its
// pid file at every start and at every SIGHUP, and only when it has accepted
// them: tried with 9.2. systemd's own time of the last change also moves when
// a reload is refused, so that it is only second best.
func (d *SSHD) parseRead(s *snap.Snapshot) {
	d.Read = Not[time.Time](Unknown, "nothing tells when sshd read its settings")
	if s.Source.Kind == "image" {
		return
	}
	show, st, why := s.Run(sshShow...)
	if show != nil && st == Unknown {
		d.Read.Why = "whether sshd runs with its files as they are is not known: " + why
		d.readHidden = true
		return
	}
	unit := properties(show)["ssh.service"]
	if unit == nil || unit["ActiveState"] != "active" && unit["ActiveState"] != "reloading" {
		d.Read = Not[time.Time](Absent, "ssh.service is not running")
		return
	}
	if e, st, _ := s.Stat(sshdPid); st == Known {
		d.Read = Is(e.MTime, Place{Path: sshdPid})
		return
	}
	if t, err := time.Parse("Mon 2006-01-02 15:04:05 MST", unit["StateChangeTimestamp"]); err == nil {
		d.Read = Is(t, By(sshShow...))
	}
}

// properties reads the answer of systemctl show, by unit.
func properties(o *snap.Output) map[string]map[string]string {
	out := map[string]map[string]string{}
	if o == nil {
		return out
	}
	one := map[string]string{}
	for _, l := range append(outLines(o), line{}) {
		if l.text == "" {
			if id := one["Id"]; id != "" {
				out[id] = one
			}
			one = map[string]string{}
			continue
		}
		k, v, _ := strings.Cut(l.text, "=")
		if one[k] != "" {
			v = one[k] + " " + v
		}
		one[k] = v
	}
	return out
}

// Changed are the files of the configuration that were written after the
// running sshd last read them, and folders in which files came or went.
func (d SSHD) Changed(s *snap.Snapshot) []Place {
	if !d.Read.Known() {
		return nil
	}
	var out []Place
	seen := map[string]bool{}
	for _, p := range slices.Concat(d.Config.Files, d.Config.Dirs) {
		// File systems keep parts of seconds that a snapshot may not.
		if e, st, _ := s.Stat(p); st == Known && !seen[p] && e.MTime.After(d.Read.V.Add(time.Second)) {
			seen[p] = true
			out = append(out, Place{Path: p})
		}
	}
	return out
}

// StaleUnknown is why it cannot be told whether the running sshd has read its
// files; "" when it can, or when nothing on the host would tell.
func (d SSHD) StaleUnknown() string {
	if d.readHidden {
		return d.Read.Why
	}
	return ""
}

// Stale reports whether a setting was written after the running sshd last
// read its files.
func (d SSHD) Stale(s *snap.Snapshot, at Place) bool {
	return slices.ContainsFunc(d.Changed(s), func(p Place) bool { return p.Path == at.Path })
}
