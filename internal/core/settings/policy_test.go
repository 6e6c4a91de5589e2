package settings

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/change"
)

func TestDecisions(t *testing.T) {
	var s Settings
	if ps := s.Merge("a.yaml", []byte(`policy:
  ssh: {port: 2222, groups: [ssh-users], users: [pi, ada.l]}
  ports: [2222/tcp, 80/tcp from 10.0.0.0/8, "53/udp  from  192.168.1.7", 443/tcp from fd00::/8]
  wifi: {country: DE}
  updates: {window: "23:30-04:00", reboot: no}
  sandbox: {except: [mosquitto.service, "getty@tty1.service"]}
  services: [{unit: nio.service, user: nio, writes: [/opt/nio/data, /var/log/nio.log], health: "http://127.0.0.1:8181/health"}, {unit: old.service, user: root}]
`)); len(ps) > 0 {
		t.Fatal(ps.Err())
	}
	no := false
	want := change.Policy{
		SSHPort: 2222, SSHGroups: []string{"ssh-users"}, SSHUsers: []string{"pi", "ada.l"},
		Ports: []change.Port{{Number: 2222, Protocol: "tcp"}, {Number: 80, Protocol: "tcp", From: "10.0.0.0/8"}, {Number: 53, Protocol: "udp", From: "192.168.1.7/32"},
			{Number: 443, Protocol: "tcp", From: "fd00::/8"}},
		WifiCountry: "DE", UpdateWindow: "23:30-04:00", UpdateReboot: &no, SandboxExcept: []string{"mosquitto.service", "getty@tty1.service"},
		Services: []change.Service{{Unit: "nio.service", User: "nio", Writes: []string{"/opt/nio/data", "/var/log/nio.log"}, Health: "http://127.0.0.1:8181/health"}, {Unit: "old.service", User: "root"}},
	}
	if d := cmp.Diff(want, s.Policy.Change()); d != "" {
		t.Errorf("- wanted, + got\n%s", d)
	}
	// A later file wins, key by key.
	if ps := s.Merge("b.yaml", []byte("policy: {ssh: {users: [bob]}, ports: [2222/tcp], updates: {reboot: yes}}")); len(ps) > 0 {
		t.Fatal(ps.Err())
	}
	got := s.Policy.Change()
	if got.SSHPort != 2222 || cmp.Diff(got.SSHUsers, []string{"bob"}) != "" || len(got.Ports) != 1 || !*got.UpdateReboot || got.UpdateWindow != "23:30-04:00" {
		t.Errorf("%+v", got)
	}
	if keys := Differ(want, want); len(keys) > 0 {
		t.Errorf("it differs from itself: %q", keys)
	}
	if keys := Differ(want, change.Policy{}); len(keys) != reflect.TypeFor[change.Policy]().NumField() {
		t.Errorf("of all that may differ it names %q", keys)
	}
	if d := cmp.Diff(change.Policy{}, (Policy{}).Change()); d != "" {
		t.Errorf("nothing was decided, and yet: %s", d)
	}
}

