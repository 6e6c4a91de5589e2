package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

// otherPort says that sshd does not listen at the port of the policy, or at others besides.
func otherPort(h *fact.Host, p change.Policy) string {
	ports, _, why := sshPorts(h)
	switch {
	case p.SSHPort == 0 || why != "" || slices.Equal(ports, []int{p.SSHPort}):
		return ""
	case slices.Contains(ports, p.SSHPort):
		return fmt.Sprintf("sshd listens at port %s, and policy.ssh.port is %d alone", joinInts(ports), p.SSHPort)
	}
	return fmt.Sprintf("sshd listens at port %s, and policy.ssh.port is %d", joinInts(ports), p.SSHPort)
}

// Where ssh.socket listens in sshd's place, the last file of its folder wins.
const (
	sshSocketFile = "/etc/systemd/system/ssh.socket.d/zz-picket.conf"
	// A socket does not start while what it starts runs. Sessions stay: they are processes of their own.
	sshSocketAnew = "systemctl stop ssh.service && systemctl restart ssh.socket"
)

// repairPort has sshd listen at the port that was decided besides the one that it has: nobody is shut out. Who comes in by
// the new one may then have the old one shut.
func repairPort(h *fact.Host, d *change.Draft) error {
	want := d.Policy().SSHPort
	if want == 0 {
		d.Leave("at which port it is to listen is yours to decide: policy.ssh.port in picket.yaml")
		return nil
	}
	ports, _, why := sshPorts(h)
	if why == "" {
		why = fixedPort(h)
	}
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	var keep []int
	switch {
	case !slices.Contains(ports, want):
		if why := shutAt(h, ports, want); why != "" {
			d.Leave("%s", why)
			return nil
		}
		keep = append(slices.Clone(ports), want)
		d.Move(want)
	case strings.HasSuffix(h.Snap.Source.Target, fmt.Sprintf(":%d", want)):
		keep = []int{want}
		d.Move(0, slices.DeleteFunc(slices.Clone(ports), func(p int) bool { return p == want })...)
	default:
		d.Leave("sshd listens at port %d, and who comes in there may have the others shut: `picket apply ssh://USER@HOST:%d --accept-risk lose-ssh`", want, want)
		return nil
	}
	if err := sayPorts(d, keep); err != nil {
		return err
	}
	if h.SSHD.Socket.InUse.V {
		text := change.Head + "[Socket]\nListenStream=\n"
		for _, p := range keep {
			text += fmt.Sprintf("ListenStream=%d\n", p)
		}
		if err := d.Write(sshSocketFile, 0o644, text); err != nil {
			return err
		}
		d.Do(change.Act, sshSocketAnew)
	}
	var then []int
	values := control.DraftedFiles(d).SSHD.Config.Find(fact.SSHDAnswer{}.Who, "Port").Values
	for _, v := range values {
		n, _ := strconv.Atoi(v)
		then = append(then, n)
	}
	slices.Sort(then)
	if slices.Sort(keep); !slices.Equal(slices.Compact(then), keep) {
		d.Leave("another file would still win: by its files sshd would listen at port %s", joinInts(then))
	}
	return nil
}

// fixedPort says what besides Port decides where sshd listens.
func fixedPort(h *fact.Host) string {
	for _, s := range h.SSHD.Config.Settings {
		if s.Start && s.Keyword == "port" || s.Keyword == "listenaddress" {
			return fmt.Sprintf("%s (%s) says where sshd listens: change it there", s.Written, s.Place)
		}
	}
	for _, s := range h.Sockets.Listening {
		if s.Unit.V == "ssh.socket" && !s.Addr.IsUnspecified() {
			return "ssh.socket listens at one address only (" + s.Where() + "): sudo systemctl edit ssh.socket"
		}
	}
	return ""
}

// shutAt says that the packet filter refuses a port to all, though it lets somebody in at one of the others.
func shutAt(h *fact.Host, ports []int, want int) string {
	r := h.Firewall.Running
	if r.State != fact.Known {
		return ""
	}
	reached := func(port int) bool {
		return slices.ContainsFunc([]string{"ip", "ip6"}, func(family string) bool {
			return filters(r, family) && r.Ask(ruleset.Packet{Family: family, Proto: "tcp", Port: port, Anybody: true}).Accept
		})
	}
	if slices.ContainsFunc(ports, reached) && !reached(want) {
		return fmt.Sprintf("the firewall refuses port %d: open it first, as with `sudo ufw allow %d/tcp`, or beside the others in %s (sudo systemctl reload %s)", want, want, firewallFile, firewallUnit)
	}
	return ""
}

// sayPorts has sshd's files name these ports and no others. Each Port line adds one, wherever it stands.
func sayPorts(d *change.Draft, keep []int) error {
	var mine []int
	mine = append(mine, keep...)
	for _, s := range control.DraftedFiles(d).SSHD.Config.Settings { // where they stand by now
		if s.Keyword != "port" || s.Place.Path == change.SSHDFile || len(s.Values) == 0 {
			continue
		}
		n, _ := strconv.Atoi(s.Values[0])
		if slices.Contains(keep, n) {
			mine = slices.DeleteFunc(mine, func(p int) bool { return p == n })
			continue
		}
		if err := d.Edit(s.Place.Path, 0o644, func(was []byte) ([]byte, error) { return edit.CommentOut(was, change.Mark, s.Place.Line) }); err != nil {
			return err
		}
	}
	return d.Edit(change.SSHDFile, 0o600, func(was []byte) ([]byte, error) {
		if len(was) == 0 {
			was = []byte(change.Head)
		}
		out := slices.DeleteFunc(strings.SplitAfter(string(was), "\n"), func(l string) bool {
			f := strings.Fields(l)
			return len(f) > 0 && strings.EqualFold(f[0], "Port")
		})
		text := strings.Join(out, "")
		for _, p := range mine {
			text += fmt.Sprintf("Port %d\n", p)
		}
		return []byte(text), nil
	})
}
