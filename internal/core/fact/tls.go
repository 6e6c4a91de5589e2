package fact

import (
	"crypto/x509"
	"encoding/pem"
	"path"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// TLS is what lies where services keep their keys and certificates.
type TLS struct {
	Files []TLSFile
	State State  // Denied or Unknown when a part of it could not be seen
	Why   string // what was missing
}

// A TLSFile holds a private key, certificates, or both.
type TLSFile struct {
	Entry *snap.Entry
	Key   bool // a private key without a passphrase, or a file that is named as one
	Certs []Certificate
}

// Certificate is the public half of what a service shows of itself.
type Certificate struct {
	Name      string // its common name, or its first alternative name
	NotBefore time.Time
	NotAfter  time.Time // the last moment at which it counts
	Place     Place
}

// tlsFiles are where packages, ACME clients and the guides put keys and
// certificates. Debian's list of authorities, /etc/ssl/certs, is not among
// them.
var tlsFiles = []string{
	"/etc/ssl/private/*",
	"/etc/letsencrypt/live/*/*.pem",
	"/etc/letsencrypt/archive/*/*.pem",
	"/etc/lighttpd/*.pem",
	"/etc/lighttpd/certs/*",
	"/etc/lighttpd/ssl/*",
	"/etc/nginx/*.key",
	"/etc/nginx/*.crt",
	"/etc/nginx/ssl/*",
	"/etc/nginx/certs/*",
	"/etc/apache2/ssl/*",
	"/etc/mosquitto/certs/*",
	"/etc/mosquitto/*.key",
	"/etc/mosquitto/*.crt",
	"/etc/mosquitto/ca_certificates/*",
	"/etc/pioreactor/tls/*",
	"/etc/traefik/certs/*",
	"/etc/docker/*.pem",
	"/etc/docker/certs/*",
	"/etc/vault.d/*.pem",
	"/opt/vault/tls/*",
	"/opt/*/etc/ssl/*",
	"/home/*/*/etc/ssl/*",
	"/home/*/.nio/*",
	"/srv/*/certs/*",
}

func askTLS(_ *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: tlsFiles}
	for _, p := range tlsFiles {
		es, _, _ := s.Glob(p)
		for _, e := range es {
			if e.Real != "" && len(m.Stats) < 2000 {
				m.Stats = append(m.Stats, withParents(path.Dir(e.Real))...)
			}
		}
		for d := path.Dir(p); d != "/"; d = path.Dir(d) {
			m.Stats = append(m.Stats, d)
		}
	}
	return m
}

func parseTLS(h *Host, s *snap.Snapshot) {
	t := &h.TLS
	t.State = Known
	seen := map[string]bool{}
	for _, pattern := range tlsFiles {
		es, st, why := s.Glob(pattern)
		if st == Denied || st == Unknown {
			t.State, t.Why = st, why
		}
		for _, e := range es {
			real := e.Path
			if e.Real != "" {
				real = e.Real
			}
			if e.Type != snap.File || seen[real] {
				continue
			}
			seen[real] = true
			f := TLSFile{Entry: e, Key: namedAsKey(e.Path)}
			switch {
			case e.Denied != "":
				t.State, t.Why = Denied, e.Denied
			case e.Read:
				key, certs := pemParts(e)
				f.Key = f.Key && len(certs) == 0 || key
				if f.Certs = certs; strings.HasPrefix(real, "/etc/letsencrypt/archive/") && !strings.HasPrefix(e.Path, "/etc/letsencrypt/live/") {
					f.Certs = nil // what was replaced stays there and runs out
				}
			}
			if f.Key || len(f.Certs) > 0 {
				t.Files = append(t.Files, f)
			}
		}
	}
}

// namedAsKey takes a file for a private key whatever is in it.
func namedAsKey(p string) bool {
	return strings.HasSuffix(p, ".key") || path.Dir(p) == "/etc/ssl/private"
}

// keptKey stands for a private key in a redacted file.
const keptKey, keptLockedKey = "[private key]", "[private key with a passphrase]"

// pemParts reads a redacted file.
func pemParts(e *snap.Entry) (key bool, certs []Certificate) {
	ls := lines(e)
	for i, l := range ls {
		if l.text == keptKey {
			key = true
		}
		if l.text != pemBegin {
			continue
		}
		var block strings.Builder
		for _, m := range ls[i:min(len(ls), i+400)] {
			block.WriteString(m.text + "\n")
			if m.text == pemEnd {
				break
			}
		}
		b, _ := pem.Decode([]byte(block.String()))
		if b == nil {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			continue
		}
		name := c.Subject.CommonName
		if name == "" && len(c.DNSNames) > 0 {
			name = c.DNSNames[0]
		}
		certs = append(certs, Certificate{name, c.NotBefore, c.NotAfter, l.at})
	}
	return key, certs
}

const pemBegin, pemEnd = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

// redactTLS keeps certificates, which are public, and of a private key that it
// is there. Everything else goes; lines keep their numbers.
func redactTLS(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	ls := rawLines(e.Content)
	in := ""    // the kind of the block that we are in
	begin := -1 // its first line, where it is a key
	locked := false
	for i, l := range ls {
		l = strings.TrimRight(l, " \t\r")
		kind, starts := strings.CutPrefix(l, "-----BEGIN ")
		switch {
		case starts:
			in, begin, locked = strings.TrimSuffix(kind, "-----"), i, strings.Contains(kind, "ENCRYPTED")
		case in == "CERTIFICATE":
		case in != "" && strings.HasPrefix(l, "Proc-Type:") && strings.Contains(l, "ENCRYPTED"):
			locked = true
		}
		ends := strings.HasPrefix(l, "-----END ")
		if in == "CERTIFICATE" && (starts || ends || len(l) <= 80 && strings.Trim(l, base64Digits) == "") {
			ls[i] = l
		} else {
			ls[i] = ""
		}
		if (ends || i == len(ls)-1) && strings.HasSuffix(in, "PRIVATE KEY") {
			if ls[begin] = keptKey; locked {
				ls[begin] = keptLockedKey
			}
		}
		if ends {
			in = ""
		}
	}
	return joinLines(ls)
}
