package fact

import (
	"path"
	"slices"
	"strings"
)

// An AuditRule is one rule of the kernel's audit, as a file gives it or
// `auditctl -l` shows it: both are the options of auditctl.
type AuditRule struct {
	List   string   // exit, task, user, exclude, filesystem
	Never  bool     // what fits is not recorded
	Arch   string   // b64, b32; "" for none given
	Calls  []string // none: all
	Path   string   // one file
	Dir    string   // a folder with everything below it
	Perm   string   // of r, w, x, a; "" where the rule does not look at that
	Others []string // the other conditions: auid>=1000, exit=-EACCES, uid!=euid
	Place  Place
}

// maxAuditRules bounds what is read; a set of every benchmark has some 150.
const maxAuditRules = 5000

// auditList reads rules in their order. What is not understood makes the whole
// list unknown: it may take a rule away again.
func auditList(ls []line, at Place, lock *Value[string]) Value[[]AuditRule] {
	var all []AuditRule
	for _, l := range ls {
		w := strings.Fields(strings.ReplaceAll(l.text, `"`, ""))
		if len(w) == 0 || l.text == "No rules" {
			continue
		}
		if len(all) >= maxAuditRules {
			return Not[[]AuditRule](Unknown, "there are more than 5000 audit rules")
		}
		switch w[0] {
		case "-e":
			if lock != nil && len(w) == 2 {
				*lock = Is(w[1], l.at)
			}
			continue
		case "-D", "-b", "-f", "-r", "-i", "-c", "--backlog_wait_time", "--loginuid-immutable", "--reset-lost", "--reset_backlog_wait_time_actual":
			continue // -D goes to the top whichever file says it
		}
		r, first, ok := auditRule(w)
		if !ok {
			return Not[[]AuditRule](Unknown, l.at.String()+" is a line that is not understood: "+printable(l.text))
		}
		r.Place = l.at
		if first {
			all = slices.Insert(all, 0, r)
		} else {
			all = append(all, r)
		}
	}
	return Is(all, at)
}

// auditRule reads the options of one rule; first is for one that goes before
// the others.
func auditRule(w []string) (r AuditRule, first, ok bool) {
	for len(w) > 0 {
		if len(w) == 1 {
			return r, false, false
		}
		v := w[1]
		switch w[0] {
		case "-w":
			r.List, r.Path, r.Dir = "exit", path.Clean(v), path.Clean(v)
			if r.Perm == "" {
				r.Perm = "rwxa"
			}
		case "-p":
			r.Perm = v
		case "-a", "-A":
			first = w[0] == "-A"
			a, b, two := strings.Cut(v, ",")
			if a == "always" || a == "never" {
				a, b = b, a
			}
			if !two || b != "always" && b != "never" {
				return r, false, false
			}
			r.List, r.Never = a, b == "never"
		case "-S":
			for _, c := range strings.Split(v, ",") {
				if c != "all" {
					r.Calls = append(r.Calls, c)
				}
			}
		case "-k":
		case "-F", "-C":
			name, value, equal := strings.Cut(v, "=")
			switch {
			case name == "key" && equal:
			case name == "arch" && equal:
				r.Arch = value
			case name == "path" && equal:
				r.Path = path.Clean(value)
			case name == "dir" && equal:
				r.Dir = path.Clean(value)
			case name == "perm" && equal:
				r.Perm = value
			default:
				r.Others = append(r.Others, auditCondition(v))
			}
		default:
			return r, false, false
		}
		w = w[2:]
	}
	return r, first, r.List != ""
}

// auditCondition writes a condition as `auditctl -l` would.
func auditCondition(s string) string {
	switch s {
	case "auid!=unset", "auid!=4294967295":
		return "auid!=-1"
	case "euid!=uid":
		return "uid!=euid"
	case "egid!=gid":
		return "gid!=egid"
	}
	return s
}

// Person is whether a condition only leaves out what no person has done: the
// account that somebody logged in with is known and not one of the system.
func auditPerson(c string) bool {
	return c == "auid!=-1" || c == "auid>=1000" || c == "auid>=500" || c == "auid>999"
}

