package fact_test

import (
	"strings"
	"testing"

	"picket/internal/core/fact"
)

// Of a file with a private key nothing is kept but that there is one; of a
// broken one nothing that is not part of a certificate.
func TestRedactTLS(t *testing.T) {
	const cert = "-----BEGIN CERTIFICATE-----\nMIIBgzCCASmgAwIBAgIUI0w+9SGaGm9tUA877rxKtca57C8wCgYIKoZIzj0EAwIw\n-----END CERTIFICATE-----\n"
	for name, tc := range map[string]struct{ content, want string }{
		"a certificate":             {cert, cert},
		"a key":                     {"-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n", "[private key]\n\n\n"},
		"a key with a passphrase":   {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4CAQAw\n-----END ENCRYPTED PRIVATE KEY-----\n", "[private key with a passphrase]\n\n\n"},
		"an old key and its header": {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMC4CAQAw\n-----END RSA PRIVATE KEY-----\n", "[private key with a passphrase]\n\n\n\n\n"},
		"a key that is cut":         {"-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n", "[private key]\n\n"},
		"a password":                {"password = hunter2\n", "\n"},
		"a password in a certificate that does not end": {"-----BEGIN CERTIFICATE-----\nMIIB\npassword: hunter2\n", "-----BEGIN CERTIFICATE-----\nMIIB\n\n"},
		"a key in a certificate":                        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n", "-----BEGIN CERTIFICATE-----\nMIIB\n[private key]\n\n"},
	} {
		const file = "/etc/nginx/ssl/x.pem"
		e := host(t, fact.Secrets{}, map[string]string{file: tc.content}).Entries[file]
		if got := string(e.Content); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		if strings.Contains(string(e.Content), "hunter2") || strings.Contains(string(e.Content), "MC4C") {
			t.Errorf("%s: a secret is left", name)
		}
	}
}
