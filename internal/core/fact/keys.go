package fact

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// Keys are the SSH keys in the homes of those who can log in.
type Keys struct {
	Homes      []Home
	Authorized map[string][]AuthorizedKey // by user: keys that let somebody in
	Private    map[string][]PrivateKey    // by user: keys that lie there
	Problems   []Problem                  // lines that are no key
	Files      map[string][]KeyFile       // by user: where sshd takes keys from
	Command    map[string]string          // by user: the program that sshd asks for keys besides, in words; "" for none
	Ignored    map[string][]Place         // by user: files that look as if they let somebody in, and that sshd does not or cannot read

	where map[string]unseen // by user: why there may be more Files
	count int
}

// Home is the home of an account with a login shell.
type Home struct {
	User    User
	Dir     *snap.Entry // nil when it is not there or could not be seen
	State   State       // of the folder itself
	Why     string
	SSH     State // of what is in its .ssh: Absent when there is nothing
	SSHWhy  string
	Dots    []*snap.Entry // files and folders whose name begins with a dot; metadata
	DotsWhy string        // why they could not be seen
}

// An AuthorizedKey is one line of authorized_keys.
type AuthorizedKey struct {
	PublicKey
	Options []string // from="…", restrict, command="…", cert-authority, …
	Comment string
	Place   Place
}

// From reports whether the options of a key let somebody in from an address. sure is false where names of hosts decide, or
// the address is not known: then it may.
func (k AuthorizedKey) From(addr netip.Addr) (may, sure bool) {
	for _, o := range k.Options {
		name, value, has := strings.Cut(o, "=")
		if !has || !strings.EqualFold(name, "from") {
			continue
		}
		list := strings.Trim(value, `"`)
		if !addr.IsValid() {
			return true, false
		}
		if matchAddr(addr.Unmap().String(), list) {
			continue
		}
		if strings.ContainsFunc(list, func(r rune) bool { return r >= 'g' && r <= 'z' || r >= 'G' && r <= 'Z' }) {
			return true, false
		}
		return false, true
	}
	return true, true
}

// Froms is the list of what the key lets somebody in from; "" for anywhere.
func (k AuthorizedKey) Froms() string { return k.option("from") }

