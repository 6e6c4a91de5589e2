package fact

import (
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sshwords"
)

// sshdLine parts a line of sshd_config into its keyword, which may look like a
// secret's name, and what follows.
var sshdLine = regexp.MustCompile(`(?m)^([ \t]*"?\w+"?[ \t=]+)(.+)$`)

// redactSSHD takes secrets out of SetEnv and of the commands that sshd runs.
func redactSSHD(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	if e.Real != "" && !ownSSHD(e.Real) {
		return sshdLinesOnly(e.Content)
	}
	return hideSSHD(e.Content)
}

func hideSSHD(content []byte) []byte {
	return sshdLine.ReplaceAllFunc(content, func(l []byte) []byte {
		m := sshdLine.FindSubmatch(l)
		return append(m[1][:len(m[1]):len(m[1])], hideSecrets(string(m[2]))...)
	})
}

// noSetting stands for a line that sshd does not take for one of its settings.
const noSetting = "[no setting of sshd]"

// ownSSHD reports whether a path is one of the files that are sshd's by name.
func ownSSHD(p string) bool {
	return snap.Match("/etc/ssh/sshd_config*", p) || snap.Match("/etc/ssh/sshd_config.d/*", p)
}

// sshdLinesOnly keeps the lines that sshd knows the keyword of. An Include, or a
// link, may lead to any file of the host: to a private key, or somebody's notes.
func sshdLinesOnly(content []byte) []byte {
	ls := rawLines(content)
	for i, l := range ls {
		t := strings.TrimSpace(l)
		word, _ := sshwords.First(t)
		keyword := SSHDKeyword(word)
		switch {
		case t == "":
		case t[0] == '#':
			ls[i] = "#"
		case keyword != "match" && keyword != "include" && !KnownSSHDOption(keyword):
			ls[i] = noSetting
		default:
			ls[i] = string(hideSSHD([]byte(l)))
		}
	}
	return joinLines(ls)
}

// includedBySSHD reports for a path whether an Include of sshd leads to it.
func includedBySSHD(s *snap.Snapshot) func(p string) bool {
	wanted := readSSHD(s, 0).wanted
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	return func(p string) bool {
		return slices.ContainsFunc(wanted, func(pattern string) bool { return snap.Match(pattern, p) })
	}
}

var sshdComplaint = regexp.MustCompile(`(?m)^(.*?):? line [0-9]+: `)

// hideComplaints takes out of what sshd complains about the words of lines that
// are not kept of their file either.
func hideComplaints(s *snap.Snapshot, text string) string {
	ls := strings.Split(text, "\n")
	for i, l := range ls {
		m := sshdComplaint.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		e := s.Entries[m[1]]
		if !ownSSHD(m[1]) || e != nil && e.Real != "" && !ownSSHD(e.Real) {
			ls[i] = m[0] + noSetting
		}
	}
	return strings.Join(ls, "\n")
}
