package fact

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// sshdOption is what is known of one keyword.
type sshdOption struct {
	def     string // what Debian's sshd uses when nothing is set
	match   bool   // allowed in a Match block
	collect bool   // every line counts, not only the first
	last    bool   // the last line counts: tried with 9.2
}

// sshdOptions of OpenSSH 9.2 to 10.0 with Debian's additions. The defaults are
// what `sshd -T` printed with an empty file on Debian 12, but for the lists of
// algorithms, see sshdLists.
var sshdOptions = map[string]sshdOption{
	"acceptenv":                       {match: true, collect: true},
	"addressfamily":                   {def: "any"},
	"allowagentforwarding":            {def: "yes", match: true},
	"allowgroups":                     {match: true, collect: true},
	"allowstreamlocalforwarding":      {def: "yes", match: true},
	"allowtcpforwarding":              {def: "yes", match: true},
	"allowusers":                      {match: true, collect: true},
	"authenticationmethods":           {def: "any", match: true},
	"authorizedkeyscommand":           {def: "none", match: true},
	"authorizedkeyscommanduser":       {def: "none", match: true},
	"authorizedkeysfile":              {def: ".ssh/authorized_keys .ssh/authorized_keys2", match: true},
	"authorizedprincipalscommand":     {def: "none", match: true},
	"authorizedprincipalscommanduser": {def: "none", match: true},
	"authorizedprincipalsfile":        {def: "none", match: true},
	"banner":                          {def: "none", match: true},
	"casignaturealgorithms":           {match: true},
	"channeltimeout":                  {def: "none", match: true},
	"chrootdirectory":                 {def: "none", match: true},
	"ciphers":                         {},
	"clientalivecountmax":             {def: "3", match: true},
	"clientaliveinterval":             {def: "0", match: true},
	"compression":                     {def: "yes"},
	"debianbanner":                    {def: "yes"},
	"denygroups":                      {match: true, collect: true},
	"denyusers":                       {match: true, collect: true},
	"disableforwarding":               {def: "no", match: true},
	"exposeauthinfo":                  {def: "no", match: true},
	"fingerprinthash":                 {def: "SHA256"},
	"forcecommand":                    {def: "none", match: true},
	"gatewayports":                    {def: "no", match: true},
	"gssapiauthentication":            {def: "no", match: true},
	"gssapicleanupcredentials":        {def: "yes"},
	"gssapikeyexchange":               {def: "no"},
	"gssapikexalgorithms":             {},
	"gssapistorecredentialsonrekey":   {def: "no"},
	"gssapistrictacceptorcheck":       {def: "yes"},
	"hostbasedacceptedalgorithms":     {match: true},
	"hostbasedauthentication":         {def: "no", match: true},
	"hostbasedusesnamefrompacketonly": {def: "no", match: true},
	"hostcertificate":                 {collect: true},
	"hostkey":                         {def: "/etc/ssh/ssh_host_rsa_key\n/etc/ssh/ssh_host_ecdsa_key\n/etc/ssh/ssh_host_ed25519_key", collect: true},
	"hostkeyagent":                    {def: "none"},
	"hostkeyalgorithms":               {},
	"ignorerhosts":                    {def: "yes", match: true},
	"ignoreuserknownhosts":            {def: "no"},
	"ipqos":                           {def: "lowdelay throughput", match: true},
	"kbdinteractiveauthentication":    {def: "yes", match: true},
	"kerberosauthentication":          {def: "no", match: true},
	"kerberosgetafstoken":             {def: "no"},
	"kerberosorlocalpasswd":           {def: "yes"},
	"kerberosticketcleanup":           {def: "yes"},
	"kexalgorithms":                   {},
	"listenaddress":                   {def: "0.0.0.0\n::", collect: true},
	"logingracetime":                  {def: "120"},
	"loglevel":                        {def: "INFO", match: true},
	"logverbose":                      {def: "none"},
	"macs":                            {},
	"maxauthtries":                    {def: "6", match: true},
	"maxsessions":                     {def: "10", match: true},
	"maxstartups":                     {def: "10:30:100", last: true},
	"modulifile":                      {def: "/etc/ssh/moduli"},
	"pamservicename":                  {def: "sshd", match: true},
	"passwordauthentication":          {def: "yes", match: true},
	"permitemptypasswords":            {def: "no", match: true},
	"permitlisten":                    {def: "any", match: true},
	"permitopen":                      {def: "any", match: true},
	"permitrootlogin":                 {def: "without-password", match: true},
	"permittty":                       {def: "yes", match: true},
	"permittunnel":                    {def: "no", match: true},
	"permituserenvironment":           {def: "no"},
	"permituserrc":                    {def: "yes", match: true},
	"persourcemaxstartups":            {def: "none", last: true},
	"persourcenetblocksize":           {def: "32:128", last: true},
	"persourcepenalties":              {},
	"persourcepenaltyexemptlist":      {def: "none"},
	"pidfile":                         {def: "/run/sshd.pid"},
	"port":                            {def: "22", collect: true},
	"printlastlog":                    {def: "yes"},
	"printmotd":                       {def: "yes"},
	"pubkeyacceptedalgorithms":        {match: true},
	"pubkeyauthentication":            {def: "yes", match: true},
	"pubkeyauthoptions":               {def: "none", match: true},
	"rdomain":                         {def: "none", match: true},
	"refuseconnection":                {def: "no", match: true},
	"rekeylimit":                      {def: "0 0", match: true},
	"requiredrsasize":                 {def: "1024", match: true},
	"revokedkeys":                     {def: "none", match: true},
	"securitykeyprovider":             {def: "internal"},
	"setenv":                          {match: true},
	"sshdauthpath":                    {},
	"sshdsessionpath":                 {},
	"streamlocalbindmask":             {def: "0177", match: true},
	"streamlocalbindunlink":           {def: "no", match: true},
	"strictmodes":                     {def: "yes"},
	"subsystem":                       {collect: true, match: true},
	"syslogfacility":                  {def: "AUTH"},
	"tcpkeepalive":                    {def: "yes"},
	"trustedusercakeys":               {def: "none", match: true},
	"unusedconnectiontimeout":         {def: "none", match: true},
	"usedns":                          {def: "no"},
	"usepam":                          {def: "no"},
	"versionaddendum":                 {def: "none"},
	"x11displayoffset":                {def: "10", match: true},
	"x11forwarding":                   {def: "no", match: true},
	"x11maxdisplays":                  {def: "1000", match: true},
	"x11uselocalhost":                 {def: "yes", match: true},
	"xauthlocation":                   {def: "/usr/bin/xauth"},
	// Accepted with a warning, without effect.
	"keyregenerationinterval":    {},
	"protocol":                   {},
	"rhostsrsaauthentication":    {},
	"rsaauthentication":          {},
	"serverkeybits":              {},
	"uselogin":                   {},
	"useprivilegeseparation":     {},
	"pamauthenticationviakbdint": {},
	"reversemappingcheck":        {},
	"afstokenpassing":            {},
	"kerberostgtpassing":         {},
}

