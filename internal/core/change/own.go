package change

import (
	"bytes"
	"fmt"
	"strings"

	"picket/internal/core/edit"
)

// Head is the first line of a file that is Picket's own.
const Head = "# Written by Picket. What it was for: picket history\n"

// Files of our own in which rules of several packages set something.
const (
	SSHDFile     = "/etc/ssh/sshd_config.d/00-picket.conf" // read before all others of its folder: of sshd's settings the first wins
	AptFile      = "/etc/apt/apt.conf.d/99zz-picket"       // read after all others of its folder
	ModprobeFile = "/etc/modprobe.d/zz-picket.conf"
)

// NextStart is said of what the running host does not have yet.
const NextStart = "it is in force from the next start of the host on"

// Mark is put before a line that Picket takes out of somebody's file.
const Mark = "# picket: "

// How they are written. A line of apt's is: Key "value";
var (
	SSHD = edit.Form{Between: " ", Comment: "#", Fold: true}
	Apt  = edit.Form{Between: " ", Comment: "#/", Fold: true}
)

// Say has a settings file say key = value in a section, see [edit.Form.Set]. A file that is not there is made, root's,
// with this mode and with [Head].
func (d *Draft) Say(p string, mode uint32, form edit.Form, section, key, value string) error {
	return d.Edit(p, mode, func(was []byte) ([]byte, error) {
		if len(was) == 0 {
			was = []byte(Head)
		}
		return form.Set(was, section, key, value)
	})
}

// Add has a file of our own hold these lines, those that it lacks at its end.
func (d *Draft) Add(p string, mode uint32, lines ...string) error {
	return d.Edit(p, mode, func(was []byte) ([]byte, error) {
		if len(was) == 0 {
			was = []byte(Head)
		}
		out := bytes.Clone(was)
		for _, l := range lines {
			if strings.ContainsAny(l, "\n\r\x00") {
				return nil, fmt.Errorf("%q is not one line", l)
			}
			if strings.Contains("\n"+string(out), "\n"+l+"\n") {
				continue
			}
			out = append(append(out, l...), '\n')
		}
		return out, nil
	})
}

// Write gives a file this content.
func (d *Draft) Write(p string, mode uint32, content string) error {
	return d.Edit(p, mode, func([]byte) ([]byte, error) { return []byte(content), nil })
}
