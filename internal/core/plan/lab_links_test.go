package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/snap"
	"picket/lab"
)

// victims is what an ordinary user must not get changed, whatever lies in that user's home.
const victims = `stat -c '%n %a %u %g %h %Y' /etc /etc/shadow /etc/cron.d /root /root/.ssh /root/.ssh/authorized_keys /srv/shared /srv/d /srv/d/*
	sha256sum /etc/shadow /root/.ssh/authorized_keys /srv/shared /srv/d/*; ls -A /etc/cron.d /root/.ssh`

// TestLinksOfUsers has a user plant links in a home at the moment that is worst for each kind of step: before the look,
// before the step, right before a program that the step runs, or before it is taken back.
func TestLinksOfUsers(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh(`useradd -m mallory; mkdir -p /root/.ssh; echo key >/root/.ssh/authorized_keys; echo shared >/srv/shared; chmod 666 /srv/shared
		mkdir /srv/d; echo is >/srv/d/authorized_keys
		touch -d 2020-02-02 /etc/cron.d /root/.ssh /root/.ssh/authorized_keys`)
	uid := 0
	if _, err := fmt.Sscan(h.Sh("id -u mallory"), &uid); err != nil {
		t.Fatal(err)
	}
	theirs := func(mode uint32, content string) change.Thing {
		return change.Thing{Type: snap.File, Mode: mode, UID: uid, GID: uid, Content: []byte(content)}
	}
	opaque := func(mode uint32, owner int) change.Thing {
		return change.Thing{Type: snap.File, Mode: mode, UID: owner, GID: owner, Opaque: true}
	}
	step := func(name string, before, after change.Thing) change.Step {
		return change.Step{Verb: change.File, Name: "/home/mallory/" + name, Before: before, After: after}
	}
	const away = "mv ~/d ~/e; ln -s " // and where the folder leads to then
	closes := step("x", opaque(0o644, uid), opaque(0o600, uid))
	opens := step("d/authorized_keys", theirs(0o644, "was\n"), theirs(0o644, "is\n"))
	for _, tc := range []struct {
		name   string
		step   change.Step
		moment string // look, take, back, or a program
		plant  string // what mallory does then
		code   int    // of apply, or of undo where that is the moment
		says   string
		then   string // mallory mends it; after which undo has to work
		end    string // what root wants to see in the home before that
	}{
		{"mode, a link", closes, "look", "mv x y; ln -s /etc/shadow x", 4, "/home/mallory/x is a link", "", ""},
		{"mode, a link at the step", closes, "take", "mv x y; ln -s /etc/shadow x", 6, "/home/mallory/x is a link", "mv y x", ""},
		{"mode, a link at chmod", closes, "chmod", "mv x y; ln -s /etc/shadow x", 0, "", "mv y x", "stat -c %a y; 600"},
		{"mode, another's file", closes, "look", "mv x y; ln /srv/shared x", 4, "not what it was when the plan was made", "", ""},
		{"mode, a second name", closes, "look", "ln x y", 4, "/home/mallory/x has other names as well", "", ""},
		{"mode, a folder that is a link", step("d/shadow", opaque(0o644, uid), opaque(0o600, uid)), "take", away + "/etc d", 6, "/home/mallory/d is a link that others than root can lay", "rm d; mv e d", ""},
		{"mode, back, a link", closes, "back", "mv x y; ln -s /etc/shadow x", 6, "/home/mallory/x is a link", "mv y x", ""},
		{"mode, back, another file", closes, "back", "cp x y; mv x z; mv y x", 6, "/home/mallory/x was replaced by somebody since", "mv z x", ""},
		{"mode, back, a pipe", closes, "back", "mv x y; mkfifo x", 6, "/home/mallory/x is no file and no folder", "mv y x", ""},
		{"owner, a link at chown", step("x", opaque(0o644, uid), opaque(0o644, 0)), "chown", "mv x y; ln -s /etc/shadow x", 0, "", "mv y x", "stat -c %u y; 0"},
		{"set-id that its owner could fill", step("s", opaque(0o4755, 0), opaque(0o755, uid)), "back", "echo evil >s", 6, "/home/mallory/s does not run as its owner any more", "-", "stat -c '%a %u' s; 755 0"},
		{"set-id, back", step("s", opaque(0o4755, 0), opaque(0o755, uid)), "back", "exec 4>>s; touch x", 0, "", "", "stat -c '%a %u' s; 4755 0"},
		{"folder, a link at chown", step("new", change.Thing{}, change.Thing{Type: snap.Dir, Mode: 0o777, UID: uid, GID: uid}), "chown", "rm -rf new; ln -s /etc new", 0, "", "", "stat -c '%F %a' new; directory 777"},
		{"file, its new name", opens, "cp", "ln -s /etc/shadow ~/d/.picket-ID", 0, "", "", "cat d/authorized_keys; is"},
		{"file, a link as it is copied", opens, "cp", "cd ~/d; mv authorized_keys k; ln -s /etc/shadow authorized_keys", 0, "", "", "cat d/authorized_keys; is"},
		{"file, a folder that is a link", opens, "take", away + "/root/.ssh d", 6, "/home/mallory/d is a link that others than root can lay", "rm d; mv e d", ""},
		{"file, back, its new name", opens, "back", "ln -s /etc/cron.d ~/d/.picket-ID", 0, "", "", "cat d/authorized_keys; was"},
		{"file, back, a folder that is a link", opens, "back", away + "/srv/d d", 6, "/home/mallory/d is a link that others than root can lay", "rm d; mv e d", ""},
		{"file, back, a pipe", opens, "back", "cd ~/d; mv authorized_keys k; mkfifo authorized_keys", 6, "was changed by somebody since", "cd ~/d; mv k authorized_keys", ""},
		{"link, its new name", step("l", change.Thing{}, change.Thing{Type: snap.Link, Target: "/tmp"}), "take", "ln -s /etc/cron.d .picket-ID", 0, "", "", "readlink l; /tmp"},
		{"gone, a folder that is a link", step("d/authorized_keys", opaque(0o644, uid), change.Thing{}), "take", away + "/root/.ssh d", 6, "/home/mallory/d is a link that others than root can lay", "rm d; mv e d", ""},
		{"gone, back, its new name", step("d/authorized_keys", opaque(0o644, uid), change.Thing{}), "back", "ln -s /etc/cron.d ~/d/.picket-ID", 0, "", "", "cat d/authorized_keys; was"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.Sh(`rm -rf /home/mallory; mkdir -m 755 /home/mallory; cd /home/mallory; mkdir d; echo was >d/authorized_keys; echo x >x; echo shadow >d/shadow
				chmod 644 x d/*; chown -R mallory: .; echo s >s; chmod 4755 s`)
			id := strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(tc.name)
			at := stage(t, h, id, []change.Step{tc.step})
			// mallory strikes once, as soon as the program comes to the moment.
			hook := `strike() { [ ! -e /run/plant ] || { mv /run/plant /run/planting; runuser -u mallory -- sh -ec "cd; $(cat /run/planting)" <&- || kill $$; }; }
progress() { [ "$side" != take ] || [ take != MOMENT ] || strike; }
sync() { :; } # which waits for all that others write
units_anew() { :; }
MOMENT() { [ "$side" != take ] || strike; command MOMENT "$@"; }
`
			if tc.moment == "look" || tc.moment == "take" || tc.moment == "back" {
				hook = hook[:strings.Index(hook, "MOMENT()")]
			}
			h.Sh("cat >/run/hook <<'END'\n" + strings.ReplaceAll(hook, "MOMENT", tc.moment) + "END\nsed -i '/^booting=/r /run/hook' " + at + "/tx; grep -q strike " + at + "/tx")
			before := h.Sh(victims)
			plant := strings.ReplaceAll(tc.plant, "ID", id)
			strike := "runuser -u mallory -- sh -ec 'cd; " + plant + "'"
			verb := "apply"
			switch tc.moment {
			case "look":
				h.Sh(strike)
				before = h.Sh(victims) // mallory may give the shared file another name
			case "back":
				h.Sh("sh " + at + "/tx apply && sh " + at + "/tx confirm; " + strike)
				verb = "undo"
			default:
				h.Sh("cat >/run/plant <<'END'\n" + plant + "\nEND\n")
			}
			out, code := h.Try("timeout", "60", "sh", at+"/tx", verb)
			if code != tc.code || !strings.Contains(out, tc.says) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, tc.code, tc.says, out)
			}
			if look, want, ok := strings.Cut(tc.end, "; "); ok {
				if got, _ := h.Try("sh", "-c", "cd /home/mallory; "+look); got != want+"\n" {
					t.Errorf("%s: %q, want %q", look, got, want)
				}
			}
			same(t, before, h.Sh("rm -f /run/plant; "+victims), "what is not theirs")
			if tc.code == 4 || tc.then == "-" {
				h.Sh("sh " + at + "/tx undo || rm -r " + at)
				return
			}
			if tc.then != "" {
				h.Sh("runuser -u mallory -- sh -ec 'cd; " + tc.then + "'")
			}
			if out, code := h.Try("timeout", "60", "sh", at+"/tx", "undo"); code != 0 {
				t.Errorf("undo after that: %d\n%s", code, out)
				h.Sh("rm -r " + at)
			}
			if got := h.Sh(`cd /home/mallory; stat -c '%n %a %u' x s d/authorized_keys; cat d/authorized_keys; ls -d d/.picket* .picket* 2>/dev/null | grep -v -e '-ID$' || true`); !strings.HasPrefix(got, fmt.Sprintf("x 644 %d\ns 4755 0\nd/authorized_keys 644 %[1]d\nwas\n", uid)) {
				t.Errorf("undone: %s", got)
			}
			same(t, before, h.Sh(victims), "what is not theirs, after undo")
		})
	}
}

