package kind

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// sysctl wants kernel settings to have one of the given values, now and after
// a boot. A key such as net.ipv4.conf.*.rp_filter stands for every interface:
// what counts is the value that the kernel computes from `all` and the
// interface's own.
type sysctl struct {
	Want   map[string][]string `yaml:"want"`   // name → values, ">=N", "&N" (no bits but those of N), or "prefix*"
	Unless string              `yaml:"unless"` // router: does not apply where packets are forwarded on purpose; 32-bit: where the kernel is one of 32 bits
	keys   []string            // of Want, as paths, sorted
}

func decodeSysctl(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &sysctl{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Want) == 0 {
		return nil, yaml.Problems{n.Problem("want is missing")}
	}
	if r.Unless != "" && r.Unless != "router" && r.Unless != "32-bit" {
		ps = append(ps, n.Get("unless").Problem("unknown condition %q; only: router, 32-bit", r.Unless))
	}
	want := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(r.Want)) {
		values := r.Want[name]
		key := strings.ReplaceAll(name, ".", "/")
		if strings.Contains(name, "/") || snap.IsPattern(strings.Replace(key, "/conf/*/", "/", 1)) {
			ps = append(ps, n.Get("want").Problem("%q is not the name of a sysctl, nor net.ipv4.conf.*.NAME", name))
		}
		if len(values) == 0 {
			ps = append(ps, n.Get("want").Problem("%s has no value", name))
		}
		for _, v := range values {
			for _, form := range []string{">=", "&"} {
				m, ok := strings.CutPrefix(v, form)
				if _, err := strconv.Atoi(m); ok && err != nil {
					ps = append(ps, n.Get("want").Problem("%s: %q is not a number", name, m))
				}
			}
		}
		want[key] = values
		r.keys = append(r.keys, key)
	}
	r.Want = want
	return r, ps
}

// Ask implements control.Asker.
func (r *sysctl) Ask() snap.Manifest {
	var m snap.Manifest
	for _, k := range r.keys {
		m.Files = append(m.Files, "/proc/sys/"+k)
	}
	return m
}

// sysctlSeen is one key, or one interface, with what runs and what a boot gives.
type sysctlSeen struct {
	name  string // for people
	want  []string
	now   fact.Value[string]
	boot  fact.Value[string] // Unknown where no file sets it and the default is not known
	asked fact.SysctlSetting // the file's wish
	set   bool               // asked is there
	wish  bool               // and it is a wanted value
}

// Evaluate implements control.Rule.
func (r *sysctl) Evaluate(h *fact.Host) control.Outcome {
	if r.Unless == "router" {
		needs := h.Router()
		if needs.Missing() {
			return control.Missing(needs)
		}
		if needs.V != "" {
			return control.DoesNotApply(fmt.Sprintf("%s is on this host and needs forwarding (%s)", needs.V, needs.Place))
		}
	}
	image := h.Snap.Source.Kind == "image"
	var seen []sysctlSeen
	var absent []string
	for _, k := range r.keys {
		if strings.HasPrefix(k, "net/ipv6/") {
			if _, st, why := h.Snap.File("/proc/sys/net/ipv6/conf/all/disable_ipv6"); st == fact.Denied && !image {
				return control.CannotTell("whether IPv6 is used is not known: " + needRoot(h, why))
			}
			if _, st, _ := h.Snap.Stat("/proc/sys/" + strings.Replace(k, "/*/", "/all/", 1)); st == fact.Denied && h.Sysctl.Running["net/ipv6/conf/all/disable_ipv6"].V != "1" {
				seen = append(seen, r.look(h, k)...)
				continue
			}
			if why, off := h.Sysctl.NoIPv6(h.Snap); off {
				absent = append(absent, why)
				continue
			}
		}
		some := r.look(h, k)
		if len(some) == 0 {
			absent = append(absent, "this kernel has no "+fact.SysctlName(k))
		}
		seen = append(seen, some...)
	}
	if len(seen) == 0 {
		return control.DoesNotApply(strings.Join(absent, "; "))
	}
	o := judgeSysctl(h, seen, image)
	if !r.ownNetwork() {
		o = control.OwnKernel(h, o)
	}
	if r.Unless == "32-bit" && (o.Verdict.Bad() || o.Verdict == control.Unknown) && !image {
		switch arch := h.OS.Arch; {
		case arch.Missing():
			return control.Missing(arch)
		case arch.Known() && fact.Is32Bit(arch.V):
			return control.DoesNotApply("a kernel of 32 bits (" + arch.V + ") cannot be set so")
		}
	}
	return o
}

// ownNetwork is whether all settings belong to a network, of which a container
// has one of its own.
func (r *sysctl) ownNetwork() bool {
	return !slices.ContainsFunc(r.keys, func(k string) bool { return !strings.HasPrefix(k, "net/ipv4/") && !strings.HasPrefix(k, "net/ipv6/") })
}

