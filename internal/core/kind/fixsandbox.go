package kind

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
)

// unsafe are services that take the network, the way in or other programs with them when they are started anew.
var unsafe = []string{"dbus.service", "dbus-broker.service", "NetworkManager.service", "systemd-networkd.service", "networking.service", "wpa_supplicant.service", "hostapd.service",
	"dhcpcd.service", "systemd-logind.service", "docker.service", "containerd.service", "tailscaled.service", "display-manager.service", "vault.service"}

// Fix implements control.Fixer: a drop-in that keeps each service from what it does not need, and a new start.
func (r *sandbox) Fix(h *fact.Host, d *change.Draft) error {
	var kept, rest []string
	done := 0
	for _, c := range h.Sandboxes.All {
		name := c.Service.Name
		if c.Own != (r.Of == "own") || slices.Contains(r.Except, name) || c.Now.Exposure() <= r.Most {
			continue
		}
		if user, err := d.At(fact.UserDropIn(name)); err == nil && user.Type != "" { // it is to run as somebody else
			c = c.With(strings.Split(strings.TrimSpace(string(user.Content)), "\n"))
		}
		lines, then := c.DropIn(h)
		switch {
		case then > r.Most || slices.Contains(d.Policy().SandboxExcept, name):
			kept = append(kept, name)
			continue
		case d.Tried(name) != "":
			rest = append(rest, name+": it was tried and taken back: "+d.Tried(name))
			continue
		}
		if err := d.Write("/etc/systemd/system/"+name+".d/zz-picket.conf", 0o644, head+"[Service]\n"+strings.Join(lines, "\n")+"\n"); err != nil {
			return err
		}
		d.Note("%s", c.Scored(c.With(lines)))
		done++
		switch {
		case slices.Contains(unsafe, name):
			d.Later("%s is not started anew by Picket: %s", name, change.NextStart)
		case h.Units.Get(name).Running():
			d.Do(change.Unit, name, "restart")
		}
	}
	if len(kept) > 0 {
		rest = append(rest, fmt.Sprintf("no drop-in that is safe without knowing the program brings %s below %s", strings.Join(kept, ", "), fact.Tenths(r.Most)))
	}
	switch {
	case len(rest) == 0:
	case done == 0:
		d.Leave("%s", strings.Join(rest, "; "))
	default:
		d.Rest("%s", strings.Join(rest, "; "))
	}
	return nil
}
