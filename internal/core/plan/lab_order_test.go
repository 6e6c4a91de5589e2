package plan_test

import (
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/snap"
	"picket/lab"
)

// TestUndoInAnyOrder takes changes back in other orders than the opposite of how they came.
func TestUndoInAnyOrder(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	motd := func(content string) change.Step {
		return change.Step{Verb: change.File, Name: "/etc/motd", Before: text(0o644, h.Read("/etc/motd")), After: text(0o644, content)}
	}
	folder := change.Step{Verb: change.File, Name: "/etc/new.d", After: change.Thing{Type: snap.Dir, Mode: 0o755}}
	filter := change.Step{Verb: change.Sysctl, Name: "net/ipv4/conf/all/rp_filter", Args: []string{"1"}}
	reload := change.Step{Verb: change.Unit, Name: "ssh.service", Args: []string{"reload"}}
	apply := func(id string, steps ...change.Step) {
		t.Helper()
		if out, code := h.Try("sh", stage(t, h, id, steps)+"/tx", "apply"); code != 0 {
			t.Fatalf("%s: apply: %d\n%s", id, code, out)
		}
		h.Sh("sh /var/lib/picket/tx/" + id + "/tx confirm")
	}
	undo := func(id string, code int, says string) {
		t.Helper()
		out, got := h.Try("sh", "/var/lib/picket/tx/"+id+"/tx", "undo")
		if got != code || !strings.Contains(out, says) {
			t.Errorf("undo of %s: %d, want %d with %q\n%s", id, got, code, says, out)
		}
	}
	h.Sh("systemctl disable --now cron")
	before := whole(h)
	apply("one", motd("one\n"), folder, filter, reload)
	apply("two", motd("two\n"), change.Step{Verb: change.File, Name: "/etc/new.d/b", After: text(0o644, "b")}, filter, reload)
	apply("three", change.Step{Verb: change.File, Name: "/etc/new", After: text(0o644, "x")},
		change.Step{Verb: change.Unit, Name: "cron.service", Args: []string{"enable", "start"}}, reload)
	apply("four", change.Step{Verb: change.Unit, Name: "cron.service", Args: []string{"stop"}}, change.Step{Verb: change.File, Name: "/home/operator/x", After: text(0o644, "x")})

	undo("one", 4, "blocked by two: /etc/motd, /etc/new.d/b, the kernel setting net/ipv4/conf/all/rp_filter\n")
	undo("three", 4, "blocked by four: the unit cron.service\n")
	if got := h.Sh("cat /etc/motd /var/lib/picket/tx/one/state; systemctl is-enabled cron"); got != "two\nconfirmed\nenabled\n" {
		t.Errorf("refused, and yet: %s", got)
	}
	undo("two", 0, "") // past three and four, with which it has nothing to do
	if got := h.Sh("cat /etc/motd; ls /etc/new.d; cat /etc/new /home/operator/x"); got != "one\nxx" {
		t.Errorf("two was undone: %q", got)
	}
	undo("four", 0, "")
	undo("three", 0, "")
	undo("one", 0, "")
	// The time of /etc is that of the last of them, as others had changed it in between.
	same(t, withoutTime(before, "/etc"), withoutTime(whole(h), "/etc"), "all undone")

	h.Sh("rm -r /var/lib/picket/tx/*; touch -d 2020-01-01 /etc")
	before = whole(h)
	apply("one", motd("one\n"), folder, filter, reload)
	between := whole(h)
	apply("two", motd("two\n"), change.Step{Verb: change.File, Name: "/etc/new.d/b", After: text(0o644, "b")}, filter, reload)
	undo("two", 0, "")
	same(t, between, whole(h), "the later undone")
	undo("one", 0, "")
	same(t, before, whole(h), "then the earlier")

	// Somebody else has made a file in the same folder since.
	apply("five", motd("five\n"))
	h.Sh("touch /etc/theirs; rm /etc/theirs; stat -c %y /etc >/root/time")
	undo("five", 0, "")
	if got := h.Sh("stat -c %y /etc"); strings.HasPrefix(got, "2020-01-01") {
		t.Error("the folder has its old time, although somebody has worked in it since")
	}

	// What was given away whole goes back after what was changed in it since, and the other way round.
	h.Sh("mkdir -p /opt/app/data; touch /opt/app/data/x")
	give := change.Step{Verb: change.Owner, Name: "/opt/app", Args: change.Hands(0, 0, 1000, 1000, "")}
	inside := change.Step{Verb: change.File, Name: "/opt/app/data/x", Before: change.Thing{Type: snap.File, Mode: 0o644, UID: 1000, GID: 1000}, After: change.Thing{Type: snap.File, Mode: 0o644, UID: 1000, GID: 1000, Content: []byte("x")}}
	apply("given", give)
	apply("inside", inside)
	undo("given", 4, "blocked by inside: /opt/app/data/x\n")
	undo("inside", 0, "")
	undo("given", 0, "")
	inside.Before.UID, inside.Before.GID, inside.After.UID, inside.After.GID = 0, 0, 0, 0
	apply("within", inside)
	apply("later", give)
	undo("within", 4, "blocked by later: /opt/app/data/x\n")
	undo("later", 0, "")
	undo("within", 0, "")
	if got := h.Sh("stat -c '%u %g %s' /opt/app /opt/app/data/x | sed 's/ [0-9]*$//' | uniq"); got != "0 0\n" {
		t.Errorf("all of it went back, and belongs to %s", got)
	}

	// None comes over one that waits.
	waits := stage(t, h, "six", []change.Step{motd("six\n")})
	h.Sh("sh " + waits + "/tx apply")
	if out, code := h.Try("sh", stage(t, h, "seven", []change.Step{filter})+"/tx", "apply"); code != 4 || !strings.Contains(out, "six waits for confirmation: picket confirm six, or picket rollback six") {
		t.Errorf("applied over one that waits: %d\n%s", code, out)
	}
	h.Sh("sh " + waits + "/tx undo")
	if out, code := h.Try("sh", "/var/lib/picket/tx/seven/tx", "apply"); code != 0 {
		t.Errorf("refused, then tried again: %d\n%s", code, out)
	}
	undo("seven", 0, "1/1 sysctl net/ipv4/conf/all/rp_filter")
}

// withoutTime is a list without the line about a folder.
func withoutTime(list, folder string) string {
	var out []string
	for _, l := range strings.Split(list, "\n") {
		if !strings.HasPrefix(l, folder+" d ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
