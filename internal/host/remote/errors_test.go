package remote

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestUnreachableWords wants the cause in words, and what to look at.
func TestUnreachableWords(t *testing.T) {
	target := Target{User: "pi", Host: "leader"}
	for _, tc := range []struct {
		name       string
		err        error
		says, next string
	}{
		{"no such name", &net.DNSError{Err: "no such host", Name: "leader", IsNotFound: true}, "there is no host named leader", "is the name right?"},
		{"no name server", &net.DNSError{Err: "read udp [::1]:53: connection refused", Name: "leader"}, "no name server answers", "ssh://pi@192.168"},
		{"no route", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, "no machine answers at this address", "ping leader"},
	} {
		e := &UnreachableError{Target: target, Err: tc.err}
		if !strings.Contains(e.Error(), tc.says) || !strings.Contains(e.Hint(), tc.next) {
			t.Errorf("%s: %q, then %q; want %q, then %q", tc.name, e, e.Hint(), tc.says, tc.next)
		}
		if strings.Contains(e.Error(), "udp") {
			t.Errorf("%s: %q shows what only a programmer wants to know", tc.name, e)
		}
	}
}

// TestNoUser: the target that is advised is the one that was asked for.
func TestNoUser(t *testing.T) {
	_, err := Dial(t.Context(), Target{Host: "::1", Port: 2222}, Options{})
	if err == nil || !strings.Contains(err.Error(), "write ssh://user@[::1]:2222") {
		t.Error(err)
	}
}
