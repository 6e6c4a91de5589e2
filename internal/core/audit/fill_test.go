package audit

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

func about(account, file string) control.Evidence {
	return control.Saw("x", fact.Place{Path: file}, "a", "b").Of(account)
}

func TestFill(t *testing.T) {
	for _, c := range []struct {
		fix  string
		of   []control.Evidence
		want string
	}{
		{"sudo passwd USER\n", []control.Evidence{about("pi", "/etc/shadow"), about("amy", "/etc/shadow"), about("pi", "/etc/shadow")}, "sudo passwd pi\nsudo passwd amy\n"},
		{"sudo chown NAME: FILE\n", []control.Evidence{about("pi", "/home/pi/.x")}, "sudo chown pi: /home/pi/.x\n"},
		{"chmod +t FOLDER\n", []control.Evidence{about("", "/srv/my things")}, "chmod +t '/srv/my things'\n"},
		{"First look: passwd -S NAME\nsudo usermod -L NAME", []control.Evidence{about("a", "/x"), about("b", "/x")}, "First look: passwd -S NAME\nsudo usermod -L a" + "sudo usermod -L b"},
		{"First look: passwd -S NAME\n", []control.Evidence{about("a", "/x")}, "First look: passwd -S a\n"},
		{"usermod -aG x \"$USER\"\n", []control.Evidence{about("pi", "/x")}, "usermod -aG x \"$USER\"\n"},
		{"usermod -g NAME NAME\n", []control.Evidence{about("pi", "/x")}, "usermod -g pi pi\n"},
		{"rm FILE\n", []control.Evidence{about("", "/a$1b")}, "rm '/a$1b'\n"},
		{"FILENAME NAMES /FILES FILE_X", []control.Evidence{about("a", "/x")}, "FILENAME NAMES /FILES FILE_X"},
		{"sudo chown NAME FILE\n", []control.Evidence{about("pi", "/srv/NAME/my USER")}, "sudo chown pi '/srv/NAME/my USER'\n"},
		{"visudo -f /etc/sudoers.d/FILE\n", []control.Evidence{about("", "/etc/sudoers.d/x")}, "visudo -f /etc/sudoers.d/FILE\n"},
		{"nmcli connection modify x wifi.ssid 'A-NAME'\n", []control.Evidence{about("pi", "/x")}, "nmcli connection modify x wifi.ssid 'A-NAME'\n"},
		{"chmod -R go-rwx ~USER/.ssh\n", []control.Evidence{about("pi", "/x")}, "chmod -R go-rwx ~pi/.ssh\n"},
		{"sudo chgrp GROUP FILE\n", []control.Evidence{about("pi", "/x").For("www-data"), about("", "/y").For("root")}, "sudo chgrp www-data /x\nsudo chgrp root /y\n"},
		{"sudo chgrp GROUP FILE\n", []control.Evidence{about("pi", "/x")}, "sudo chgrp GROUP FILE\n"},
		{"sudo chgrp GROUP FILE\n", []control.Evidence{about("pi", "/x").For("a;b")}, "sudo chgrp GROUP FILE\n"},
		// What is not known, or must not be typed, stays.
		{"passwd USER\n", []control.Evidence{about("", "/x")}, "passwd USER\n"},
		{"passwd USER\n", []control.Evidence{about("", "/x"), about("pi", "/x")}, "passwd pi\n"},
		{"passwd USER\n", []control.Evidence{about("pi", "/x"), about("x;reboot", "/x")}, "passwd USER\n"},
		{"passwd USER\n", []control.Evidence{about("-d", "/x")}, "passwd USER\n"},
		{"rm FILE\n", []control.Evidence{about("", "/tmp/a\u202eb")}, "rm FILE\n"},
		{"rm FILE\n", []control.Evidence{about("", "/tmp/a\nreboot")}, "rm FILE\n"},
		{"rm FILE\n", nil, "rm FILE\n"},
		{"rm FILE\n", []control.Evidence{control.Saw("context", fact.Place{Path: "/x"}, "a", "")}, "rm FILE\n"},
	} {
		if got := fill(c.fix, c.of); got != c.want {
			t.Errorf("%q of %v: got %q, want %q", c.fix, c.of, got, c.want)
		}
	}
	var many []control.Evidence
	for i := range maxFilled + 1 {
		many = append(many, about("", fmt.Sprintf("/f%d", i)))
	}
	if got := fill("rm FILE\n", many); got != "rm FILE\n" {
		t.Errorf("of many: %q", got)
	}
}

// TestQuoted: a real shell takes what is filled in for the file's name, whatever
// that is.
func TestQuoted(t *testing.T) {
	for _, p := range []string{"/a", "/a b", "/it's", "/$(reboot)", "/`id`", "/a;b&c|d", "/\\", "/'", "/ä*?[x]", "/!x", "/~"} {
		q, ok := quoted(p)
		if !ok {
			t.Errorf("%q is not filled in", p)
			continue
		}
		out, err := exec.Command("sh", "-c", "printf %s "+q).Output()
		if err != nil || string(out) != p {
			t.Errorf("%s is %q to a shell, %v", q, out, err)
		}
	}
	for _, p := range []string{"", "a", "-rf", "/a\x1b[2J", "/a\xff", strings.Repeat("x", 9)} {
		if q, ok := quoted(p); ok {
			t.Errorf("%q is filled in as %s", p, q)
		}
	}
}
