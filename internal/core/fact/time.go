package fact

import (
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Time is how the host's clock is kept.
type Time struct {
	Virtual Value[string] // "none", "kvm", "docker", "systemd-nspawn", …
	Kernel  Value[bool]   // the kernel says that the clock is synchronised
	Chrony  Value[Chrony]
	NTP     Value[Peers] // ntpd's and ntpsec's
}

// Chrony is what chronyd says of itself.
type Chrony struct {
	Synchronised bool
	Own          bool   // it follows its own clock (local stratum), which nothing corrects
	Silent       string // why chronyc, which was asked for its sources, did not answer
	Leap         string // "Normal", "Not synchronised"
	Sources      Value[Peers]
}

// Peers counts the servers of a time daemon.
type Peers struct {
	All, Reachable, Selected int
}

// TimeDaemons are the programs that set the clock, with their units; of one
// daemon's units any counts.
var TimeDaemons = []struct {
	Name  string
	Units []string
}{
	{"systemd-timesyncd", []string{"systemd-timesyncd.service"}},
	{"chrony", []string{"chrony.service", "chronyd.service"}},
	{"ntpsec", []string{"ntpsec.service"}},
	{"ntp", []string{"ntp.service", "ntpd.service"}}, // ntpsec's names too, as aliases
	{"openntpd", []string{"openntpd.service"}},
}

var (
	detectVirt     = []string{"systemd-detect-virt"}
	timedatectl    = []string{"timedatectl", "show"}
	chronyTracking = []string{"chronyc", "-n", "tracking"}
	chronySources  = []string{"chronyc", "-n", "-c", "sources"}
	ntpqPeers      = []string{"ntpq", "-pn"}
)

func askTime(*Host, *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: []string{"/etc/chrony/chrony.conf", "/etc/chrony/conf.d/*.conf", "/etc/chrony/sources.d/*.sources"}}
	m.Files = append(m.Files, SystemdFiles("timesyncd.conf")...)
	for _, argv := range [][]string{detectVirt, timedatectl, chronyTracking, chronySources, ntpqPeers} {
		m.Commands = append(m.Commands, snap.Command{Argv: argv})
	}
	return m
}

func parseTime(h *Host, s *snap.Snapshot) {
	t := &h.Time
	out, st, why := s.Run(detectVirt...)
	t.Virtual = Not[string](st, why)
	if st == Known {
		t.Virtual = Is("none", By(detectVirt...)) // which it says with exit code 1
		if v := strings.TrimSpace(string(out.Stdout)); v != "" {
			t.Virtual.V = v
		}
	}
	t.Kernel = kernelClock(s)
	t.Chrony = chrony(s)
	t.NTP = Not[Peers](Unknown, "ntpq gave no answer")
	if out, st, why := s.Run(ntpqPeers...); st == Known && out.Exit == 0 {
		t.NTP = Is(ntpPeers(out), By(ntpqPeers...))
	} else if st != Known {
		t.NTP = Not[Peers](st, why)
	}
}

// Container reports whether the host shares the kernel, and so the clock, of
// another one.
func (t Time) Container() bool {
	switch t.Virtual.V {
	case "openvz", "lxc", "lxc-libvirt", "systemd-nspawn", "docker", "podman", "rkt", "wsl", "proot", "pouch", "container-other":
		return true
	}
	return false
}

// OuterKernel names the kind of container that the host is, where only the
// machine that runs it can change the kernel's settings; "" elsewhere. A WSL has
// its kernel to itself.
func (t Time) OuterKernel() string {
	if t.Container() && t.Virtual.V != "wsl" {
		return t.Virtual.V
	}
	return ""
}

func kernelClock(s *snap.Snapshot) Value[bool] {
	out, st, why := s.Run(timedatectl...)
	if st != Known {
		return Not[bool](st, why)
	}
	for _, l := range outLines(out) {
		if v, ok := strings.CutPrefix(l.text, "NTPSynchronized="); ok {
			return Is(v == "yes", l.at)
		}
	}
	return Not[bool](Unknown, "`timedatectl show` gave no answer")
}

func chrony(s *snap.Snapshot) Value[Chrony] {
	out, st, why := s.Run(chronyTracking...)
	if st != Known {
		return Not[Chrony](st, why)
	}
	if out.Exit != 0 {
		return Not[Chrony](Unknown, "chronyd does not answer: "+firstOf(out.Stderr+string(out.Stdout)))
	}
	c := Chrony{}
	id, stratum := "", 0
	for _, l := range outLines(out) {
		k, v, _ := strings.Cut(l.text, ":")
		v = strings.TrimSpace(v)
		switch strings.TrimSpace(k) {
		case "Reference ID":
			id, _ = word(v)
		case "Stratum":
			stratum, _ = strconv.Atoi(v)
		case "Leap status":
			c.Leap = v
		}
	}
	c.Own = id == "7F7F0101"
	c.Synchronised = !c.Own && id != "00000000" && id != "" && stratum > 0 && c.Leap != "Not synchronised"
	c.Sources = Not[Peers](Unknown, "chronyc gave no list of sources")
	out, st, why = s.Run(chronySources...)
	if st == Unknown && out != nil {
		c.Silent = why
	}
	if st == Known && out.Exit == 0 {
		var p Peers
		for _, l := range outLines(out) {
			f := strings.Split(l.text, ",")
			if len(f) < 6 {
				continue
			}
			p.All++
			if reach, err := strconv.ParseUint(f[5], 8, 16); err == nil && reach > 0 {
				p.Reachable++
			}
			if f[1] == "*" {
				p.Selected++
			}
		}
		c.Sources = Is(p, By(chronySources...))
	}
	return Is(c, By(chronyTracking...))
}

// ntpPeers reads the table of ntpq -pn: a tally character, then remote,
// refid, st, t, when, poll, reach.
func ntpPeers(o *snap.Output) Peers {
	var p Peers
	for _, l := range outLines(o) {
		f := strings.Fields(strings.TrimLeft(l.text, "*+-#ox. "))
		if len(f) < 7 || f[0] == "remote" || strings.HasPrefix(f[1], ".POOL.") {
			continue
		}
		p.All++
		if reach, err := strconv.ParseUint(f[6], 8, 16); err == nil && reach > 0 {
			p.Reachable++
		}
		if strings.HasPrefix(l.text, "*") || strings.HasPrefix(l.text, "o") {
			p.Selected++
		}
	}
	return p
}
