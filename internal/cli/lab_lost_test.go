package cli_test

import (
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// TestApplyLosesItsConnection ends the operator's connection while a step takes its time: apply comes in anew, has the
// host go back, waits for that, and tells how it ended.
func TestApplyLosesItsConnection(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Sh("echo 'Defaults timestamp_timeout=-1' >/etc/sudoers.d/old; chmod 440 /etc/sudoers.d/old")
	before := h.Hashes("/etc")
	h.Sh(`mv /usr/sbin/visudo /usr/sbin/visudo.real
		printf '#!/bin/sh\ntouch /run/there; sleep 40; exec /usr/sbin/visudo.real "$@"\n' >/usr/sbin/visudo; chmod 755 /usr/sbin/visudo`)
	type end struct {
		out  string
		code int
	}
	done := make(chan end, 1)
	go func() {
		out, code := verb(t, h, "apply", "TARGET", "--only", "sudo/timeout,cron/crontab", "--profile", "strict", "--yes", "--confirm-within", "10m")
		done <- end{out, code}
	}()
	for {
		if _, code := h.Try("test", "-e", "/run/there"); code == 0 {
			break
		}
		select {
		case e := <-done:
			t.Fatalf("it ended before: exit code %d\n%s", e.code, e.out)
		case <-time.After(time.Second):
		}
	}
	h.Sh("pkill -KILL -f '[s]shd: operator'")
	began := time.Now()
	select {
	case e := <-done:
		if e.code != 5 || !strings.Contains(e.out, "the connection was lost while the host took the steps") || !strings.Contains(e.out, "the host is as it was") {
			t.Errorf("exit code %d\n%s", e.code, e.out)
		}
	case <-time.After(4 * time.Minute):
		t.Fatal("apply waits for ever")
	}
	if took := time.Since(began); took > 3*time.Minute {
		t.Errorf("it took %v: the host went back by itself", took)
	}
	if state := h.Sh("sh /var/lib/picket/tx/*/tx state"); state != "undone\n" {
		t.Errorf("the host is %s", state)
	}
	differ(t, "the connection was lost", before, h.Hashes("/etc"))
}
