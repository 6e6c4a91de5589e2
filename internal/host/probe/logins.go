package probe

import (
	"errors"
	"io"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/crypto/ssh"
)

// errEnough ends a handshake when it has told what was asked.
var errEnough = errors.New("enough")

// ssh logs in with a password or, without one, learns which ways of logging in are
// offered. Nothing is run on the host. The host's key is not checked: whoever
// answers gets a password that everybody knows.
func (a *attempt) ssh(user, password string) ([]string, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var words []string
	asked := func(way string) {
		if len(words) == 0 || words[len(words)-1] != way {
			words = append(words, way)
		}
	}
	tried := false
	cfg := &ssh.ClientConfig{
		User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey(), ClientVersion: "SSH-2.0-picket_" + a.version,
		BannerCallback: func(string) error { return nil },
		Auth: []ssh.AuthMethod{
			ssh.PasswordCallback(func() (string, error) {
				if asked("password"); password == "" || tried {
					return "", errEnough
				}
				tried = true
				return password, nil
			}),
			ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
				switch asked("keyboard-interactive"); {
				case len(questions) == 0:
					return nil, nil
				case password == "" || tried || len(questions) != 1:
					return nil, errEnough
				}
				tried = true
				return []string{password}, nil
			}),
		},
	}
	conn, chans, reqs, err := ssh.NewClientConn(c, a.to.String(), cfg)
	if err == nil {
		go ssh.DiscardRequests(reqs)
		go func() {
			for ch := range chans {
				ch.Reject(ssh.Prohibited, "")
			}
		}()
		conn.Close()
		return []string{"accepted"}, nil
	}
	noWayLeft := strings.Contains(err.Error(), "unable to authenticate") // the library has no type for it
	switch {
	case password != "" && tried:
		return []string{"refused"}, nil
	case len(words) > 0 && password == "":
		return words, nil
	case noWayLeft && password == "":
		return []string{"no-password"}, nil
	case noWayLeft:
		return []string{"refused"}, nil
	}
	return nil, err
}

// mqtt logs in to a broker and leaves again. It subscribes to nothing.
func (a *attempt) mqtt(user, password string) ([]string, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion = "MQTT", 4
	hello.CleanSession, hello.Keepalive = true, 10
	hello.ClientIdentifier = "picket-probe"
	if user != "" {
		hello.UsernameFlag, hello.Username = true, user
		hello.PasswordFlag, hello.Password = true, []byte(password)
	}
	if err := hello.Write(c); err != nil {
		return nil, err
	}
	answer, err := packets.ReadPacket(io.LimitReader(c, 1<<10))
	if err != nil {
		return nil, err
	}
	ack, ok := answer.(*packets.ConnackPacket)
	switch {
	case !ok:
		return nil, errors.New("no answer of MQTT")
	case ack.ReturnCode == packets.Accepted:
		_ = packets.NewControlPacket(packets.Disconnect).Write(c)
		return []string{"accepted"}, nil
	case ack.ReturnCode == packets.ErrRefusedBadUsernameOrPassword, ack.ReturnCode == packets.ErrRefusedNotAuthorised:
		return []string{"refused"}, nil
	}
	return nil, errors.New("another answer of MQTT")
}