// sshdAliases are other names of options.
var sshdAliases = map[string]string{
	"challengeresponseauthentication": "kbdinteractiveauthentication",
	"skeyauthentication":              "kbdinteractiveauthentication",
	"dsaauthentication":               "pubkeyauthentication",
	"authorizedkeysfile2":             "authorizedkeysfile",
	"hostdsakey":                      "hostkey",
	"hostbasedacceptedkeytypes":       "hostbasedacceptedalgorithms",
	"pubkeyacceptedkeytypes":          "pubkeyacceptedalgorithms",
	"keepalive":                       "tcpkeepalive",
	"verifyreversemapping":            "usedns",
	"gssusesessioncredcache":          "gssapicleanupcredentials",
}

// sshdSince are names that sshd did not know before a version, which is in its
// release notes: 902 is 9.2. An sshd that does not know a name does not start.
var sshdSince = map[string]int{
	"channeltimeout":              902,
	"hostbasedacceptedalgorithms": 805,
	"logverbose":                  805,
	"modulifile":                  805,
	"pamservicename":              908,
	"persourcemaxstartups":        805,
	"persourcenetblocksize":       805,
	"persourcepenalties":          908,
	"persourcepenaltyexemptlist":  908,
	"pubkeyacceptedalgorithms":    805,
	"refuseconnection":            909,
	"requiredrsasize":             901,
	"sshdauthpath":                1000,
	"sshdsessionpath":             908,
	"unusedconnectiontimeout":     902,
}

