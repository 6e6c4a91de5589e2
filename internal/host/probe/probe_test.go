package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/internal/core/app"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/lab/sshserver"
)

// answer makes one attempt and gives what is kept of it.
func answer(t *testing.T, p fact.Probe) string {
	t.Helper()
	s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
	Run(context.Background(), []fact.Probe{p}, s, "test", func(fact.Probe) {})
	o := s.Commands[snap.CommandKey(p.Argv()...)]
	if o == nil || len(s.Commands) != 1 {
		t.Fatalf("%v: %d answers", p, len(s.Commands))
	}
	return string(o.Stdout) + o.Err
}

func at(t *testing.T, addr string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(strings.TrimPrefix(strings.TrimPrefix(addr, "http://"), "https://"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestHTTP asks real servers, without and with TLS.
func TestHTTP(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked <- fmt.Sprint(r.Method, " ", r.URL.Path, " ", user, " ", r.ContentLength)
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "https://"+r.Host+"/", http.StatusMovedPermanently)
		case r.URL.Path == "/elsewhere":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		case r.URL.Path == "/secret":
			fmt.Fprint(w, strings.Repeat("x", 1000), `"api_key": "hunter2"`)
		case r.URL.Path == "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case user == "Admin" && password == "Admin":
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	plain, secure := httptest.NewServer(pages), httptest.NewTLSServer(pages)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	old := httptest.NewUnstartedServer(pages)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}
	old.StartTLS()
	defer plain.Close()
	defer secure.Close()
	defer old.Close()
	for _, c := range []struct {
		server *httptest.Server
		p      app.Probe
		want   string
	}{
		{plain, app.Probe{HTTP: "GET /"}, "said 401 plain\n"},
		{secure, app.Probe{HTTP: "GET /"}, "said 401 tls\n"},
		{plain, app.Probe{HTTP: "GET /", User: "Admin", Password: "Admin"}, "said 200 plain\n"},
		{plain, app.Probe{HTTP: "GET /moved"}, "said 301 plain to-https\n"},
		{plain, app.Probe{HTTP: "GET /elsewhere"}, "said 302 plain\n"}, // and is not followed
		{plain, app.Probe{HTTP: "GET /secret", Mark: "api_key"}, "said 200 plain mark\n"},
		{plain, app.Probe{HTTP: "GET /secret", Mark: "other"}, "said 200 plain\n"},
		{secure, app.Probe{HTTP: "GET /endless", Mark: "other"}, "said 200 tls\n"},
		{old, app.Probe{HTTP: "GET /"}, "said 401 tls\n"},
		{plain, app.Probe{HTTP: "POST /orders"}, "said 401 plain\n"},
	} {
		if got := answer(t, fact.Probe{Probe: c.p, To: at(t, c.server.URL)}); got != "from 127.0.0.1\n"+c.want {
			t.Errorf("%s: %q, want %q", c.p.HTTP, got, c.want)
		}
	}
	close(asked)
	seen := []string{}
	for a := range asked {
		seen = append(seen, a)
	}
	if len(seen) != 10 || seen[9] != "POST /orders  0" {
		t.Errorf("requests: %q", seen)
	}
}

// TestTLS shakes hands with servers that speak some versions only, and with one
// that speaks none.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		low, high uint16
		want      string
	}{
		{tls.VersionTLS10, tls.VersionTLS12, "said tls1.0 tls1.1 tls1.2\n"},
		{tls.VersionTLS12, tls.VersionTLS13, "said tls1.2 tls1.3\n"},
		{tls.VersionTLS13, tls.VersionTLS13, "said tls1.3\n"},
		{0, 0, "said no-tls\n"},
	} {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{MinVersion: c.low, MaxVersion: c.high}
		if c.low == 0 {
			s.Start()
		} else {
			s.StartTLS()
		}
		if got := answer(t, fact.Probe{Probe: app.Probe{TLS: true}, To: at(t, s.URL)}); got != "from 127.0.0.1\n"+c.want {
			t.Errorf("%x to %x: %q", c.low, c.high, got)
		}
		s.Close()
	}
}

