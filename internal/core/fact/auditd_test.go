package fact

import (
	"slices"
	"testing"

	"picket/internal/core/snap"
)

// auditctl of Debian 12 prints these for what was loaded with -w, and with
// -S, -F and -C in several orders.
const auditListed = `-w /etc/passwd -p wa -k identity
-w /etc/sudoers.d -p wa -k scope
-a always,exit -F arch=b64 -S adjtimex,settimeofday,clock_settime -F key=time-change
-a always,exit -S all -F path=/usr/bin/sudo -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged
-a always,exit -F arch=b64 -S open,truncate,ftruncate,creat,openat -F exit=-EACCES -F auid>=1000 -F auid!=-1 -F key=access
-a always,exit -F arch=b64 -S execve -C uid!=euid -F auid!=-1 -F key=user_emulation
-a always,exit -F arch=b64 -S all -F dir=/etc/apparmor.d -F perm=wa -F key=mac
`

func TestAuditRulesRecord(t *testing.T) {
	pc := []string{"b64", "b32"}
	list := func(text string) []AuditRule {
		v := auditList(linesAt(text, Place{}), Place{}, nil)
		if !v.Known() {
			t.Fatal(v.Why)
		}
		return v.V
	}
	rules := list(auditListed)
	for _, c := range []struct {
		what string
		got  bool
		want bool
	}{
		{"a watched file", Watched(rules, "/etc/passwd", "wa", pc, false), true},
		{"read is more than is watched", Watched(rules, "/etc/passwd", "r", pc, false), false},
		{"a file in a watched folder", Watched(rules, "/etc/sudoers.d/own", "wa", pc, false), true},
		{"a name that only begins alike", Watched(rules, "/etc/sudoers.dist", "wa", pc, false), false},
		{"one architecture of two", Watched(rules, "/etc/apparmor.d", "wa", pc, false), false},
		{"the only architecture", Watched(rules, "/etc/apparmor.d", "wa", pc[:1], false), true},
		{"people are enough", Watched(rules, "/usr/bin/sudo", "x", pc, true), true},
		{"people are not enough", Watched(rules, "/usr/bin/sudo", "x", pc, false), false},
		{"a call", Recorded(rules, "b64", "settimeofday", nil, false), true},
		{"of another architecture", Recorded(rules, "b32", "settimeofday", nil, false), false},
		{"another call", Recorded(rules, "b64", "stime", nil, false), false},
		{"with its condition", Recorded(rules, "b64", "openat", []string{"exit=-EACCES"}, true), true},
		{"with another", Recorded(rules, "b64", "openat", []string{"exit=-EPERM"}, true), false},
		{"without any", Recorded(rules, "b64", "openat", nil, true), false},
		{"fields compared", Recorded(rules, "b64", "execve", []string{"uid!=euid"}, true), true},
		{"behind never,task", Watched(list(auditListed+"-a never,task\n"), "/etc/passwd", "wa", pc, false), false},
		{"behind an exception for a program", Watched(list("-a never,exit -F exe=/usr/sbin/chronyd\n"+auditListed), "/etc/passwd", "wa", pc, false), true},
		{"behind an exception for the file", Watched(list("-a never,exit -F path=/etc/passwd\n"+auditListed), "/etc/passwd", "wa", pc, false), false},
		{"behind an exception for people", Recorded(list("-a never,exit -F auid>=1000\n"+auditListed), "b64", "openat", []string{"exit=-EACCES"}, true), false},
		{"an exception that comes too late", Watched(list(auditListed+"-a never,exit -F path=/etc/passwd\n"), "/etc/passwd", "wa", pc, false), true},
		{"one that goes before", Watched(list(auditListed+"-A exit,never -F path=/etc/passwd\n"), "/etc/passwd", "wa", pc, false), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.what, c.got)
		}
	}
	if v := auditList(linesAt("-W /etc/passwd\n", Place{}), Place{}, nil); v.Known() {
		t.Error("a line that takes a rule away was passed over")
	}
}

func TestAuditRulesOnDiskAreInTheOrderOfAugenrules(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, snap.Time(0))
	s.MarkComplete()
	for name, text := range map[string]string{"9-a": "-w /9 -p w\n-e 2\n", "10-b": " # a comment\n-e 1\n-D\n-w /10 -p w\n", "z": "-w /z -p w\n"} {
		s.Put(&snap.Entry{Path: "/etc/audit/rules.d/" + name + ".rules", Type: snap.File, Read: true, Content: []byte(text)})
	}
	var a Auditd
	a.onDisk(s)
	var got []string
	for _, r := range a.OnDisk.V {
		got = append(got, r.Path)
	}
	if want := []string{"/9", "/10", "/z"}; !slices.Equal(got, want) {
		t.Errorf("rules of %q, want %q (%s)", got, want, a.OnDisk.Why)
	}
	if a.Lock.V != "1" {
		t.Errorf("the last -e is %q, want 1", a.Lock.V)
	}
}
