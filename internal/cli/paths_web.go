package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// answerTime is how long a web port may take for an answer.
const answerTime = 5 * time.Second

func connects(ctx context.Context, at string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err == nil {
		c.Close()
	}
	return err
}

// isWeb says whether web applications are usual at a port. Others are sent nothing: a serial line may be behind them.
func isWeb(port int) bool {
	switch port {
	case 80, 443, 5000, 8443, 8888, 9090:
		return true
	}
	return port >= 8000 && port < 8100
}

// answers tries a port that may be a web application's. One that has answered a request without failing has to go on so: a
// program that starts and is kept from its files often answers all with status 500.
func answers(at string) func(context.Context) error {
	asked, scheme := false, "" // the scheme in which it has answered well
	return func(ctx context.Context) error {
		if err := connects(ctx, at); err != nil {
			return err
		}
		if !asked {
			asked = true
			for _, s := range []string{"https", "http"} { // one that wants TLS answers plain requests as well, with an error
				if status, err := statusAt(ctx, s+"://"+at+"/"); err == nil {
					if status < 500 {
						scheme = s
					}
					break
				}
			}
			return nil
		}
		if scheme == "" {
			return nil
		}
		status, err := statusAt(ctx, scheme+"://"+at+"/")
		if err != nil {
			return fmt.Errorf("it answers no request any more: %w", err)
		}
		if status >= 500 {
			return fmt.Errorf("it answers with status %d", status)
		}
		return nil
	}
}

// statusAt gets a page's status. Whose certificate it is is another matter.
func statusAt(ctx context.Context, url string) (int, error) {
	client := http.Client{
		Timeout:       answerTime,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	got, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	got.Body.Close()
	return got.StatusCode, nil
}
