package lab

import (
	"encoding/binary"
	"net"
	"time"
)

// ntpEpoch is the start of NTP's time, in Unix seconds.
const ntpEpoch = -2208988800

// tellTime answers NTP requests (RFC 5905, mode 3) with the machine's clock until conn is closed.
func tellTime(conn net.PacketConn) {
	request := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(request)
		if err != nil {
			return
		}
		if reply := ntpReply(request[:n], time.Now()); reply != nil {
			_, _ = conn.WriteTo(reply, from) // a lost reply is asked for again
		}
	}
}

// ntpReply is a server's answer to a client's request; nil for anything else.
func ntpReply(request []byte, now time.Time) []byte {
	const size, client, server = 48, 3, 4
	if len(request) < size || request[0]&7 != client {
		return nil
	}
	reply := make([]byte, size)
	reply[0] = request[0]&0o70 | server // same version, no leap second
	reply[1] = 2                        // stratum
	reply[2] = request[2]               // poll interval
	reply[3] = 0xec                     // precision: 2^-20 s
	copy(reply[12:16], "LAB\x00")
	stamp := ntpTime(now)
	binary.BigEndian.PutUint64(reply[16:], stamp-1<<32) // last set
	copy(reply[24:32], request[40:48])                  // the client's own time
	binary.BigEndian.PutUint64(reply[32:], stamp)       // received
	binary.BigEndian.PutUint64(reply[40:], stamp)       // sent
	return reply
}

// ntpTime is a time as 32 bits of seconds and 32 bits of their fraction.
func ntpTime(t time.Time) uint64 {
	return uint64(t.Unix()-ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
