package kind

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/internal/core/fact"
)

// What each kind looks at, a line a thing, for `picket explain`.

// Describe implements control.Describer.
func (r *sshdOption) Describe() []string {
	who := map[string]string{"all": "everybody who might log in", "root": "root", "stranger": "somebody without an account"}[r.who]
	out := []string{"what sshd answers for " + who + " (`sshd -T`), and the files that it read:"}
	for _, w := range r.want {
		out = append(out, w.option+": "+w.full())
	}
	for i, w := range r.or {
		intro := "and "
		if i == 0 {
			intro = "or instead "
		}
		out = append(out, intro+w.option+": "+w.full())
	}
	return out
}

// full is what is wanted with every word of a long list.
func (w sshdWant) full() string {
	if w.Exactly != nil {
		var out []string
		for _, v := range slices.Sorted(maps.Keys(w.Exactly)) {
			out = append(out, "since OpenSSH "+v+" exactly "+strings.Join(w.Exactly[v], ","))
		}
		return strings.Join(out, "; ") + "; less what this host's own OpenSSH does not know (`ssh -Q`)"
	}
	if len(w.Subset) > 0 {
		return "only " + strings.Join(w.Subset, ", ")
	}
	return w.String()
}

// Describe implements control.Describer.
func (r *sysctl) Describe() []string {
	out := []string{"what the kernel runs with (/proc/sys), and what the files of sysctl.d set at the next boot:"}
	for _, k := range r.keys {
		out = append(out, fact.SysctlName(k)+": "+sysctlSeen{want: r.Want[k]}.wanted())
	}
	return out
}

// Describe implements control.Describer.
func (r *fileMode) Describe() []string {
	out := []string{"permissions of " + strings.Join(r.Paths, ", ")}
	if len(r.Except) > 0 {
		out[0] += ", without " + strings.Join(r.Except, ", ")
	}
	want := fmt.Sprintf("wanted: mode %04o or less", r.Mode)
	if len(r.Owner) > 0 && !slices.Contains(r.Owner, "any") {
		want += ", owner " + strings.Join(r.Owner, " or ")
	}
	if len(r.Group) > 0 {
		want += ", group " + strings.Join(r.Group, " or ")
	}
	return append(out, want)
}

// Describe implements control.Describer.
func (r *kernelModule) Describe() []string {
	return []string{
		"modules that must be neither loaded nor loadable: " + strings.Join(r.Modules, ", "),
		"read: /proc/modules, the files of modprobe.d, the kernel's list of modules",
	}
}

// Describe implements control.Describer.
func (r *mountOption) Describe() []string {
	out := []string{r.Point + " now (/proc/1/mountinfo) and at the next boot (/etc/fstab, units)"}
	if len(r.Options) > 0 {
		out = append(out, "wanted: mounted with "+strings.Join(r.Options, ", "))
	}
	if r.Own {
		out = append(out, "wanted: a file system of its own")
	}
	return out
}

// Describe implements control.Describer.
func (r *bootParam) Describe() []string {
	out := []string{"the kernel's command line now (/proc/cmdline) and at the next boot (GRUB, cmdline.txt)"}
	if len(r.Want) > 0 {
		out = append(out, "wanted in it: "+strings.Join(r.Want, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Least)) {
		out = append(out, fmt.Sprintf("wanted in it: %s=%d or more", name, r.Least[name]))
	}
	if len(r.Forbid) > 0 {
		out = append(out, "must not be in it: "+strings.Join(r.Forbid, ", "))
	}
	return out
}

// Describe implements control.Describer.
func (r *fileAbsent) Describe() []string {
	return []string{"files that must not be there: " + strings.Join(r.Paths, ", ")}
}

// Describe implements control.Describer.
func (r *fileLine) Describe() []string {
	out := []string{"the lines of " + strings.Join(r.Paths, ", ")}
	for _, w := range r.Want {
		out = append(out, "wanted: a line like "+w)
	}
	if len(r.Forbid) > 0 {
		out = append(out, "must not be there: a line that "+r.Say)
	}
	for _, f := range r.Forbid {
		out = append(out, "looked for as the pattern: "+f)
	}
	return out
}

// Describe implements control.Describer.
func (r *fileSetting) Describe() []string {
	files := r.Files
	if r.File != "" {
		files = append([]string{r.File}, files...)
	}
	key := r.Key
	if r.Section != "" {
		key = "[" + r.Section + "] " + key
	}
	where := strings.Join(files, ", ") + ", and the files that go over it"
	if len(files) == 0 { // the settings of apt
		where = "/etc/apt/apt.conf.d and /etc/apt/apt.conf, as `apt-config dump` shows them"
	}
	return []string{fmt.Sprintf("%s in %s", key, where), "wanted: " + r.wanted()}
}

// Describe implements control.Describer.
func (r *packageRule) Describe() []string {
	want := map[string]string{"absent": "none of them installed", "installed": "all of them installed", "any": "one of them installed"}[r.State]
	return []string{"packages (dpkg): " + strings.Join(r.Packages, ", "), "wanted: " + want}
}

// Describe implements control.Describer.
func (r *unitRule) Describe() []string {
	want := r.State
	if r.Any {
		want += ", one of them is enough"
	}
	return []string{"units of systemd, now and at boot: " + strings.Join(r.Units, ", "), "wanted: " + want}
}
