package probe

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"picket/internal/core/fact"
)

// TestHostileRouter: one that answers the search and then leads elsewhere, says
// too much or nothing that is understood costs its time at most. The real one is a
// matter of the lab's hosts.
func TestHostileRouter(t *testing.T) {
	t.Parallel()
	elsewhere := listenAt(t, "127.0.0.2", func(c net.Conn) {
		t.Error("another address was asked")
		c.Close()
	})
	page := func(bodies ...string) netip.AddrPort {
		var n atomic.Int32
		return listen(t, func(c net.Conn) {
			defer c.Close()
			body := bodies[min(int(n.Add(1)), len(bodies))-1]
			buf := make([]byte, 4096)
			if _, err := c.Read(buf); err != nil {
				return
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body)
		})
	}
	const refused = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>606</errorCode><errorDescription>Action not authorized</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`
	const service = `<root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>%s</URLBase><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>%s</controlURL></service></serviceList></device></root>`
	const entry = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:GetGenericPortMappingEntryResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1"><NewRemoteHost></NewRemoteHost><NewExternalPort>80</NewExternalPort><NewProtocol>TCP</NewProtocol><NewInternalPort>80</NewInternalPort><NewInternalClient>%s</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>x</NewPortMappingDescription><NewLeaseDuration>0</NewLeaseDuration></u:GetGenericPortMappingEntryResponse></s:Body></s:Envelope>`
	end := strings.Replace(refused, "606", "713", 1)
	good := searched(t, "http://"+page(fmt.Sprintf(service, "", "/ctl"), fmt.Sprintf(entry, "192.168.1.20"), end).String()+"/")
	if got := answer(t, fact.Probe{Router: true, To: good}); got != "from 127.0.0.1\nsaid asked tcp/80>192.168.1.20:80\n" {
		t.Errorf("one that answers: %q", got)
	}
	for name, location := range map[string]string{
		"another machine":   "http://127.0.0.2:" + fmt.Sprint(elsewhere.Port()) + "/",
		"no address":        "gopher://x",
		"rubbish":           "http://" + page(strings.Repeat("<a>", 1<<20)).String() + "/",
		"no table":          "http://" + page(`<root><device/></root>`).String() + "/",
		"closed":            "http://127.0.0.1:1/",
		"a table elsewhere": "http://" + page(fmt.Sprintf(service, "", "http://127.0.0.2:"+fmt.Sprint(elsewhere.Port())+"/ctl")).String() + "/",
		"an endless table":  "http://" + page(fmt.Sprintf(service, "", "/ctl"), fmt.Sprintf(entry, "192.168.1.20")).String() + "/",
		"to a name":         "http://" + page(fmt.Sprintf(service, "", "/ctl"), fmt.Sprintf(entry, "leader.local"), end).String() + "/",
		"no right to ask":   "http://" + page(fmt.Sprintf(service, "", "/ctl"), refused).String() + "/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := answer(t, fact.Probe{Router: true, To: searched(t, location)}); !strings.HasPrefix(got, "no answer") {
				t.Errorf("%q", got)
			}
		})
	}
}

// searched answers every search of UPnP with a location.
func searched(t *testing.T, location string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			_, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			fmt.Fprintf(writeTo{c, from}, "HTTP/1.1 200 OK\r\nLOCATION: %s\r\nST: upnp:rootdevice\r\nUSN: x\r\n\r\n", location)
		}
	}()
	return at(t, c.LocalAddr().String())
}

type writeTo struct {
	net.PacketConn
	to net.Addr
}

func (w writeTo) Write(b []byte) (int, error) { return w.WriteTo(b, w.to) }
