package fact

import (
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sudoers"
)

// noRule stands for a line that sudo does not take for one of its rules.
const noRule = "[no rule of sudo]"

func ownSudo(p string) bool { return p == sudoersFile || snap.Match("/etc/sudoers.d/*", p) }

// redactSudo takes secrets out of commands.
func redactSudo(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	if e.Real != "" && !ownSudo(e.Real) {
		return sudoLinesOnly(s, e, sec)
	}
	return hideInCommands(s, e, sec)
}

// sudoLinesOnly keeps what sudo understands. An @include, or a link, may lead
// to any file of the host.
func sudoLinesOnly(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	ls := rawLines(e.Content)
	const comment, rule, other = 0, 1, 2
	kind := make([]int, len(ls))
	entries := sudoers.Parse(string(e.Content))
	for i, entry := range entries {
		end := len(ls) + 1
		if i+1 < len(entries) {
			end = entries[i+1].Line
		}
		for n := entry.Line; n >= 1 && n <= len(ls) && (n == entry.Line || n < end); n++ {
			if kind[n-1] = rule; entry.Err != "" {
				kind[n-1] = other
			}
			if !strings.HasSuffix(strings.TrimRight(ls[n-1], " \t\r"), "\\") {
				break
			}
		}
	}
	for i, l := range ls {
		switch t := strings.TrimSpace(l); {
		case kind[i] == other || kind[i] == comment && t != "" && t[0] != '#':
			ls[i] = noRule
		case kind[i] == comment && t != "":
			ls[i] = "#"
		}
	}
	kept := *e
	kept.Content = joinLines(ls)
	return hideInCommands(s, &kept, sec)
}

// includedBySudo reports for a path whether an include of sudo leads to it.
func includedBySudo(s *snap.Snapshot) func(p string) bool {
	h := &Host{Snap: s}
	parseOS(h, s)
	r := sudoReader{su: &h.Sudo, s: s, host: h.OS.Hostname.V}
	r.su.aliases = map[string][]sudoers.Item{}
	r.file(sudoersFile, 0)
	wanted := r.su.wanted
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	return func(p string) bool {
		return slices.ContainsFunc(wanted, func(pattern string) bool { return snap.Match(pattern, p) })
	}
}
