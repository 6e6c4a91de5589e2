package trust

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"picket/internal/core/fact"
)

// A holder has a private key.
type holder struct {
	host int
	user string
	key  fact.PrivateKey
}

type loginKey struct {
	host int
	user string
	from netip.Addr
}

type loginIs struct {
	login fact.Login
	known bool
}

type builder struct {
	hosts  []Host
	held   map[string][]holder // by fingerprint
	out    []Outside
	edges  []Edge
	logins map[loginKey]loginIs
}

// hold notes the private keys of a host.
func (b *builder) hold(i int) {
	k := b.hosts[i].Facts.Keys
	for _, home := range k.Homes {
		for _, p := range k.Private[home.User.Name] {
			if p.Fingerprint != "" {
				b.held[p.Fingerprint] = append(b.held[p.Fingerprint], holder{i, home.User.Name, p})
			}
		}
	}
}

// rootGroups are those whose members are as good as root where what they belong to is installed.
var rootGroups = []string{"docker", "lxd", "incus-admin", "disk"}

// within adds who becomes whom on one host.
func (b *builder) within(h Host) {
	f := h.Facts
	root := rootOf(f)
	can := accounts(h)
	for _, g := range f.Sudo.Grants {
		pass := f.Accounts.Passwords.V[g.User]
		if !g.Full || g.Password && !pass.Usable() && f.Accounts.Passwords.Known() {
			continue
		}
		e := Edge{From: id(g.User, h.Name), To: id(root, h.Name), How: Sudo, With: g.Via + ": " + g.Command, Place: g.Place.String()}
		if g.Password && pass.Guessed == "" && !pass.Empty {
			e.Needs = "the password of " + g.User
		}
		b.edges = append(b.edges, e)
	}
	for _, g := range f.Accounts.Groups {
		if !slices.Contains(rootGroups, g.Name) {
			continue
		}
		for _, member := range f.Accounts.Members(g) {
			if slices.ContainsFunc(can, func(a Account) bool { return a.Name == member && !a.Root }) {
				b.edges = append(b.edges, Edge{From: id(member, h.Name), To: id(root, h.Name), How: Group, With: g.Name, Place: g.Place.String()})
			}
		}
	}
	for _, a := range can {
		p, known := f.Accounts.Passwords.V[a.Name]
		if !known || !p.Usable() || p.Guessed == "" && !p.Empty {
			continue
		}
		with := cmp.Or(p.Guessed, "no password")
		if l, ok := f.Logins.Login(a.Name); ok && l.Password.V {
			b.edges = append(b.edges, Edge{From: Anybody, To: a.ID, How: Password, With: with, Place: p.Place.String()})
		}
		for _, other := range can { // su
			if other.Name != a.Name && !other.Root {
				b.edges = append(b.edges, Edge{From: other.ID, To: a.ID, How: Password, With: with, Place: p.Place.String()})
			}
		}
	}
}

// rootOf is the name of root.
func rootOf(f *fact.Host) string {
	if u, ok := f.Accounts.User("root"); ok && u.UID == 0 {
		return u.Name
	}
	for _, u := range f.Accounts.Users {
		if u.UID == 0 {
			return u.Name
		}
	}
	return "root"
}

// into adds who comes to a host by key.
func (b *builder) into(i int) {
	h := b.hosts[i]
	f := h.Facts
	if f.SSHD.Config.State == fact.Absent {
		return // no sshd
	}
	for _, home := range f.Keys.Homes {
		user := home.User.Name
		for _, k := range f.Keys.Authorized[user] {
			if k.Ended(f.Snap.Taken) {
				continue
			}
			holders := b.held[k.Fingerprint]
			if len(holders) == 0 {
				b.stranger(i, user, k)
			}
			for _, by := range holders {
				b.byKey(i, user, k, by)
			}
		}
	}
}

func keyWords(k fact.AuthorizedKey) string {
	if k.Comment == "" {
		return k.Fingerprint
	}
	return k.Fingerprint + " " + k.Comment
}

