package fact

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"picket/internal/core/snap"
)

// keptInSSH are the files of ~/.ssh that hold no secret. Everything else there
// may be one under any name.
var keptInSSH = []string{"authorized_keys*", "known_hosts*", "config", "*.pub"}

// environment="TOKEN=…" is an option of authorized_keys.
var keyEnvironment = regexp.MustCompile(`(?i)(environment="[^="]*=)(?:[^"\\]|\\.)*"?`)

// command="… --token …" is another.
var keyCommand = regexp.MustCompile(`(?i)command="(?:[^"\\\n]|\\.)*"`)

// redactHomeKey replaces private keys by what a rule needs to know of them,
//
//	[private key: ssh-ed25519 256, no passphrase, SHA256:…]
//
// and drops what is neither that nor known to be harmless.
func redactHomeKey(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	if k, lock, ok := privateKey(e.Content); ok {
		return []byte(k.redacted(lock) + "\n")
	}
	for _, pattern := range keptInSSH {
		name := path.Base(e.Path)
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		if strings.HasSuffix(name, ".pub") && !publicLine(e.Content) {
			break
		}
		if strings.HasPrefix(name, "authorized_keys") {
			return keyCommand.ReplaceAllFunc(keyEnvironment.ReplaceAll(e.Content, []byte(`${1}[not kept]"`)), func(c []byte) []byte {
				return []byte(hideSecrets(string(c)))
			})
		}
		return e.Content
	}
	return []byte("[not kept]\n")
}

// publicLine reports whether a file begins like a public key.
func publicLine(content []byte) bool {
	for _, p := range []string{"ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"} {
		if bytes.HasPrefix(content, []byte(p)) {
			return true
		}
	}
	return false
}
