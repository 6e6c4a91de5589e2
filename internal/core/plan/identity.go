package plan

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// An Identity is what a host is known by when a plan that was kept is to be applied to it.
type Identity struct {
	Machine  string   `json:"machine,omitempty"`  // of /etc/machine-id, which itself is not to leave the host: see machine-id(5)
	HostKeys []string `json:"hostKeys,omitempty"` // fingerprints of sshd's keys, as ssh-keygen -l shows them
}

// IdentityOf reads a snapshot for it.
func IdentityOf(s *snap.Snapshot) (id Identity) {
	if e, st, _ := s.File("/etc/machine-id"); st == snap.Known {
		if text := strings.TrimSpace(string(e.Content)); len(text) == 32 {
			sum := sha256.Sum256([]byte("picket.plan " + text))
			id.Machine = hex.EncodeToString(sum[:16])
		}
	}
	es, _, _ := s.Glob("/etc/ssh/ssh_host_*_key.pub")
	for _, e := range es {
		words := strings.Fields(string(e.Content))
		if len(words) < 2 {
			continue
		}
		if key, err := base64.StdEncoding.DecodeString(words[1]); err == nil && len(key) > 0 {
			sum := sha256.Sum256(key)
			id.HostKeys = append(id.HostKeys, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:]))
		}
	}
	slices.Sort(id.HostKeys)
	return id
}

// Empty reports whether a host shows nothing to know it by.
func (id Identity) Empty() bool { return id.Machine == "" && len(id.HostKeys) == 0 }

// Other says why two are not the same host, "" if they are. What both show has to agree: a copy of a card has the
// machine's id and new keys, or the keys and a new id.
func (id Identity) Other(o Identity) string {
	compared := false
	if id.Machine != "" && o.Machine != "" {
		if id.Machine != o.Machine {
			return "its /etc/machine-id is another"
		}
		compared = true
	}
	if len(id.HostKeys) > 0 && len(o.HostKeys) > 0 {
		if !slices.ContainsFunc(id.HostKeys, func(k string) bool { return slices.Contains(o.HostKeys, k) }) {
			return "its SSH host keys are others"
		}
		compared = true
	}
	if !compared {
		return "neither its /etc/machine-id nor an SSH host key can be compared"
	}
	return ""
}
