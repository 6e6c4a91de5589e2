package check

import (
	"fmt"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var tlsChecks = []Check{
	{"keys.tls-keys", tlsKeys,
		"modes and owners of private keys where services keep theirs, as /etc/ssl/private, /etc/mosquitto/certs and /etc/pioreactor/tls"},
	{"keys.certificates", certificates,
		"the last day of certificates where services keep theirs, as /etc/letsencrypt/live, /etc/nginx and /etc/pioreactor/tls"},
}

// tlsKeys finds private keys of services that any user can read: T15.
func tlsKeys(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	keys, unseen := 0, ""
	for _, f := range h.TLS.Files {
		if !f.Key {
			continue
		}
		keys++
		at := fact.Place{Path: f.Entry.Path}
		real := f.Entry.Path
		if f.Entry.Real != "" {
			real = f.Entry.Real
		}
		_, shut, hidden := fact.Shut(h.Snap, real)
		switch {
		case shut:
			continue
		case hidden != "":
			unseen = hidden
			continue
		}
		switch m := f.Entry.Mode; {
		case m&0o004 != 0:
			bad = append(bad, control.Saw("private TLS key "+f.Entry.Path, at, fmt.Sprintf("mode %04o: every user can read it", m), "0640 or less"))
		case m&0o002 != 0:
			bad = append(bad, control.Saw("private TLS key "+f.Entry.Path, at, fmt.Sprintf("mode %04o: every user can replace it", m), "0640 or less"))
		}
	}
	if len(bad) > 0 {
		return judged(bad, "")
	}
	switch {
	case h.TLS.State != fact.Known:
		return cannot(h.TLS.State, h.TLS.Why)
	case unseen != "":
		return cannot(fact.Denied, unseen)
	case keys == 0:
		return control.DoesNotApply("there is no private TLS key where services keep theirs")
	}
	return judged(nil, fmt.Sprintf("no user but root and the service reads the %d private TLS keys", keys))
}

// soon is how long before its end a certificate should have been renewed: a
// third of its life, and no more than a month, as ACME clients do, and a day
// for them to come round.
func soon(c fact.Certificate) time.Duration {
	return min(c.NotAfter.Sub(c.NotBefore)/3, 30*24*time.Hour) - 24*time.Hour
}

// certificates finds those that have run out or are about to: T15.
func certificates(h *fact.Host) control.Outcome {
	var over, near, good []control.Evidence
	for _, f := range h.TLS.Files {
		for _, c := range f.Certs {
			what, day := "certificate of "+c.Name, c.NotAfter.Format(time.DateOnly)
			switch left := c.NotAfter.Sub(h.Snap.Taken); {
			case left <= 0:
				over = append(over, control.Saw(what, c.Place, "ran out on "+day, "a certificate that counts today"))
			case left < soon(c):
				near = append(near, control.Saw(what, c.Place, "runs out on "+day, "renewed a month before, or in the last third of its life"))
			default:
				good = append(good, control.Saw(what, c.Place, "counts until "+day, ""))
			}
		}
	}
	switch bad := append(over, near...); {
	case len(bad) > 0:
		return judged(bad, "")
	case h.TLS.State != fact.Known:
		return cannot(h.TLS.State, h.TLS.Why)
	case len(good) == 0:
		return control.DoesNotApply("there is no certificate where services keep theirs")
	}
	return judged(nil, fmt.Sprintf("%d certificates are not near their end", len(good))).With(good[:min(len(good), maxFound)]...)
}
