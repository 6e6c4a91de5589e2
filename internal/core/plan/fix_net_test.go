package plan_test

import (
	"strings"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
)

// drafted says of how many bad cases of a control a fix is drafted, and whether the drafted files alone show that it
// holds: "pass", or "next" where they do after the next start of the host or of the program.
var drafted = map[string]struct {
	cases int
	holds string
}{
	"ban/ssh": {10, ""}, "ban/ssh-port": {3, "pass"}, "ban/action": {7, ""}, "ban/ignore-own": {1, "pass"},
	"time/one-daemon": {5, ""}, "time/synchronised": {1, ""}, "network/llmnr": {1, "next"},
	"raspberry-pi/swap": {1, ""}, "raspberry-pi/watchdog": {2, "next"}, "raspberry-pi/usb-gadget": {2, "next"}, "wifi/bluetooth": {1, ""},
	"app/grafana-anonymous": {1, "pass"}, "app/grafana-sign-up": {1, "pass"}, "app/lighttpd-listing": {1, "pass"}, "app/mosquitto-tls-version": {1, "pass"},
	"app/nginx-autoindex": {1, "pass"}, "app/nginx-version": {1, "pass"}, "app/nio-tracebacks": {1, "pass"}, "app/nio-cors": {0, ""},
	"app/pisovereign-outbound-tls": {1, "pass"}, "app/pisovereign-rate-limit": {1, "pass"}, "app/vault-raw-storage": {1, "pass"}, "app/vault-tls-version": {1, "pass"},
	"app/traefik-sni": {0, ""}, "app/traefik-log-level": {0, ""}, "app/pisovereign-cors": {0, ""}, "app/pisovereign-ignored-settings": {0, ""},
	"files/secrets": {3, "pass"}, "keys/private-files": {1, "pass"}, "keys/tls-keys": {1, "pass"}, "wifi/secret-files": {1, "pass"}, "wifi/access-point-encryption": {4, "next"}, "services/unit-secrets": {0, ""},
	"app/mosquitto-anonymous": {1, "pass"}, "app/pioreactor-flags": {3, "pass"}, "app/pioreactor-plugins": {1, "pass"},
	"docker/icc": {1, "pass"}, "docker/userland-proxy": {1, "pass"}, "docker/live-restore": {1, "next"}, "docker/log-limit": {1, "pass"},
}

// TestFixesOfNetwork drafts the fix of every bad case of these controls with the policy of an owner who has decided, and
// judges the drafted files. What it may not do is left with a reason.
func TestFixesOfNetwork(t *testing.T) {
	mended := map[string]int{}
	eachBad(t, func(c control.Control) bool { _, ok := drafted[c.ID]; return ok }, func(c control.Control, fixer control.Fixer, tc cases.Case) {
		want := drafted[c.ID].holds
		one := []control.Control{c}
		made := plan.Make(one, tc.Snapshot, audit.Evaluate(one, tc.Snapshot, audit.Options{Now: tc.Snapshot.Taken}), plan.Options{})
		if !made.Items[0].Changes() {
			t.Logf("%s, %q: left: %s", c.ID, tc.Name, made.Items[0].Left)
			return
		}
		mended[c.ID]++
		d := change.On(tc.Snapshot, nil, change.Policy{})
		if err := d.For(c.ID, func(d *change.Draft) error { return fixer.Fix(fact.Parse(tc.Snapshot), d) }); err != nil {
			t.Errorf("%s, %q: %v", c.ID, tc.Name, err)
		}
		o := c.Rule.Evaluate(fact.Parse(d.Snapshot()))
		good := o.Verdict == control.Pass || o.Verdict == control.NotApplicable
		if written(d) == "" && len(d.Steps()) > 0 {
			return // what runs decides
		}
		if want == "pass" && !good || want == "next" && !good && o.Persistent != control.Yes {
			t.Errorf("%s, %q: the drafted files are still %s: %s\n%s", c.ID, tc.Name, o.Verdict, o.Reason, written(d))
		}
	})
	for id, want := range drafted {
		if n := mended[id]; n < want.cases {
			t.Errorf("%s: the fix of %d bad cases is drafted, want %d", id, n, want.cases)
		}
	}
}

// written is what a draft has files hold.
func written(d *change.Draft) string {
	var b strings.Builder
	for _, s := range d.Steps() {
		if s.Verb == change.File {
			b.WriteString(s.Name + ":\n" + string(s.After.Content))
		}
	}
	return b.String()
}