// Lacks tells of an option that this sshd does not have, by no name: why, or "".
func (c SSHDConfig) Lacks(option string) string {
	keyword := SSHDKeyword(option)
	since := sshdSince[keyword]
	for _, name := range sshdAliases {
		if name == keyword {
			return "" // it had an older name
		}
	}
	if c.Version == 0 || since <= c.Version {
		return ""
	}
	return fmt.Sprintf("sshd has %s since OpenSSH %s, and this is %s", option, versionText(since), versionText(c.Version))
}

func versionText(v int) string { return fmt.Sprintf("%d.%d", v/100, v%100) }

// SSHDKeyword is the name that `sshd -T` uses for an option.
func SSHDKeyword(s string) string {
	s = strings.ToLower(s)
	if a, ok := sshdAliases[s]; ok {
		return a
	}
	return s
}

// KnownSSHDOption reports whether sshd has an option of this name.
func KnownSSHDOption(s string) bool {
	_, ok := sshdOptions[SSHDKeyword(s)]
	return ok
}

// SSHDOptionInMatch reports whether an option may differ from login to login.
func SSHDOptionInMatch(s string) bool { return sshdOptions[SSHDKeyword(s)].match }

// SSHDOptionCollects reports whether every line of an option counts.
func SSHDOptionCollects(s string) bool { return sshdOptions[SSHDKeyword(s)].collect }

// DisablesForwarding reports whether DisableForwarding also turns off X11 and
// agents, which it did not before 10.0 (CVE-2025-32728) and Debian 12's repair.
func (h *Host) DisablesForwarding() bool {
	v := h.Packages.All["openssh-server"].Version
	if h.SSHD.Config.Version >= 1000 {
		return true
	}
	_, after, ok := strings.Cut(v, "9.2p1-2+deb12u")
	if i := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		after = after[:i]
	}
	n, err := strconv.Atoi(after)
	return ok && err == nil && n >= 6
}

// SSHDFound is what the files say of one option for one login.
type SSHDFound struct {
	Values  []string      // canonical, one for each line that sshd -T would print
	By      []SSHDSetting // the lines that decide; empty: the default
	Others  []SSHDSetting // lines that set it too, outside every Match, and lose
	Unknown string        // why the default is not known; "" when it is
}

func (f SSHDFound) all() []SSHDSetting { return slices.Concat(f.By, f.Others) }

// Explicit reports whether a line sets the option.
func (f SSHDFound) Explicit() bool { return len(f.By) > 0 }

// Find resolves an option for a login.
func (c SSHDConfig) Find(w SSHDWho, keyword string) SSHDFound {
	keyword = SSHDKeyword(keyword)
	if keyword != "kbdinteractiveauthentication" || c.Version == 0 || c.Version >= 807 {
		return c.find(w, keyword, func(s SSHDSetting) bool { return s.Keyword == keyword })
	}
	// Before 8.7 ChallengeResponseAuthentication was an option of its own, on by
	// itself, and keyboard-interactive on with it, whatever is said of that.
	older := func(s SSHDSetting) bool { return s.Keyword == keyword && !strings.EqualFold(s.Written, keyword) }
	f := c.find(w, keyword, older)
	if slices.Equal(f.Values, []string{"no"}) {
		own := c.find(w, keyword, func(s SSHDSetting) bool { return s.Keyword == keyword && !older(s) })
		if own.Explicit() {
			return own
		}
	}
	return f
}

