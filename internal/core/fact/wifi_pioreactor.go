package fact

import (
	"picket/internal/core/snap"
)

// A Pioreactor's access point is up when a file of this name is on the boot
// partition at a boot. Its unit then writes ssid, proto and passphrase of
// [local_access_point] into NetworkManager's PioreactorAP and starts that. So
// the keyfile is what is offered now, and config.ini what the next boot offers.
const pioreactorConnection = "PioreactorAP"

func (w *Wifi) pioreactor(s *snap.Snapshot, each func(string, func(*snap.Entry) []WifiNetwork)) {
	flag, off, unseen := Place{}, "there is no "+bootFolders[0]+pioreactorAP, ""
	for _, d := range bootFolders {
		e, st, why := s.Stat(d + pioreactorAP)
		if st == Known {
			flag, off, unseen = Place{Path: e.Path}, "", ""
			break
		}
		if st == Denied || st == Unknown {
			unseen = why
		}
	}
	var next *WifiNetwork
	for _, p := range pioreactors {
		each(p, func(e *snap.Entry) []WifiNetwork {
			for _, n := range readIniWifi(e, "local_access_point") {
				n.Source, n.Offered, n.Off = "Pioreactor", true, off
				if next == nil {
					next = &n
					continue
				}
				// The unit's own file goes over the shared one, key by key.
				if n.SSID != "" {
					next.SSID, next.Place = n.SSID, n.Place
				}
				if n.Secret != "" {
					next.Secret, next.Guessed, next.NotChecked, next.Place = n.Secret, n.Guessed, n.NotChecked, n.Place
				}
			}
			return nil
		})
	}
	if next == nil {
		return
	}
	if unseen != "" {
		w.Unread = append(w.Unread, unseen)
	}
	for i, n := range w.Networks {
		if n.Source == "NetworkManager" && n.Offered && isPioreactorAP(n.Place.Path) {
			next.FromBoot = true
			w.Networks[i].UntilBoot = flag.Path != ""
			if flag.Path != "" && n.Off == "autoconnect=false" {
				w.Networks[i].Off = ""
			}
		}
	}
	w.Networks = append(w.Networks, *next)
}

func isPioreactorAP(file string) bool {
	return snap.Match("/*/*/*/"+pioreactorConnection+"*", file)
}