// TestStrict: a server that answers to its own name only speaks TLS all the same.
func TestStrict(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(c *tls.ClientHelloInfo) (*tls.Config, error) {
		if c.ServerName != "leader" {
			return nil, fmt.Errorf("no certificate for %q", c.ServerName)
		}
		return nil, nil
	}}
	s.StartTLS()
	defer s.Close()
	for _, c := range []struct{ server, http, tls string }{{"", "refused-tls", "refused-tls"}, {"other", "refused-tls", "refused-tls"}, {"leader", "404 tls", "tls1.3"}} {
		if got := answer(t, fact.Probe{Probe: app.Probe{HTTP: "GET /"}, To: at(t, s.URL), Server: c.server}); got != "from 127.0.0.1\nsaid "+c.http+"\n" {
			t.Errorf("as %q: %q", c.server, got)
		}
		if got := answer(t, fact.Probe{Probe: app.Probe{TLS: true}, To: at(t, s.URL), Server: c.server}); got != "from 127.0.0.1\nsaid "+c.tls+"\n" {
			t.Errorf("handshakes as %q: %q", c.server, got)
		}
	}
}

// TestSSH logs in to a real sshd that has keys only, and to one that takes
// passwords and knows another. That it gets in is a matter of the lab's hosts.
func TestSSH(t *testing.T) {
	t.Parallel()
	for option, offered := range map[string]string{"LogLevel VERBOSE": "no-password", "PasswordAuthentication yes": "password"} {
		srv := sshserver.Real(t, option)
		p := fact.Probe{SSH: true, Probe: app.Probe{User: srv.User}, To: at(t, fmt.Sprintf("%s:%d", srv.Host, srv.Port))}
		if got := answer(t, p); got != "from 127.0.0.1\nsaid "+offered+"\n" {
			t.Errorf("%s: offered: %q", option, got)
		}
		p.Password = "raspberry, and certainly not of this account"
		if got := answer(t, p); got != "from 127.0.0.1\nsaid refused\n" {
			t.Errorf("%s: login: %q", option, got)
		}
	}
}

// TestSilent: what never answers, cuts the connection or speaks another language
// costs its time at most, and is no answer.
func TestSilent(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := at(t, closed.Addr().String())
	closed.Close()
	rude := listen(t, func(c net.Conn) { c.Close() })
	noise := listen(t, func(c net.Conn) {
		fmt.Fprint(c, strings.Repeat("\x20\xff\xff\xff\x7fnoise\r\n", 1000))
		c.Close()
	})
	kinds := []fact.Probe{{SSH: true, Probe: app.Probe{User: "pi", Password: "raspberry"}}, {Probe: app.Probe{MQTT: true}}, {Probe: app.Probe{HTTP: "GET /"}}, {Probe: app.Probe{TLS: true}}}
	for _, p := range kinds {
		for _, c := range []struct {
			name string
			to   netip.AddrPort
		}{{"closed", free}, {"rude", rude}, {"noise", noise}} {
			p.To = c.to
			got := answer(t, p)
			if p.TLS && c.name == "noise" {
				if got != "from 127.0.0.1\nsaid no-tls\n" {
					t.Errorf("%v at %s: %q", p, c.name, got)
				}
				continue
			}
			if !strings.HasPrefix(got, "no answer") {
				t.Errorf("%v at %s: %q", p, c.name, got)
			}
		}
	}
}

// TestInterrupted: a port that holds the line ends with the context.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	hold := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(context.Background())
	s := snap.New(snap.Source{}, time.Unix(0, 0))
	begun := make(chan bool, 1)
	go func() {
		<-begun
		time.Sleep(100 * time.Millisecond) // until it waits for an answer: before that there is nothing to interrupt
		cancel()
	}()
	p := fact.Probe{Probe: app.Probe{HTTP: "GET /"}, To: hold}
	start := time.Now()
	Run(ctx, []fact.Probe{p}, s, "test", func(fact.Probe) { begun <- true })
	if took := time.Since(start); took > each-time.Second {
		t.Errorf("an interrupted attempt took %v", took)
	}
	if o := s.Commands[snap.CommandKey(p.Argv()...)]; o == nil || !strings.HasPrefix(o.Err, "no answer") {
		t.Errorf("answer: %+v", o)
	}
}

// listen serves connections on the loopback address until the test ends.
func listen(t *testing.T, serve func(net.Conn)) netip.AddrPort {
	return listenAt(t, "127.0.0.1", serve)
}

func listenAt(t *testing.T, addr string, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return at(t, l.Addr().String())
}
