package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sshwords"
)

// How sshd reads its files. From sshd_config(5) and tried against sshd -T of
// 9.2p1; the differential test in internal/host/snapshot compares the two over
// generated configurations.
//
//   - The first value of an option wins; a few (AllowUsers, AcceptEnv, Port,
//     HostKey, …) collect all of theirs. Of MaxStartups the last wins.
//   - The files are read twice. First what stands outside every Match, then, for
//     a login, what stands in those that apply to it. The second reading wins
//     over the first, wherever the lines are. A Match all counts as outside in
//     the first and as applying in the second.
//   - A Match lasts until the next one or the end of its file. An included file
//     begins in the block that includes it, and a Match in it ends with it. Inside a
//     block that does not apply no inner Match does.
//   - Include takes several patterns, relative to /etc/ssh, each in lexical order,
//     sixteen deep. It acts where it stands.
//   - Keywords ignore case; "Keyword value", "Keyword=value" and "Keyword = value" are the
//     same; arguments may be quoted; # begins a comment at the start of an argument.

// SSHDConfig is what the files of sshd say.
type SSHDConfig struct {
	State    State // Known when every file was read
	Why      string
	Settings []SSHDSetting // in the order in which sshd reads them
	Matches  []SSHDMatch
	Includes []SSHDSetting // the Include lines, Match as in Settings
	Files    []string      // that were read, in order
	Dirs     []string      // folders of Include patterns
	Problems []SSHDProblem // lines that sshd refuses
	Unknown  []SSHDProblem // keywords that we do not know; a newer sshd might
	Version  int           // of OpenSSH, 902 for 9.2; 0 when not known

	wanted []string // patterns to be read
}

// SSHDSetting is one line that sets an option.
type SSHDSetting struct {
	Keyword string   // in lower case, with other names replaced by today's
	Written string   // as in the file
	Values  []string // its arguments
	Place   Place
	Match   []int // blocks it stands in, as indices of Matches; all must apply
	Start   bool  // from the command line that sshd is started with
	Later   bool  // the running sshd does not have it there yet
	Ends    bool  // the next start no longer has it there
}

// SSHDMatch is one Match line.
type SSHDMatch struct {
	Text     string // its criteria as written
	Criteria []SSHDCriterion
	Place    Place
}

// SSHDCriterion is one condition of a Match.
type SSHDCriterion struct{ Name, Pattern string } // name in lower case

// SSHDProblem is a line with what is wrong with it.
type SSHDProblem struct {
	Text  string
	Place Place
}

// Bounds of what is read. A host with more has a reason to hide something.
const (
	sshdDepth    = 16
	sshdMaxFiles = 256
	sshdMaxLines = 50_000
)

type sshdReader struct {
	s     *snap.Snapshot
	c     *SSHDConfig
	lines int
}

// version is OpenSSH's, 0 when it is not known.
func readSSHD(s *snap.Snapshot, version int) SSHDConfig {
	c := SSHDConfig{State: Known, Version: version}
	r := &sshdReader{s: s, c: &c}
	r.file(sshdMain, nil, 0)
	return c
}

func (r *sshdReader) missing(st State, why string) {
	if r.c.State != Denied {
		r.c.State, r.c.Why = st, why
	}
}

// file reads one file, beginning inside the blocks of outer.
func (r *sshdReader) file(p string, outer []int, depth int) {
	if depth > sshdDepth {
		r.problem("too many nested Includes", Place{Path: p})
		return
	}
	e, st, why := r.s.File(p)
	if st != Known {
		r.missing(st, why)
		return
	}
	if e.Cut || len(r.c.Files) >= sshdMaxFiles {
		r.missing(Unknown, p+" is too long to be read")
		return
	}
	r.c.Files = append(r.c.Files, p)
	in := outer
	for _, l := range lines(e) {
		if r.lines++; r.lines > sshdMaxLines {
			r.missing(Unknown, "sshd's files have too many lines to be read")
			return
		}
		if l.text == noSetting {
			r.problem("a line that is no setting of sshd", l.at)
			continue
		}
		written, rest := sshwords.First(strings.TrimRight(strings.TrimLeft(l.text, " \t\r"), " \t\r\n\f"))
		if written == "" || written[0] == '#' {
			continue
		}
		if rest == "" {
			r.problem("no argument after "+written, l.at)
			continue
		}
		args, ok := sshwords.Args(rest)
		if !ok {
			r.problem("a quote is not closed", l.at)
			continue
		}
		set := SSHDSetting{Keyword: SSHDKeyword(written), Written: written, Values: args, Place: l.at, Match: in}
		switch set.Keyword {
		case "versionaddendum", "forcecommand", "authorizedkeyscommand", "authorizedprincipalscommand":
			set.Values = []string{rest} // as written, comment and all
			r.set(set)
		case "match":
			in = r.match(rest, l.at, outer)
		case "include":
			r.c.Includes = append(r.c.Includes, set)
			r.include(set, depth)
		default:
			r.set(set)
		}
	}
}

