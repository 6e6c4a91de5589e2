package check

import (
	"fmt"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var cardChecks = []Check{
	{"raspberry-pi.card-password", cardPassword,
		"the first account in userconf.txt, custom.toml, user-data and firstrun.sh of a card that was never started (/boot/firmware)"},
	{"raspberry-pi.card-ssh", cardSSH,
		"what turns SSH on at the first start, and whether it refuses passwords: ssh, custom.toml and user-data in /boot/firmware"},
	{"raspberry-pi.boot-plugins", bootPlugins,
		"packages in /boot/firmware/pioreactor/plugins, which are installed at the next start"},
}

// waiting is nil for a card that was never started.
func waiting(h *fact.Host) *control.Outcome {
	if h.Snap.Source.Kind == "image" {
		_, st, why := h.Snap.File("/etc/machine-id")
		switch {
		case h.Pi.NotStarted != "":
			return nil
		case st == fact.Denied || st == fact.Unknown:
			o := control.CannotTell("whether this card was ever started is not known: " + why)
			return &o
		case h.Boot.Next.Missing():
			o := control.CannotTell("whether this card was ever started is not known: " + h.Boot.Next.Why)
			return &o
		}
	}
	o := control.DoesNotApply("this is no card that waits for its first start")
	return &o
}

func cardPassword(h *fact.Host) control.Outcome {
	if o := waiting(h); o != nil {
		return *o
	}
	var bad []control.Evidence
	seen := 0
	for _, b := range h.Card().Secrets {
		weak := false
		for _, w := range []string{"factory password", "a common password", "the account's own name", "the host's name", "an empty password"} {
			weak = weak || strings.Contains(b.What, w)
		}
		switch {
		case strings.Contains(b.What, "Wi-Fi") || b.What == "a WEP key":
			continue
		case weak, b.What == "a password":
			found := b.What
			if !weak {
				found = "a password that is written out"
			}
			bad = append(bad, control.Saw("first account", b.Place, found, "the hash of one that nobody guesses, or only a key"))
		}
		seen++
	}
	switch {
	case len(bad) > 0:
		return persistentFail(fmt.Sprintf("the card will start with %s (%s)", bad[0].Found, bad[0].Place), bad...)
	case h.Pi.LeftWhy != "":
		return control.CannotTell(h.Pi.LeftWhy)
	case seen == 0:
		return judged(nil, "the card gives its first account no password").With(control.Saw("first account", fact.Place{Path: "/boot/firmware"}, "no password", ""))
	}
	return judged(nil, "the card holds the hash of a password that is not one of the usual ones").With(control.Saw("first account", fact.Place{Path: "/boot/firmware"}, "a hash", ""))
}

func cardSSH(h *fact.Host) control.Outcome {
	if o := waiting(h); o != nil {
		return *o
	}
	c := h.Card()
	switch {
	case c.SSH.Missing():
		return control.CannotTell(c.SSH.Why)
	case !c.SSH.Known():
		return judged(nil, "SSH stays off at the first start").With(control.Saw("SSH", fact.Place{Path: "/boot/firmware"}, "nothing turns it on", ""))
	case c.Refused.Known():
		return judged(nil, "SSH starts, and refuses passwords").With(control.Saw("SSH", c.Refused.Place, "no passwords", ""))
	case c.Refused.Missing():
		return control.CannotTell(c.Refused.Why)
	}
	return persistentFail("SSH is on from the first start, and takes passwords", control.Saw("SSH", c.SSH.Place, "turned on, and nothing refuses passwords", "keys only"))
}

func bootPlugins(h *fact.Host) control.Outcome {
	c := h.Card()
	if c.Plugins.Missing() {
		return control.CannotTell(asRoot(h, c.Plugins.Why))
	}
	var bad []control.Evidence
	for _, p := range c.Plugins.V {
		bad = append(bad, control.Saw("package", p, "is installed at the next start, by itself", "not there"))
	}
	if len(bad) > 0 {
		return persistentFail(bad[0].Place+" "+bad[0].Found, bad...)
	}
	return judged(nil, "nothing on the boot partition is installed by itself").With(control.Saw("packages", fact.Place{Path: "/boot/firmware/pioreactor/plugins"}, "none", ""))
}
