package fact

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sshwords"
)

// SSHDStart is what the command line of sshd says: it wins over its files, and
// `sshd -T` does not show it.
type SSHDStart struct {
	File   string // another file that it reads (-f); "" for its own
	At     Place  // of -f
	Hidden string // why what it is started with could not be read
	Odd    string // what it is started with that is not followed
}

// sshDefaults is read by Debian's ssh.service, which hands SSHD_OPTS on.
const sshDefaults = "/etc/default/ssh"

// sshdStartFiles are those that tell what sshd was or will be started with.
func sshdStartFiles(s *snap.Snapshot) []string {
	files := []string{sshDefaults}
	if p := sshdTitle(s); p != "" {
		files = append(files, p)
	}
	return files
}

// sshdPID is the process of ssh.service; "" when none is known.
func sshdPID(s *snap.Snapshot) string {
	show, _, _ := s.Run(sshShow...)
	pid := properties(show)["ssh.service"]["MainPID"]
	if pid == "0" || strings.Trim(pid, "0123456789") != "" {
		return ""
	}
	return pid
}

// sshdTitle is the file in which the running sshd shows its command line.
func sshdTitle(s *snap.Snapshot) string {
	if pid := sshdPID(s); pid != "" {
		return "/proc/" + pid + "/cmdline"
	}
	return ""
}

// A startWord is one word of a command line.
type startWord struct {
	text string
	at   Place
}

// parseStart reads the command lines of sshd, the running one's and that of
// its next start, and lets what they set win over the files. A reload keeps the
// command line: only a restart brings that of the next start into force.
func (d *SSHD) parseStart(s *snap.Snapshot) {
	title := sshdTitleWords(s)
	words := d.startWords(s, title == nil)
	next := d.Start.read(words)
	var now SSHDStart
	running := now.read(title)
	d.Start.Odd = cmp.Or(d.Start.Odd, now.Odd)
	if d.Start.File == "" {
		d.Start.File, d.Start.At = now.File, now.At
	}
	d.Start.Odd = cmp.Or(d.Start.Odd, oddProgram(title))
	if title == nil || path.Base(words[0].text) == "sshd" { // else it is a program that starts sshd
		d.Start.Odd = cmp.Or(d.Start.Odd, oddProgram(words))
	}
	if d.PID != "" && title == nil && len(next) > 0 {
		d.Start.Odd = cmp.Or(d.Start.Odd, "what the running sshd was started with is not known: "+sshdTitle(s)+" does not tell")
	}
	if title != nil {
		in := func(list []SSHDSetting, l SSHDSetting) bool {
			return slices.ContainsFunc(list, func(o SSHDSetting) bool {
				return o.Keyword == l.Keyword && slices.Equal(o.Values, l.Values)
			})
		}
		for i := range next {
			next[i].Later = !in(running, next[i])
		}
		for i := range running {
			running[i].Ends = !in(next, running[i])
		}
		// Of those that both have, the next start's tells where they are written.
		running = slices.DeleteFunc(running, func(l SSHDSetting) bool { return !l.Ends })
	}
	d.Config.Settings = slices.Concat(running, next, d.Config.Settings)
	switch {
	case d.Start.File != "":
		d.Config.State, d.Config.Why = Unknown, "sshd is started with -f "+d.Start.File+" ("+d.Start.At.String()+") and does not read "+sshdMain
	case d.Start.Hidden != "":
		d.Config.State, d.Config.Why = Denied, d.Start.Hidden
	case d.Start.Odd != "":
		d.Config.State, d.Config.Why = Unknown, d.Start.Odd
	}
}

// sshdTitleWords is the command line of the running sshd, as it shows it:
//
//	sshd: /usr/sbin/sshd -D -p 2222 [listener] 0 of 10-100 startups
func sshdTitleWords(s *snap.Snapshot) []startWord {
	p := sshdTitle(s)
	if p == "" {
		return nil
	}
	e, st, _ := s.File(p)
	if st != Known {
		return nil
	}
	title, isTitle := strings.CutPrefix(strings.ReplaceAll(string(e.Content), "\x00", " "), "sshd: ")
	title, _, whole := strings.Cut(title, " [listener]")
	if !isTitle || !whole {
		return nil
	}
	var words []startWord
	for _, w := range strings.Fields(title) {
		words = append(words, startWord{w, Place{Path: p}})
	}
	return words
}

