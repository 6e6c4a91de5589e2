package lab_test

import (
	"strings"
	"testing"
	"time"

	"picket/lab"
)

func TestStart(t *testing.T) {
	h := lab.Start(t, lab.Debian)
	start := time.Now()
	h.Reboot()
	t.Logf("rebooted in %s", time.Since(start))
	if out := h.Run("systemctl", "is-active", "ssh"); strings.TrimSpace(out) != "active" {
		t.Errorf("ssh is %s", out)
	}
	t.Log(h.Sh("systemctl --failed; ip a; ss -tlnp; cat /proc/1/cgroup; systemctl status | head -30"))
	t.Log(h.SSH("operator", "id"))
}
