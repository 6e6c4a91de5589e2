package check

import (
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

var sshRepairs = map[string]repair{
	"ssh.access-list": repairAccessList,
	"ssh.per-source": func(h *fact.Host, d *change.Draft) error {
		return saySSHD(h, d, "PerSourceMaxStartups", "5", sshPerSource)
	},
	"ssh.socket-port":   repairPort,
	"ssh.use-pam":       func(h *fact.Host, d *change.Draft) error { return saySSHD(h, d, "UsePAM", "yes", sshUsePAM) },
	"ssh.banner":        repairBanner,
	"ssh.moduli":        repairModuli,
	"ssh.host-key-size": repairHostKeys,
	"ssh.include-first": repairInclude,
}

// saySSHD sets an option of sshd for all, and leaves it to a person where that would not hold.
func saySSHD(_ *fact.Host, d *change.Draft, option, value string, judge func(*fact.Host) control.Outcome) error {
	if err := d.Say(change.SSHDFile, 0o600, change.SSHD, "", option, value); err != nil {
		return err
	}
	if o := judge(control.DraftedFiles(d)); o.Verdict.Bad() {
		d.Leave("another file or a Match would still win: %s", o.Reason)
	}
	return nil
}

// repairAccessList lets those in who are let in today, and nobody who comes later by accident: whom the policy names, or
// else each account that can log in.
func repairAccessList(h *fact.Host, d *change.Draft) error {
	p := d.Policy()
	if len(p.SSHGroups) > 0 {
		return saySSHD(h, d, "AllowGroups", strings.Join(p.SSHGroups, " "), sshAccessList)
	}
	users := p.SSHUsers
	if len(users) == 0 {
		if h.Logins.State != fact.Known {
			d.Leave("who can log in is not known: %s", h.Logins.Why)
			return nil
		}
		for _, l := range h.Logins.All {
			if l.Refused != "" {
				continue
			}
			if l.Password.Missing() {
				d.Leave("whether %s logs in with a password is not known: %s", l.User, l.Password.Why)
				return nil
			}
			if (l.Password.V || l.Key && len(h.Keys.Authorized[l.User]) > 0) && !slices.Contains(users, l.User) {
				users = append(users, l.User)
			}
		}
	}
	if len(users) == 0 {
		d.Leave("nobody is known to log in over SSH: say who may, with policy.ssh.users or policy.ssh.groups in picket.yaml")
		return nil
	}
	slices.Sort(users)
	return saySSHD(h, d, "AllowUsers", strings.Join(users, " "), sshAccessList)
}

const greeting = "Authorised users only. All activity may be logged.\n"

func repairBanner(h *fact.Host, d *change.Draft) error {
	at := "/etc/issue.net"
	if f := h.SSHD.BannerFile(); f != "" {
		if at = f; !strings.HasPrefix(at, "/etc/") {
			d.Leave("the banner is %s, which is not Picket's to change", at)
			return nil
		}
	}
	is, err := d.At(at)
	if err != nil {
		return err
	}
	text := strings.ToLower(string(is.Content))
	if strings.TrimSpace(text) == "" || slices.ContainsFunc([]string{"debian", "raspbian", "raspberry pi os", "ubuntu", "linux"}, func(w string) bool { return strings.Contains(text, w) }) {
		if err := d.Write(at, 0o644, greeting); err != nil {
			return err
		}
	}
	return saySSHD(h, d, "Banner", at, sshBanner)
}

// repairModuli keeps the groups of 3071 bits and more; the file's fifth field is a bit less than the size.
func repairModuli(h *fact.Host, d *change.Draft) error {
	return d.Edit("/etc/ssh/moduli", 0o644, func(was []byte) ([]byte, error) {
		var out strings.Builder
		for l := range strings.Lines(string(was)) {
			f := strings.Fields(l)
			if len(f) < 7 || strings.HasPrefix(f[0], "#") || len(f[4]) > 4 || f[4] >= "3071" && len(f[4]) == 4 {
				out.WriteString(l)
			}
		}
		return []byte(out.String()), nil
	})
}

// repairInclude has sshd read the files of its folder before all else.
func repairInclude(h *fact.Host, d *change.Draft) error {
	const line = "Include /etc/ssh/sshd_config.d/*.conf"
	return d.Edit(sshdMain, 0o644, func(was []byte) ([]byte, error) {
		lines := strings.Split(string(was), "\n")
		first := len(lines)
		var later []int
		for i, l := range lines {
			f := strings.Fields(l)
			if len(f) == 0 || strings.HasPrefix(f[0], "#") {
				continue
			}
			if first = min(first, i); first == i && strings.TrimSpace(l) == line {
				return was, nil
			}
			if strings.EqualFold(f[0], "Include") && strings.HasPrefix(strings.TrimPrefix(strings.Trim(f[len(f)-1], `"`), "/etc/ssh/"), "sshd_config.d/*") {
				later = append(later, i+1)
			}
		}
		out, err := edit.CommentOut(was, change.Mark, later...)
		if err != nil {
			return nil, err
		}
		return edit.Insert(out, first+1, line)
	})
}

// repairHostKeys has sshd show its strong host keys alone. No key is made in the place of a weak one: clients would take the
// host for another that poses as it, and most know it by a strong key as well, which it has shown them already.
func repairHostKeys(h *fact.Host, d *change.Draft) error {
	var strong []string
	weak := map[string]bool{}
	for _, k := range h.SSHD.HostKeys {
		switch {
		case !k.Used.V:
		case k.Weak() != "":
			weak[k.Path] = true
		case k.Type != "" && shows(h, k):
			strong = append(strong, "HostKey "+k.Path)
		}
	}
	if len(strong) == 0 {
		d.Leave("sshd shows no other key by which its clients could know it: make one beside it (sudo ssh-keygen -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key), have sshd show both, and come back when all clients know it")
		return nil
	}
	named := 0
	for _, s := range slices.Backward(control.DraftedFiles(d).SSHD.Config.Settings) { // where they stand by now
		if s.Keyword != "hostkey" {
			continue
		}
		named++
		if len(s.Values) == 1 && weak[s.Values[0]] {
			if err := d.Edit(s.Place.Path, 0o644, func(was []byte) ([]byte, error) { return edit.CommentOut(was, change.Mark, s.Place.Line) }); err != nil {
				return err
			}
		}
	}
	if named == 0 { // by default it is those that are there
		if err := d.Add(change.SSHDFile, 0o600, strong...); err != nil {
			return err
		}
	}
	if o := sshHostKeySize(control.DraftedFiles(d)); o.Verdict.Bad() {
		d.Leave("it would still be shown: %s", o.Reason)
	}
	return nil
}
