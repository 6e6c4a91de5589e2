package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var modeRepairs = map[string]repair{
	"files.secrets":     repairSecretFiles,
	"keys.private-mode": repairPrivateKeys,
	"keys.tls-keys":     repairTLSKeys,
	"wifi.secret-files": repairWifiFiles,
	"services.secrets-in-units": func(h *fact.Host, d *change.Draft) error {
		o := secretsInUnits(h)
		d.Leave("%s (%s): put it into a file that only root reads, name that with EnvironmentFile= in the unit (sudo systemctl edit UNIT), start the unit anew, and change the secret: everybody on this host could read it", o.Evidence[0].Found, o.Evidence[0].Place)
		return nil
	},
}

// shut takes a file's rights from all others. A service that reads it by them has to be in its group then; why is set where
// it is not known which that is.
func shut(h *fact.Host, d *change.Draft, e *snap.Entry) (why string, err error) {
	gid := e.GID
	if e.GID == 0 {
		name := reader(h, e)
		if name == "" {
			return fmt.Sprintf("which service reads %s is not known: sudo chgrp GROUP %[1]s && sudo chmod o-rwx %[1]s", e.Path), nil
		}
		i := slices.IndexFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.Name == name })
		if i < 0 {
			return fmt.Sprintf("%s is for the group %s, which is not there", e.Path, name), nil
		}
		gid = h.Accounts.Groups[i].GID
	}
	mode := e.Mode &^ 0o007
	if gid != e.GID {
		mode = mode&^0o070 | 0o040
	}
	return "", d.Permit(real(e), mode, e.UID, gid)
}

func real(e *snap.Entry) string {
	if e.Real != "" {
		return e.Real
	}
	return e.Path
}

// reader is the group of the service that reads one of root's files: called as its folder in /etc, or that of web servers.
// What lies in root's own home is for root. It is "" where that is not known.
func reader(h *fact.Host, e *snap.Entry) string {
	if name := readers(h, e); name != "" {
		return name
	}
	if strings.HasPrefix(e.Path, "/root/") || e.UID != 0 {
		return "root"
	}
	for _, web := range []string{"lighttpd", "nginx", "apache2", "pioreactor/"} {
		if strings.HasPrefix(e.Path, "/etc/"+web) {
			return "www-data"
		}
	}
	return ""
}

// repairSecretFiles closes them to other users. Whoever reads one as its owner or by its group still does.
func repairSecretFiles(h *fact.Host, d *change.Draft) error {
	for _, p := range slices.Concat(fact.SecretFiles, h.Composed.EnvFiles()) {
		es, _, _ := h.Snap.Glob(p)
		for _, e := range es {
			if _, closed, _ := fact.Shut(h.Snap, e.Path); e.Type != snap.File || e.Mode&0o006 == 0 || closed {
				continue
			}
			if why, err := shut(h, d, e); err != nil || why != "" {
				if why != "" {
					d.Leave("%s", why)
				}
				return err
			}
		}
	}
	return nil
}

// repairTLSKeys does the same for keys of services.
func repairTLSKeys(h *fact.Host, d *change.Draft) error {
	for _, f := range h.TLS.Files {
		if _, closed, _ := fact.Shut(h.Snap, real(f.Entry)); !f.Key || f.Entry.Mode&0o006 == 0 || closed {
			continue
		}
		if why, err := shut(h, d, f.Entry); err != nil || why != "" {
			if why != "" {
				d.Leave("%s. If others could read it: make a new key", why)
			}
			return err
		}
	}
	return nil
}

// repairPrivateKeys gives a private key to its user alone: with any other mode ssh does not take it anyway.
func repairPrivateKeys(h *fact.Host, d *change.Draft) error {
	for _, u := range h.Accounts.Users {
		for _, k := range h.Keys.Private[u.Name] {
			uid, gid := k.Entry.UID, k.Entry.GID
			if uid != u.UID && uid != 0 {
				uid, gid = u.UID, u.GID
			}
			if k.Entry.Mode&0o077 == 0 && uid == k.Entry.UID {
				continue
			}
			if err := d.Permit(real(k.Entry), k.Entry.Mode&0o700, uid, gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// repairWifiFiles gives them to root, whose programs read them. The group that they have may read on, but for those of
// NetworkManager, which ignores what is not root's alone.
func repairWifiFiles(h *fact.Host, d *change.Draft) error {
	o := wifiSecretFiles(h)
	if len(o.Evidence) >= maxFound {
		d.Leave("there are too many such files to change all of them at once")
		return nil
	}
	for _, ev := range o.Evidence {
		e, st, why := h.Snap.Stat(ev.Place)
		if st != fact.Known {
			d.Leave("%s", why)
			return nil
		}
		mode := e.Mode &^ 0o007
		if strings.HasPrefix(e.Path, "/etc/NetworkManager/") {
			mode = e.Mode & 0o700
		}
		if err := d.Permit(real(e), mode, 0, e.GID); err != nil {
			return err
		}
	}
	return nil
}