// TestFileSystemWithoutRights changes a file where every folder has the same rights, as on the VFAT that a Raspberry Pi starts
// from: where only root can write that is safe, in a user's folder it is refused.
func TestFileSystemWithoutRights(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh("useradd -m mallory; mkdir -p /boot/firmware; echo was >/boot/firmware/cmdline.txt; echo was >/home/mallory/cmdline.txt; chmod 755 /boot/firmware/cmdline.txt /home/mallory/cmdline.txt")
	for folder, code := range map[string]int{"/boot/firmware": 0, "/home/mallory": 5} {
		text := func(content string) change.Thing {
			return change.Thing{Type: snap.File, Mode: 0o755, Content: []byte(content)}
		}
		before := h.Sh("stat -c '%n %a %U %Y' " + folder + "/*; ls -A " + folder)
		at := stage(t, h, "vfat"+fmt.Sprint(code), []change.Step{{Verb: change.File, Name: folder + "/cmdline.txt", Before: text("was\n"), After: text("is\n")}})
		h.Sh(`cat >/run/hook <<'END'
mktemp() { set -- "$(command mktemp "$@")" && chmod 755 "$1" && printf '%s\n' "$1"; }
END
sed -i '/^booting=/r /run/hook' ` + at + "/tx")
		if out, got := h.Try("sh", at+"/tx", "apply"); got != code {
			t.Errorf("%s: apply: %d, want %d\n%s", folder, got, code, out)
		}
		if got := h.Read(folder + "/cmdline.txt"); got != map[int]string{0: "is\n", 5: "was\n"}[code] {
			t.Errorf("%s: then it is %q", folder, got)
		}
		if out, got := h.Try("sh", at+"/tx", "undo"); got != 0 {
			t.Errorf("%s: undo: %d\n%s", folder, got, out)
		}
		same(t, before, h.Sh("stat -c '%n %a %U %Y' "+folder+"/*; ls -A "+folder), folder)
	}
}