// startWords are the command line of the next start. With alone, nothing else
// tells how sshd is started, so that all of it has to be followed.
func (d *SSHD) startWords(s *snap.Snapshot, alone bool) []startWord {
	var words []startWord
	show, st, _ := s.Run(sshShow...)
	if unit := properties(show)["ssh.service"]; st == Known && unit["ExecStart"] != "" {
		_, argv, _ := strings.Cut(unit["ExecStart"], "argv[]=")
		argv, _, _ = strings.Cut(argv, " ; ")
		for _, w := range strings.Fields(argv) {
			words = append(words, startWord{w, By("systemctl", "show", "ssh.service")})
		}
	} else {
		one, _, hidden := serviceFromFiles(s, "ssh.service")
		d.Start.Hidden = hidden
		for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system"} {
			switch e, st, why := s.File(dir + "/ssh.service"); {
			case st == Denied || st == Unknown && (e != nil || s.Source.Kind == "image"):
				d.Start.Hidden = why
			case st == Known && e.Cut:
				d.Start.Hidden = e.Path + " is too long to be read"
			}
		}
		if all := List(one.Settings, "Service", "ExecStart"); len(all) > 0 {
			last := all[len(all)-1]
			for _, c := range unitCommands(strings.TrimLeft(last.Value, "@-:+!")) {
				for _, w := range c {
					words = append(words, startWord{w, last.Place})
				}
			}
		}
	}
	own, hidden := ownSettings(s, "ssh.service")
	d.Start.Hidden = cmp.Or(d.Start.Hidden, hidden)
	for _, l := range own {
		if l.Section == "Service" && l.Value != "" && (slices.Contains([]string{"RootDirectory", "RootImage"}, l.Key) ||
			slices.Contains([]string{"BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem"}, l.Key) && strings.Contains(l.Value, "/etc") ||
			alone && (l.Key == "Environment" && strings.Contains(l.Value, "SSHD_OPTS=") ||
				l.Key == "EnvironmentFile" && strings.TrimPrefix(l.Value, "-") != sshDefaults)) {
			d.Start.Odd = "ssh.service is changed at " + l.Place.String() + " (" + l.Key + "), which Picket does not follow"
		}
	}
	e, st, why := s.File(sshDefaults)
	if st == Denied || st == Unknown && e != nil {
		d.Start.Hidden = why
	}
	if len(words) == 0 { // nothing tells how it is started: as Debian does
		words = []startWord{{"sshd", Place{}}, {"$SSHD_OPTS", Place{}}}
	}
	var out []startWord
	for _, w := range words {
		switch {
		case w.text != "$SSHD_OPTS" && w.text != "${SSHD_OPTS}":
			if alone && strings.HasPrefix(w.text, "$") && w.text != "$MAINPID" {
				d.Start.Odd = "sshd is started with " + w.text + " (" + w.at.String() + "), which Picket does not follow"
			}
			out = append(out, w)
		case st == Known:
			out = append(out, sshdOpts(e)...)
		}
	}
	return out
}

// sshdOpts are the words of SSHD_OPTS, as its last line sets them. Quotes and
// backslashes are left out: where words belong together, read finds it.
func sshdOpts(e *snap.Entry) (opts []startWord) {
	for _, l := range sshdOptsLines(e) {
		if l.first {
			opts = nil
		}
		for _, o := range strings.Fields(strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(l.value)) {
			opts = append(opts, startWord{o, l.at})
		}
	}
	return opts
}

// An optsLine is one line of an assignment of SSHD_OPTS; a backslash at its end
// goes on.
type optsLine struct {
	line
	first bool // with the name
	value string
}

