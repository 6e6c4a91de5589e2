// Package change says what is to be done to a host, as values. A fix works on a
// [Draft] of the host; what comes out is a list of steps.
package change

import (
	"bytes"
	"fmt"
	"strconv"

	"picket/internal/core/snap"
)

// A Thing is what lies at a path. The zero value is nothing.
type Thing struct {
	Type     snap.Type // "" nothing, or file, dir, link
	Content  []byte    // of a file
	Mode     uint32    // permission, set-id and sticky bits: 0 to 07777
	UID, GID int
	Target   string // of a link
	Opaque   bool   // a file whose content is not known, and stays
}

// Same reports whether two are alike in all that a step sets.
func (t Thing) Same(o Thing) bool {
	return t.Type == o.Type && t.Mode == o.Mode && t.UID == o.UID && t.GID == o.GID && t.Target == o.Target && t.Opaque == o.Opaque && bytes.Equal(t.Content, o.Content)
}

// Verb is a kind of step.
type Verb string

// The verbs, in the order in which steps are taken; within one, in the order of the plan.
const (
	Remove  Verb = "remove"  // packages; their settings stay
	Install Verb = "install" // packages
	File    Verb = "file"    // a path: what lay there becomes what is to lie there
	Owner   Verb = "owner"   // what belongs to one account at and below a path becomes another's, see [Hands]
	Check   Verb = "check"   // a command that has to succeed before anything is loaded
	Sysctl  Verb = "sysctl"  // a setting of the running kernel
	Mount   Verb = "mount"   // options of what is mounted at a path
	Unit    Verb = "unit"    // a systemd unit, and what systemctl does with it
	Act     Verb = "act"     // a command that loads what was changed, forwards and backwards
)

var verbs = []Verb{Remove, Install, File, Owner, Check, Sysctl, Mount, Unit, Act}

// A Step is one thing that is done, whole or not at all.
type Step struct {
	Verb     Verb     `json:"verb"`
	Name     string   `json:"name"`           // path, sysctl key with slashes, unit, or the command
	Args     []string `json:"args,omitempty"` // packages; what systemctl does; the value
	Before   Thing    `json:"-"`
	After    Thing    `json:"-"`
	Controls []string `json:"controls"` // what it is for
}

// Hands are the arguments of a step of the verb [Owner]: from whom to whom files go, and which unit stands still meanwhile.
func Hands(fromUID, fromGID, uid, gid int, unit string) []string {
	return []string{strconv.Itoa(fromUID), strconv.Itoa(fromGID), strconv.Itoa(uid), strconv.Itoa(gid), unit}
}

// A Cause is why something is left to a person.
type Cause struct {
	Control string
	Why     string
}

// An Edit is what one control changes at one path.
type Edit struct {
	Control       string
	Path          string
	Before, After Thing
	Secret        int // lines that change in what is taken out of Before and After before they are shown
}

// An Unread error says that a path cannot be changed, as it is not known what lies there.
type Unread struct {
	Path, Why string
	Secret    bool // its secrets were taken out when it was read: it has to be read again, whole
}

func (e *Unread) Error() string {
	if e.Secret {
		return e.Path + " holds secrets, which are not kept: picket apply reads it anew, and shows the change"
	}
	return fmt.Sprintf("what %s holds is not known: %s", e.Path, e.Why)
}
