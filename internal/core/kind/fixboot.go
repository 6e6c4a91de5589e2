package kind

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

const grubFile = "/etc/default/grub.d/zz-picket.cfg" // read after /etc/default/grub

// Fix implements control.Fixer: cmdline.txt of a Raspberry Pi, else what grub's settings add and take away.
func (r *bootParam) Fix(h *fact.Host, d *change.Draft) error {
	wrong := func(w string) bool {
		name, number, _ := strings.Cut(w, "=")
		least, ok := r.Least[name]
		n, err := strconv.Atoi(number)
		return ok && (err != nil || n < least) || slices.ContainsFunc(r.Forbid, func(f string) bool { return matchWord(f, w) })
	}
	var add []string
	now := h.Boot.Asked.V
	pi := h.Boot.Next.Known() && path.Base(h.Boot.Next.Place.Path) == "cmdline.txt"
	if pi {
		now = h.Boot.Next.V
	}
	for _, w := range r.Want {
		if snap.IsPattern(w) {
			d.Leave("which word is to fit %s is yours to decide", w)
			return nil
		}
		if !slices.Contains(now, w) {
			add = append(add, w)
		}
	}
	for name, n := range r.Least {
		if w := name + "=" + strconv.Itoa(n); !slices.ContainsFunc(now, func(h string) bool { return strings.HasPrefix(h, name+"=") && !wrong(h) }) {
			add = append(add, w)
		}
	}
	slices.Sort(add)
	d.Later(change.NextStart)
	switch {
	case pi:
		return d.Edit(h.Boot.Next.Place.Path, 0o755, func(was []byte) ([]byte, error) { return edit.Parameters(was, wrong, add...) })
	case !h.Boot.Asked.Known():
		d.Leave("what starts the kernel, and with which words, is not known: %s", h.Boot.Asked.Why)
		return nil
	}
	files := []string{"/etc/default/grub"}
	es, _, _ := h.Snap.Glob("/etc/default/grub.d/*.cfg")
	for _, e := range es {
		files = append(files, e.Path)
	}
	for _, f := range files {
		if err := d.Edit(f, 0o644, func(was []byte) ([]byte, error) {
			for _, name := range []string{"GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"} {
				var err error
				if was, err = edit.Quoted(was, name, wrong); err != nil {
					return nil, err
				}
			}
			return was, nil
		}); err != nil {
			return err
		}
	}
	if len(add) == 0 {
		return nil
	}
	if err := d.Edit(grubFile, 0o644, func(was []byte) ([]byte, error) {
		if len(was) == 0 {
			was = []byte(head)
		}
		return edit.Quoted(was, "GRUB_CMDLINE_LINUX", nil, append([]string{"$GRUB_CMDLINE_LINUX"}, add...)...)
	}); err != nil {
		return err
	}
	return nil
}

// Fix implements control.Fixer.
func (r *kernelModule) Fix(h *fact.Host, d *change.Draft) error {
	var lines []string
	for _, m := range r.Modules {
		name := strings.ReplaceAll(path.Base(m), "-", "_")
		files, _, _ := h.Snap.Glob(moduleFile(m))
		loaded := h.Modules.Loaded.V[name]
		if loaded {
			d.Later("%s is loaded; %s", name, change.NextStart)
		}
		if _, blocked := h.Modules.Blocked[name]; blocked || h.Modules.BuiltIn[name] || len(files) == 0 && !loaded {
			continue
		}
		lines = append(lines, "install "+name+" /bin/false", "blacklist "+name)
	}
	if len(lines) == 0 {
		d.Leave("it is kept out already, and was loaded before: the next start of the host ends that")
		return nil
	}
	return d.Add(change.ModprobeFile, 0o644, lines...)
}

// Fix implements control.Fixer: the options go to where the next boot reads them, and onto what is mounted now.
func (r *mountOption) Fix(h *fact.Host, d *change.Draft) error {
	now, mounted := h.Mounts.At(r.Point)
	options, _, will := r.next(h)
	if lack := r.lacking(now.Options); mounted && len(lack) > 0 {
		d.Do(change.Mount, r.Point, lack...)
	}
	if !mounted {
		d.Later("%s is mounted so from the next start of the host on", r.Point)
	}
	if will && len(r.lacking(options)) == 0 {
		return nil
	}
	_, api := apiMounts[r.Point]
	switch {
	case h.Mounts.InFstab(r.Point):
		return r.inFstab(d, "")
	case api:
		all := slices.Concat([]string{"defaults"}, options, r.lacking(options))
		return r.inFstab(d, "tmpfs "+r.Point+" tmpfs "+strings.Join(all, ",")+" 0 0")
	case r.Point == "/tmp" && will:
		return d.Say("/etc/systemd/system/tmp.mount.d/zz-picket.conf", 0o644, edit.Systemd, "Mount", "Options", strings.Join(slices.Concat(options, r.lacking(options)), ","))
	case r.Point == "/tmp" && r.Own && !mounted:
		if !h.Mounts.TmpUnit.Known() {
			content := head + "[Unit]\nDescription=Temporary files in memory\nConditionPathIsSymbolicLink=!/tmp\nDefaultDependencies=no\nConflicts=umount.target\n" +
				"Before=local-fs.target umount.target\nAfter=swap.target\n\n[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\nOptions=mode=1777,strictatime," +
				strings.Join(r.Options, ",") + ",size=50%%,nr_inodes=1m\n\n[Install]\nWantedBy=local-fs.target\n"
			if err := d.Write("/etc/systemd/system/tmp.mount", 0o644, content); err != nil {
				return err
			}
		}
		d.Do(change.Unit, "tmp.mount", "enable")
		return nil
	}
	d.Leave("nothing of what Picket changes mounts %s at boot: that is for /etc/fstab, and yours to decide", r.Point)
	return nil
}

func (r *mountOption) inFstab(d *change.Draft, fallback string) error {
	return d.Edit("/etc/fstab", 0o644, func(was []byte) ([]byte, error) { return edit.Mount(was, r.Point, r.Options, fallback) })
}
