package change

// Policy is what the owner of a host has decided, as far as fixes need it. The zero
// value is that nothing was decided.
type Policy struct {
	SSHPort       int      // that sshd is to listen on; 0: the one it has
	SSHGroups     []string // that may log in over SSH
	SSHUsers      []string
	Ports         []Port   // that may be reached from other hosts
	WifiCountry   string   // two letters, as ISO 3166 has them
	UpdateWindow  string   // when updates are installed: 03:00-05:00
	UpdateReboot  *bool    // whether the host may start anew for them; nil: not decided
	SandboxExcept []string // services that get no sandbox
}

// Port is one that may be reached.
type Port struct {
	Number   int
	Protocol string // tcp or udp
	From     string // an address or network in CIDR form; "": from everywhere
}
