package fact

import (
	"encoding/base64"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// HostKey is one key of the SSH server. Only its public half is ever read.
type HostKey struct {
	Path  string // of the private key
	Type  string // ssh-ed25519, ssh-rsa, …
	Bits  int    // 0 when not known
	Print string // SHA256:…, as ssh-keygen -l writes it; "" when not known
	Used  Value[bool]
	Place Place // of the public key
}

// Weak is what such a key would have to be, "" for one that is strong enough.
func (k HostKey) Weak() string {
	switch {
	case k.Type == "ssh-rsa" && k.Bits > 0 && k.Bits < 3072:
		return "3072 bits or more"
	case k.Type == "ssh-dss":
		return "another type"
	}
	return ""
}

// Moduli are the groups that sshd may offer for diffie-hellman-group-exchange.
type Moduli struct {
	Count, Smallest int // size in bits
	Small           int // how many have fewer than 3071 bits
	Place           Place
}

// hostKeyPaths are the private keys that sshd uses, as far as is known.
func (d SSHD) hostKeyPaths() []string {
	var out []string
	for _, a := range d.Answers.V {
		out = append(out, a.Options["hostkey"]...)
		break
	}
	if len(out) == 0 {
		out = d.Config.Find(SSHDWho{}, "hostkey").Values
	}
	return slices.DeleteFunc(slices.Clone(out), func(p string) bool { return !path.IsAbs(p) || path.Clean(p) != p })
}

func (d *SSHD) parseHostKeys(s *snap.Snapshot) {
	used := d.hostKeyPaths()
	es, st, why := s.Glob("/etc/ssh/ssh_host_*_key.pub")
	if st == Denied {
		d.KeysHidden = why
	}
	paths := slices.Clone(used)
	for _, e := range es {
		if p := strings.TrimSuffix(e.Path, ".pub"); !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	for _, p := range paths {
		e, st, why := s.File(p + ".pub")
		if st == Denied {
			d.KeysHidden = why
		}
		if _, private, _ := s.Stat(p); st == Absent && private != Absent && slices.Contains(used, p) {
			d.KeysHidden = why + ": the length of that host key is not known"
		}
		if st != Known {
			continue
		}
		k := HostKey{Path: p, Place: At(e.Path, 1), Used: Not[bool](d.Config.State, d.Config.Why)}
		if d.Answers.Known() || d.Config.State == Known {
			k.Used = Is(slices.Contains(used, p), k.Place)
		}
		for _, l := range lines(e) {
			if f := l.fields(); len(f) >= 2 {
				k.Type, k.Bits, k.Print = hostKey(f[0], f[1])
				break
			}
		}
		d.HostKeys = append(d.HostKeys, k)
	}
}

// hostKey reads type, size and fingerprint of the key on a line of a *.pub file; a key that
// cannot be decoded keeps the type that the line claims, and nothing else.
func hostKey(name, blob string) (typ string, size int, print string) {
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		return name, 0, ""
	}
	if k, ok := publicKey(raw); ok && k.Type == name {
		return name, k.Bits, k.Fingerprint
	}
	return name, 0, ""
}

// parseModuli reads the sizes of the groups; the file writes one bit less.
func parseModuli(s *snap.Snapshot, c SSHDConfig) Value[Moduli] {
	file := c.Find(SSHDWho{}, "modulifile").Values
	if len(file) != 1 || file[0] != "/etc/ssh/moduli" {
		return Not[Moduli](Unknown, "ModuliFile names another file, which was not read")
	}
	e, st, why := s.File(file[0])
	if st != Known {
		return Not[Moduli](st, why)
	}
	if e.Cut {
		return Not[Moduli](Unknown, e.Path+" is too long to be read")
	}
	m := Moduli{Place: Place{Path: e.Path}}
	for _, l := range lines(e) {
		// The seventh is a number of some hundred digits, of which only that it is there is of interest.
		t := strings.TrimSpace(l.text)
		begin := t[:min(len(t), 64)]
		f := strings.Fields(begin)
		if len(f) != 7 || strings.HasPrefix(f[0], "#") || strings.ContainsAny(t[len(begin):], " \t") {
			continue
		}
		n, err := strconv.Atoi(f[4])
		if err != nil {
			continue
		}
		if m.Count++; m.Smallest == 0 || n < m.Smallest {
			m.Smallest, m.Place.Line = n, l.at.Line
		}
		if n < 3071 {
			m.Small++
		}
	}
	if m.Count == 0 {
		return Not[Moduli](Absent, e.Path+" has no groups")
	}
	return Is(m, m.Place)
}