func sshdOptsLines(e *snap.Entry) (out []optsLine) {
	goesOn := false
	for _, l := range lines(e) {
		one := optsLine{line: l, value: l.text}
		if !goesOn {
			name, value, ok := strings.Cut(l.text, "=")
			if !ok || strings.TrimSpace(name) != "SSHD_OPTS" {
				continue
			}
			one.first, one.value = true, value
		}
		out = append(out, one)
		goesOn = strings.HasSuffix(l.text, `\`)
	}
	return out
}

const maxStartWords = 500

// read follows a command line as sshd does. What is returned wins over the files.
func (st *SSHDStart) read(words []startWord) (set []SSHDSetting) {
	const withArgument = "CEbcfghkopu"
	if len(words) > maxStartWords {
		st.Odd = "the command line of sshd is too long to be read (" + words[0].at.String() + ")"
		words = words[:maxStartWords]
	}
	for i := 1; i < len(words); i++ {
		w := words[i]
		if len(w.text) < 2 || w.text[0] != '-' {
			continue
		}
		add := func(keyword, written string, values ...string) {
			set = append(set, SSHDSetting{Keyword: keyword, Written: written, Values: values, Place: w.at, Start: true})
		}
		for j := 1; j < len(w.text); j++ {
			letter := w.text[j]
			if letter == 'q' {
				add("loglevel", "-q", "QUIET")
			}
			if strings.IndexByte(withArgument, letter) < 0 {
				continue
			}
			arg := w.text[j+1:]
			if arg == "" && i+1 < len(words) {
				i++
				arg = words[i].text
			}
			// Quotes are gone by now: -o "Name value" is three words. sshd takes no words
			// of their own, so that all up to the next option belong to this one.
			for i+1 < len(words) && letter == 'o' && (!strings.HasPrefix(words[i+1].text, "-") || !strings.ContainsAny(arg, "= ")) {
				i++
				arg += " " + words[i].text
			}
			switch {
			case letter == 'f' && path.Clean(arg) != sshdMain:
				st.File, st.At = arg, w.at
			case letter == 'g':
				add("logingracetime", "-g", arg)
			case letter == 'h':
				add("hostkey", "-h", arg)
			case letter == 'p':
				add("port", "-p", arg)
			case letter == 'o':
				written, rest := sshwords.First(arg)
				if values, ok := sshwords.Args(rest); ok && len(values) > 0 {
					add(SSHDKeyword(written), written, values...)
				}
			}
			break
		}
	}
	return set
}

// oddProgram says that a command line is not that of Debian's sshd.
func oddProgram(words []startWord) string {
	if len(words) == 0 || !path.IsAbs(words[0].text) || slices.Contains([]string{"/usr/sbin/sshd", "/sbin/sshd"}, words[0].text) {
		return ""
	}
	return "ssh.service runs " + words[0].text + " (" + words[0].at.String() + "), which may read other files than " + sshdMain
}

// Between are the values of an option with the command line that the running
// sshd has, and with that of its next start, where these are not the same for
// the option.
func (d *SSHD) Between(a SSHDAnswer, keyword string) (now, next []string, differ bool) {
	without := func(gone func(SSHDSetting) bool) []string {
		c := d.Config
		c.Settings = slices.DeleteFunc(slices.Clone(c.Settings), gone)
		return c.Find(a.Who, keyword).Values
	}
	if !slices.ContainsFunc(d.Config.Find(a.Who, keyword).all(), func(s SSHDSetting) bool { return s.Later || s.Ends }) {
		return nil, nil, false
	}
	return without(func(s SSHDSetting) bool { return s.Later }), without(func(s SSHDSetting) bool { return s.Ends }), true
}

// started puts what the command line sets into an answer of sshd -T. A Match
// in the files wins over it.
func (d *SSHD) started(a SSHDAnswer) {
	for _, l := range d.Config.Settings {
		if !l.Start {
			continue
		}
		f := d.Config.Find(a.Who, l.Keyword)
		if slices.ContainsFunc(f.By, func(s SSHDSetting) bool { return s.Start }) {
			a.Options[l.Keyword] = f.Values
		}
	}
}

// Other servers of SSH, by the names of their programs.
var sshServers = []string{"sshd", "dropbear", "tinysshd"}

// SSHServer reports whether a program of this name lets people in over SSH.
func SSHServer(program string) bool { return slices.Contains(sshServers, program) }

// OtherSSH are the lines of units beside ssh.service that start a server of SSH:
// for each connection to their socket or, on an image, at the next boot.
//
// hidden is why it is not known whether there are more.
func (h *Host) OtherSSH() (out []Setting, hidden string) {
	if h.Units.Silent || h.Units.State == Denied {
		hidden = h.Units.Why
	}
	for _, name := range slices.Sorted(maps.Keys(h.Units.All)) {
		u := h.Units.All[name]
		stem, socket := strings.CutSuffix(name, ".socket")
		service := stem + ".service"
		if !socket {
			service = name
		}
		on := u.Enabled() || socket && u.Running()
		if !on || !socket && (h.Snap.Source.Kind != "image" || path.Ext(name) != ".service") ||
			slices.Contains([]string{"ssh.service", "sshd.service"}, service) {
			continue
		}
		one, ok, why := serviceFromFiles(h.Snap, service)
		if !ok && socket {
			service = stem + "@.service"
			one, ok, why = serviceFromFiles(h.Snap, service)
		}
		if e, st, unread := h.Snap.Stat("/etc/systemd/system/" + service); !ok && st != Absent && (e != nil || st == Denied) {
			if why = cmp.Or(unread, service+" was not read"); e != nil {
				why = cmp.Or(e.Denied, why)
			}
		}
		hidden = cmp.Or(hidden, why)
		for _, l := range List(one.Settings, "Service", "ExecStart") {
			for _, words := range unitCommands(strings.TrimLeft(l.Value, "@-:+!")) {
				if SSHServer(path.Base(words[0])) {
					out = append(out, Setting{Section: name, Key: l.Key, Value: l.Value, Place: l.Place})
				}
			}
		}
	}
	return out, hidden
}

// redactSSHDOpts keeps the lines that are read, in their place.
func redactSSHDOpts(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	var b strings.Builder
	kept := sshdOptsLines(e)
	for _, l := range lines(e) {
		if len(kept) > 0 && kept[0].at == l.at {
			b.WriteString(l.text)
			kept = kept[1:]
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// redactSSHDTitle keeps nothing of another program's command line.
func redactSSHDTitle(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	if strings.HasPrefix(string(e.Content), "sshd: ") {
		return e.Content
	}
	return nil
}
