package fact

import (
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// readNetplan reads the wireless part of netplan's files and of the
// network-config that cloud-init reads, which has the same form.
func readNetplan(e *snap.Entry, source string) []WifiNetwork {
	root, ps := yaml.Read(e.Path, e.Content)
	if len(ps) > 0 || root == nil {
		return nil
	}
	if n := root.Get("network"); n != nil {
		root = n
	}
	wifis := root.Get("wifis")
	if wifis == nil {
		return nil
	}
	var out []WifiNetwork
	for _, device := range wifis.Keys() {
		points := wifis.Get(device).Get("access-points")
		if points == nil {
			continue
		}
		for _, name := range points.Keys() {
			out = append(out, netplanNetwork(At(e.Path, points.KeyLine(name)), source, name, points.Get(name)))
		}
	}
	return out
}

func netplanNetwork(at Place, source, name string, p *yaml.Node) WifiNetwork {
	text := func(n *yaml.Node, key string) string {
		if n == nil {
			return ""
		}
		if c := n.Get(key); c != nil {
			v, _ := c.Scalar()
			return v
		}
		return ""
	}
	auth := p.Get("auth")
	extra := p.Get("networkmanager")
	if extra != nil {
		extra = extra.Get("passthrough")
	}
	n := WifiNetwork{SSID: printable(name), Source: source, Place: at}
	set := wifiSetup{}
	switch text(p, "mode") {
	case "ap":
		n.Offered, set.offered, set.protos = true, true, []string{"RSN"}
	case "adhoc":
		n.Off = "it is an ad-hoc network"
	}
	secret := text(p, "password")
	switch mgmt := text(auth, "key-management"); {
	case mgmt == "none" || mgmt == "" && secret == "" && text(auth, "password") == "" && text(auth, "method") == "":
		set.mgmt = []string{"NONE"}
		if via := text(extra, "wifi-security.key-mgmt"); via != "" {
			set.mgmt = keyfileMgmt(via)
		}
	case mgmt == "eap", strings.HasPrefix(mgmt, "eap-"), mgmt == "" && text(auth, "method") != "":
		set.mgmt = []string{"WPA-EAP"}
		n.Unverified = text(auth, "ca-certificate") == "" && text(extra, "802-1x.system-ca-certs") != "true" && !onlyPWD(text(auth, "method"))
	case mgmt == "802.1x":
		set.mgmt = []string{"IEEE8021X"}
	case mgmt == "sae":
		set.mgmt = []string{"SAE"}
	default:
		set.mgmt = []string{"WPA-PSK", "SAE"}
	}
	if v := text(extra, "wifi-security.proto"); v != "" {
		set.protos = wifiWords(v)
	}
	set.pairwise = wifiWords(text(extra, "wifi-security.pairwise"))
	set.wep = text(extra, "wifi-security.wep-key0") != "" || text(extra, "wifi-security.wep-key-type") != ""
	n.WifiSecurity = set.judge()
	if strings.Contains(n.Security, "Enterprise") {
		n.keep(plainPassword, text(auth, "password"))
	} else {
		n.keep(plainPhrase, secret+text(auth, "password"))
	}
	if text(extra, "connection.autoconnect") == "false" {
		n.Off = "autoconnect=false"
	}
	return n
}
