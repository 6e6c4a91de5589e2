package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

var pamRepairs = map[string]repair{
	"pam.nullok":   repairNullOK,
	"pam.su":       repairSu,
	"pam.quality":  repairQuality,
	"pam.history":  repairHistory,
	"pam.faillock": repairLockout,
}

func repairNullOK(h *fact.Host, d *change.Draft) error {
	o := pamNullOK(h)
	for _, e := range o.Evidence {
		if err := d.Edit(e.File, 0o644, func(was []byte) ([]byte, error) {
			return edit.ModuleOption(was, "pam_unix.so", "nullok", false, nil)
		}); err != nil {
			return err
		}
	}
	return nil
}

// repairSu lets members of the administrators' group use su.
func repairSu(h *fact.Host, d *change.Draft) error {
	group := "sudo"
	if !slices.ContainsFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.Name == group }) {
		group = "root"
	}
	if err := d.Edit("/etc/pam.d/su", 0o644, func(was []byte) ([]byte, error) {
		return insertAfter(was, "pam_rootok.so", "auth required pam_wheel.so use_uid group="+group)
	}); err != nil {
		return err
	}
	return holds(suRestricted, d)
}

// repairQuality installs the module; its package puts it into the stack. What it wants of a password is for other rules.
func repairQuality(h *fact.Host, d *change.Draft) error {
	if h.Packages.Has("libpam-pwquality").V {
		d.Leave("%s: libpam-pwquality is installed, and somebody has taken it out of /etc/pam.d/common-password: `sudo pam-auth-update --enable pwquality`", pamQuality(h).Reason)
		return nil
	}
	is, err := stacks(d)
	if err == nil {
		_, err = is.Using()
	}
	if err != nil {
		return fmt.Errorf("libpam-pwquality would not come into force: %w; `sudo pam-auth-update --force` writes them anew, without what was added by hand", err)
	}
	// Without a dictionary to look into, it refuses every password; of the package it is only recommended.
	d.Do(change.Install, "packages", "libpam-pwquality", "cracklib-runtime")
	return nil
}

// repairHistory puts pam_pwhistory before pam_unix. The one that asks for the password is the first; those after it take
// over what it was given.
func repairHistory(h *fact.Host, d *change.Draft) error {
	if _, there, _ := pamModule(h, "common-password", "pam_pwhistory.so"); there {
		d.Leave("%s", pamHistory(h).Reason)
		return nil
	}
	if _, unix, _ := pamModule(h, "common-password", "pam_unix.so"); !unix {
		d.Leave("pam_unix.so is not in /etc/pam.d/common-password")
		return nil
	}
	if err := enable(h, d, "pam_pwhistory.so", historyProfiles, func() error {
		line := "password requisite pam_pwhistory.so remember=24"
		if _, asks, _ := pamModule(h, "common-password", "pam_pwquality.so"); asks {
			line += " use_authtok"
		}
		return d.Edit("/etc/pam.d/common-password", 0o644, func(was []byte) ([]byte, error) {
			out, err := insertBefore(was, "pam_unix.so", line)
			if err != nil {
				return nil, err
			}
			return edit.ModuleOption(out, "pam_unix.so", "use_authtok", true, nil)
		})
	}); err != nil {
		return err
	}
	return holds(pamHistory, d)
}