// byKey adds that whoever holds a key comes in with it.
func (b *builder) byKey(i int, user string, k fact.AuthorizedKey, by holder) {
	from, to := b.hosts[by.host], b.hosts[i]
	if by.host == i && by.user == user {
		return
	}
	e := Edge{
		From: id(by.user, from.Name), To: id(user, to.Name), How: Key, With: keyWords(k), Only: k.Command(),
		Place: k.Place.String(), Source: by.key.Place.Path,
	}
	best := false
	for _, addr := range between(from.Facts, to.Facts, by.host == i) {
		may, sure := k.From(addr)
		l, known := b.login(i, user, addr)
		if !may || known && (!l.Key || l.Refused != "") {
			continue
		}
		one := e
		if by.key.Lock == fact.Locked {
			one.Needs = "the passphrase of the key"
		}
		switch pass := to.Facts.Accounts.Passwords.V[user]; {
		case known && !l.KeyAlone && !pass.Empty && pass.Guessed == "":
			one.Needs = strings.TrimPrefix(one.Needs+" and the password of "+user, " and ")
		}
		switch {
		case !known:
			one.Unsure = "whether sshd lets " + user + " in is not known"
		case !sure:
			one.Unsure = "from= may keep it out"
		}
		if !best || one.Unsure == "" {
			best, e = true, one
		}
		if one.Unsure == "" {
			break
		}
	}
	if best {
		b.edges = append(b.edges, e)
	}
}

// stranger notes a key that nobody on these hosts holds.
func (b *builder) stranger(i int, user string, k fact.AuthorizedKey) {
	if l, known := b.login(i, user, netip.Addr{}); known && (!l.Key || l.Refused != "") {
		lets := false // from nearby it may be another matter
		for _, a := range b.hosts[i].Facts.Network.Addresses {
			near, ok := b.login(i, user, a.Addr.Addr())
			lets = lets || ok && near.Key && near.Refused == ""
		}
		if !lets {
			return
		}
	}
	at := slices.IndexFunc(b.out, func(o Outside) bool { return o.Print == k.Fingerprint && o.Only == k.Command() && o.From == k.Froms() })
	if at < 0 {
		at = len(b.out)
		b.out = append(b.out, Outside{Print: k.Fingerprint, Type: k.Type, Only: k.Command(), From: k.Froms()})
	}
	o := &b.out[at]
	o.Comment = cmp.Or(o.Comment, k.Comment)
	if to := id(user, b.hosts[i].Name); !slices.Contains(o.To, to) {
		o.To, o.Places = append(o.To, to), append(o.Places, k.Place.String())
	}
}

func (b *builder) outside() []Outside {
	slices.SortStableFunc(b.out, func(x, y Outside) int {
		return cmp.Or(cmp.Compare(len(y.To), len(x.To)), cmp.Compare(x.Comment, y.Comment), cmp.Compare(x.Print, y.Print), cmp.Compare(x.From, y.From), cmp.Compare(x.Only, y.Only))
	})
	return b.out
}

// login asks sshd once of each kind of login.
func (b *builder) login(i int, user string, from netip.Addr) (fact.Login, bool) {
	f := b.hosts[i].Facts
	if !f.ByAddress() {
		from = netip.Addr{}
	}
	k := loginKey{i, user, from}
	is, ok := b.logins[k]
	if !ok {
		is.login, is.known = f.LoginFrom(user, from)
		b.logins[k] = is
	}
	return is.login, is.known
}

// Between are the addresses from which one host comes to another, nil where that is not known.
func Between(from, to *fact.Host) []netip.Addr {
	all := between(from, to, false)
	if !all[0].IsValid() {
		return nil
	}
	return all
}

// between are the addresses from which one host comes to another: those in a network that both are in. Where there is none, or it
// is not known, it is the address that is not valid.
func between(from, to *fact.Host, same bool) (out []netip.Addr) {
	if same {
		out = append(out, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"))
	}
	for _, a := range from.Network.Addresses {
		at := a.Addr.Addr()
		if at.IsLoopback() {
			continue
		}
		if same || slices.ContainsFunc(to.Network.Addresses, func(o fact.Address) bool {
			return a.Addr.Masked() == o.Addr.Masked() && at != o.Addr.Addr() // docker0 is the same on all
		}) {
			out = append(out, at)
		}
	}
	if len(out) == 0 {
		return []netip.Addr{{}}
	}
	return out
}
