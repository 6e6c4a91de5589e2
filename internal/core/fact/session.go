package fact

import (
	"path"
	"regexp"
	"strings"

	"picket/internal/core/pamauth"
	"picket/internal/core/snap"
)

// Session is what a login goes through: PAM's stacks and the shells' start
// files.
type Session struct {
	PAM    map[string]Value[[]PAMLine] // by file name in /etc/pam.d
	Shell  []ShellLine                 // of the start files, in the order in which a login shell of root reads them
	Unread string                      // why a start file could not be read
}

// PAMLine is one line of a PAM stack, with what it includes put in its place.
type PAMLine struct {
	Type    string // auth, account, password, session
	Control string // required, sufficient, [success=1 default=ignore], …
	Module  string // pam_unix.so
	Args    []string
	Place   Place
}

// ShellLine is a line of a start file that sets a umask, TMOUT or PATH.
type ShellLine struct {
	Text  string
	Place Place
}

var pamFiles = append([]string{"common-auth", "common-account", "common-password", "common-session", "common-session-noninteractive"}, PAMServices...)

// PAMServices ask people who they are; "other" stands for all that have no
// file of their own.
var PAMServices = []string{"login", "other", "sshd", "su", "su-l", "sudo", "sudo-i"}

// startFiles in reading order.
var startFiles = []string{"/etc/profile", "/etc/bash.bashrc", "/etc/profile.d/*.sh", "/root/.profile", "/root/.bash_profile", "/root/.bashrc"}

func askSession(h *Host, _ *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: append([]string{
		"/etc/security/limits.conf", "/etc/security/limits.d/*.conf", "/etc/systemd/coredump.conf", "/etc/systemd/coredump.conf.d/*.conf",
		"/etc/security/faillock.conf", "/etc/security/pwquality.conf", "/etc/security/pwquality.conf.d/*.conf", "/etc/security/pwhistory.conf",
	}, startFiles...)}
	m.Stats = append(m.Stats, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
	for _, l := range h.Session.Shell {
		m.Stats = append(m.Stats, pathFolders(l.Text)...)
	}
	m.Stats = append(m.Stats, pathFolders(h.Accounts.Defs["ENV_SUPATH"].V)...)
	if d, ok := h.Sudo.Global("secure_path"); ok {
		m.Stats = append(m.Stats, pathFolders("PATH="+d.Value)...)
	}
	for _, f := range pamFiles {
		m.Files = append(m.Files, "/etc/pam.d/"+f)
	}
	// Whatever includes a stack may jump into it; and what writes the stacks.
	m.Files = append(m.Files, "/etc/pam.d/*", pamauth.Profiles+"/*", pamauth.Saved+"/*")
	return m
}

// pathFolders are the folders in a line that sets PATH.
func pathFolders(line string) []string {
	_, value, ok := strings.Cut(line, "PATH=")
	if !ok {
		return nil
	}
	var out []string
	for _, p := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(":;\"' \t", r) }) {
		if path.IsAbs(p) && !snap.IsPattern(p) && len(out) < 100 {
			out = append(out, path.Clean(p))
		}
	}
	return out
}

func parseSession(h *Host, s *snap.Snapshot) {
	l := &h.Session
	l.PAM = map[string]Value[[]PAMLine]{}
	for _, f := range pamFiles {
		l.PAM[f] = pamStack(s, f, 0)
	}
	others, _, _ := s.Glob("/etc/pam.d/*")
	for _, e := range others {
		if f := path.Base(e.Path); e.Type == snap.File {
			l.PAM[f] = pamStack(s, f, 0)
		}
	}
	for _, pattern := range startFiles {
		es, st, why := s.Glob(pattern)
		if st == Denied || st == Unknown {
			l.Unread = why
		}
		for _, e := range es {
			if e.Denied != "" {
				l.Unread = e.Denied
			}
			for _, sl := range lines(e) {
				if t := uncomment(sl.text, "#"); t != "" {
					l.Shell = append(l.Shell, ShellLine{t, sl.at})
				}
			}
		}
	}
}

func pamStack(s *snap.Snapshot, name string, depth int) Value[[]PAMLine] {
	e, st, why := s.File("/etc/pam.d/" + name)
	if st != Known {
		return Not[[]PAMLine](st, why)
	}
	var out []PAMLine
	begun := "" // by lines that end in a backslash
	for _, l := range lines(e) {
		t := begun + uncomment(l.text, "#")
		if part, more := strings.CutSuffix(strings.TrimRight(t, " \t"), "\\"); more {
			begun = part + " "
			continue
		}
		begun = ""
		f := strings.Fields(t)
		switch {
		case len(f) == 2 && f[0] == "@include":
			if depth == 4 {
				return Not[[]PAMLine](Unknown, l.at.String()+" includes too deep")
			}
			part := pamStack(s, f[1], depth+1)
			if part.Missing() {
				return part
			}
			out = append(out, part.V...)
			continue
		case len(f) < 3:
			continue
		}
		p := PAMLine{Type: strings.ToLower(strings.TrimPrefix(f[0], "-")), Control: f[1], Place: l.at}
		if p.Control == "include" || p.Control == "substack" {
			if depth == 4 {
				return Not[[]PAMLine](Unknown, l.at.String()+" includes too deep")
			}
			part := pamStack(s, path.Base(f[2]), depth+1)
			if part.Missing() {
				return part
			}
			for _, one := range part.V {
				if one.Type == p.Type {
					out = append(out, one)
				}
			}
			continue
		}
		rest := f[2:]
		if strings.HasPrefix(f[1], "[") {
			for !strings.HasSuffix(p.Control, "]") && len(rest) > 0 {
				p.Control += " " + rest[0]
				rest = rest[1:]
			}
		}
		if len(rest) == 0 {
			continue
		}
		p.Module, p.Args = rest[0][strings.LastIndex(rest[0], "/")+1:], rest[1:]
		out = append(out, p)
	}
	return Is(out, Place{Path: e.Path})
}

var (
	pamSecret = regexp.MustCompile(`(?i)([a-z_]*(?:pass|secret|key|token)[a-z_]*=)\S+`)
	startKept = regexp.MustCompile(`^\s*(?:(?:export|readonly|declare|typeset)\s+(?:-\w+\s+)*)*(?:PATH=\S*|TMOUT(?:=\d+)?)(?:\s*[;&]?\s*(?:(?:export|readonly|declare|typeset)\s+(?:-\w+\s+)*(?:PATH|TMOUT))?)*\s*$|^\s*umask\s+[0-7ugoarwx=,]+\s*$`)
)

// redactPAM takes passwords of databases out of modules' arguments.
func redactPAM(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	return pamSecret.ReplaceAll(e.Content, []byte("${1}[not]"))
}

// redactStart keeps the lines that set a umask, TMOUT or PATH and nothing
// else; people export tokens in these files. Line numbers stay.
func redactStart(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	ls := rawLines(e.Content)
	for i, l := range ls {
		if !startKept.MatchString(uncomment(l, "#")) {
			ls[i] = ""
		} else {
			ls[i] = uncomment(l, "#")
		}
	}
	return joinLines(ls)
}
