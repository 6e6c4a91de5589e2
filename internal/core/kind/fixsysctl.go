package kind

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// sysctlFile is read after all others of its folder, /etc/sysctl.conf among them: the last wins.
const sysctlFile = "/etc/sysctl.d/99-zz-picket.conf"

// Fix implements control.Fixer: the settings go into a file of our own, and into the running kernel.
func (r *sysctl) Fix(h *fact.Host, d *change.Draft) error {
	settings, keys := map[string]string{}, map[string]string{} // by the name with dots
	for _, key := range r.keys {
		for _, k := range r.each(h, key) {
			now := running(h, k)
			value, ok := nearest(r.Want[key], now.V)
			if !ok {
				d.Leave("which value %s is to have is yours to decide", fact.SysctlName(k))
				return nil
			}
			if now.Known() && now.V != value {
				d.Do(change.Sysctl, k, value)
			}
			if f := strings.Split(k, "/"); len(f) == 5 && f[2] == "conf" && f[3] != "all" && f[3] != "default" {
				continue // a new interface takes those of default
			}
			if a, set := h.Sysctl.Asked(k); set && path.Dir(a.Place.Path) == "/etc/ufw" { // ufw sets it after all others
				if a.Value != value {
					d.Leave("%s sets %s after all others: change it there", a.Place, fact.SysctlName(k))
					return nil
				}
				continue
			}
			settings[fact.SysctlName(k)], keys[fact.SysctlName(k)] = value, k
		}
	}
	if len(settings) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if err := d.Say(sysctlFile, 0o644, edit.Equals, "", name, settings[name]); err != nil {
			return err
		}
	}
	// A file that is read after ours, by its name, wins: there the line itself is changed.
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		then := control.Drafted(d)
		a, set := then.Sysctl.Asked(keys[name])
		if !set || a.Value == settings[name] || !strings.HasPrefix(a.Place.Path, "/etc/sysctl") || a.Place.Line == 0 {
			continue
		}
		if err := d.Edit(a.Place.Path, 0o644, func(was []byte) ([]byte, error) { return edit.CommentOut(was, change.Mark, a.Place.Line) }); err != nil {
			return err
		}
	}
	if o := r.Evaluate(control.Drafted(d)); o.Persistent == control.No {
		d.Leave("it would not hold after a reboot: %s", o.Reason)
	}
	return nil
}

// each are the keys that one of Want stands for, of those that the kernel has.
func (r *sysctl) each(h *fact.Host, key string) []string {
	if strings.HasPrefix(key, "net/ipv6/") {
		if _, off := h.Sysctl.NoIPv6(h.Snap); off {
			return nil
		}
	}
	family, name, per := perInterface(key)
	if !per {
		if running(h, key).State == fact.Absent {
			return nil
		}
		return []string{key}
	}
	of := func(i string) string { return "net/" + family + "/conf/" + i + "/" + name }
	var out []string
	for _, i := range append([]string{"all", "default"}, h.Sysctl.Interfaces(family, name)...) {
		if running(h, of(i)).State != fact.Absent {
			out = append(out, of(i))
		}
	}
	return out
}

// nearest is the wanted value that is nearest to what there is.
func nearest(want []string, now string) (string, bool) {
	for _, w := range want {
		if fits(w, now) {
			return now, true
		}
	}
	for _, w := range want {
		if least, ok := strings.CutPrefix(w, ">="); ok {
			return least, true
		}
		if bits, ok := strings.CutPrefix(w, "&"); ok {
			mask, _ := strconv.Atoi(bits)
			n, err := strconv.Atoi(now)
			if err != nil {
				return bits, true
			}
			return strconv.Itoa(n & mask), true
		}
		if !snap.IsPattern(w) {
			return w, true
		}
	}
	return "", false
}