func (r *sshdReader) problem(text string, at Place) {
	r.c.Problems = append(r.c.Problems, SSHDProblem{text, at})
}

func (r *sshdReader) set(set SSHDSetting) {
	o, known := sshdOptions[set.Keyword]
	switch {
	case len(set.Values) == 0:
		r.problem("no argument after "+set.Written, set.Place)
		return
	case !known:
		r.c.Unknown = append(r.c.Unknown, SSHDProblem{set.Written, set.Place})
		return
	case r.c.Version > 0 && sshdSince[strings.ToLower(set.Written)] > r.c.Version:
		r.problem("there is no "+set.Written+" before OpenSSH "+versionText(sshdSince[strings.ToLower(set.Written)]), set.Place)
		return
	case sshdRefuses(set.Keyword, set.Values) != "":
		r.problem(set.Written+": "+sshdRefuses(set.Keyword, set.Values), set.Place)
		return
	case slices.Contains(set.Values, "") && strings.Contains("allowusers allowgroups denyusers denygroups", set.Keyword):
		r.problem(set.Written+" has an empty pattern", set.Place)
		return
	case !r.c.everybody(set.Match) && !o.match:
		r.problem(set.Written+" is not allowed within a Match block", set.Place)
		return
	}
	r.c.Settings = append(r.c.Settings, set)
}

func (r *sshdReader) include(set SSHDSetting, depth int) {
	if len(set.Values) == 0 {
		r.problem("no argument after Include", set.Place)
	}
	for _, pattern := range set.Values {
		if !path.IsAbs(pattern) {
			pattern = "/etc/ssh/" + pattern
		}
		pattern = path.Clean(pattern)
		if _, err := path.Match(pattern, ""); err != nil || strings.ContainsAny(pattern, "{}\\") {
			r.missing(Unknown, "the pattern "+pattern+" of an Include is not understood")
			continue
		}
		r.c.wanted = append(r.c.wanted, pattern)
		es, st, why := r.s.Glob(pattern)
		if snap.IsPattern(pattern) || st == Absent {
			// What comes into the folder counts. Beside one file that is named, it does not.
			r.c.Dirs = append(r.c.Dirs, path.Dir(pattern))
		}
		if st == Unknown || st == Denied {
			r.missing(st, why)
		}
		for _, e := range es {
			r.file(e.Path, set.Match, depth+1)
		}
	}
}

// match reads the criteria of a Match and returns the blocks that its lines
// stand in.
func (r *sshdReader) match(rest string, at Place, outer []int) []int {
	m := SSHDMatch{Text: strings.TrimSpace(rest), Place: at}
	for rest != "" {
		var name, pattern string
		name, rest = sshwords.First(rest)
		if name == "" || name[0] == '#' {
			break
		}
		c := SSHDCriterion{Name: strings.ToLower(name)}
		if c.Name != "all" && c.Name != "invalid-user" {
			pattern, rest = sshwords.First(rest)
			if pattern == "" || pattern[0] == '#' {
				r.problem("Match "+name+" has no value", at)
				break
			}
			c.Pattern = pattern
		}
		if !slices.Contains(sshdCriteria, c.Name) {
			r.problem("unknown criterion "+name+" of Match", at)
		}
		m.Criteria = append(m.Criteria, c)
	}
	if len(m.Criteria) == 0 {
		r.problem("Match has no criterion", at)
	}
	if len(m.Criteria) > 1 && slices.ContainsFunc(m.Criteria, func(c SSHDCriterion) bool { return c.Name == "all" }) {
		r.problem("Match all cannot have other criteria", at)
	}
	r.c.Matches = append(r.c.Matches, m)
	return append(slices.Clone(outer), len(r.c.Matches)-1)
}
