package probe

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/httpu"
	"github.com/huin/goupnp/soap"
)

// Limits of what a router may say.
const (
	maxMappings    = 256
	maxDescription = 256 << 10 // bytes of any of its answers
	routerAnswers  = 2 * time.Second
)

// router asks a router by UPnP which ports it forwards: a search that goes to it
// alone, then one question a forwarding. Nothing else is ever asked, and nothing of
// what it answers leads to another machine.
func (a *attempt) router() ([]string, error) {
	client := &http.Client{
		Transport:     bounded{&http.Transport{DialContext: func(_ context.Context, _, addr string) (net.Conn, error) { return a.dialAt(addr) }, DisableKeepAlives: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	where, err := a.search()
	if err != nil {
		return nil, err
	}
	root, err := describe(a.ctx, client, where)
	if err != nil {
		return nil, err
	}
	type table interface {
		GetGenericPortMappingEntryCtx(ctx context.Context, index uint16) (remote string, port uint16, proto string, internal uint16, to string, enabled bool, text string, lease uint32, err error)
	}
	var tables []table
	if list, err := internetgateway2.NewWANIPConnection1ClientsFromRootDevice(root, where); err == nil {
		for _, c := range list {
			c.SOAPClient.HTTPClient = *client
			tables = append(tables, c)
		}
	}
	if list, err := internetgateway2.NewWANIPConnection2ClientsFromRootDevice(root, where); err == nil {
		for _, c := range list {
			c.SOAPClient.HTTPClient = *client
			tables = append(tables, c)
		}
	}
	if list, err := internetgateway2.NewWANPPPConnection1ClientsFromRootDevice(root, where); err == nil {
		for _, c := range list {
			c.SOAPClient.HTTPClient = *client
			tables = append(tables, c)
		}
	}
	if len(tables) == 0 {
		return nil, errors.New("no router's table")
	}
	words := []string{"asked"}
	for _, t := range tables {
		for i := uint16(0); ; i++ {
			if i == maxMappings {
				return nil, errors.New("more forwardings than are read")
			}
			_, port, proto, internal, to, enabled, _, _, err := t.GetGenericPortMappingEntryCtx(a.ctx, i)
			if a.ctx.Err() != nil {
				return nil, a.ctx.Err()
			}
			if atEnd(err) {
				break
			}
			if err != nil {
				return nil, err
			}
			if !enabled {
				continue
			}
			addr, err := netip.ParseAddr(to) // a name may be that of the host
			if proto = strings.ToLower(proto); err != nil || proto != "tcp" && proto != "udp" {
				return nil, errors.New("a forwarding that is not understood")
			}
			words = append(words, fmt.Sprintf("%s/%d>%s", proto, port, netip.AddrPortFrom(addr, internal)))
		}
	}
	return words, nil
}

// atEnd tells that a table has no more entries from a router that does not tell.
func atEnd(err error) bool {
	const noSuchIndex, noSuchEntry = 713, 714 // of UPnP's WANIPConnection
	var fault *soap.SOAPFaultError
	return errors.As(err, &fault) && (fault.Detail.UPnPError.Errorcode == noSuchIndex || fault.Detail.UPnPError.Errorcode == noSuchEntry)
}

// search finds out where the router describes itself.
func (a *attempt) search() (*url.URL, error) {
	c, err := httpu.NewHTTPUClient()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, kind := range []string{"urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2"} {
		ctx, cancel := context.WithTimeout(a.ctx, routerAnswers)
		req := &http.Request{
			Method: "M-SEARCH", Host: a.to.String(), URL: &url.URL{Opaque: "*"},
			Header: http.Header{"HOST": {a.to.String()}, "MX": {"1"}, "MAN": {`"ssdp:discover"`}, "ST": {kind}},
		}
		answers, err := c.DoWithContext(req.WithContext(ctx), 1)
		cancel()
		if err != nil {
			return nil, err
		}
		for _, r := range answers {
			where, err := url.Parse(r.Header.Get("Location"))
			if err == nil && where.Scheme == "http" && where.Hostname() == a.to.Addr().String() {
				return where, nil
			}
		}
	}
	return nil, context.DeadlineExceeded
}

// describe reads what a router says of itself.
func describe(ctx context.Context, client *http.Client, where *url.URL) (*goupnp.RootDevice, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	root := new(goupnp.RootDevice)
	if err := xml.NewDecoder(res.Body).Decode(root); err != nil {
		return nil, err
	}
	root.SetURLBase(where)
	return root, nil
}

// dialAt connects to another port of the same machine, and to nothing else.
func (a *attempt) dialAt(addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || to.Addr() != a.to.Addr() {
		return nil, fmt.Errorf("the router leads to another machine: %s", addr)
	}
	there := *a
	there.to = to
	c, err := there.dial()
	a.from = there.from
	return c, err
}

// bounded cuts off answers that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxDescription), res.Body}
	}
	return res, err
}
