package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// SSHDStart is what the command line of sshd says: it wins over its files, and
// `sshd -T` does not show it.
type SSHDStart struct {
	File   string // another file that it reads (-f); "" for its own
	At     Place  // of -f
	Hidden string // why what it is started with could not be read
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

// sshdTitle is the file in which the running sshd shows its command line.
func sshdTitle(s *snap.Snapshot) string {
	show, _, _ := s.Run(sshShow...)
	pid := properties(show)["ssh.service"]["MainPID"]
	if pid == "" || pid == "0" || strings.Trim(pid, "0123456789") != "" {
		return ""
	}
	return "/proc/" + pid + "/cmdline"
}

// A startWord is one word of a command line.
type startWord struct {
	text string
	at   Place
}

// parseStart reads the command lines of sshd, the running one's and that of
// its next start, and lets what they set win over the files.
func (d *SSHD) parseStart(s *snap.Snapshot) {
	d.Config.Settings = slices.Concat(d.Start.read(d.startWords(s)), d.Config.Settings)
	if p := sshdTitle(s); p != "" {
		// sshd: /usr/sbin/sshd -D -p 2222 [listener] 0 of 10-100 startups
		e, st, _ := s.File(p)
		title, isTitle := "", false
		if st == Known {
			title, isTitle = strings.CutPrefix(strings.ReplaceAll(string(e.Content), "\x00", " "), "sshd: ")
		}
		title, _, whole := strings.Cut(title, " [listener]")
		if isTitle && whole {
			var words []startWord
			for _, w := range strings.Fields(title) {
				words = append(words, startWord{w, Place{Path: p}})
			}
			var now SSHDStart
			running := now.read(words)
			if d.Start.File == "" {
				d.Start.File, d.Start.At = now.File, now.At
			}
			for _, l := range slices.Backward(running) {
				if !slices.ContainsFunc(d.Config.Settings, func(o SSHDSetting) bool {
					return o.Keyword == l.Keyword && slices.Equal(o.Values, l.Values)
				}) {
					d.Config.Settings = slices.Insert(d.Config.Settings, 0, l)
				}
			}
		}
	}
	if d.Start.File != "" {
		d.Config.State, d.Config.Why = Unknown, "sshd is started with -f "+d.Start.File+" ("+d.Start.At.String()+") and does not read "+sshdMain
	} else if d.Start.Hidden != "" {
		d.Config.State, d.Config.Why = Denied, d.Start.Hidden
	}
}

// startWords are the command line of the next start.
func (d *SSHD) startWords(s *snap.Snapshot) []startWord {
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
	e, st, why := s.File(sshDefaults)
	if st == Denied || st == Unknown && e != nil {
		d.Start.Hidden = why
	}
	if len(words) == 0 { // nothing tells how it is started: as Debian does
		words = []startWord{{"sshd", Place{}}, {"$SSHD_OPTS", Place{}}}
	}
	var out []startWord
	for _, w := range words {
		if w.text != "$SSHD_OPTS" && w.text != "${SSHD_OPTS}" {
			out = append(out, w)
			continue
		}
		if st != Known {
			continue
		}
		var opts []startWord // of the last line
		for _, l := range lines(e) {
			value, ok := strings.CutPrefix(strings.TrimSpace(l.text), "SSHD_OPTS=")
			if !ok {
				continue
			}
			opts = nil
			for _, o := range strings.Fields(strings.NewReplacer(`"`, "", `'`, "").Replace(value)) {
				opts = append(opts, startWord{o, l.at})
			}
		}
		out = append(out, opts...)
	}
	return out
}

// read follows a command line as sshd does. What is returned wins over the files.
func (st *SSHDStart) read(words []startWord) (set []SSHDSetting) {
	const withArgument = "CEbcfghkopu"
	for i := 1; i < len(words); i++ {
		w := words[i]
		if len(w.text) < 2 || w.text[0] != '-' {
			continue
		}
		for j := 1; j < len(w.text); j++ {
			letter := w.text[j]
			if strings.IndexByte(withArgument, letter) < 0 {
				continue
			}
			arg := w.text[j+1:]
			if arg == "" && i+1 < len(words) {
				i++
				arg = words[i].text
			}
			// Quotes are gone by now: -o "Name value" is three words.
			if letter == 'o' && !strings.Contains(arg, "=") && i+1 < len(words) && !strings.HasPrefix(words[i+1].text, "-") {
				i++
				arg += " " + words[i].text
			}
			switch {
			case letter == 'f' && path.Clean(arg) != sshdMain:
				st.File, st.At = arg, w.at
			case letter == 'g':
				set = append(set, SSHDSetting{Keyword: "logingracetime", Written: "-g", Values: []string{arg}, Place: w.at, Start: true})
			case letter == 'o':
				written, rest := sshdWord(arg)
				if values, ok := sshdArgs(rest); ok && len(values) > 0 {
					set = append(set, SSHDSetting{Keyword: SSHDKeyword(written), Written: written, Values: values, Place: w.at, Start: true})
				}
			}
			break
		}
	}
	return set
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

// redactSSHDOpts keeps the one line that is read, in its place.
func redactSSHDOpts(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	var b strings.Builder
	for _, l := range lines(e) {
		if strings.HasPrefix(strings.TrimSpace(l.text), "SSHD_OPTS=") {
			b.WriteString(l.text)
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
