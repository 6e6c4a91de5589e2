package lab_test

import (
	"testing"
	"time"

	"picket/lab"
)

func TestStart(t *testing.T) {
	for _, role := range lab.Roles()[:4] {
		t.Run(role.Name, func(t *testing.T) {
			start := time.Now()
			h := lab.Start(t, role)
			t.Logf("boot %s", time.Since(start))
			t.Log(h.Sh("journalctl -b -u chrony --no-pager -o short-precise|tail; mount | head -3; head -30 /etc/chrony/chrony.conf;findmnt /tmp || true"))
			start = time.Now()
			hh := h.Hashes("/etc")
			t.Logf("hashes %s %d %s", time.Since(start), len(hh), hh["/etc/shadow"])
		})
	}
}
