package fact

import (
	"slices"
	"strconv"
	"strings"
)

// What sshd takes as the value of an option; anything else and it refuses all
// of its files. From servconf.c of 9.2 and 10.0, and tried with both. Options
// that are not here (paths, lists, patterns) are not checked.
var (
	sshdYesNo = []string{
		"allowagentforwarding", "debianbanner", "disableforwarding", "exposeauthinfo", "gssapiauthentication",
		"gssapicleanupcredentials", "gssapikeyexchange", "gssapistorecredentialsonrekey", "gssapistrictacceptorcheck",
		"hostbasedauthentication", "hostbasedusesnamefrompacketonly", "ignoreuserknownhosts",
		"kbdinteractiveauthentication", "kerberosauthentication", "kerberosorlocalpasswd", "kerberosticketcleanup",
		"passwordauthentication", "permitemptypasswords", "permittty", "permituserrc", "printlastlog", "printmotd",
		"pubkeyauthentication", "refuseconnection", "streamlocalbindunlink", "strictmodes", "tcpkeepalive", "usedns",
		"usepam", "x11forwarding", "x11uselocalhost",
	}
	sshdWords = map[string][]string{
		"permitrootlogin":            {"yes", "no", "without-password", "prohibit-password", "forced-commands-only"},
		"compression":                {"yes", "no", "delayed"},
		"gatewayports":               {"yes", "no", "clientspecified"},
		"allowtcpforwarding":         {"yes", "no", "all", "local", "remote"},
		"allowstreamlocalforwarding": {"yes", "no", "all", "local", "remote"},
		"ignorerhosts":               {"yes", "no", "shosts-only"},
		"addressfamily":              {"inet", "inet6", "any"},
		"loglevel":                   {"quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"},
	}
	sshdNumbers = []string{"clientalivecountmax", "maxauthtries", "maxsessions", "requiredrsasize", "x11displayoffset"}
	sshdTimes   = []string{"clientaliveinterval", "logingracetime"}
)

// sshdRefuses says what sshd has against the value of an option; "" when
// nothing is known to be wrong.
func sshdRefuses(keyword string, values []string) string {
	words, number, span := sshdWords[keyword], slices.Contains(sshdNumbers, keyword), slices.Contains(sshdTimes, keyword)
	if slices.Contains(sshdYesNo, keyword) {
		words = []string{"yes", "no"}
	}
	v := values[0]
	switch {
	case len(words) == 0 && !number && !span:
		return ""
	case len(words) > 0 && !slices.Contains(words, strings.ToLower(v)):
		return strconv.Quote(v) + " is none of " + strings.Join(words, ", ")
	case number:
		if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 0 {
			return strconv.Quote(v) + " is not a number"
		}
	case span:
		if _, ok := SSHDSeconds(v); !ok {
			return strconv.Quote(v) + " is not a time"
		}
	}
	if len(values) > 1 {
		return "something follows the value: " + strconv.Quote(values[1])
	}
	return ""
}
