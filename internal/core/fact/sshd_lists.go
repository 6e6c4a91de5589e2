package fact

import (
	"slices"
	"strings"
)

// sshdLists are the options whose value is a list of algorithms, with what
// sshd offers by itself, by OpenSSH version: the newest that is not newer than
// the host's. Printed by `sshd -T` of Debian 11, 12 and 13 (8.4p1, 9.2p1 and
// 10.0p1).
var sshdLists = map[string]map[int][]string{
	"kexalgorithms": {
		804:  {"curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256"},
		902:  {"sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256"},
		1000: {"mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"},
	},
	"ciphers": {
		804:  {"chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"},
		1000: {"chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"},
	},
	"macs": {
		804: {"umac-64-etm@openssh.com", "umac-128-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha1-etm@openssh.com", "umac-64@openssh.com", "umac-128@openssh.com", "hmac-sha2-256", "hmac-sha2-512", "hmac-sha1"},
	},
	"hostkeyalgorithms":           {804: sshdKeyAlgorithms8, 902: sshdKeyAlgorithms},
	"pubkeyacceptedalgorithms":    {804: sshdKeyAlgorithms8, 902: sshdKeyAlgorithms},
	"hostbasedacceptedalgorithms": {804: sshdKeyAlgorithms8, 902: sshdKeyAlgorithms},
	"casignaturealgorithms": {
		804: {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "rsa-sha2-512", "rsa-sha2-256"},
		902: {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256"},
	},
	"gssapikexalgorithms": {
		804: {"gss-group14-sha256-", "gss-group16-sha512-", "gss-nistp256-sha256-", "gss-curve25519-sha256-", "gss-group14-sha1-", "gss-gex-sha1-"},
	},
}

var sshdKeyAlgorithms = []string{
	"ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com",
	"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256",
}

var sshdKeyAlgorithms8 = []string{
	"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com",
	"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa",
}

// defaultList is what sshd offers by itself.
func (c SSHDConfig) defaultList(keyword string) ([]string, bool) {
	best := 0
	for v := range sshdLists[keyword] {
		if v <= c.Version && v > best {
			best = v
		}
	}
	list, ok := sshdLists[keyword][best]
	return list, ok
}

// list works out a list that adds to the default (+), takes from it (-) or
// goes before it (^).
func (c SSHDConfig) list(keyword, value string) string {
	if value == "" || strings.IndexByte("+-^", value[0]) < 0 {
		return value
	}
	def, ok := c.defaultList(keyword)
	if !ok {
		return value
	}
	names := strings.Split(value[1:], ",")
	var out []string
	switch value[0] {
	case '+':
		out = slices.Clone(def)
		for _, n := range names {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	case '-':
		for _, d := range def {
			if !slices.ContainsFunc(names, func(n string) bool { return matchGlob(n, d) }) {
				out = append(out, d)
			}
		}
	default:
		out = slices.Clone(names)
		for _, d := range def {
			if !slices.Contains(names, d) {
				out = append(out, d)
			}
		}
	}
	return strings.Join(out, ",")
}

// SSHQuery is what `ssh -Q` calls the algorithms of an option; "" for one that
// it does not list.
func SSHQuery(option string) string {
	return map[string]string{
		"KexAlgorithms": "KexAlgorithms", "Ciphers": "Ciphers", "MACs": "MACs", "HostKeyAlgorithms": "HostKeyAlgorithms",
	}[option]
}

// SSHKnows are the algorithms that the host's OpenSSH can do.
func (h *Host) SSHKnows(option string) Value[[]string] {
	argv := []string{"ssh", "-Q", SSHQuery(option)}
	out, st, why := h.Snap.Run(argv...)
	if st != Known {
		return Not[[]string](st, why)
	}
	return Is(strings.Fields(string(out.Stdout)), By(argv...))
}
