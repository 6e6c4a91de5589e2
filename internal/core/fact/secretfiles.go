package fact

import (
	"path"

	"picket/internal/core/snap"
)

// SecretFiles are where passwords, tokens and keys are known to lie. Only
// their modes are read, never what is in them. Those of wireless networks are
// in wifi.go.
var SecretFiles = []string{
	"/etc/wireguard/*.conf",
	"/etc/mosquitto/pw.txt",
	"/etc/mosquitto/passwd",
	"/etc/mosquitto/password_file",
	"/etc/lighttpd.user.htpasswd",
	"/etc/fernet.key",
	"/etc/pisovereign/*.env",
	"/etc/pisovereign/config.toml",
	"/etc/vault.d/*.hcl",
	"/home/*/.pioreactor/config.ini",
	"/home/*/.pioreactor/unit_config.ini",
	"/home/*/.env",
	"/home/*/*/.env",
	"/home/*/*/nio.conf",
	"/home/*/*/secrets.conf",
	"/home/*/.netrc",
	"/home/*/.pgpass",
	"/home/*/.git-credentials",
	"/home/*/.docker/config.json",
	"/home/*/.aws/credentials",
	"/home/*/.vault-token",
	"/home/*/.ngrok2/ngrok.yml",
	"/home/*/.config/ngrok/ngrok.yml",
	"/opt/*/.env",
	"/opt/*/vault/*.json",
	"/srv/*/.env",
	"/root/.netrc",
	"/root/.pgpass",
	"/root/.git-credentials",
	"/root/.docker/config.json",
	"/root/.vault-token",
}

func askSecretFiles(*Host, *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for _, p := range SecretFiles {
		for ; p != "/"; p = path.Dir(p) {
			m.Stats = append(m.Stats, p)
		}
	}
	return m
}

// Shut returns the folder above a path that other users cannot enter, if any
// is known to be so; hidden is why one of them could not be seen.
func Shut(s *snap.Snapshot, p string) (folder string, ok bool, hidden string) {
	for d := path.Dir(p); d != "/" && d != "."; d = path.Dir(d) {
		switch e, st, why := s.Stat(d); {
		case st == Known && e.Type == snap.Dir && e.Mode&0o001 == 0:
			return d, true, ""
		case st == Denied:
			hidden = why
		}
	}
	return "", false, hidden
}
