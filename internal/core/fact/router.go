package fact

import "picket/internal/core/snap"

// routing are the signs that a host passes on other machines' packets, or
// those of containers, and needs forwarding for it.
var routing = []struct{ path, why string }{
	{"/usr/bin/dockerd", "Docker"},
	{"/usr/sbin/dockerd", "Docker"},
	{"/usr/bin/podman", "Podman"},
	{"/usr/sbin/tailscaled", "Tailscale"},
	{"/etc/wireguard/*.conf", "WireGuard"},
	{"/usr/sbin/hostapd", "an access point (hostapd)"},
	{"/boot/firmware/local_access_point", "the Pioreactor's own access point"},
	{"/usr/local/bin/k3s", "k3s"},
	{"/usr/bin/kubelet", "Kubernetes"},
	{"/usr/sbin/libvirtd", "virtual machines (libvirt)"},
	{"/usr/bin/incusd", "Incus"},
	{"/usr/bin/lxc-start", "LXC"},
	{"/etc/radvd.conf", "radvd"},
}

func askRouter(*Host, *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for _, r := range routing {
		m.Stats = append(m.Stats, r.path)
	}
	return m
}

// Router tells what needs this host to forward packets: the program and where
// it was seen. Known and empty means that nothing does.
func (h *Host) Router() Value[string] {
	out := Is("", Place{})
	for _, r := range routing {
		es, st, why := h.Snap.Glob(r.path)
		switch {
		case len(es) > 0:
			return Is(r.why, Place{Path: es[0].Path})
		case st == Denied:
			out = Not[string](Denied, why)
		}
	}
	return out
}
