package remote

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Hinter is an error that knows what to do next.
type Hinter interface {
	error
	Hint() string
}

// A Stage is how far a connection came.
type Stage int

// The stages, in their order.
const (
	Connecting Stage = iota // nothing has answered
	Greeting                // connected; the host has yet to say who it is
	Exchanging              // it speaks SSH; its key is not known yet
	LoggingIn               // the host key was right
)

// UnreachableError says that no SSH server answered, or that it stopped doing so.
type UnreachableError struct {
	Target  Target
	Within  time.Duration // the time that it had
	Stage   Stage
	Refused bool   // something answered that nothing listens there
	Tries   int    // as the host hung up before it said anything
	Said    string // by the host, in place of a greeting
	Err     error
}

func (e *UnreachableError) Error() string {
	var dns *net.DNSError
	var open *ssh.OpenChannelError
	said := ""
	if e.Said != "" {
		said = fmt.Sprintf(" (it said %q)", e.Said)
	}
	switch {
	case e.Refused:
		return fmt.Sprintf("%s: connection refused: no SSH server listens on port %d", e.Target, e.Target.port())
	case errors.As(e.Err, &open):
		return fmt.Sprintf("%s: %s cannot connect to it: %s", e.Target, e.Target.before(), openWhy(open))
	case errors.As(e.Err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("%s: there is no host named %s", e.Target, e.Target.Host)
	case errors.As(e.Err, &dns):
		return fmt.Sprintf("%s: the name %s could not be looked up: no name server answers", e.Target, e.Target.Host)
	case errors.Is(e.Err, syscall.EHOSTUNREACH), errors.Is(e.Err, syscall.ENETUNREACH):
		return fmt.Sprintf("%s: no machine answers at this address", e.Target)
	case timedOut(e.Err):
		switch e.Stage {
		case Greeting:
			return fmt.Sprintf("%s: the host took the connection and said nothing within %s%s", e.Target, e.Within, said)
		case Exchanging:
			return fmt.Sprintf("%s: the host said who it is and then hung, before it showed its key: no answer within %s", e.Target, e.Within)
		case LoggingIn:
			return fmt.Sprintf("%s: the host hung during the login: no answer within %s", e.Target, e.Within)
		}
		return fmt.Sprintf("%s: no answer within %s", e.Target, e.Within)
	case hungUp(e.Err) && e.Stage == LoggingIn:
		return fmt.Sprintf("%s: the host closed the connection during the login", e.Target)
	case hungUp(e.Err):
		tries := ""
		if e.Tries > 1 {
			tries = fmt.Sprintf(", %d times within %s", e.Tries, e.Within)
		}
		return fmt.Sprintf("%s: the host closed the connection before the login%s%s", e.Target, tries, said)
	}
	return fmt.Sprintf("%s: %v", e.Target, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// turnedAway tells a host that takes no more logins just now.
func (e *UnreachableError) turnedAway() bool {
	return e.Stage == Greeting && hungUp(e.Err) && (e.Said == "" || strings.Contains(e.Said, "MaxStartups"))
}

// Hint says what to look at.
func (e *UnreachableError) Hint() string {
	var dns *net.DNSError
	var open *ssh.OpenChannelError
	switch {
	case e.Refused:
		return "is sshd running there, and on this port? On the host: systemctl status ssh"
	case errors.As(e.Err, &open) && open.Reason == ssh.Prohibited:
		return "its sshd passes no connections on; on it, as root: sshd -T | grep -i -e forwarding -e permitopen\n" +
			"wanted there is AllowTcpForwarding yes, and a key without restrict or no-port-forwarding"
	case errors.As(e.Err, &dns) && strings.HasSuffix(e.Target.Host, ".local"):
		return "names in .local are found by mDNS, which only the system speaks; the address works: getent hosts " + e.Target.Host
	case errors.As(e.Err, &dns):
		return "is the name right? With the address it works without a name server: " + strings.Replace(e.Target.String(), e.Target.Host, "192.168.…", 1)
	case penalised(e.Said):
		return "sshd there keeps this address out for some minutes, for logins that failed (PerSourcePenalties); on the host: journalctl -u ssh -n 20"
	case hungUp(e.Err) && e.Stage == Greeting:
		return "either its sshd has all the logins going on that it takes at once (MaxStartups): try again later, or with fewer at once;\n" +
			"or it keeps this address out (/etc/hosts.deny, a ban); on the host: journalctl -u ssh -n 20"
	case e.Stage > Connecting:
		return "is the host overloaded, its disk full or its memory short? On its console: journalctl -u ssh -n 20"
	case e.Target.via != "":
		return "is the host on, and can it be reached from there? " + e.Target.before().command("ssh") + " ping -c 3 " + e.Target.Host
	}
	return "is the host on, and can it be reached from here? ping " + e.Target.Host
}

// openWhy is why a host on the way did not connect to the next one.
func openWhy(open *ssh.OpenChannelError) string {
	switch {
	case open.Reason == ssh.Prohibited:
		return "it is not allowed to"
	case open.Message == "":
		return "it does not say why"
	}
	return printable(lowerFirst(open.Message[:min(len(open.Message), 200)]))
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// penalised tells what OpenSSH says to an address that it keeps out for a while.
func penalised(said string) bool { return strings.Contains(said, "Not allowed at this time") }

// hungUp tells that the host closed the connection; the library closes it, too,
// when it could not be written to.
func hungUp(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// HopError says that a host on the way to the target could not be passed.
type HopError struct {
	Target Target
	Err    error // names the host, and may have a hint
}

func (e *HopError) Error() string {
	return fmt.Sprintf("%s: on the way there: %v", e.Target, e.Err)
}

func (e *HopError) Unwrap() error { return e.Err }

// Hint says what to do about the host on the way.
func (e *HopError) Hint() string {
	var h Hinter
	if errors.As(e.Err, &h) {
		return h.Hint()
	}
	return "try it by hand: " + e.Target.command("ssh")
}

// SessionError says that the host let us in and runs nothing for us.
type SessionError struct {
	Target Target
	Err    error
}

func (e *SessionError) Error() string {
	var open *ssh.OpenChannelError
	switch {
	case errors.As(e.Err, &open):
		return fmt.Sprintf("%s: the host takes the login and opens no session: %s", e.Target, openWhy(open))
	case timedOut(e.Err):
		return fmt.Sprintf("%s: the host took the login and then hung: no session: %v", e.Target, e.Err)
	case hungUp(e.Err):
		return fmt.Sprintf("%s: the host closed the connection after the login, before a session", e.Target)
	}
	return fmt.Sprintf("%s: the host runs no command for us: %v", e.Target, e.Err)
}

func (e *SessionError) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *SessionError) Hint() string {
	var open *ssh.OpenChannelError
	if errors.As(e.Err, &open) {
		return "its sshd allows too few sessions (MaxSessions 0 allows none); on the host, as root: sshd -T | grep -i maxsessions\n" +
			"wanted in its /etc/ssh/sshd_config is MaxSessions 10, and then: systemctl reload ssh"
	}
	return "try it by hand: " + e.Target.command("ssh") + " true; on the host: journalctl -u ssh -n 20"
}

// LostError says that a connection that stood is gone.
type LostError struct {
	Target Target
	Silent time.Duration // for which the host answered nothing; 0: the connection was closed
	Err    error
}

func (e *LostError) Error() string {
	if e.Silent > 0 {
		return fmt.Sprintf("%s: the host is gone or hangs: it has answered nothing for %s", e.Target, e.Silent)
	}
	return fmt.Sprintf("%s: the connection was closed from the other side", e.Target)
}

func (e *LostError) Unwrap() error { return e.Err }

func timedOut(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// AuthError says that the host is there but let nobody in.
type AuthError struct {
	Target Target
	Tried  []string // "key SHA256:… (~/.ssh/id_ed25519)", "password (3 times)"
	Why    []string // what could not be tried: "password: there is no terminal to ask on"
	Err    error
}

func (e *AuthError) Error() string {
	s := fmt.Sprintf("%s: login refused", e.Target)
	if len(e.Tried) == 0 {
		s += "; no key and no password could be tried"
	} else {
		s += "; tried " + strings.Join(e.Tried, ", ")
	}
	if len(e.Why) > 0 {
		s += "; not tried: " + strings.Join(e.Why, ", ")
	}
	return s
}

func (e *AuthError) Unwrap() error { return e.Err }

// Hint says how to get in.
func (e *AuthError) Hint() string {
	return "give the right key with --identity FILE, or install yours: " + e.Target.command("ssh-copy-id")
}

// HostKeyError says that the host is not known, or not the one it was.
type HostKeyError struct {
	Target      Target
	Type        string // ssh-ed25519
	Fingerprint string // SHA256:…, of what the host showed
	Changed     bool
	Revoked     bool
	Was         []string // fingerprint and file:line of the keys that are known
	File        string   // where the host is, or would be, written down
	Name        string   // as which it is written there
	Typed       string   // what names the host on the command line; empty: Target
}

func (e *HostKeyError) Error() string {
	switch {
	case e.Revoked:
		return fmt.Sprintf("%s: its host key %s %s is marked as revoked in %s", e.Target, e.Type, e.Fingerprint, strings.Join(e.Was, ", "))
	case e.Changed:
		return fmt.Sprintf("%s: the host key has changed: it shows %s %s, known is %s: either the host was set up anew, or somebody is in between",
			e.Target, e.Type, e.Fingerprint, strings.Join(e.Was, ", "))
	}
	return fmt.Sprintf("%s: the host is not known: it shows %s %s, and there is no terminal to ask on", e.Target, e.Type, e.Fingerprint)
}

// Hint is the command to type once the fingerprint was compared.
func (e *HostKeyError) Hint() string {
	switch {
	case e.Revoked:
		return "do not connect; ask whoever revoked the key"
	case e.Changed:
		return fmt.Sprintf("compare it on the host (ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub); if it is the same:\n`picket keys repair %s`",
			keyFile(e.Type), cmp.Or(e.Typed, e.Target.String()))
	}
	port := ""
	if e.Target.port() != 22 {
		port = fmt.Sprintf("-p %d ", e.Target.port())
	}
	from := ""
	if e.Target.via != "" {
		from = e.Target.before().command("ssh") + " "
	}
	return fmt.Sprintf("compare it on the host (ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub); if it is the same:\n%sssh-keyscan %s-t %s %s >> %s",
		keyFile(e.Type), from, port, keyFile(e.Type), e.Target.Host, shellWord(e.File))
}

func keyFile(typ string) string {
	switch {
	case strings.Contains(typ, "ed25519"):
		return "ed25519"
	case strings.Contains(typ, "ecdsa"):
		return "ecdsa"
	}
	return "rsa"
}