// find is Find among the lines of which is says that they set the option.
func (c SSHDConfig) find(w SSHDWho, keyword string, is func(SSHDSetting) bool) SSHDFound {
	o := sshdOptions[keyword]
	var global, matched []SSHDSetting
	for _, s := range c.Settings {
		if !is(s) {
			continue
		}
		if c.everybody(s.Match) {
			global = append(global, s)
		}
		if len(s.Match) > 0 && o.match && c.apply(s.Match, w) {
			matched = append(matched, s)
		}
	}
	if slices.ContainsFunc(global, func(s SSHDSetting) bool { return s.Written == "-p" }) {
		// Ports of the command line take the place of those of the files.
		global = slices.DeleteFunc(global, func(s SSHDSetting) bool { return !s.Start })
	}
	var f SSHDFound
	f.By = global
	if len(matched) > 0 {
		f.By = matched
		f.Others = slices.DeleteFunc(slices.Clone(global), func(s SSHDSetting) bool { return len(s.Match) > 0 })
	}
	if o.last && (keyword != "persourcemaxstartups" || c.Version < 1000) {
		f.By = slices.Clone(f.By)
		slices.Reverse(f.By)
	}
	if !o.collect && len(f.By) > 1 {
		f.Others = slices.Concat(f.By[1:], f.Others)
		f.By = f.By[:1]
	}
	if keyword == "rekeylimit" && len(f.By) > 0 {
		// Its two parts are won one by one, and a second part of none is no value.
		for _, s := range slices.Concat(matched, global) {
			if len(s.Values) > 1 && s.Values[1] != "none" {
				f.Values = []string{rekey([]string{f.By[0].Values[0], s.Values[1]})}
				return f
			}
		}
	}
	for _, s := range f.By {
		f.Values = append(f.Values, c.canonical(keyword, s.Values)...)
	}
	if len(f.By) == 0 {
		f.Values, f.Unknown = c.fallback(keyword)
	}
	return f
}

// apply tells whether all blocks hold for a login.
func (c SSHDConfig) apply(blocks []int, w SSHDWho) bool {
	for _, b := range blocks {
		if !c.Matches[b].applies(w) {
			return false
		}
	}
	return true
}

// everybody reports whether blocks are for everybody: none, or Match all only.
func (c SSHDConfig) everybody(blocks []int) bool {
	for _, b := range blocks {
		if cr := c.Matches[b].Criteria; len(cr) != 1 || cr[0].Name != "all" {
			return false
		}
	}
	return true
}

// TellsUsers reports whether a Match is for some users or groups.
func (c SSHDConfig) TellsUsers() bool {
	return slices.ContainsFunc(c.Matches, func(m SSHDMatch) bool {
		return slices.ContainsFunc(m.Criteria, func(cr SSHDCriterion) bool { return cr.Name == "user" || cr.Name == "group" })
	})
}

// Block is the Match of a setting for a person: "" outside any.
func (c SSHDConfig) Block(s SSHDSetting) string {
	if len(s.Match) == 0 {
		return ""
	}
	m := c.Matches[s.Match[len(s.Match)-1]]
	return "Match " + m.Text
}

func (c SSHDConfig) fallback(keyword string) ([]string, string) {
	if list, ok := c.defaultList(keyword); ok {
		return []string{strings.Join(list, ",")}, ""
	}
	if _, ok := sshdLists[keyword]; ok {
		return nil, "what this version of sshd offers by itself is not known"
	}
	if keyword == "ipqos" && c.Version >= 1000 {
		return []string{"ef cs1"}, ""
	}
	if def := sshdOptions[keyword].def; def != "" {
		return strings.Split(def, "\n"), ""
	}
	return nil, ""
}

