package fact

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// A PublicKey is what is known of an SSH key from its public half.
type PublicKey struct {
	Type        string // ssh-ed25519, ssh-rsa, …
	Bits        int    // 0 when it cannot be told
	Fingerprint string // SHA256:…, as ssh-keygen -l writes it
}

// publicKey reads the wire form of RFC 4253: the type, and what follows.
func publicKey(blob []byte) (PublicKey, bool) {
	if len(blob) > 16<<10 {
		return PublicKey{}, false
	}
	kind, rest, ok := wireString(blob)
	if !ok || len(kind) == 0 || len(kind) > 64 || bytes.ContainsFunc(kind, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }) {
		return PublicKey{}, false
	}
	sum := sha256.Sum256(blob)
	k := PublicKey{Type: string(kind), Fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])}
	switch base := strings.TrimSuffix(k.Type, "-cert-v01@openssh.com"); {
	case base == "ssh-rsa":
		_, n, ok2 := wireString(rest) // e, then n
		if n, _, ok = wireString(n); !ok || !ok2 {
			return PublicKey{}, false
		}
		k.Bits = new(big.Int).SetBytes(n).BitLen()
	case base == "ssh-dss":
		p, _, ok := wireString(rest)
		if !ok {
			return PublicKey{}, false
		}
		k.Bits = new(big.Int).SetBytes(p).BitLen()
	case strings.Contains(base, "ed25519"):
		k.Bits = 256
	case strings.Contains(base, "nistp"):
		_, size, _ := strings.Cut(base, "nistp")
		size, _, _ = strings.Cut(size, "@")
		k.Bits, _ = strconv.Atoi(size)
	}
	return k, true
}

func wireString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// wire is the inverse of wireString.
func wire(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

func mpint(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

// A Lock says whether a private key needs a passphrase.
type Lock string

// Values of Lock, as they stand in a redacted file.
const (
	Open   Lock = "no passphrase"
	Locked Lock = "passphrase"
)

// privateKey describes a private key file: OpenSSH's own format, PEM or PuTTY.
func privateKey(content []byte) (PublicKey, Lock, bool) {
	if rest, ok := bytes.CutPrefix(content, []byte("PuTTY-User-Key-File-")); ok {
		first, _, _ := strings.Cut(string(rest), "\n")
		_, kind, _ := strings.Cut(first, ": ")
		lock := Locked
		if strings.Contains(string(rest), "\nEncryption: none") {
			lock = Open
		}
		return PublicKey{Type: keyWord(kind, "putty")}, lock, true
	}
	if !bytes.Contains(content, []byte("PRIVATE KEY-----")) {
		return PublicKey{}, "", false
	}
	for rest := content; len(rest) > 0; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue
		}
		kind := keyWord(strings.TrimSpace(strings.TrimSuffix(b.Type, "PRIVATE KEY")), "PKCS8")
		switch {
		case b.Type == "OPENSSH PRIVATE KEY":
			return opensshKey(b.Bytes)
		case b.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
			return PublicKey{Type: kind}, Locked, true
		}
		k := PublicKey{Type: kind}
		if blob := fromDER(b.Type, b.Bytes); blob != nil {
			if p, ok := publicKey(blob); ok {
				k = p
			}
		}
		return k, Open, true
	}
	// It says that it is one and cannot be decoded: the cautious answer.
	return PublicKey{Type: "damaged"}, Open, true
}

// keyWord keeps a name to what a redacted line can hold.
func keyWord(s, otherwise string) string {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-@.") != "" {
		return otherwise
	}
	return s
}

// opensshKey reads the public part of PROTOCOL.key; it is never encrypted.
func opensshKey(b []byte) (PublicKey, Lock, bool) {
	damaged := PublicKey{Type: "damaged"}
	b, ok := bytes.CutPrefix(b, []byte("openssh-key-v1\x00"))
	if !ok {
		return damaged, Open, true
	}
	cipher, b, ok := wireString(b)
	if !ok {
		return damaged, Open, true
	}
	lock := Locked
	if string(cipher) == "none" {
		lock = Open
	}
	_, b, ok1 := wireString(b) // kdf
	_, b, ok2 := wireString(b) // its options
	if !ok1 || !ok2 || len(b) < 4 {
		return damaged, lock, true
	}
	pub, _, _ := wireString(b[4:])
	if k, ok := publicKey(pub); ok {
		return k, lock, true
	}
	return damaged, lock, true
}

var (
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
	curves     = map[string]string{"1.2.840.10045.3.1.7": "nistp256", "1.3.132.0.34": "nistp384", "1.3.132.0.35": "nistp521"}
)

// fromDER makes the wire form of the public half of an unencrypted key, nil
// when it cannot. Nothing is computed with numbers that a hostile host chose.
func fromDER(kind string, der []byte) []byte {
	if len(der) > 16<<10 {
		return nil
	}
	switch kind {
	case "RSA PRIVATE KEY":
		var k struct {
			Version int
			N, E    *big.Int
			Rest    asn1.RawValue `asn1:"optional"`
		}
		// The other numbers follow; only the first two are wanted.
		var seq asn1.RawValue
		if _, err := asn1.Unmarshal(der, &seq); err != nil {
			return nil
		}
		b := seq.Bytes
		for _, into := range []any{&k.Version, &k.N, &k.E} {
			var err error
			if b, err = asn1.Unmarshal(b, into); err != nil {
				return nil
			}
		}
		return wire([]byte("ssh-rsa"), mpint(k.E), mpint(k.N))
	case "EC PRIVATE KEY":
		return fromEC(der, nil)
	case "PRIVATE KEY":
		var k struct {
			Version   int
			Algorithm struct {
				OID    asn1.ObjectIdentifier
				Params asn1.RawValue `asn1:"optional"`
			}
			Key []byte
		}
		if _, err := asn1.Unmarshal(der, &k); err != nil {
			// Attributes may follow; they are not needed.
			return nil
		}
		switch {
		case k.Algorithm.OID.Equal(oidRSA):
			return fromDER("RSA PRIVATE KEY", k.Key)
		case k.Algorithm.OID.Equal(oidEC):
			var curve asn1.ObjectIdentifier
			if _, err := asn1.Unmarshal(k.Algorithm.Params.FullBytes, &curve); err != nil {
				return nil
			}
			return fromEC(k.Key, curve)
		case k.Algorithm.OID.Equal(oidEd25519):
			var seed []byte
			if _, err := asn1.Unmarshal(k.Key, &seed); err != nil || len(seed) != ed25519.SeedSize {
				return nil
			}
			return wire([]byte("ssh-ed25519"), ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
		}
	}
	return nil
}

func fromEC(der []byte, curve asn1.ObjectIdentifier) []byte {
	var k struct {
		Version int
		Key     []byte
		Curve   asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		Public  asn1.BitString        `asn1:"optional,explicit,tag:1"`
	}
	if _, err := asn1.Unmarshal(der, &k); err != nil {
		return nil
	}
	if curve == nil {
		curve = k.Curve
	}
	name := curves[curve.String()]
	if name == "" || len(k.Public.Bytes) == 0 {
		return nil
	}
	return wire([]byte("ecdsa-sha2-"+name), []byte(name), k.Public.Bytes)
}

// String is how a private key stands in a redacted file.
func (k PublicKey) redacted(lock Lock) string {
	s := "[private key: " + k.Type
	if k.Bits > 0 {
		s += fmt.Sprintf(" %d", k.Bits)
	}
	s += ", " + string(lock)
	if k.Fingerprint != "" {
		s += ", " + k.Fingerprint
	}
	return s + "]"
}
