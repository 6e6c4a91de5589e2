package kind

import (
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
	var kept []string
	for _, c := range h.Sandboxes.All {
		name := c.Service.Name
		if c.Own != (r.Of == "own") || slices.Contains(r.Except, name) || c.Now.Exposure() <= r.Most {
			continue
		}
		lines, then := c.DropIn(h)
		if then > r.Most || slices.Contains(d.Policy().SandboxExcept, name) {
			kept = append(kept, name)
			continue
		}
		if err := d.Write("/etc/systemd/system/"+name+".d/zz-picket.conf", 0o644, head+"[Service]\n"+strings.Join(lines, "\n")+"\n"); err != nil {
			return err
		}
		switch {
		case slices.Contains(unsafe, name):
			d.Later("%s is not started anew by Picket: %s", name, nextStart)
		case h.Units.Get(name).Running():
			d.Do(change.Unit, name, "restart")
		}
	}
	if len(kept) > 0 {
		d.Leave("no drop-in that is safe without knowing the program brings %s below %s", strings.Join(kept, ", "), tenths(r.Most))
	}
	return nil
}
