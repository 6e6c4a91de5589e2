package check

import (
	"path"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var appRepairs = map[string]repair{
	"apps.mosquitto-anonymous": repairAnonymous,
	"apps.pioreactor-flags":    repairFlags,
	"apps.pioreactor-plugins":  repairPlugins,
}

// repairAnonymous has each listener that others reach, and that knows passwords, ask for one. Settings that stand before the
// first listener are nobody's where each has its own: T9.
func repairAnonymous(h *fact.Host, d *change.Draft) error {
	b := h.Apps.Mosquitto()
	type place struct {
		path string
		line int
	}
	after := map[place]bool{}
	for _, l := range b.Listeners {
		if l.Local() || !l.Anonymous.Known() || l.Anonymous.V != "true" {
			continue
		}
		if !l.Passwords.Known() && !l.Plugin.Known() {
			d.Leave("nobody would get in any more, since %s has no password file. Make one first: sudo mosquitto_passwd -c /etc/mosquitto/passwd NAME, and `password_file /etc/mosquitto/passwd` behind every listener", l.Name())
			return nil
		}
		after[place{l.Anonymous.Place.Path, l.Anonymous.Place.Line}] = true
	}
	for p := range after {
		if err := d.Edit(p.path, 0o644, func(was []byte) ([]byte, error) {
			return edit.ReplaceOn(was, p.line, "true", "false")
		}); err != nil {
			return err
		}
	}
	if len(after) == 0 { // what it runs with is not what its settings say
		d.Do(change.Unit, "mosquitto.service", "restart")
		return nil
	}
	if o := mosquittoAnonymous(control.Drafted(d)); o.Verdict.Bad() {
		d.Leave("it would still be wrong: %s", o.Reason)
	}
	return nil
}

// repairFlags makes the flag files, all three: any one alone can be taken away over the web interface.
func repairFlags(h *fact.Host, d *change.Draft) error {
	owner, ok := h.Accounts.User("pioreactor")
	if !ok {
		d.Leave("there is no account pioreactor that they could belong to")
		return nil
	}
	for _, p := range []string{flagInstalls, flagUploads, flagFiles} {
		exists, wrong, st, why := flag(h, p)
		switch {
		case st == fact.Denied || st == fact.Unknown:
			d.Leave("%s", why)
			return nil
		case wrong != "":
			d.Leave("%s is %s, which somebody has put there: sudo rm -rf %s, then once more", path.Base(p), wrong, p)
			return nil
		case exists:
			continue
		}
		if err := d.Write(p, 0o644, ""); err != nil {
			return err
		}
		if err := d.Permit(p, 0o644, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	return nil
}

// repairPlugins takes the right to write from all others.
func repairPlugins(h *fact.Host, d *change.Draft) error {
	for _, p := range []string{dotPioreactor, dotPioreactor + "/plugins", dotPioreactor + "/plugins/*"} {
		es, _, _ := h.Snap.Glob(p)
		for _, e := range es {
			if e.Type == snap.Link || e.Mode&0o002 == 0 || strings.Contains(e.Path, "\n") {
				continue
			}
			if err := d.Permit(real(e), e.Mode&^0o002, e.UID, e.GID); err != nil {
				return err
			}
		}
	}
	return nil
}
