package remote

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// A Hinter is an error that knows what to do next.
type Hinter interface {
	error
	Hint() string
}

// UnreachableError says that no SSH server answered.
type UnreachableError struct {
	Target  Target
	Within  time.Duration
	Refused bool // something answered that nothing listens there
	Err     error
}

func (e *UnreachableError) Error() string {
	var dns *net.DNSError
	switch {
	case e.Refused:
		return fmt.Sprintf("%s: connection refused: no SSH server listens on port %d", e.Target, e.Target.port())
	case errors.As(e.Err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("%s: there is no host named %s", e.Target, e.Target.Host)
	case errors.As(e.Err, &dns):
		return fmt.Sprintf("%s: the name %s could not be looked up: no name server answers", e.Target, e.Target.Host)
	case errors.Is(e.Err, syscall.EHOSTUNREACH), errors.Is(e.Err, syscall.ENETUNREACH):
		return fmt.Sprintf("%s: no machine answers at this address", e.Target)
	case timedOut(e.Err):
		return fmt.Sprintf("%s: no answer within %s", e.Target, e.Within)
	case errors.Is(e.Err, io.EOF), errors.Is(e.Err, syscall.ECONNRESET):
		return fmt.Sprintf("%s: the host closed the connection before the login", e.Target)
	}
	return fmt.Sprintf("%s: %v", e.Target, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *UnreachableError) Hint() string {
	if e.Refused {
		return "is sshd running there, and on this port? On the host: systemctl status ssh"
	}
	var dns *net.DNSError
	if errors.As(e.Err, &dns) {
		return "is the name right? With the address it works without a name server: " + strings.Replace(e.Target.String(), e.Target.Host, "192.168.…", 1)
	}
	return "is the host on, and can it be reached from here? ping " + e.Target.Host
}

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
	return "give the right key with --identity FILE, or install yours: " + strings.Replace(e.Target.command(), "ssh ", "ssh-copy-id ", 1)
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
		return fmt.Sprintf("compare it on the host (ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub); if it is the same:\nssh-keygen -R %s -f %s",
			keyFile(e.Type), shellWord(e.Name), shellWord(e.File))
	}
	port := ""
	if e.Target.port() != 22 {
		port = fmt.Sprintf("-p %d ", e.Target.port())
	}
	return fmt.Sprintf("compare it on the host (ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub); if it is the same:\nssh-keyscan %s-t %s %s >> %s",
		keyFile(e.Type), port, keyFile(e.Type), e.Target.Host, shellWord(e.File))
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

func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
