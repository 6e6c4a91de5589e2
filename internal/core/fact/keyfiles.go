package fact

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// A KeyFile is one that sshd takes the keys of an account from.
type KeyFile struct {
	Path    string // or what sshd_config says, when there is no telling which file that is
	State   State
	Why     string   // for any state but Known
	InHome  bool     // the folders above it matter up to the home only, as for sshd
	Folders []string // above it, the nearest first; also those above what it is a link to
}

// Bounds of what sshd_config may make us read. An honest one names two.
const (
	maxKeyFilesEach = 32
	maxKeyFiles     = 2000
	maxKeySettings  = 200
	maxKeys         = 50_000
	maxKeyPath      = 1024
	maxKeyDepth     = 32
)

// keySource is where sshd takes the keys of one account from.
type keySource struct {
	user    User
	files   []KeyFile // State is Unknown, with a reason, for those that are not asked for
	why     string    // why there may be more files
	state   State     // of why
	guess   bool      // the files are those that are known so far, and none may be right
	command string    // a program that it asks besides
}

// keySources says it for every account that can log in: by what sshd answered
// for it, else by its files.
func keySources(h *Host, s *snap.Snapshot) []keySource {
	c := h.SSHD.Config
	c.Settings = nil
	one := true // every login of an account gets the same
	grouped := false
	for _, set := range h.SSHD.Config.Settings {
		if set.Keyword == "authorizedkeysfile" || set.Keyword == "authorizedkeyscommand" {
			c.Settings = append(c.Settings, set)
			one = one && c.everybody(set.Match)
			grouped = grouped || slices.ContainsFunc(set.Match, c.asksGroup)
		}
	}
	tooMany := len(c.Settings) > maxKeySettings
	if tooMany {
		c.Settings = c.Settings[:maxKeySettings]
	}
	places, left := h.SSHD.Config.places()
	cut := left+len(places) > MaxSSHDLogins && !one
	if one {
		places = places[:1]
	}
	places = places[:min(len(places), MaxSSHDLogins)]
	d := SSHD{Config: c}
	var out []keySource
	total, groupsIn := 0, groupLists(h.Accounts)
	for _, u := range loginHomes(h.Accounts) {
		src, groups := keySource{user: u}, groupsIn(u)
		if tooMany || cut {
			src.why = "sshd's files say in too many places where keys are taken from"
		}
		for _, w := range places {
			w.User, w.Exists, w.Groups = u.Name, true, groups
			a := SSHDAnswer{Who: w}
			i := slices.IndexFunc(h.SSHD.Answers.V, func(b SSHDAnswer) bool { return slices.Equal(b.Who.argv(), w.argv()) })
			switch {
			case i >= 0:
				a = h.SSHD.Answers.V[i]
			case src.why == "" && (c.State == Denied || c.State == Unknown):
				src.why, src.state, src.guess = "where sshd takes keys from is not known: "+c.Why, c.State, true
			case src.why == "" && grouped && (h.Accounts.GroupState == Denied || h.Accounts.GroupState == Unknown):
				src.why, src.state, src.guess = "where sshd takes keys from is not known: "+h.Accounts.GroupWhy, h.Accounts.GroupState, true
			}
			d.keySource(h, s, a, &src)
		}
		if n := total + len(src.files); len(out) >= maxHomes || n > maxKeyFiles {
			src.files, src.state = nil, Unknown
			if src.why = fmt.Sprintf("only the keys of %d accounts are read", maxHomes); n > maxKeyFiles {
				src.why = fmt.Sprintf("sshd takes keys from more than %d files", maxKeyFiles)
			}
		}
		total += len(src.files)
		out = append(out, src)
	}
	return out
}

// asksGroup reports whether a block is for the members of a group.
func (c SSHDConfig) asksGroup(block int) bool {
	return slices.ContainsFunc(c.Matches[block].Criteria, func(cr SSHDCriterion) bool { return cr.Name == "group" })
}

