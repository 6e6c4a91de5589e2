package fact

import (
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Wifi is what the host knows of wireless networks: those it joins, those it
// offers, and what its radios do now.
type Wifi struct {
	Networks []WifiNetwork
	Unread   []string // why a file with networks could not be read or understood
	// Countries are those that wpa_supplicant and hostapd are told, as "DE"; the key is how the file calls it.
	Countries []Setting
	Radios    Value[[]Radio]
	Links     []WifiLink // of running interfaces
	LinksWhy  string     // why no interface could be asked
}

// A WifiNetwork is one network in one settings file.
type WifiNetwork struct {
	SSID    string
	Source  string // who reads the file: wpa_supplicant, NetworkManager, netplan, hostapd, ifupdown, Pioreactor, first boot
	Offered bool   // an access point of this host; else a network that it joins
	Place   Place
	WifiSecurity
	Secret     string // how the secret is kept: "passphrase", "hashed passphrase", "WEP key", "password", "" when there is none here
	Guessed    string // what the secret turned out to be: "factory password"; never the secret
	NotChecked string // why the first guesses were not tried on it
	Unverified bool   // EAP, and the server's certificate is not checked
	Off        string // why the host does not use it by itself: "autoconnect=false"
	Ignored    string // why the program does not read it at all
	FromBoot   bool   // what the next boot will set up, not in force yet
	UntilBoot  bool   // in force now; the next boot sets up another one in its place
}

// InUse reports whether the host joins or offers the network by itself.
func (n WifiNetwork) InUse() bool { return n.Off == "" && n.Ignored == "" }

// Name is the network's name as a person may read it.
func (n WifiNetwork) Name() string {
	if n.SSID == "" {
		return "(any network)"
	}
	return n.SSID
}

// A Radio is one wireless transmitter of the host.
type Radio struct {
	Name  string // wlan0, hci0
	Kind  string // wlan, bluetooth
	Off   string // "" when it may send; else "blocked by software" or "by a switch"
	Place Place
}

// keyfileDirs are NetworkManager's folders, less /run, where netplan puts what
// its own files already say.
var keyfileDirs = []string{"/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections"}

// Paired are the folders of devices that know this host by Bluetooth.
const Paired = "/var/lib/bluetooth/*/*"

const (
	hostapdConf  = "/etc/hostapd/hostapd.conf"
	hostapdMore  = "/etc/hostapd/*.conf"
	supplicants  = "/etc/wpa_supplicant/*.conf"
	interfaces   = "/etc/network/interfaces"
	interfacesD  = "/etc/network/interfaces.d/*"
	pioreactorAP = "/local_access_point" // on the boot partition: the access point is on
)

var (
	netplanFiles = []string{"/etc/netplan/*.yaml", "/run/netplan/*.yaml", "/lib/netplan/*.yaml"}
	bootFolders  = []string{"/boot/firmware", "/boot"}
	pioreactors  = []string{"/home/*/.pioreactor/config.ini", "/home/*/.pioreactor/unit_config.ini"}
	// bootWifi are files on the boot partition that name a network.
	bootWifi = []string{"/network-config", "/wifi.ini", "/wpa_supplicant.conf"}
)

func askWifi(_ *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: slices.Concat([]string{hostapdMore, supplicants, interfaces, interfacesD}, netplanFiles, pioreactors),
		Stats: []string{phys, Paired, "/etc/hostapd/*.psk", "/etc/hostapd.wpa_psk"},
	}
	for _, d := range keyfileDirs {
		m.Files = append(m.Files, d+"/*")
	}
	for _, d := range bootFolders {
		for _, f := range bootWifi {
			m.Files = append(m.Files, d+f)
		}
		m.Stats = append(m.Stats, d+pioreactorAP)
	}
	m.Files = append(m.Files, rfkill...)
	m.Add(askLinks(s))
	return m
}

