package lab_test

import (
	"testing"

	"picket/lab"
)

func TestGuides(t *testing.T) {
	h := lab.Start(t, lab.Guides)
	t.Log(h.Sh("systemctl --failed; ss -tulnp; ufw status verbose; nft list ruleset | wc -l; systemctl status fail2ban --no-pager || true; sshd -T | grep -i -E 'passworda|usepam|permitroot'; chronyc sources; systemctl list-timers --no-pager"))
}

func TestGood(t *testing.T) {
	h := lab.Start(t, lab.Good)
	t.Log(h.Sh("systemctl --failed; ss -tulnp; nft list ruleset; fail2ban-client status sshd; sshd -T | grep -i -E 'passworda|usepam|permitroot'; chronyc sources; chronyc tracking; systemctl list-timers --no-pager; sysctl net.ipv4.conf.all.log_martians"))
	t.Log(h.SSH("operator", "id"))
}

func TestPioreactor(t *testing.T) {
	h := lab.Start(t, lab.Pioreactor)
	t.Log(h.Sh("systemctl --failed; ss -tulnp; ls -laR /home/pioreactor; systemctl list-timers --no-pager; mount; mosquitto_pub -u pioreactor -P raspberry -t a -m b"))
	t.Log(h.SSH("pioreactor", "sudo", "-n", "id"))
}
