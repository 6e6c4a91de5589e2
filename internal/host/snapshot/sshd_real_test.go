package snapshot_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// realSSHD is the command that runs the sshd to compare with: $PICKET_SSHD, or
// the machine's own. It runs in a mount namespace of its own, in which dir is
// /etc/ssh and /run/sshd is there, so that the machine stays as it is.
func realSSHD(t *testing.T) (command func(dir string, args ...string) *exec.Cmd) {
	if os.Getenv("PICKET_LAB") == "off" {
		leftout.Skip(t, "PICKET_LAB=off; it asks the real sshd some hundred times")
	}
	p := "/usr/sbin/sshd"
	if v := os.Getenv("PICKET_SSHD"); v != "" {
		p = v
	}
	if _, err := os.Stat(p); err != nil || os.Getuid() != 0 {
		leftout.Missing(t, "needs root and an installed openssh-server to compare with, or PICKET_SSHD")
	}
	run := func(dir string, args ...string) *exec.Cmd {
		const setUp = `mount --bind "$1" /etc/ssh && mount -t tmpfs none /run && mkdir -m 755 /run/sshd && shift && exec "$@"`
		return exec.Command("unshare", append([]string{"--mount", "sh", "-c", setUp, "sh", dir}, args...)...)
	}
	if out, err := run(t.TempDir(), "true").CombinedOutput(); err != nil {
		leftout.Missing(t, "needs the right to make a mount namespace: "+string(out))
	}
	return func(dir string, args ...string) *exec.Cmd { return run(dir, append([]string{p}, args...)...) }
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

// config makes the lines of one file below /etc/ssh. It may include others.
func config(r *rand.Rand, names []string, inMatch bool, depth int) string {
	var b strings.Builder
	if depth == 0 && r.IntN(3) > 0 {
		b.WriteString([]string{"Include /etc/ssh/sshd_config.d/*.conf\n", "Include sshd_config.d/*.conf\n", "include=\"sshd_config.d/*.conf\"\n"}[r.IntN(3)])
	}
	for range r.IntN(10) {
		switch n := r.IntN(12); {
		case n == 0 && depth < 2:
			fmt.Fprintf(&b, "Include /etc/ssh/%d*.inc none*\n", depth)
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
			format := []string{"%s %s\n", "%s=%s\n", "  %s   %s  \n", "%s = %s\n", "%s\t%s # why\n", "%s %s\r\n"}[r.IntN(6)]
			if r.IntN(4) == 0 {
				name = strings.ToUpper(name)
			}
			fmt.Fprintf(&b, format, name, value)
		}
	}
	return b.String()
}

// compare asks sshd about files below /etc/ssh, and us, for all logins, and
// reports every option of which we say something else. accepted is how often
// sshd gave an answer.
func compare(t *testing.T, sshd func(string, ...string) *exec.Cmd, version string, files map[string]string) (accepted, values int) {
	t.Helper()
	dir := t.TempDir()
	var text bytes.Buffer
	s := snap.New(snap.Source{Kind: "image"}, time.Unix(0, 0))
	s.MarkComplete()
	plant := func(p, content string) {
		s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Read: true, Content: []byte(content)}
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), []byte(files[p]), 0o600); err != nil {
			t.Fatal(err)
		}
		plant("/etc/ssh/"+p, files[p])
		fmt.Fprintf(&text, "-- %s --\n%s", p, files[p])
	}
	hostKey(t, dir)
	plant("/var/lib/dpkg/status", "Package: openssh-server\nStatus: install ok installed\nVersion: "+version+"\n")
	c := fact.Parse(s).SSHD.Config
	for _, w := range logins {
		spec := "user=" + w.User + ",host=" + w.Host + ",addr=" + w.Addr + ",lport=" + w.Port + ",laddr=" + w.Local
		cmd := sshd(dir, "-T", "-h", "/etc/ssh/key", "-C", spec)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			if len(c.Problems) == 0 && len(c.Unknown) == 0 && !valueRefused(stderr.String()) {
				t.Errorf("sshd refuses what we accept: %s\n%s", stderr.String(), text.String())
			}
			return accepted, values
		}
		if len(c.Problems) > 0 || len(c.Unknown) > 0 {
			t.Errorf("sshd accepts what we refuse: %v %v\n%s", c.Problems, c.Unknown, text.String())
			return accepted, values
		}
		accepted++
		real := map[string][]string{}
		for l := range strings.Lines(string(out)) {
			k, v, _ := strings.Cut(strings.TrimSpace(l), " ")
			real[k] = append(real[k], strings.TrimSpace(v))
		}
		for _, k := range slices.Sorted(maps.Keys(real)) {
			switch k {
			case "hostkey", "listenaddress", "ipqos": // given here; printed with port; printed otherwise by 10.0
				continue
			case "persourcepenalties", "pamservicename", "sshdsessionpath", "sshdauthpath":
				continue // paths and times of the version
			}
			want, got := real[k], c.Find(w, k).Values
			if values++; !slices.Equal(want, got) {
				t.Errorf("%s, %s: sshd says %q, we say %q\n%s", w, k, want, got, text.String())
			}
		}
	}
	return accepted, values
}