// keySource adds what one login gets.
func (d SSHD) keySource(h *Host, s *snap.Snapshot, a SSHDAnswer, src *keySource) {
	if v, _ := d.Option(a, "AuthorizedKeysCommand"); len(v) > 0 && v[0] != "none" && v[0] != "" {
		src.command = "sshd asks " + strings.Join(v, " ") + " for the keys of " + src.user.Name + ", which Picket does not run"
	}
	v, found := d.Option(a, "AuthorizedKeysFile")
	words := strings.Fields(strings.Join(v, " "))
	// sshd prints a name with a blank in it as two.
	if len(found.By) > 0 && strings.Join(found.By[0].Values, " ") == strings.Join(v, " ") {
		words = found.By[0].Values
	}
	for _, w := range words {
		if strings.EqualFold(w, "none") {
			continue
		}
		f := keyFile(h, s, src.user, w)
		if slices.ContainsFunc(src.files, func(o KeyFile) bool { return o.Path == f.Path }) {
			continue
		}
		if len(src.files) >= maxKeyFilesEach {
			src.why, src.state = fmt.Sprintf("sshd takes the keys of %s from more than %d files", src.user.Name, maxKeyFilesEach), Unknown
			return
		}
		src.files = append(src.files, f)
	}
}

// keyFile is the file that one word of AuthorizedKeysFile stands for.
func keyFile(h *Host, s *snap.Snapshot, u User, word string) KeyFile {
	f := KeyFile{Path: word}
	p, why := expandKeyFile(word, u)
	if inHome := why == "" && !path.IsAbs(p); inHome {
		if why = askable(u.Home); why == noHome {
			return KeyFile{Path: word, State: Absent, Why: why}
		}
		p = u.Home + "/" + p
	}
	if f.Why = cmp.Or(why, unaskableKeys(p)); f.Why != "" {
		f.Why = "sshd takes the keys of " + u.Name + " from " + word + ", which was not read: " + f.Why
		return f
	}
	f.Path = path.Clean(p)
	f.InHome = f.above(u.Home, f.Path)
	if e, st, _ := s.Stat(f.Path); st == Known && e.Real != "" {
		home := u.Home
		if e, st, _ := s.Stat(home); st == Known && e.Real != "" {
			home = e.Real
		}
		f.above(home, path.Clean(e.Real))
	}
	return f
}

// above adds the folders above p: up to the home, where it lies in there.
func (f *KeyFile) above(home, p string) (inHome bool) {
	inHome = home != "/" && strings.HasPrefix(p, home+"/")
	for _, d := range withParents(path.Dir(p)) {
		if !slices.Contains(f.Folders, d) {
			f.Folders = append(f.Folders, d)
		}
		if inHome && d == home {
			break
		}
	}
	return inHome
}

// expandKeyFile replaces what sshd replaces: %h, %u, %U and %%, and a ~ at the
// start, which is the home of root, as whom sshd reads its files.
func expandKeyFile(word string, u User) (p, why string) {
	if rest, ok := strings.CutPrefix(word, "~"); ok {
		if rest != "" && rest[0] != '/' {
			return "", "~ of another account is not followed"
		}
		word = "/root" + rest
	}
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if b.Len() > maxKeyPath {
			return "", "the path is too long"
		}
		if word[i] != '%' {
			b.WriteByte(word[i])
			continue
		}
		i++
		switch {
		case i < len(word) && word[i] == '%':
			b.WriteByte('%')
		case i < len(word) && word[i] == 'u':
			b.WriteString(u.Name)
		case i < len(word) && word[i] == 'U':
			b.WriteString(strconv.Itoa(u.UID))
		case i < len(word) && word[i] == 'h':
			if why := askable(u.Home); why != "" {
				return "", why
			}
			b.WriteString(u.Home)
		default:
			return "", "sshd does not know what " + word[i-1:min(i+1, len(word))] + " in it stands for"
		}
	}
	return b.String(), ""
}

// unaskableKeys says why a path from sshd_config is not asked for; "" when it
// is. Nothing is read that another topic keeps in its own way.
func unaskableKeys(p string) string {
	switch {
	case len(p) > maxKeyPath || strings.Count(p, "/") > maxKeyDepth:
		return "the path is too long"
	case slices.Contains(strings.Split(p, "/"), ".."):
		return "the path has .. in it"
	case snap.IsPattern(p) || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f || r == 0xFFFD }):
		return "the path has characters that cannot be asked for"
	}
	p = path.Clean(p)
	if p == "/" || below(p, []string{"/dev", "/proc", "/sys"}) {
		return "keys do not lie there"
	}
	i := slices.IndexFunc(redactions, func(r redaction) bool { return snap.Match(r.pattern, p) })
	if i >= 0 && !strings.HasSuffix(redactions[i].pattern, "/.ssh/*") {
		return "it is a file of another kind, of which no keys are kept"
	}
	return ""
}