func TestSlipsOfDecisions(t *testing.T) {
	for in, want := range map[string]string{
		"ssh: {prot: 22}":                                      `a.yaml:1:16: unknown key "prot"; did you mean "port"?`,
		"ssh: {port: 0}":                                       `a.yaml:1:22: want a port from 1 to 65535, found "0"`,
		"ssh: {port: 65536}":                                   `want a port from 1 to 65535, found "65536"`,
		"ssh: {port: [22]}":                                    `want a port from 1 to 65535`,
		"ssh: {users: [pi ada]}":                               `a.yaml:1:24: want the name of one user or group, found "pi ada"`,
		"ssh: {users: ['*']}":                                  `want the name of one user or group, found "*"`,
		"ssh: {users: pi}":                                     `want a list, found "pi"`,
		"ssh: {users: []}":                                     `an empty list decides nothing`,
		"ssh: {groups: [a, b, a]}":                             `a.yaml:1:31: "a" stands there twice`,
		"ports: []":                                            `an empty list decides nothing`,
		"ports: [22]":                                          `"22": want a port and its protocol, as 22/tcp`,
		"ports: [22/tpc]":                                      `there is no protocol "tpc"; did you mean 22/tcp?`,
		"ports: [22/quic]":                                     `the protocol is tcp or udp, not "quic"`,
		"ports: [ssh/tcp]":                                     `"ssh" is no port: want one from 1 to 65535`,
		"ports: [99999/tcp]":                                   `"99999" is no port`,
		"ports: [22/tcp 10.0.0.0/8]":                           `want a port, as 22/tcp or 80/tcp from 10.0.0.0/8`,
		"ports: [22/tcp from 10.0.0.1/8]":                      `10.0.0.1/8 is an address within a network; did you mean 10.0.0.0/8?`,
		"ports: [22/tcp from home]":                            `"home" is neither an address nor a network`,
		"ports: [22/tcp from fe80::1%eth0]":                    `is neither an address nor a network`,
		"ports: [22/tcp from ]":                                `want a port, as 22/tcp`,
		"ports: [22/tcp, 22/tcp]":                              `"22/tcp" stands there twice`,
		"wifi: {country: uk}":                                  `"uk" is no country of ISO 3166; did you mean GB?`,
		"wifi: {country: de}":                                  `want capital letters; did you mean DE?`,
		"wifi: {country: Germany}":                             `want a country in two letters, as DE or US, found "Germany"`,
		"wifi: {contry: DE}":                                   `unknown key "contry"; did you mean "country"?`,
		`updates: {window: "3-5"}`:                             `want a time of the day, as 03:00-05:00, found "3-5"`,
		`updates: {window: "03:00-24:00"}`:                     `want a time of the day`,
		`updates: {window: "03:00-03:00"}`:                     `has no length`,
		"updates: {reboot: maybe}":                             `want yes or no, found "maybe"`,
		"sandbox: {except: [mosquitto]}":                       `want the whole name of a service; did you mean mosquitto.service?`,
		"sandbox: {except: ['a b.service']}":                   `want a service, as mosquitto.service, found "a b.service"`,
		"services: []":                                         `an empty list decides nothing`,
		"services: [{user: nio}]":                              `a.yaml:1:21: a service needs "unit"`,
		"services: [{unit: nio}]":                              `want the whole name of a service; did you mean nio.service?`,
		"services: [{unit: n.service}, {unit: n.service}]":     `"n.service" stands there twice`,
		"services: [{unit: n.service, usr: nio}]":              `unknown key "usr"; did you mean "user"?`,
		"services: [{unit: n.service, writes: [data]}]":        `want the path of a folder or file, as /opt/nio/data, found "data"`,
		"services: [{unit: n.service, writes: [/opt/../etc]}]": `found "/opt/../etc"`,
		"services: [{unit: n.service, writes: [/a, /a]}]":      `"/a" stands there twice`,
		"services: [{unit: n.service, health: ''}]":            `want a URL, as http://127.0.0.1:8181/health`,
		"ssh: {port: 2222}, ports: [22/tcp, 80/tcp]":           `a.yaml:1:36: policy.ports does not allow 2222/tcp, on which policy.ssh.port has SSH listen`,
		"ssh: {port: 53}, ports: [53/udp]":                     `policy.ports does not allow 53/tcp`,
	} {
		var s Settings
		err := s.Merge("a.yaml", []byte("policy: {"+in+"}")).Err()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
		if d := cmp.Diff(change.Policy{}, s.Policy.Change()); d != "" {
			t.Errorf("%s was taken all the same", in)
		}
	}
	// Of two files each is right, and both together are not.
	var s Settings
	if ps := s.Merge("a.yaml", []byte("policy: {ports: [22/tcp]}")); len(ps) > 0 {
		t.Fatal(ps.Err())
	}
	if err := s.Merge("b.yaml", []byte("policy: {ssh: {port: 2222}}")).Err(); err == nil || !strings.Contains(err.Error(), "b.yaml:1:22: policy.ports does not allow 2222/tcp") {
		t.Error(err)
	}
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte("policy:\n  ssh: {port: 22}\n  ports: [22/tcp from 10.0.0.0/8]\n  updates: {window: '03:00-05:00', reboot: yes}\n"))
	f.Add([]byte("policy: {ports: {}, ssh: [], waivers: [{}], sandbox: {except: [[]]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Settings
		if ps := s.Merge("f.yaml", data); len(ps) > 0 {
			for _, p := range ps {
				if p.File != "f.yaml" {
					t.Errorf("%v has no place", p)
				}
			}
			return
		}
		for _, p := range s.Policy.Change().Ports {
			if p.Number < 1 || p.Number > 65535 || p.Protocol != "tcp" && p.Protocol != "udp" {
				t.Errorf("%+v", p)
			}
		}
	})
}
