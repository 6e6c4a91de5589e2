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
var keptInSSH = []string{"known_hosts*", "config", "*.pub"}

// environment="TOKEN=…" is an option of authorized_keys.
var keyEnvironment = regexp.MustCompile(`(?i)(environment="[^="]*=)(?:[^"\\]|\\.)*"?`)

// command="… --token …" is another.
var keyCommand = regexp.MustCompile(`(?i)command="(?:[^"\\\n]|\\.)*"`)

// keysGone stands for a whole file, noKey for a line that is no key of sshd.
const keysGone, noKey = "[not kept]", "[no key]"

// redactHomeKey replaces private keys by what a rule needs to know of them,
//
//	[private key: ssh-ed25519 256, no passphrase, SHA256:…]
//
// and drops what is neither that nor known to be harmless. Lines of keys that
// let somebody in are kept under every name: sshd may be told to read any.
func redactHomeKey(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte {
	for _, pattern := range keptInSSH {
		name := path.Base(e.Path)
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		if strings.HasSuffix(name, ".pub") && !publicLine(e.Content) {
			break
		}
		if strings.HasPrefix(name, "known_hosts") {
			return knownLines(e.Content)
		}
		if _, _, ok := privateKey(e.Content); !ok {
			return e.Content
		}
	}
	kept := redactKeyLines(s, e, sec)
	if strings.HasPrefix(path.Base(e.Path), "authorized_keys") || s.IsKeys(e.Path) {
		return kept
	}
	for _, l := range rawLines(kept) {
		if _, ok := authorizedKey(l); ok {
			return kept
		}
	}
	if strings.Trim(string(kept), "#\n") == "" || bytes.HasPrefix(kept, []byte(privateBegins)) {
		return kept
	}
	return []byte(keysGone + "\n")
}

// redactKeyLines keeps the lines that are keys of sshd, without the secrets in
// their options and comments. A link, or a line of sshd_config, may have led
// to any file of the host.
func redactKeyLines(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	if k, lock, ok := privateKey(e.Content); ok {
		return []byte(k.redacted(lock) + "\n")
	}
	ls := rawLines(e.Content)
	for i, l := range ls {
		t := strings.TrimSpace(l)
		switch k, ok := authorizedKey(t); {
		case ok:
			ls[i] = keyLine(t, k)
		case strings.HasPrefix(t, "#"):
			ls[i] = "#"
		case t != "":
			ls[i] = noKey
		}
	}
	return joinLines(ls)
}

// keyLine is a line of a key without secrets. The key itself is left as it is,
// whatever its letters look like.
func keyLine(l string, k AuthorizedKey) string {
	options := ""
	if len(k.Options) > 0 {
		_, rest := cutOptions(l)
		options, l = l[:len(l)-len(rest)], rest
		options = keyEnvironment.ReplaceAllString(options, `${1}`+keysGone+`"`)
		options = keyCommand.ReplaceAllStringFunc(options, hideSecrets)
	}
	f := strings.Fields(l)
	l = options + f[0] + " " + f[1]
	if k.Comment != "" {
		l += " " + hideSecrets(k.Comment)
	}
	return l
}

// knownLines keeps the lines of known_hosts that name a host and its key. A link
// may have led to any file of the host.
func knownLines(content []byte) []byte {
	ls := rawLines(content)
	for i, l := range ls {
		f := strings.Fields(l)
		if len(f) > 0 && strings.HasPrefix(f[0], "@") { // @revoked, @cert-authority
			f = f[1:]
		}
		switch {
		case len(f) >= 3 && publicLine([]byte(f[1])):
		case strings.HasPrefix(strings.TrimSpace(l), "#"):
			ls[i] = "#"
		case strings.TrimSpace(l) != "":
			ls[i] = noKey
		}
	}
	return joinLines(ls)
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