// narrow is whether a rule that records nothing leaves most alone: it is about
// some file, program or account of the system.
func (r AuditRule) narrow() bool {
	return r.Path != "" || r.Dir != "" || slices.ContainsFunc(r.Others, func(c string) bool {
		for _, p := range []string{"exe=", "subj_", "msgtype=", "fstype=", "auid=-1", "auid<1000", "uid<1000", "pid="} {
			if strings.HasPrefix(c, p) {
				return true
			}
		}
		return false
	})
}

// hides is whether an earlier rule keeps a record of a call from being made.
func (r AuditRule) hides(arch, call string) bool {
	if !r.Never || r.List != "exit" && r.List != "task" || r.narrow() {
		return false
	}
	return (r.Arch == "" || r.Arch == arch || arch == "") && (len(r.Calls) == 0 || call == "" || slices.Contains(r.Calls, call))
}

// Watched tells whether rules record that a file is used in the ways of perm,
// on all the architectures; by people alone is enough where people is set.
func Watched(rules []AuditRule, file, perm string, arches []string, people bool) bool {
	for _, arch := range arches {
		i := slices.IndexFunc(rules, func(r AuditRule) bool {
			if r.List != "exit" || r.Never || len(r.Calls) > 0 || r.Arch != "" && r.Arch != arch {
				return false
			}
			return r.at(file) && r.uses(perm) && r.allows(nil, people)
		})
		if i < 0 || slices.ContainsFunc(rules[:i], func(r AuditRule) bool {
			return r.hides(arch, "") || r.Never && r.List == "exit" && r.at(file)
		}) || slices.ContainsFunc(rules, func(r AuditRule) bool { return r.List == "task" && r.hides(arch, "") }) {
			return false
		}
	}
	return true
}

// Recorded tells whether rules record a system call of an architecture, with
// exactly the conditions of with.
func Recorded(rules []AuditRule, arch, call string, with []string, people bool) bool {
	i := slices.IndexFunc(rules, func(r AuditRule) bool {
		return r.List == "exit" && !r.Never && r.Arch == arch && r.Path == "" && r.Dir == "" && r.Perm == "" &&
			(len(r.Calls) == 0 || slices.Contains(r.Calls, call)) && r.allows(with, people)
	})
	return i >= 0 && !slices.ContainsFunc(rules[:i], func(r AuditRule) bool { return r.hides(arch, call) }) &&
		!slices.ContainsFunc(rules, func(r AuditRule) bool { return r.List == "task" && r.hides(arch, call) })
}

func (r AuditRule) at(file string) bool {
	file = realRun(file)
	d := realRun(r.Dir)
	return r.Path != "" && realRun(r.Path) == file || r.Dir != "" && (d == "/" || d == file || strings.HasPrefix(file, d+"/"))
}

// realRun is a path of /var/run where Debian has it.
func realRun(p string) string {
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		return "/run/" + rest
	}
	return p
}

func (r AuditRule) uses(perm string) bool {
	for _, c := range perm {
		if r.Perm != "" && !strings.ContainsRune(r.Perm, c) {
			return false
		}
	}
	return true
}

// allows is whether the rule's other conditions are those wanted, and besides
// them at most such as leave out what no person has done.
func (r AuditRule) allows(with []string, people bool) bool {
	for _, c := range with {
		if !slices.Contains(r.Others, c) {
			return false
		}
	}
	for _, c := range r.Others {
		if !slices.Contains(with, c) && !(people && auditPerson(c)) {
			return false
		}
	}
	return true
}

// AuditArches are the kinds of system call that programs on a machine can make
// and auditctl can name: b32 beside b64 on a PC alone.
func AuditArches(machine string) []string {
	switch {
	case machine == "x86_64":
		return []string{"b64", "b32"}
	case Is32Bit(machine):
		return []string{"b32"}
	}
	return []string{"b64"}
}

// HasCall is false for a system call that programs of that kind cannot make, as it
// does not exist there.
func HasCall(machine, arch, call string) bool {
	switch {
	case machine == "x86_64" && arch == "b64", strings.HasPrefix(machine, "arm"):
		return call != "stime" && call != "umount"
	case machine == "x86_64", Is32Bit(machine):
		return true
	}
	// arm64 and riscv64 came when only the calls that take a folder were left.
	return !slices.Contains([]string{
		"stime", "umount", "open", "creat", "unlink", "rename", "rmdir", "link", "symlink", "mkdir", "mknod", "chmod", "chown", "lchown",
	}, call) && !(call == "renameat" && strings.HasPrefix(machine, "riscv"))
}