// look returns what is to be judged of one key; nothing when the kernel does
// not have it.
func (r *sysctl) look(h *fact.Host, key string) []sysctlSeen {
	want := r.Want[key]
	image := h.Snap.Source.Kind == "image"
	if family, name, ok := perInterface(key); ok {
		all := "net/" + family + "/conf/all/" + name
		if _, have := h.Sysctl.Running[all]; !have && !image && h.Snap.Source.Kind != "" {
			if _, st, _ := h.Snap.File("/proc/sys/" + all); st == fact.Absent {
				return nil
			}
		}
		var out []sysctlSeen
		ifaces := []string{"default"}
		if !image {
			ifaces = append(h.Sysctl.Interfaces(family, name), ifaces...)
			if _, st, why := h.Snap.Glob("/proc/sys/" + key); st == fact.Denied {
				now := fact.Not[string](st, why)
				out = append(out, sysctlSeen{name: fact.SysctlName(key), want: want, now: now, boot: now})
			}
		}
		for _, i := range ifaces {
			out = append(out, seeInterface(h, family, i, name, want))
		}
		return out
	}
	s := sysctlSeen{name: fact.SysctlName(key), want: want}
	s.now = running(h, key)
	if s.now.State == fact.Absent && !image {
		return nil
	}
	s.asked, s.set = h.Sysctl.Asked(key)
	s.wish = s.set && slices.ContainsFunc(want, func(w string) bool { return fits(w, s.asked.Value) })
	s.boot = atBoot(h, key)
	return []sysctlSeen{s}
}

func perInterface(key string) (family, name string, ok bool) {
	f := strings.Split(key, "/")
	if len(f) == 5 && f[3] == "*" {
		return f[1], f[4], true
	}
	return "", "", false
}

func running(h *fact.Host, key string) fact.Value[string] {
	if h.Snap.Source.Kind == "image" {
		return fact.Not[string](fact.Unknown, "an image has no running kernel")
	}
	if v, ok := h.Sysctl.Running[key]; ok {
		return v
	}
	_, st, why := h.Snap.File("/proc/sys/" + key)
	return fact.Not[string](st, why)
}

// atBoot is what the next boot gives a key.
func atBoot(h *fact.Host, key string) fact.Value[string] {
	if a, ok := h.Sysctl.Boot(key); ok {
		return fact.Is(a.Value, a.Place)
	}
	if f := strings.Split(key, "/"); len(f) == 5 && f[2] == "conf" && f[3] != "all" && f[3] != "default" {
		f[3] = "default" // a new interface takes these
		return atBoot(h, strings.Join(f, "/"))
	}
	if h.Sysctl.Missing != "" {
		return fact.Not[string](fact.Denied, h.Sysctl.Missing)
	}
	if v, ok := fact.SysctlDefault(key); ok {
		return fact.Is(v, fact.Place{Path: "the kernel's default"})
	}
	return fact.Not[string](fact.Unknown, "no file sets "+fact.SysctlName(key)+", and the kernel's own default is not known")
}

// seeInterface computes what holds for one interface from `all` and its own.
func seeInterface(h *fact.Host, family, iface, name string, want []string) sysctlSeen {
	key := func(i, n string) string { return "net/" + family + "/conf/" + i + "/" + n }
	s := sysctlSeen{name: fact.SysctlName(key(iface, name)), want: want}
	get := func(value func(*fact.Host, string) fact.Value[string]) fact.Value[string] {
		return combine(family, name, value(h, key("all", name)), value(h, key(iface, name)), func() fact.Value[string] {
			return value(h, key(iface, "forwarding"))
		})
	}
	s.now, s.boot = get(running), get(atBoot)
	good := func(v string) bool { return slices.ContainsFunc(want, func(w string) bool { return fits(w, v) }) }
	own, ownSet := h.Sysctl.Asked(key(iface, name))
	if !ownSet {
		own, ownSet = h.Sysctl.Asked(key("default", name))
	}
	all, allSet := h.Sysctl.Asked(key("all", name))
	switch {
	case ownSet && allSet:
		s.asked, s.set, s.wish = own, true, good(own.Value) && good(all.Value) || s.boot.Known() && good(s.boot.V)
	case ownSet:
		s.asked, s.set, s.wish = own, true, good(own.Value)
	case allSet:
		s.asked, s.set, s.wish = all, true, good(all.Value)
	}
	return s
}

// combine is how the kernel makes one value of `all` and an interface's own.
// Sources: include/linux/inetdevice.h; net/ipv6/exthdrs.c and ndisc.c.
func combine(family, name string, all, own fact.Value[string], forwarding func() fact.Value[string]) fact.Value[string] {
	how := map[string]string{
		"rp_filter": "max", "arp_ignore": "max", "arp_announce": "max",
		"log_martians": "max", "send_redirects": "max", "secure_redirects": "max",
		"accept_source_route": "min", "accept_redirects": "max",
	}[name]
	if family == "ipv6" && name != "accept_source_route" || how == "" {
		return own
	}
	if name == "accept_redirects" {
		switch f := forwarding(); {
		case f.State == fact.Denied && all.V != own.V:
			return f
		case f.Known() && f.V == "1":
			how = "min"
		}
	}
	if !own.Known() {
		return own
	}
	if !all.Known() {
		return all
	}
	a, err := strconv.Atoi(all.V)
	o, err2 := strconv.Atoi(own.V)
	if err != nil || err2 != nil {
		return fact.Not[string](fact.Unknown, fmt.Sprintf("%s holds %q, not a number", own.Place, own.V))
	}
	if how == "max" && a > o || how == "min" && a < o {
		return all
	}
	return own
}

func fits(want, got string) bool {
	if m, ok := strings.CutPrefix(want, ">="); ok {
		least, _ := strconv.Atoi(m)
		n, err := strconv.Atoi(got)
		return err == nil && n >= least
	}
	if m, ok := strings.CutPrefix(want, "&"); ok {
		bits, _ := strconv.Atoi(m)
		n, err := strconv.Atoi(got)
		return err == nil && n >= 0 && n&^bits == 0
	}
	if p, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, p)
	}
	return want == got
}