// ask adds what is to be read of a file.
func (f KeyFile) ask(m *snap.Manifest, s *snap.Snapshot) {
	if f.State == Absent || f.Why != "" {
		return
	}
	m.Stats = append(m.Stats, f.Folders...)
	// What was read for another purpose is there as a whole, and stays so.
	if _, st, _ := s.File(f.Path); st == Known {
		return
	}
	m.Files = append(m.Files, f.Path)
	m.Keys = append(m.Keys, f.Path)
}

// inSSH reports whether a file lies in the .ssh of a home.
func inSSH(home, p string) bool { return path.Dir(p) == home+"/.ssh" }

// isUsual reports whether sshd reads a file of ~/.ssh where nobody says otherwise.
func isUsual(p string) bool {
	return path.Base(p) == "authorized_keys" || path.Base(p) == "authorized_keys2"
}

// authorized fills in what lets the account in.
func (k *Keys) authorized(s *snap.Snapshot, src keySource, home Home, read map[string]keysIn) {
	name := src.user.Name
	if src.guess {
		src.files, src.command = nil, ""
	}
	for _, f := range src.files {
		if f.Why != "" {
			k.Files[name] = append(k.Files[name], f)
			continue
		}
		e, st, why := s.File(f.Path)
		if f.State, f.Why = st, why; st == Absent && inSSH(src.user.Home, f.Path) && (home.SSH == Denied || home.SSH == Unknown) {
			f.State, f.Why = home.SSH, home.SSHWhy
		}
		if st == Known {
			in, ok := read[f.Path]
			if !ok {
				in = k.keysIn(e)
				read[f.Path] = in
			}
			if k.count += len(in.keys); k.count > maxKeys {
				f.State, f.Why = Unknown, fmt.Sprintf("only %d keys are looked at", maxKeys)
				in = keysIn{}
			}
			if in.hidden {
				f.State, f.Why = Unknown, "sshd takes the keys of "+name+" from "+f.Path+", which was not kept"
			}
			if shut(e, src.user) {
				k.Ignored[name] = append(k.Ignored[name], Place{Path: f.Path})
				in = keysIn{}
			}
			k.Authorized[name] = append(slices.Clip(k.Authorized[name]), in.keys...)
		}
		k.Files[name] = append(k.Files[name], f)
	}
	k.Command[name], k.where[name] = src.command, unseen{src.state, src.why}
	es, _, _ := s.Glob(src.user.Home + "/.ssh/authorized_keys*")
	for _, e := range es {
		if e.Type == snap.File && isUsual(e.Path) && src.why == "" && askable(src.user.Home) == "" &&
			!slices.ContainsFunc(src.files, func(f KeyFile) bool { return f.Path == e.Path || f.Path == e.Real }) {
			k.Ignored[name] = append(k.Ignored[name], Place{Path: e.Path})
		}
	}
}

// shut reports whether sshd surely cannot read a file: it reads keys as the
// user whose they are, and root's own file of mode 0600 lets nobody else in.
func shut(e *snap.Entry, u User) bool {
	return u.UID != 0 && e.UID != u.UID && e.Mode&0o044 == 0
}

type unseen struct {
	state State
	why   string
}

// keysIn are the keys of one file, which several accounts may share.
type keysIn struct {
	keys   []AuthorizedKey
	hidden bool // a redaction took its lines away
}

func (k *Keys) keysIn(e *snap.Entry) (in keysIn) {
	if string(e.Content) == keysGone+"\n" {
		return keysIn{hidden: true}
	}
	for _, l := range lines(e) {
		t := strings.TrimSpace(l.text)
		if t == "" || strings.HasPrefix(t, "#") {
			continue
		}
		key, ok := authorizedKey(t)
		if !ok {
			if len(k.Problems) < 100 {
				k.Problems = append(k.Problems, Problem{l.at, "not a key that can be read"})
			}
			continue
		}
		key.Place = l.at
		in.keys = append(in.keys, key)
	}
	return in
}

// Unread is why a file with keys of an account is not known; "" when each is.
func (k Keys) Unread(user string) (State, string) {
	for _, f := range k.Files[user] {
		if f.State == Denied || f.State == Unknown {
			return f.State, f.Why
		}
	}
	w := k.where[user]
	return w.state, w.why
}

// Unseen is why what lets a user in by key is not fully known; "" when it is.
func (k Keys) Unseen(user string) string {
	_, why := k.Unread(user)
	return cmp.Or(why, k.Command[user])
}

// Usual reports whether a file is one that sshd reads where nobody says
// otherwise.
func (f KeyFile) Usual(u User) bool { return inSSH(u.Home, f.Path) && isUsual(f.Path) }
