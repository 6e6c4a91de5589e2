package check

import (
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

var banRepairs = map[string]repair{
	"ban.ssh":        repairBanSSH,
	"ban.ignore-own": repairBanIgnore,
	"ban.action":     repairBanAction,
	"ban.ssh-port":   repairBanPort,
}

const (
	// The last of all that fail2ban reads: jail.conf, jail.d/*.conf, jail.local, jail.d/*.local.
	jailFile  = "/etc/fail2ban/jail.d/zz-picket.local"
	banSender = "nftables-multiport"
	// It listens some time after systemd says that it runs.
	banAwaited = "! systemctl is-active -q fail2ban || timeout 20 sh -c 'until fail2ban-client ping >/dev/null 2>&1; do sleep 0.5; done' || true"
)

// jailForm is what fail2ban reads.
var jailForm = edit.Form{Between: " = ", Comment: "#;", Sections: true}

// jailSays has a jail say something, and fail2ban read it.
func jailSays(d *change.Draft, jail string, pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := d.Say(jailFile, 0o644, jailForm, jail, pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// banAnew has fail2ban start with what was written.
func banAnew(h *fact.Host, d *change.Draft) {
	u := h.Units.Get("fail2ban.service")
	var acts []string
	if u.Masked() {
		acts = append(acts, "unmask")
	}
	if !u.Enabled() {
		acts = append(acts, "enable")
	}
	d.Do(change.Unit, "fail2ban.service", append(acts, "restart")...)
	d.Do(change.Act, banAwaited)
}

func installed(h *fact.Host, d *change.Draft, names ...string) {
	for _, p := range names {
		if !h.Packages.Has(p).V {
			d.Do(change.Install, "packages", p)
		}
	}
}

// repairBanSSH has fail2ban watch sshd in the journal, which every Debian has, and shut out with nftables, which goes
// together with any other firewall.
func repairBanSSH(h *fact.Host, d *change.Draft) error {
	has := slices.Contains(h.Ban.Installed, "fail2ban")
	if !has && len(h.Ban.Installed) > 0 {
		other := h.Ban.Installed[0]
		u := h.Units.Get(other + ".service")
		if other == "crowdsec" && (u.Running() || !h.Units.Get(bouncer+".service").Running()) {
			d.Leave("what shuts out whom crowdsec finds comes from its makers: sudo apt install %s", bouncer)
			return nil
		}
		d.Do(change.Unit, other+".service", "unmask", "enable", "start")
		return nil
	}
	if has && len(h.Ban.Refused) > 0 {
		p := h.Ban.Refused[0]
		d.Leave("fail2ban does not understand %s: %s. Mend that line first, then: sudo fail2ban-client -t", p.Place, p.Text)
		return nil
	}
	ports, _, why := sshPorts(h)
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	jail := fact.Jail{Name: "sshd"}
	if i := slices.IndexFunc(h.Ban.Jails, func(j fact.Jail) bool { return j.Name == "sshd" }); i >= 0 {
		jail = h.Ban.Jails[i]
	}
	says := []string{"enabled", "true", "backend", "systemd", "port", strings.ReplaceAll(joinInts(ports), " ", "")}
	if has && jail.Name != "" && jail.Filter != "" && jail.Filter != "sshd" {
		says = append(says, "filter", "sshd")
	}
	if acts, _ := banActions(jail); !has || len(acts) == 0 || !strings.HasPrefix(acts[0], "nftables") && !actsAlready(h, jail) {
		says = append(says, "banaction", banSender)
	}
	if n, _, ok := jail.PerHour(); ok && n > mayTry {
		says = append(says, "maxretry", "5", "findtime", "10m", "bantime", "1h")
	}
	if spares(jail) != "" {
		says = append(says, "ignoreip", "127.0.0.1/8 ::1")
	}
	if err := jailSays(d, "sshd", says...); err != nil {
		return err
	}
	installed(h, d, "fail2ban", "python3-systemd", "nftables")
	after := control.Drafted(d)
	for _, j := range after.Ban.Jails { // one that cannot start keeps all from it
		if why, _ := after.CannotStart(j); j.Enabled.V && has && why != "" && !strings.Contains(why, "python3-systemd") {
			if !j.WatchesSSH() || j.Journal() {
				d.Leave("%s: that keeps fail2ban from starting. Set enabled = false below [%s], or give it a log that is written", why, j.Name)
				return nil
			}
			if err := jailSays(d, j.Name, "backend", "systemd"); err != nil {
				return err
			}
		}
	}
	if i := slices.IndexFunc(after.Ban.Jails, func(j fact.Jail) bool { return j.Name == "sshd" }); has && i >= 0 {
		if o, useless := uselessJail(after, after.Ban.Jails[i]); useless && o.Verdict != control.Unknown {
			d.Leave("the jail would still be of no use: %s", o.Reason)
			return nil
		}
	}
	banAnew(h, d)
	return nil
}

// actsAlready reports whether the program that a jail shuts out with is there and in force.
func actsAlready(h *fact.Host, j fact.Jail) bool {
	j.Enabled.V = true
	one := *h
	one.Ban.Jails = []fact.Jail{j}
	o := banAction(&one)
	return o.Verdict == control.Pass
}

// spares is what of a jail's ignoreip is half of the Internet, or "".
func spares(j fact.Jail) string {
	for _, f := range addressList(j.IgnoreIP.V) {
		if wide(f) {
			return f
		}
	}
	return ""
}

// repairBanAction has the jails whose action shuts nobody out use nftables.
func repairBanAction(h *fact.Host, d *change.Draft) error {
	for _, j := range h.Ban.Jails {
		if !j.Enabled.V || actsAlready(h, j) {
			continue
		}
		action := banSender
		if strings.Contains(j.BanAction.V, "allports") {
			action = "nftables-allports"
		}
		if err := jailSays(d, j.Name, "banaction", action, "action", "%(action_)s"); err != nil {
			return err
		}
	}
	installed(h, d, "nftables")
	banAnew(h, d)
	return nil
}

// repairBanPort has a ban close the ports at which sshd listens.
func repairBanPort(h *fact.Host, d *change.Draft) error {
	ports, _, why := sshPorts(h)
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	for _, j := range h.Ban.Jails {
		actions, _ := banActions(j)
		if !j.Enabled.V || !j.WatchesSSH() || len(actions) == 0 {
			continue
		}
		says := []string{"port", strings.ReplaceAll(joinInts(ports), " ", "")}
		if portsOf(j, actions[0]).V != j.Port.V { // the action has its own
			says = append(says, "action", "%(action_)s")
		}
		if err := jailSays(d, j.Name, says...); err != nil {
			return err
		}
	}
	banAnew(h, d)
	return nil
}

// repairBanIgnore has the jails that ban for ever spare the private networks that the host is in.
func repairBanIgnore(h *fact.Host, d *change.Draft) error {
	var own []string
	for _, a := range h.Network.Addresses {
		net := a.Addr.Masked()
		if ruleset.NetworkCard(a.Iface) && a.Iface != "lo" && (net.Addr().IsPrivate() || net.Addr().IsLinkLocalUnicast()) && net.Bits() >= 8 && !slices.Contains(own, net.String()) {
			own = append(own, net.String())
		}
	}
	if len(own) == 0 {
		d.Leave("which addresses administer this host is not known: ignoreip = 127.0.0.1/8 ::1 YOUR-ADDRESS in a file of /etc/fail2ban/jail.d, or a bantime that ends")
		return nil
	}
	for _, j := range h.Ban.Jails {
		if !j.Enabled.V || !strings.HasPrefix(strings.TrimSpace(j.BanTime.V), "-") || ignoresSomebody(j.IgnoreIP.V) {
			continue
		}
		spared := append([]string{"127.0.0.1/8", "::1"}, own...)
		if err := jailSays(d, j.Name, "ignoreip", strings.Join(spared, " ")); err != nil {
			return err
		}
	}
	banAnew(h, d)
	return nil
}
