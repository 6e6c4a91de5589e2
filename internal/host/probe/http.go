package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"picket/internal/core/app"
)

// maxBody is how much of an answer is searched for a mark.
const maxBody = 1 << 20

// http makes one request and follows nothing. It speaks TLS where the port does;
// the certificate is not checked, since nothing secret is sent.
func (a *attempt) http(p app.Probe) ([]string, error) {
	scheme := "https"
	shake := a.handshake(0)
	if shake != nil {
		scheme = "http"
	}
	if shake != nil && !a.from.IsValid() { // not even a connection
		return nil, shake
	}
	method, path := p.Request()
	req, err := http.NewRequestWithContext(a.ctx, method, scheme+"://"+a.to.String()+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "picket/"+a.version)
	if p.User != "" {
		req.SetBasicAuth(p.User, p.Password)
	}
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:            func(context.Context, string, string) (net.Conn, error) { return a.dial() },
			TLSClientConfig:        a.config(0),
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil && refusal(shake) {
		return []string{"refused-tls"}, nil
	}
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	// Traefik refuses TLS at ports that have none, and servers with TLS have no page for who comes without.
	if refusal(shake) && (res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusNotFound) {
		return []string{"refused-tls"}, nil
	}
	words := []string{strconv.Itoa(res.StatusCode), map[string]string{"http": "plain", "https": "tls"}[scheme]}
	if strings.HasPrefix(strings.ToLower(res.Header.Get("Location")), "https://") && res.StatusCode/100 == 3 {
		words = append(words, "to-https")
	}
	if p.Mark != "" {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
		if err != nil {
			return nil, err
		}
		if bytes.Contains(body, []byte(p.Mark)) {
			words = append(words, "mark")
		}
	}
	return words, nil
}

// versions are those of TLS that the port agrees to. That it speaks none is only
// known where it answers in another language: one that hangs up may want a name
// or a certificate, or be down behind a proxy.
func (a *attempt) versions() ([]string, error) {
	var words []string
	var last error
	speaks, other := false, false
	for _, v := range []struct {
		id   uint16
		word string
	}{{tls.VersionTLS10, "tls1.0"}, {tls.VersionTLS11, "tls1.1"}, {tls.VersionTLS12, "tls1.2"}, {tls.VersionTLS13, "tls1.3"}} {
		if err := a.handshake(v.id); err == nil {
			words = append(words, v.word)
		} else {
			last, speaks = err, speaks || refusal(err)
			other = other || errors.As(err, new(tls.RecordHeaderError))
		}
	}
	switch {
	case len(words) > 0:
		return words, nil
	case speaks:
		return []string{"refused-tls"}, nil
	case other:
		return []string{"no-tls"}, nil
	}
	return nil, last
}

// handshake tries one version of TLS, or with 0 any.
func (a *attempt) handshake(version uint16) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return tls.Client(c, a.config(version)).HandshakeContext(a.ctx)
}

// refusal tells an answer in TLS, that there will be none, from one that is no TLS.
func refusal(err error) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == "remote error"
}

// config takes whatever the other side wants: what is weak is to be seen.
func (a *attempt) config(version uint16) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, ServerName: a.server, MinVersion: tls.VersionTLS10, MaxVersion: version}
	if version != 0 {
		c.MinVersion = version
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	return c
}
