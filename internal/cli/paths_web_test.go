package cli

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAnswers holds a web port to what it did before; where it was broken before, or is no web port, a connection is enough.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name   string
		status []int // of one request after the other; 0: it hangs up
		want   []string
	}{
		{"goes on", []int{200, 404}, []string{"", ""}},
		{"wants a login", []int{401, 200}, []string{"", ""}},
		{"breaks", []int{302, 500}, []string{"", "status 500"}},
		{"breaks and recovers", []int{200, 503, 200}, []string{"", "status 503", ""}},
		{"falls silent", []int{200, 0}, []string{"", "no request any more"}},
		{"was broken", []int{500, 500}, []string{"", ""}},
		{"was no web port", []int{0, 0}, []string{"", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var turn atomic.Int32
			for _, secure := range []bool{false, true} {
				serve := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if c.status[turn.Load()] == 0 {
						panic(http.ErrAbortHandler)
					}
					w.WriteHeader(c.status[turn.Load()])
				}))
				// On an address of its own: hardly anybody else takes the port once it is free.
				if own, err := net.Listen("tcp", fmt.Sprintf("127.9.9.%d:0", i+1)); err == nil {
					serve.Listener.Close()
					serve.Listener = own
				}
				at := serve.Listener.Addr().String()
				serve.Config.ErrorLog = log.New(io.Discard, "", 0)
				if secure {
					serve.StartTLS()
				} else {
					serve.Start()
				}
				try := answers(at)
				for n, want := range c.want {
					turn.Store(int32(n))
					err := try(t.Context())
					if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
						t.Errorf("attempt %d (TLS %v): %v, want %q", n+1, secure, err, want)
					}
				}
				serve.Close()
				if other, err := net.Dial("tcp", at); err == nil { // who listens at that port of all addresses
					other.Close()
				} else if err := try(t.Context()); err == nil {
					t.Errorf("TLS %v: closed, and nothing is said", secure)
				}
			}
		})
	}
	for port, want := range map[int]bool{80: true, 443: true, 8080: true, 502: false, 2000: false, 3000: false, 1883: false, 8100: false} {
		if isWeb(port) != want {
			t.Errorf("port %d is asked: %v", port, !want)
		}
	}
}