func parseWifi(h *Host, s *snap.Snapshot) {
	w := &h.Wifi
	each := func(pattern string, read func(*snap.Entry) []WifiNetwork) {
		es, st, why := s.Glob(pattern)
		if st == Denied || st == Unknown {
			w.Unread = append(w.Unread, why)
		}
		for _, e := range es {
			switch {
			case e.Denied != "":
				w.Unread = append(w.Unread, e.Denied)
			case e.Read:
				if why := notRead(e); why != "" {
					w.Unread = append(w.Unread, why)
				}
				w.Networks = append(w.Networks, read(e)...)
			}
		}
	}
	each(supplicants, func(e *snap.Entry) []WifiNetwork {
		w.country(scanWifi(supplicantForm, lines(e)), "country")
		return readSupplicant(e)
	})
	each(hostapdMore, func(e *snap.Entry) []WifiNetwork {
		if hostapdOff(h, e.Path) == "" {
			w.country(scanWifi(hostapdForm, lines(e)), "country-code")
		}
		return readHostapd(h, s, e)
	})
	each(interfaces, readInterfaces)
	each(interfacesD, readInterfaces)
	for _, d := range keyfileDirs {
		each(d+"/*", readKeyfile)
	}
	for _, p := range netplanFiles {
		each(p, func(e *snap.Entry) []WifiNetwork { return readNetplan(e, "netplan") })
	}
	w.pioreactor(s, each)
	waits := notStarted(h, s) != ""
	for _, d := range bootFolders {
		if d == "/boot" && sameFolder(s) {
			break
		}
		each(d+"/network-config", func(e *snap.Entry) []WifiNetwork { return firstBoot(readNetplan(e, "first boot"), waits) })
		each(d+"/wpa_supplicant.conf", func(e *snap.Entry) []WifiNetwork { return firstBoot(readSupplicant(e), waits) })
		each(d+"/wifi.ini", func(e *snap.Entry) []WifiNetwork { return firstBoot(readIniWifi(e, "wifi"), waits) })
	}
	slices.Sort(w.Unread)
	w.Unread = slices.Compact(w.Unread)
	w.Radios = radios(s)
	w.links(s)
}

// country takes the last line of a file that names the country.
func (w *Wifi) country(scan []wifiLine, key string) {
	for _, l := range slices.Backward(scan) {
		if l.key == key && l.block == 0 {
			w.Countries = append(w.Countries, Setting{Key: l.raw, Value: strings.ToUpper(l.value), Place: l.at})
			return
		}
	}
}

// sameFolder tells whether /boot is only another name of /boot/firmware.
func sameFolder(s *snap.Snapshot) bool {
	e, st, _ := s.Stat("/boot/network-config")
	return st == Known && strings.HasPrefix(e.Real, "/boot/firmware/")
}

// firstBoot marks networks of files that are read once, at the first start;
// waits is whether that is still to come.
func firstBoot(ns []WifiNetwork, waits bool) []WifiNetwork {
	for i := range ns {
		ns[i].Source = "first boot"
		if ns[i].Off == "" && !waits {
			ns[i].Off = "it is read at the first start only"
		}
	}
	return ns
}

// Saved are the networks that the host joins, Offered its access points.
func (w Wifi) Saved() []WifiNetwork   { return w.pick(false) }
func (w Wifi) Offered() []WifiNetwork { return w.pick(true) }

func (w Wifi) pick(offered bool) []WifiNetwork {
	var out []WifiNetwork
	for _, n := range w.Networks {
		if n.Offered == offered {
			out = append(out, n)
		}
	}
	return out
}

// Files are the settings files that exist and may hold a Wi-Fi secret.
func (w Wifi) Files(s *snap.Snapshot) (es []*snap.Entry, unseen string) {
	patterns := slices.Concat([]string{supplicants, hostapdMore, "/etc/hostapd/*.psk", "/etc/hostapd.wpa_psk"}, netplanFiles[:1])
	for _, d := range keyfileDirs[:1] {
		patterns = append(patterns, d+"/*")
	}
	for _, p := range patterns {
		found, st, why := s.Glob(p)
		if st == Denied {
			unseen = why
		}
		for _, e := range found {
			if e.Type == snap.File || e.Type == snap.Link {
				es = append(es, e)
			}
		}
	}
	return es, unseen
}
