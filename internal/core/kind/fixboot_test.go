package kind

import (
	"strings"
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// A word goes from wherever grub's settings have it; one that is wanted comes by a file of our own.
func TestBootWords(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	s.MarkComplete()
	for p, content := range map[string]string{
		"/etc/default/grub":         "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet nopti\"\nGRUB_CMDLINE_LINUX=\"nopti\" # x\n",
		"/etc/default/grub.d/a.cfg": "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT nopti\"\n",
	} {
		s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(content), Size: int64(len(content))})
	}
	d := change.On(s, nil, change.Policy{})
	r := &bootParam{Forbid: []string{"nopti"}, Want: []string{"audit=1"}, Least: map[string]int{"audit_backlog_limit": 8192}}
	if err := d.For("a/b", func(d *change.Draft) error { return r.Fix(fact.Parse(s), d) }); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{
		"/etc/default/grub":         "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\" # x\n",
		"/etc/default/grub.d/a.cfg": "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT\"\n",
		grubFile:                    head + "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX audit=1 audit_backlog_limit=8192\"\n",
	} {
		is, err := d.At(p)
		if err != nil || string(is.Content) != want {
			t.Errorf("%s: %v\n%s", p, err, is.Content)
		}
	}
	if l := d.Laters(); len(l) != 1 || !strings.Contains(l[0].Why, "next start") {
		t.Errorf("%v", l)
	}
}