// option is the value of one.
func (k AuthorizedKey) option(name string) string {
	for _, o := range k.Options {
		if n, value, has := strings.Cut(o, "="); has && strings.EqualFold(n, name) {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// Command is what the key runs, whatever is asked for; "" for anything.
func (k AuthorizedKey) Command() string { return k.option("command") }

// Ended reports whether the key has an end that was before a time. sshd reads it in the host's own time, which may be up
// to 14 hours off.
func (k AuthorizedKey) Ended(now time.Time) bool {
	for _, o := range k.Options {
		name, value, has := strings.Cut(o, "=")
		if !has || !strings.EqualFold(name, "expiry-time") {
			continue
		}
		value = strings.TrimSuffix(strings.Trim(value, `"`), "Z")
		for _, form := range []string{"20060102", "200601021504", "20060102150405"} {
			if end, err := time.Parse(form, value); err == nil && end.Add(14*time.Hour).Before(now) {
				return true
			}
		}
	}
	return false
}

// A PrivateKey is a file with one, in ~/.ssh.
type PrivateKey struct {
	PublicKey
	Lock  Lock
	Entry *snap.Entry // its mode and owner
	Place Place
}

const maxHomes = 500

// loginHomes are the accounts whose home matters: root and everybody with a
// login shell. Homes shared by two accounts come once for each.
func loginHomes(a Accounts) []User {
	var out []User
	for _, u := range a.Users {
		if u.LoginShell() {
			out = append(out, u)
		}
	}
	return out
}

const noHome = "there is no home folder"

// askable says why a home's files cannot be asked for; "" when they can. A
// path that no redaction covers is never asked for.
func askable(home string) string {
	switch {
	case home == "" || home == "/" || home == "/nonexistent":
		return noHome
	case !path.IsAbs(home) || path.Clean(home) != home:
		return "its home is not a clean absolute path"
	case snap.IsPattern(home) || strings.ContainsAny(home, "\\\n\uFFFD"):
		return "the path of its home has characters that cannot be asked for"
	case !slices.ContainsFunc(redactions, func(r redaction) bool { return snap.Match(r.pattern, home+"/.ssh/x") }):
		return "its home lies in an unusual place"
	}
	return ""
}

func askKeys(h *Host, s *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for i, u := range loginHomes(h.Accounts) {
		if i < maxHomes && askable(u.Home) == "" {
			m.Files = append(m.Files, u.Home+"/.ssh/*")
			m.Stats = append(m.Stats, u.Home, u.Home+"/.ssh", u.Home+"/.*")
		}
	}
	for _, src := range keySources(h, s) {
		for _, f := range src.files {
			if !inSSH(src.user.Home, f.Path) || !isUsual(f.Path) {
				f.ask(&m, s)
			}
		}
	}
	return m
}

func parseKeys(h *Host, s *snap.Snapshot) {
	k := &h.Keys
	k.Authorized, k.Private, k.Files = map[string][]AuthorizedKey{}, map[string][]PrivateKey{}, map[string][]KeyFile{}
	k.Command, k.Ignored, k.where = map[string]string{}, map[string][]Place{}, map[string]unseen{}
	read := map[string]keysIn{}
	for i, src := range keySources(h, s) {
		home := k.home(s, i, src.user)
		k.Homes = append(k.Homes, home)
		k.authorized(s, src, home, read)
	}
}

// home reads what lies in a home besides the keys that let somebody in.
func (k *Keys) home(s *snap.Snapshot, i int, u User) Home {
	home := Home{User: u}
	why := askable(u.Home)
	if i >= maxHomes && why != noHome {
		why = fmt.Sprintf("only the homes of %d accounts are read", maxHomes)
	}
	if why != "" {
		home.State, home.SSH, home.DotsWhy = Unknown, Unknown, why
		if why == noHome {
			home.State, home.SSH, home.DotsWhy = Absent, Absent, ""
		}
		home.Why, home.SSHWhy = why, why
		return home
	}
	home.Dir, home.State, home.Why = s.Stat(u.Home)
	var st State
	if home.Dots, st, home.DotsWhy = s.Glob(u.Home + "/.*"); st != Denied && st != Unknown {
		home.DotsWhy = ""
	}
	files, st, why := s.Glob(u.Home + "/.ssh/*")
	home.SSH, home.SSHWhy = st, why
	for _, e := range files {
		if e.Type != snap.File {
			continue
		}
		if e.Denied != "" || !e.Read {
			home.SSH, home.SSHWhy = Denied, e.Denied
			if e.Denied == "" {
				home.SSH, home.SSHWhy = Unknown, e.Path+" was not read"
			}
			continue
		}
		if p, ok := private(e); ok {
			k.Private[u.Name] = append(k.Private[u.Name], p)
		}
	}
	return home
}

// authorizedKey reads "[options] type base64 [comment]".
func authorizedKey(l string) (AuthorizedKey, bool) {
	var k AuthorizedKey
	if bare(l, &k) {
		return k, true
	}
	options, rest := cutOptions(l)
	if !bare(rest, &k) {
		return k, false
	}
	k.Options = options
	return k, true
}

// ReadKey reads a line of authorized_keys. ok is false for what is no key: a comment, an empty line, a damaged one.
func ReadKey(line string) (k AuthorizedKey, ok bool) {
	if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
		return k, false
	}
	return authorizedKey(line)
}

func bare(l string, k *AuthorizedKey) bool {
	f := strings.Fields(l)
	if len(f) < 2 {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(f[1])
	if err != nil {
		return false
	}
	p, ok := publicKey(blob)
	if !ok || p.Type != f[0] {
		return false
	}
	k.PublicKey, k.Comment = p, strings.Join(f[2:], " ")
	return true
}

// cutOptions splits the options off: commas part them, and blanks end them,
// outside of quotes.
func cutOptions(l string) (options []string, rest string) {
	quoted, from := false, 0
	for i := 0; i < len(l); i++ {
		switch c := l[i]; {
		case c == '\\' && quoted && i+1 < len(l) && l[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			options = append(options, l[from:i])
			from = i + 1
		case c == ' ' || c == '\t':
			return append(options, l[from:i]), strings.TrimSpace(l[i:])
		}
	}
	return append(options, l[from:]), ""
}

const privateBegins = "[private key: "

// private reads the form that redactHomeKey leaves.
func private(e *snap.Entry) (PrivateKey, bool) {
	l, _, _ := strings.Cut(string(e.Content), "\n")
	inner, begins := strings.CutPrefix(l, privateBegins)
	inner, ends := strings.CutSuffix(inner, "]")
	if !begins || !ends {
		return PrivateKey{}, false
	}
	f := strings.Split(inner, ", ")
	if len(f) < 2 {
		return PrivateKey{}, false
	}
	p := PrivateKey{Lock: Lock(f[1]), Entry: e, Place: Place{Path: e.Path}}
	kind, bits, _ := strings.Cut(f[0], " ")
	p.Type = kind
	p.Bits, _ = strconv.Atoi(bits)
	if len(f) > 2 {
		p.Fingerprint = f[2]
	}
	return p, true
}
