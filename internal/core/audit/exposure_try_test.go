package audit

import "testing"

// TestTry holds what comes of a connection to what the rules of the host say.
func TestTry(t *testing.T) {
	yes, no, some := ReachOf{Reached: "yes"}, ReachOf{Reached: "no"}, ReachOf{Reached: "some"}
	for _, tc := range []struct {
		name    string
		port    ExposedPort
		result  string
		against bool
	}{
		{"open to all", ExposedPort{Network: yes, Anywhere: yes}, TryOpen, false},
		{"open to all, and not reached", ExposedPort{Network: yes, Anywhere: yes}, TryShut, true},
		{"open to some", ExposedPort{Network: some, Anywhere: no}, TryShut, false},
		{"open to some, who reach it", ExposedPort{Network: some, Anywhere: no}, TryOpen, false},
		{"shut", ExposedPort{Network: no, Anywhere: no}, TryShut, false},
		{"shut, and reached", ExposedPort{Network: no, Anywhere: no}, TryOpen, true},
		{"shut but for the VPN", ExposedPort{Network: no, Anywhere: no, VPN: &yes}, TryOpen, false},
		{"for the host alone", ExposedPort{Network: yes, Local: true}, TryShut, false},
		{"for the host alone, and reached", ExposedPort{Network: yes, Local: true}, TryOpen, true},
		{"not tried", ExposedPort{Network: yes}, TryFailed, false},
	} {
		tc.port.Try("worker1", tc.result, "")
		if got := tc.port.Tried[0].Against != ""; got != tc.against {
			t.Errorf("%s: %+v", tc.name, tc.port.Tried[0])
		}
		if e := (Exposure{Ports: []ExposedPort{tc.port}}); e.Contradicted() != (tc.against && tc.result == TryOpen) {
			t.Errorf("%s: contradicted: %v", tc.name, e.Contradicted())
		}
	}
	for addr, want := range map[string]bool{"0.0.0.0:22": true, "[::]:22": true, "*:22": true, "10.0.0.7:22": true, "172.17.0.1:22": false, "127.0.0.1:22": false, "0.0.0.0%wlan0:67": true} {
		if got := (ExposedPort{Addresses: []string{addr}}).ListensAt("10.0.0.7"); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