// canonical writes arguments as sshd -T prints them: one element a line.
func (c SSHDConfig) canonical(keyword string, args []string) []string {
	one := strings.Join(args, " ")
	low := strings.ToLower(one)
	if _, ok := sshdLists[keyword]; ok {
		return []string{c.list(keyword, one)}
	}
	switch keyword {
	case "acceptenv", "allowusers", "allowgroups", "denyusers", "denygroups", "setenv":
		return args
	case "permitlisten":
		out := slices.Clone(args)
		for i, a := range out {
			if _, err := strconv.Atoi(a); err == nil {
				out[i] = "*:" + a
			}
		}
		return []string{strings.Join(out, " ")}
	case "permitrootlogin":
		if low == "prohibit-password" {
			return []string{"without-password"}
		}
		return []string{low}
	case "logingracetime", "clientaliveinterval":
		if n, ok := SSHDSeconds(one); ok {
			return []string{strconv.Itoa(n)}
		}
	case "maxstartups":
		if !strings.Contains(one, ":") {
			return []string{one + ":30:" + one}
		}
	case "compression":
		if low == "delayed" {
			return []string{"yes"}
		}
		return []string{low}
	case "loglevel", "syslogfacility":
		if low == "debug1" {
			return []string{"DEBUG"}
		}
		return []string{strings.ToUpper(one)}
	case "rekeylimit":
		return []string{rekey(args)}
	case "allowtcpforwarding", "allowstreamlocalforwarding":
		switch low {
		case "all":
			return []string{"yes"}
		case "none":
			return []string{"no"}
		}
		return []string{low}
	}
	if sshdWords[keyword] != nil || low == "yes" || low == "no" || low == "none" || low == "any" {
		return []string{low}
	}
	return []string{one}
}

// rekey writes a RekeyLimit as bytes and seconds.
func rekey(args []string) string {
	out := []string{"0", "0"}
	if len(args) > 0 && !strings.EqualFold(args[0], "default") {
		n := args[0]
		shift := 0
		if i := strings.IndexAny(n, "kKmMgG"); i == len(n)-1 && i > 0 {
			shift = map[byte]int{'k': 10, 'm': 20, 'g': 30}[n[i]|0x20]
			n = n[:i]
		}
		if b, err := strconv.ParseInt(n, 10, 32); err == nil {
			out[0] = strconv.FormatInt(b<<shift, 10)
		} else {
			out[0] = args[0]
		}
	}
	if len(args) > 1 && !strings.EqualFold(args[1], "none") {
		out[1] = args[1]
		if n, ok := SSHDSeconds(args[1]); ok {
			out[1] = strconv.Itoa(n)
		}
	}
	return strings.Join(out, " ")
}

// SSHDSeconds reads a time of sshd: 90, 2m, 1h30m. As sshd does, it takes no
// more than 32 bits hold; an int of ours is no longer than that on a Pi Zero.
func SSHDSeconds(s string) (int, bool) {
	total, n, digits := int64(0), int64(0), false
	for _, r := range strings.ToLower(s) {
		if r >= '0' && r <= '9' {
			if n = n*10 + int64(r-'0'); n > math.MaxInt32 {
				return 0, false
			}
			digits = true
			continue
		}
		unit, ok := map[rune]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}[r]
		if !ok || !digits {
			return 0, false
		}
		if total += n * unit; total > math.MaxInt32 {
			return 0, false
		}
		n, digits = 0, false
	}
	total += n
	if total > math.MaxInt32 {
		return 0, false
	}
	return int(total), s != "" && (digits || total > 0 || strings.HasPrefix(s, "0"))
}

// opensshVersion reads 902 from 1:9.2p1-2+deb12u6, 0 when it cannot.
func opensshVersion(debian string) int {
	if _, after, ok := strings.Cut(debian, ":"); ok {
		debian = after
	}
	v, _, _ := strings.Cut(debian, "p")
	major, minor, _ := strings.Cut(v, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if err != nil || err2 != nil || a < 0 || a > 99 || b < 0 || b > 99 {
		return 0
	}
	return a*100 + b
}

// Canonical are the values of one line as sshd -T would print them.
func (c SSHDConfig) Canonical(s SSHDSetting) []string { return c.canonical(s.Keyword, s.Values) }