// valueRefused reports that sshd does not like a value; ours are not checked.
func valueRefused(stderr string) bool { return strings.Contains(stderr, "Bad SSH2") }

// hostKey makes a key in dir, without which sshd does not answer.
func hostKey(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key")).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// TestStaticResolverAgainstSSHD compares what our reading of sshd's files
// gives with what sshd itself answers, over many generated configurations.
func TestStaticResolverAgainstSSHD(t *testing.T) {
	sshd := realSSHD(t)
	names := slices.Sorted(maps.Keys(compared))
	version := packageVersion(t)
	configs, accepted, values := 150, 0, 0
	if testing.Short() {
		configs = 20
	}
	if n, err := strconv.Atoi(os.Getenv("PICKET_SSHD_CONFIGS")); err == nil {
		configs = n
	}
	for seed := range configs {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		files := map[string]string{"sshd_config": config(r, names, false, 0)}
		for _, f := range []string{"sshd_config.d/10-a.conf", "sshd_config.d/50-b.conf", "0x.inc", "0y.inc", "1z.inc"} {
			// .inc files may be included from within a Match.
			inc := strings.HasSuffix(f, ".inc")
			depth := 1
			if f == "1z.inc" {
				depth = 2
			}
			files[f] = config(r, names, inc, depth)
		}
		a, v := compare(t, sshd, version, files)
		accepted, values = accepted+a, values+v
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d configurations, %d answers of sshd, %d values compared", configs, accepted, values)
	if accepted < configs {
		t.Errorf("only %d answers to compare", accepted)
	}
}

// TestWhatMayDifferByLogin asks sshd of every option whether it may stand in a
// Match.
func TestWhatMayDifferByLogin(t *testing.T) {
	sshd := realSSHD(t)
	dir := t.TempDir()
	hostKey(t, dir)
	ask := func(text string) string {
		if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := sshd(dir, "-T", "-h", "/etc/ssh/key").CombinedOutput()
		return string(out)
	}
	asked := 0
	for l := range strings.Lines(ask("")) {
		name, value, _ := strings.Cut(strings.TrimSpace(l), " ")
		if !fact.KnownSSHDOption(name) {
			t.Errorf("we do not know %s", name)
			continue
		}
		asked++
		refused := strings.Contains(ask("Match User x\n"+name+" "+value+"\n"), "is not allowed within a Match block")
		if refused == fact.SSHDOptionInMatch(name) {
			t.Errorf("%s in a Match: sshd refuses it: %v", name, refused)
		}
	}
	if asked < 70 {
		t.Errorf("only %d options were asked of", asked)
	}
}

// TestStaticResolverByHand compares what people write, and what is easily got
// wrong.
func TestStaticResolverByHand(t *testing.T) {
	sshd := realSSHD(t)
	version := packageVersion(t)
	const include = "Include /etc/ssh/sshd_config.d/*.conf\n"
	for name, files := range map[string]map[string]string{
		"nothing":                      {"sshd_config": ""},
		"the drop-in wins":             {"sshd_config": include + "PermitRootLogin no\n", "sshd_config.d/50-cloud-init.conf": "PermitRootLogin yes\n"},
		"only in a drop-in":            {"sshd_config": include, "sshd_config.d/00-a.conf": "PermitRootLogin no\n"},
		"after a Match":                {"sshd_config": include + "Match User bob\n\tX11Forwarding no\nPermitRootLogin no\n"},
		"for one user":                 {"sshd_config": "PasswordAuthentication no\nMatch User www-data\n PasswordAuthentication yes\n"},
		"Match in a drop-in ends":      {"sshd_config": include + "PasswordAuthentication no\n", "sshd_config.d/a.conf": "Match User root\nPasswordAuthentication yes\n"},
		"Match in the first of two":    {"sshd_config": include, "sshd_config.d/a.conf": "Match User root\nX11Forwarding yes\n", "sshd_config.d/b.conf": "X11Forwarding no\nMaxSessions 3\n"},
		"Include within a Match":       {"sshd_config": "Match User root\n" + include + "Match all\nMaxSessions 2\n", "sshd_config.d/a.conf": "MaxSessions 1\nMatch Address 10.0.0.0/8\nMaxSessions 4\n"},
		"Match all after":              {"sshd_config": "X11Forwarding yes\nMatch User root\nX11Forwarding no\nMatch all\nX11Forwarding yes\nMaxSessions 1\n"},
		"Match with =":                 {"sshd_config": "Match User=root Address=192.0.2.0/24\nMaxSessions 1\n"},
		"Match with several users":     {"sshd_config": "Match User alice,root,!www-data\nMaxSessions 1\n"},
		"a negated user alone":         {"sshd_config": "Match User !root\nMaxSessions 1\n"},
		"all but one":                  {"sshd_config": "Match User *,!root\nMaxSessions 1\n"},
		"the group of an account":      {"sshd_config": "Match Group www-data,nogroup\nMaxSessions 1\nMatch Group root\nMaxSessions 2\n"},
		"Match twice":                  {"sshd_config": "Match User root\nMaxSessions 1\nMatch Address 192.0.2.1\nMaxSessions 2\nX11Forwarding yes\n"},
		"hosts":                        {"sshd_config": "Match Host *.example.org,!b.example.org\nMaxSessions 1\n"},
		"ports":                        {"sshd_config": "Port 22\nPort 2222\nMatch LocalPort 2222\nMaxSessions 1\n"},
		"quotes":                       {"sshd_config": "Banner \"/etc/issue net\"\nAuthorizedKeysFile \".ssh/a b\" '.ssh/c'\nAllowUsers \"root\"\n"},
		"quotes in the middle":         {"sshd_config": "AllowUsers ro\"ot\" a\\ b\n"},
		"an empty argument":            {"sshd_config": "AllowUsers \"\" root\n"},
		"equal signs":                  {"sshd_config": "PermitRootLogin=no\nMaxSessions = 2\nBanner =/etc/issue\n"},
		"two equal signs":              {"sshd_config": "LogLevel==INFO\n"},
		"case":                         {"sshd_config": "PERMITROOTLOGIN no\npasswordauthentication NO\nMATCH user root\nmaxsessions 1\n"},
		"aliases":                      {"sshd_config": "ChallengeResponseAuthentication no\nPubkeyAcceptedKeyTypes ssh-ed25519\nHostbasedAcceptedKeyTypes ssh-ed25519\n"},
		"an alias comes first":         {"sshd_config": "ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n"},
		"an alias within a Match":      {"sshd_config": "Match User root\nChallengeResponseAuthentication no\n"},
		"lists that add up":            {"sshd_config": "AllowUsers a\nAllowUsers b c\nDenyUsers d\nAcceptEnv LANG\nAcceptEnv LC_* X\nPort 22\nPort 23\n"},
		"lists that add up in a Match": {"sshd_config": "AllowUsers a\nAcceptEnv A\nMatch User root\nAllowUsers b\nAcceptEnv B\n"},
		"lists with signs":             {"sshd_config": "Ciphers +aes128-cbc,aes256-cbc\nMACs -hmac-sha1*\nKexAlgorithms ^diffie-hellman-group16-sha512\nHostKeyAlgorithms -ecdsa*,rsa*\n"},
		"the first list wins":          {"sshd_config": "Ciphers aes256-ctr\nCiphers +aes128-cbc\n"},
		"times":                        {"sshd_config": "LoginGraceTime 1m30s\nClientAliveInterval 1h\nRekeyLimit 1G 2h\n"},
		"a time of nothing":            {"sshd_config": "LoginGraceTime none\nClientAliveInterval 0\n"},
		"none":                         {"sshd_config": "Banner none\nForceCommand none\nAuthorizedKeysFile none\nTrustedUserCAKeys none\nChrootDirectory none\n"},
		"a command with a comment":     {"sshd_config": "Match User root\nForceCommand echo \"a # b\" # c\n"},
		"no line end":                  {"sshd_config": "X11Forwarding yes\nMaxSessions 2"},
		"a comment after a value":      {"sshd_config": "MaxSessions 2 # as few as may be\nMaxAuthTries 3 #4\n"},
		"missing includes":             {"sshd_config": "Include /etc/ssh/no/*.conf nothing.conf\nMaxSessions 2\n"},
		"a file twice":                 {"sshd_config": include + include + "AcceptEnv Z\n", "sshd_config.d/a.conf": "AcceptEnv A\nMaxSessions 1\n"},
		"includes in includes":         {"sshd_config": "Include a.inc\nMaxSessions 5\n", "a.inc": "Include b.inc\nMaxSessions 4\n", "b.inc": "MaxSessions 3\nMatch User root\nMaxSessions 2\n"},
		"hidden drop-ins":              {"sshd_config": include, "sshd_config.d/.a.conf": "MaxSessions 1\n", "sshd_config.d/b.conf~": "MaxSessions 2\n"},
		"root by another word":         {"sshd_config": "PermitRootLogin without-password\nMatch User root\nPermitRootLogin forced-commands-only\n"},
		"environment":                  {"sshd_config": "PermitUserEnvironment LANG,LC_*\nSetEnv A=1 B=\"2 3\"\nSetEnv C=1\n"},
		"forwarding":                   {"sshd_config": "PermitOpen localhost:80 [::1]:81\nPermitListen 8080\nAllowTcpForwarding local\nPermitTunnel point-to-point\n"},
		"groups of addresses":          {"sshd_config": "Match Address 192.0.2.0/24,!192.0.2.1\nMaxSessions 1\nMatch Address 2001:db8::/32\nMaxSessions 2\n"},
		"subsystems":                   {"sshd_config": "Subsystem sftp /usr/lib/openssh/sftp-server -f AUTH\nSubsystem x internal-sftp\n"},
		"retired words":                {"sshd_config": "Protocol 2\nUsePrivilegeSeparation yes\nKeyRegenerationInterval 1h\nServerKeyBits 1024\nRSAAuthentication yes\nRhostsRSAAuthentication no\nUseLogin no\n"},
		"an invalid word":              {"sshd_config": "PermitRootLogn no\n"},
		"a wrong place":                {"sshd_config": "Match User root\nUsePAM no\n"},
		"Match all with more":          {"sshd_config": "Match all User root\nMaxSessions 1\n"},
		"an unknown criterion":         {"sshd_config": "Match Planet earth\nMaxSessions 1\n"},
		"a Match without value":        {"sshd_config": "Match User\nMaxSessions 1\n"},
		"an open quote":                {"sshd_config": "Banner \"/etc/issue\n"},
		"a word alone":                 {"sshd_config": "PermitRootLogin\n"},
		"a value too many":             {"sshd_config": "X11Forwarding no yes\n"},
		"a number too many":            {"sshd_config": "MaxSessions 2 3\n"},
		"no yes and no no":             {"sshd_config": "X11Forwarding maybe\n"},
		"true":                         {"sshd_config": "X11Forwarding true\n"},
		"no number":                    {"sshd_config": "MaxSessions many\n"},
		"a negative number":            {"sshd_config": "MaxAuthTries -1\n"},
		"no time":                      {"sshd_config": "ClientAliveInterval 1x\n"},
		"a time with blanks":           {"sshd_config": "LoginGraceTime 1m 30s\n"},
		"an unknown level":             {"sshd_config": "LogLevel LOUD\n"},
		"a wrong value for others":     {"sshd_config": "Match User nobody-at-all\nPermitRootLogin sometimes\n"},
		"levels":                       {"sshd_config": "LogLevel debug1\nAddressFamily INET\nCompression Delayed\nGatewayPorts ClientSpecified\n"},
		"words in capitals":            {"sshd_config": "PermitRootLogin Prohibit-Password\nAllowTcpForwarding ALL\nIgnoreRhosts Shosts-Only\n"},
		"an include that breaks":       {"sshd_config": include, "sshd_config.d/a.conf": "Nonsense yes\n"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { compare(t, sshd, version, files) })
	}
}

func packageVersion(t *testing.T) string {
	if v := os.Getenv("PICKET_SSHD_VERSION"); v != "" {
		return v
	}
	out, err := exec.Command("dpkg-query", "-W", "-f=${Version}", "openssh-server").Output()
	if err != nil {
		leftout.Missing(t, "needs Debian's openssh-server, to know its version")
	}
	return string(out)
}
