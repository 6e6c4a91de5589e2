package snapshot_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// realSSHD is the command that runs the sshd to compare with: $PICKET_SSHD, or
// the machine's own. It only reads the files that it is given. Where its
// service has never run, sshd misses /run/sshd and refuses to answer; it gets
// one in a mount namespace of its own, so that the machine stays as it is.
func realSSHD(t *testing.T) []string {
	p := "/usr/sbin/sshd"
	if v := os.Getenv("PICKET_SSHD"); v != "" {
		p = v
	}
	if _, err := os.Stat(p); err != nil || os.Getuid() != 0 {
		t.Skip("needs root and an installed openssh-server to compare with, or PICKET_SSHD")
	}
	if _, err := os.Stat("/run/sshd"); err == nil {
		return []string{p}
	}
	inside := []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"`, "sh"}
	if out, err := exec.Command(inside[0], append(inside[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("needs /run/sshd, or the right to make a mount namespace: %s", out)
	}
	return append(inside, p)
}

// compared are the options whose values are generated.
var compared = map[string][]string{
	"PasswordAuthentication":          {"yes", "no", "No"},
	"ChallengeResponseAuthentication": {"yes", "no"},
	"KbdInteractiveAuthentication":    {"yes", "no"},
	"PermitRootLogin":                 {"yes", "no", "prohibit-password", "without-password", "forced-commands-only"},
	"MaxAuthTries":                    {"1", "2", "3", "4"},
	"MaxSessions":                     {"1", "5"},
	"ClientAliveInterval":             {"0", "15", "2m", "1h30m"},
	"X11Forwarding":                   {"yes", "no"},
	"AllowTcpForwarding":              {"yes", "no", "local", "remote", "all"},
	"AllowUsers":                      {"root", "alice bob", "\"carol\" dave@192.0.2.*"},
	"DenyGroups":                      {"games", "mail news"},
	"AcceptEnv":                       {"LANG", "LC_* EDITOR"},
	"Banner":                          {"/etc/issue", "none", "\"/etc/issue net\""},
	"LogLevel":                        {"info", "VERBOSE"},
	"AuthorizedKeysFile":              {".ssh/authorized_keys", "/etc/keys/%u .ssh/k"},
	"RekeyLimit":                      {"default none", "512M 1h", "1G"},
	"PubkeyAcceptedKeyTypes":          {"ssh-ed25519,rsa-sha2-512", "-ecdsa*", "^rsa-sha2-256"},
	"UsePAM":                          {"yes", "no"},
	"LoginGraceTime":                  {"0", "30", "2m"},
	"MaxStartups":                     {"10:30:60", "5"},
	"PerSourceMaxStartups":            {"2", "none", "7"},
	"PerSourceNetBlockSize":           {"32:128", "24:64"},
	"PermitTunnel":                    {"yes", "no", "point-to-point", "ethernet"},
	"DisableForwarding":               {"yes", "no"},
	"GatewayPorts":                    {"yes", "no", "clientspecified"},
	"AuthenticationMethods":           {"publickey", "publickey,password keyboard-interactive"},
	"IgnoreRhosts":                    {"yes", "no", "shosts-only"},
	"HostKeyAlgorithms":               {"-ecdsa*", "ssh-ed25519,rsa-sha2-512"},
	"RequiredRSASize":                 {"2048", "3072"},
	"VersionAddendum":                 {"none", "x"},
	"PermitOpen":                      {"any", "none", "localhost:80"},
	"HostbasedAuthentication":         {"yes", "no"},
	"AllowGroups":                     {"ssh-users", "root www-data"},
	"StrictModes":                     {"yes", "no"},
	"Ciphers":                         {"aes256-ctr", "-aes128*", "+aes128-cbc", "^aes256-ctr,aes192-ctr"},
	"MACs":                            {"-*sha1*", "hmac-sha2-256,hmac-sha2-512"},
	"KexAlgorithms":                   {"-diffie*", "^curve25519-sha256"},
	"PermitUserEnvironment":           {"yes", "no"},
	"Compression":                     {"delayed", "no", "yes"},
}

var criteria = []string{
	"all", "User root", "User alice", "User !root,*", "User !root", "user www-*,nobody", "User r?ot", "Group root", "Group !root,*",
	"Group www-data", "Group=www-data", "Address 10.0.0.0/8", "Address !10.1.0.0/16,10.0.0.0/8", "Address 192.0.2.*", "Address 192.0.2.1",
	"Host *.example.org", "Host !a.example.org,*.EXAMPLE.org", "LocalPort 2222", "User root Address 10.0.0.0/8", "User \"root\"",
	"Address 2001:db8::/32", "LocalAddress 127.0.0.1", "User root # for now", "Group nosuchgroup",
}

var logins = []fact.SSHDWho{
	{User: "root", Exists: true, Groups: []string{"root"}, Host: "client.invalid", Addr: "192.0.2.1", Port: "22", Local: "192.0.2.2"},
	{User: "root", Exists: true, Groups: []string{"root"}, Host: "a.example.org", Addr: "10.1.2.3", Port: "2222", Local: "127.0.0.1"},
	{User: "www-data", Exists: true, Groups: []string{"www-data"}, Host: "b.example.org", Addr: "10.2.2.3", Port: "22", Local: "192.0.2.2"},
	{User: "nobody", Exists: true, Groups: []string{"nogroup"}, Host: "x", Addr: "2001:db8::7", Port: "2222", Local: "2001:db8::1"},
	{User: "alice", Host: "x.org", Addr: "198.51.100.7", Port: "22", Local: "192.0.2.2"},
}

// config makes the lines of one file. It may include files of dir.
func config(r *rand.Rand, dir string, names []string, inMatch bool, depth int) string {
	var b strings.Builder
	if depth == 0 && r.IntN(3) > 0 {
		fmt.Fprintf(&b, "Include %s/*.conf\n", dir)
	}
	for range r.IntN(10) {
		switch n := r.IntN(12); {
		case n == 0 && depth < 2:
			fmt.Fprintf(&b, "Include %s/%d*.inc %s/none*\n", dir, depth, dir)
		case n < 3:
			fmt.Fprintf(&b, "Match %s\n", criteria[r.IntN(len(criteria))])
			inMatch = true
		case n == 3:
			b.WriteString([]string{"# PermitRootLogin no\n", "\n", "   \t\n"}[r.IntN(3)])
		default:
			name := names[r.IntN(len(names))]
			if inMatch && !fact.SSHDOptionInMatch(name) && r.IntN(40) > 0 {
				continue
			}
			value := compared[name][r.IntN(len(compared[name]))]
			format := []string{"%s %s\n", "%s=%s\n", "  %s   %s  \n", "%s = %s\n", "%s\t%s # why\n"}[r.IntN(5)]
			if r.IntN(4) == 0 {
				name = strings.ToUpper(name)
			}
			fmt.Fprintf(&b, format, name, value)
		}
	}
	return b.String()
}

// TestStaticResolverAgainstSSHD compares what our reading of sshd's files
// gives with what sshd itself answers, over many generated configurations.
func TestStaticResolverAgainstSSHD(t *testing.T) {
	sshd := realSSHD(t)
	var names []string
	for n := range compared {
		names = append(names, n)
	}
	slices.Sort(names)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	version := packageVersion(t)
	configs, accepted, compares := 200, 0, 0
	for seed := range configs {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		sub := filepath.Join(dir, fmt.Sprint(seed))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		main := filepath.Join(sub, "main")
		files := map[string]string{main: config(r, sub, names, false, 0)}
		for _, f := range []string{"10-a.conf", "50-b.conf", "0x.inc", "0y.inc", "1z.inc"} {
			// .inc files may be included from within a Match.
			files[filepath.Join(sub, f)] = config(r, sub, names, strings.HasSuffix(f, ".inc"), 1+strings.Count(f[:1], "1")*strings.Count(f, ".inc"))
		}
		s := snap.New(snap.Source{Kind: "image"}, time.Unix(0, 0))
		s.MarkComplete()
		plant := func(path, content string) {
			s.Entries[path] = &snap.Entry{Path: path, Type: snap.File, Read: true, Content: []byte(content)}
		}
		var text bytes.Buffer
		for p, c := range files {
			if err := os.WriteFile(p, []byte(c), 0o644); err != nil {
				t.Fatal(err)
			}
			plant(p, c)
			fmt.Fprintf(&text, "-- %s --\n%s", filepath.Base(p), c)
		}
		plant("/etc/ssh/sshd_config", files[main])
		plant("/var/lib/dpkg/status", "Package: openssh-server\nStatus: install ok installed\nVersion: "+version+"\n")
		c := fact.Parse(s).SSHD.Config
		for _, w := range logins {
			spec := "user=" + w.User + ",host=" + w.Host + ",addr=" + w.Addr + ",lport=" + w.Port + ",laddr=" + w.Local
			cmd := exec.Command(sshd[0], append(sshd[1:len(sshd):len(sshd)], "-T", "-f", main, "-h", key, "-C", spec)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				if len(c.Problems) == 0 && len(c.Unknown) == 0 {
					t.Errorf("seed %d: sshd refuses what we accept: %s\n%s", seed, stderr.String(), text.String())
				}
				break
			}
			if len(c.Problems) > 0 || len(c.Unknown) > 0 {
				t.Errorf("seed %d: sshd accepts what we refuse: %v %v\n%s", seed, c.Problems, c.Unknown, text.String())
				break
			}
			accepted++
			real := map[string][]string{}
			for l := range strings.Lines(string(out)) {
				k, v, _ := strings.Cut(strings.TrimSpace(l), " ")
				real[k] = append(real[k], v)
			}
			for _, n := range names {
				want, got := real[fact.SSHDKeyword(n)], c.Find(w, n).Values
				compares++
				if !slices.Equal(want, got) {
					t.Errorf("seed %d, %s, %s: sshd says %q, we say %q\n%s", seed, w, n, want, got, text.String())
				}
			}
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d configurations, %d answers of sshd, %d values compared", configs, accepted, compares)
	if accepted < configs {
		t.Errorf("only %d answers to compare", accepted)
	}
}

func packageVersion(t *testing.T) string {
	if v := os.Getenv("PICKET_SSHD_VERSION"); v != "" {
		return v
	}
	out, err := exec.Command("dpkg-query", "-W", "-f=${Version}", "openssh-server").Output()
	if err != nil {
		t.Skip("needs Debian's openssh-server, to know its version")
	}
	return string(out)
}