// TestLinksThatFlicker has a user exchange a file and a folder for links all the time, while steps are taken there and back.
func TestLinksThatFlicker(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh(`useradd -m mallory; mkdir -p /root/.ssh; echo key >/root/.ssh/authorized_keys; echo shared >/srv/shared; mkdir /srv/d; echo is >/srv/d/x; cd /home/mallory; mkdir d; echo x >x; echo key >d/authorized_keys; chown -R mallory: .`)
	uid := 0
	if _, err := fmt.Sscan(h.Sh("id -u mallory"), &uid); err != nil {
		t.Fatal(err)
	}
	before := h.Sh(victims)
	h.Sh(`cat >/run/flicker <<'END'
chdir "/home/mallory"; my $n = 0;
symlink "/etc/shadow", "xl"; symlink "/root/.ssh", "dl";
while (1) {
	rename "x", "xf"; rename "xl", "x"; rename "d", "df"; rename "dl", "d";
	rename "x", "xl"; rename "xf", "x"; rename "d", "dl"; rename "df", "d";
	select undef, undef, undef, 0.002 if $n++ % 3 == 0;
}
END
setsid runuser -u mallory -- perl /run/flicker >/dev/null 2>&1 </dev/null & echo $! >/run/flickers`)
	steps := []change.Step{
		{Verb: change.File, Name: "/home/mallory/x", Before: change.Thing{Type: snap.File, UID: uid, Opaque: true}, After: change.Thing{Type: snap.File, Mode: 0o640, UID: uid, GID: uid, Opaque: true}},
		{Verb: change.File, Name: "/home/mallory/d/authorized_keys", Before: change.Thing{Type: snap.File, Opaque: true}, After: change.Thing{Type: snap.File, Mode: 0o666, UID: uid, GID: uid, Content: []byte("evil\n")}},
	}
	ends := map[string]int{}
	for n := range 12 {
		at := stage(t, h, fmt.Sprintf("flicker%d", n), steps)
		h.Sh("printf 'sync() { :; }\nunits_anew() { :; }\n' >/run/hook; sed -i '/^booting=/r /run/hook' " + at + "/tx") // see above
		_, code := h.Try("sh", at+"/tx", "apply")
		back := 0
		if code == 0 {
			_, back = h.Try("sh", at+"/tx", "undo")
		}
		ends[fmt.Sprint(code, " ", back)]++
		h.Sh("rm -r " + at)
	}
	h.Sh("kill -- -$(cat /run/flickers) 2>/dev/null || kill $(cat /run/flickers)")
	t.Logf("how they ended: %v", ends)
	same(t, before, h.Sh(victims), "what is not theirs")
}
