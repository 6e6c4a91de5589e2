package change

// Policy is what the owner of a host has decided, as far as fixes need it. The zero
// value is that nothing was decided.
type Policy struct {
	SSHPort       int       `json:"sshPort,omitempty"`   // that sshd is to listen on; 0: the one it has
	SSHGroups     []string  `json:"sshGroups,omitempty"` // that may log in over SSH
	SSHUsers      []string  `json:"sshUsers,omitempty"`
	Ports         []Port    `json:"ports,omitempty"`         // that may be reached from other hosts
	WifiCountry   string    `json:"wifiCountry,omitempty"`   // two letters, as ISO 3166 has them
	UpdateWindow  string    `json:"updateWindow,omitempty"`  // when updates are installed: 03:00-05:00
	UpdateReboot  *bool     `json:"updateReboot,omitempty"`  // whether the host may start anew for them; nil: not decided
	SandboxExcept []string  `json:"sandboxExcept,omitempty"` // services that get no sandbox
	Services      []Service `json:"services,omitempty"`
}

// Service is what the owner knows of one.
type Service struct {
	Unit   string   `json:"unit"`
	User   string   `json:"user,omitempty"`   // that it is to run as
	Writes []string `json:"writes,omitempty"` // files and folders that it writes to
	Health string   `json:"health,omitempty"` // a URL that answers, or a command that succeeds, as long as it works
}

// Service is what was decided about one, and whether something was.
func (p Policy) Service(unit string) (Service, bool) {
	for _, s := range p.Services {
		if s.Unit == unit {
			return s, true
		}
	}
	return Service{}, false
}

// Port is one that may be reached.
type Port struct {
	Number   int    `json:"number"`
	Protocol string `json:"protocol"`       // tcp or udp
	From     string `json:"from,omitempty"` // an address or network in CIDR form; "": from everywhere
}