// repairLockout counts wrong passwords: preauth before the modules that look at the password, authfail after them. A
// module that jumps over what comes next jumps over the new line as well.
func repairLockout(h *fact.Host, d *change.Draft) error {
	if _, there, _ := pamModule(h, "common-auth", "pam_faillock.so"); there {
		d.Leave("%s", pamLockout(h).Reason)
		return nil
	}
	if err := enable(h, d, "pam_faillock.so", lockoutProfiles, func() error {
		if err := d.Edit("/etc/pam.d/common-auth", 0o644, lockout); err != nil {
			return err
		}
		return d.Edit("/etc/pam.d/common-account", 0o644, func(was []byte) ([]byte, error) {
			return insertBefore(was, "pam_unix.so", "account required pam_faillock.so")
		})
	}); err != nil {
		return err
	}
	if why := counts(control.Drafted(d).Session.PAM["common-auth"].V); why != "" {
		d.Leave("%s", why)
		return nil
	}
	for _, s := range [][2]string{{"deny", "5"}, {"unlock_time", "900"}} {
		if v, _, _ := lastSetting(h, s[0], "/etc/security/faillock.conf"); v == "" || v == "0" {
			if err := d.Say("/etc/security/faillock.conf", 0o644, edit.Flags, "", s[0], s[1]); err != nil {
				return err
			}
		}
	}
	return holds(pamLockout, d)
}

// lockout works on /etc/pam.d/common-auth as pam-auth-update writes it: one or more modules that jump over pam_deny.
func lockout(was []byte) ([]byte, error) {
	lines := strings.Split(string(was), "\n")
	deny := slices.IndexFunc(lines, func(l string) bool { return pamLine(l, "pam_deny.so") })
	var modules []int // the lines that are counted by a jump
	for i, l := range lines {
		if t := strings.TrimSpace(l); strings.HasPrefix(t, "auth") || strings.HasPrefix(t, "-auth") {
			modules = append(modules, i)
		}
	}
	first := -1
	for k, i := range modules {
		if deny < 0 || i >= deny {
			break
		}
		n, at, ok := jump(lines[i])
		if !ok {
			continue
		}
		if k+n+1 >= len(modules) || modules[k+n+1] <= deny {
			return nil, fmt.Errorf("line %d jumps to a place before pam_deny.so, which pam-auth-update does not write", i+1)
		}
		if first < 0 {
			first = i
		}
		// It lands behind pam_deny, and has to land there still.
		lines[i] = lines[i][:at[0]] + strconv.Itoa(n+1) + lines[i][at[1]:]
	}
	if first < 0 {
		return nil, fmt.Errorf("no module jumps over pam_deny.so, as pam-auth-update writes it")
	}
	lines = slices.Insert(lines, deny, "auth [default=die] pam_faillock.so authfail")
	lines = slices.Insert(lines, first, "auth requisite pam_faillock.so preauth")
	return []byte(strings.Join(lines, "\n")), nil
}

// jump finds success=N in a line's control, and where the number stands.
func jump(line string) (n int, at [2]int, ok bool) {
	begin, end := strings.IndexByte(line, '['), strings.IndexByte(line, ']')
	if begin < 0 || end < begin || strings.HasPrefix(strings.TrimSpace(line), "#") || !strings.HasPrefix(strings.TrimSpace(line), "auth") {
		return 0, at, false
	}
	i := strings.Index(line[begin:end], "success=")
	if i < 0 {
		return 0, at, false
	}
	from := begin + i + len("success=")
	to := from
	for to < end && line[to] >= '0' && line[to] <= '9' {
		to++
	}
	n, err := strconv.Atoi(line[from:to])
	return n, [2]int{from, to}, err == nil
}

// pamLine reports whether a line calls a module.
func pamLine(line, module string) bool {
	code, _, _ := strings.Cut(line, "#")
	return slices.ContainsFunc(strings.Fields(code), func(w string) bool { return w == module || strings.HasSuffix(w, "/"+module) })
}

func insertBefore(was []byte, module, line string) ([]byte, error) {
	return insertAt(was, module, line, 1)
}
func insertAfter(was []byte, module, line string) ([]byte, error) {
	return insertAt(was, module, line, 2)
}

func insertAt(was []byte, module, line string, n int) ([]byte, error) {
	lines := strings.Split(string(was), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return pamLine(l, module) })
	if slices.Contains(lines, line) {
		return was, nil
	}
	if i < 0 {
		return nil, fmt.Errorf("there is no line of %s", module)
	}
	return edit.Insert(was, i+n, line)
}
