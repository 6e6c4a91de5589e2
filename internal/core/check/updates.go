package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var updates = []Check{
	{"updates.automatic", updatesAutomatic,
		"apt's settings with their order (`apt-config dump`, /etc/apt/apt.conf.d), the package unattended-upgrades (`dpkg-query -W`) and the timers that start it (`systemctl list-units`)"},
	{"updates.last-run", updatesLastRun,
		"when it last ended well (/var/lib/apt/periodic)"},
	{"updates.pending", updatesPending,
		"what an upgrade would install (`apt-get -s`, which changes nothing), and how old the lists in /var/lib/apt/lists are"},
	{"updates.signatures", updatesSignatures,
		"trusted, allow-insecure and others in /etc/apt/sources.list, /etc/apt/sources.list.d and /etc/apt/apt.conf.d"},
	{"updates.security-suite", updatesSecuritySuite,
		"/etc/apt/sources.list and /etc/apt/sources.list.d"},
	{"updates.one-release", updatesOneRelease,
		"the releases of the sources that apt knows (`apt-cache policy`, /var/lib/apt/lists)"},
	{"updates.supported", updatesSupported,
		"/etc/os-release, against the days until which Debian mends each release"},
	{"updates.kernel", updatesKernel,
		"the running kernel (/proc/sys/kernel/osrelease), against the newest package of one, and /run/reboot-required"},
	{"updates.raspberry-pi-origin", updatesRaspberryPi,
		"the origins that unattended-upgrades may install (/etc/apt/apt.conf.d), if there is an archive of Raspberry Pi"},
}

const periodic = "APT::Periodic::"

// maxAge is how old the lists of packages may be to believe that nothing is
// pending, and how long ago the last run may be.
const maxAge = 7 * 24 * time.Hour

// updatesAutomatic wants unattended-upgrades installed, switched on, allowed
// to take security updates, and its timers to run: T5.
func updatesAutomatic(h *fact.Host) control.Outcome {
	has := h.Packages.Has("unattended-upgrades")
	if !has.Known() {
		return control.Missing(has)
	}
	if !has.V {
		o := control.Failed("unattended-upgrades is not installed: nobody installs security updates by themselves",
			control.Saw("package unattended-upgrades", has.Place, "not installed", "installed"))
		o.Configured, o.Persistent = control.No, control.No
		return o
	}
	apt := h.Updates.Apt
	if apt.State != fact.Known {
		return control.CannotTell("apt's settings could not be read: " + apt.Why)
	}
	for _, key := range []string{periodic + "Update-Package-Lists", periodic + "Unattended-Upgrade"} {
		if v := apt.Get(key); !apt.On(key) {
			o := control.Failed(key+" is off, so unattended-upgrades is never started", control.Saw(key, orPlace(v.Place, "/etc/apt/apt.conf.d"), orNot(v), "1"))
			o.Configured, o.Persistent = control.No, control.No
			return o
		}
	}
	for _, key := range []string{periodic + "Update-Package-Lists", periodic + "Unattended-Upgrade"} {
		if v := apt.Get(key); everyDays(v.V) > 7 {
			return ineffective(key+" is "+v.V+": security updates wait for weeks", control.Saw(key, v.Place, v.V, "1"))
		}
	}
	if v := apt.Get(periodic + "Enable"); v.Known() && v.V == "0" {
		return ineffective(periodic+"Enable is 0, which switches everything off", control.Saw(periodic+"Enable", v.Place, "0", "1"))
	}
	if o, bad := securityMatched(h); bad {
		return o
	}
	if o, bad := leftOut(h); bad {
		return o
	}
	return updateTimers(h)
}

// everyDays reads how often apt's timer does something: 1, 12h, always.
func everyDays(v string) float64 {
	part := 1.0
	switch {
	case strings.HasSuffix(v, "s"):
		part = 86400
	case strings.HasSuffix(v, "m"):
		part = 24 * 60
	case strings.HasSuffix(v, "h"):
		part = 24
	}
	n, _ := strconv.ParseFloat(strings.TrimRight(v, "smhd"), 64)
	return n / part
}

// leftOut tells that lists of packages keep unattended-upgrades from all, or
// from all but some.
func leftOut(h *fact.Host) (control.Outcome, bool) {
	const black, white = "Unattended-Upgrade::Package-Blacklist", "Unattended-Upgrade::Package-Whitelist"
	// Whatever fits a name that no package has fits all.
	all := func(list []fact.Value[string]) int {
		return slices.IndexFunc(list, func(v fact.Value[string]) bool {
			re, err := regexp.Compile("^(?:" + v.V + ")")
			return err == nil && re.MatchString("0q9x0")
		})
	}
	no := h.Updates.Apt.List(black)
	if i := all(no); i >= 0 {
		return ineffective("unattended-upgrades is switched on, but may upgrade no package", control.Saw(black, no[i].Place, no[i].V, "single packages, or none")), true
	}
	if only := h.Updates.Apt.List(white); len(only) > 0 && all(only) < 0 && h.Updates.Apt.On(white+"-Strict") {
		return ineffective("unattended-upgrades is switched on, but may upgrade a few packages only", control.Saw(white, only[0].Place, only[0].V, "an empty list")), true
	}
	return control.Outcome{}, false
}

// updateTimers wants the two timers of apt, and what they start.
func updateTimers(h *fact.Host) control.Outcome {
	if h.Units.State != fact.Known {
		return control.CannotTell("unattended-upgrades is set up, but the timers that start it could not be read: " + h.Units.Why)
	}
	o := control.Outcome{Configured: control.Yes, Effective: control.Yes, Persistent: control.Yes, Explicit: control.Yes}
	for _, name := range []string{"apt-daily", "apt-daily-upgrade"} {
		t, s := h.Units.Get(name+".timer"), h.Units.Get(name+".service")
		for _, u := range []fact.Unit{t, s} {
			if u.Masked() || !u.Exists {
				state := "masked"
				if !u.Exists {
					state = "not there"
				}
				return ineffective(fmt.Sprintf("unattended-upgrades is installed and switched on, but %s is %s: it never runs", u.Name, state),
					control.Saw(u.Name, u.FileState.Place, state, "enabled"))
			}
			if why := h.ChangedUnit(u.Name); why != "" {
				return control.CannotTell("unattended-upgrades is installed and switched on, but " + why)
			}
		}
		switch {
		case t.FileState.Missing():
			return control.CannotTell(t.FileState.Why)
		case !t.Enabled():
			o.Persistent = control.No
			o.Effective = o.Effective.And(control.TriOf(t.Running()))
			o = o.Because("unattended-upgrades is installed and switched on, but %s is %s: it does not run after a reboot", t.Name, t.FileState.V).
				With(control.Saw(t.Name, t.FileState.Place, t.FileState.V, "enabled"))
			if t.Active.Known() && !t.Running() {
				o.Reason = fmt.Sprintf("unattended-upgrades is installed and switched on, but %s is %s: it never runs", t.Name, t.FileState.V)
			}
		case t.Active.Missing():
			if h.Snap.Source.Kind != "image" {
				return control.CannotTell(t.Active.Why)
			}
			o.Effective = control.Untold
		case !t.Running():
			o.Effective = control.No
			o = o.Because("unattended-upgrades is installed and switched on, but %s is %s: it does not run", t.Name, t.Active.V).
				With(control.Saw(t.Name, t.Active.Place, t.Active.V, "active"))
		}
	}
	if o.Reason == "" {
		o = o.Because("unattended-upgrades is installed and switched on, and its timers run")
		if o.Effective == control.Untold {
			o = o.Because("unattended-upgrades is installed and switched on, and its timers start at boot")
		}
	}
	return o.Judge()
}

// securityMatched wants every archive of security updates to be one that
// unattended-upgrades takes from.
func securityMatched(h *fact.Host) (control.Outcome, bool) {
	origins := h.Updates.Origins
	if h.OS.Codename.Missing() {
		return control.Missing(h.OS.Codename), true // patterns name it
	}
	if origins.Missing() && h.Updates.OriginsSilent != "" {
		return control.CannotTell("the archives in use are not known: " + h.Updates.OriginsSilent), true
	}
	patterns := h.UpgradePatterns()
	if len(patterns) == 0 {
		return ineffective("unattended-upgrades is switched on, but has no archive to take updates from (Origins-Pattern is empty)",
			control.Saw("Unattended-Upgrade::Origins-Pattern", fact.Place{Path: "/etc/apt/apt.conf.d/50unattended-upgrades"}, "empty", "the security archive")), true
	}
	for _, p := range patterns {
		if p.Wrong {
			return ineffective("unattended-upgrades is switched on, but does not understand "+p.Text+", and ends", control.Saw("Unattended-Upgrade::Origins-Pattern", p.Place, p.Text, "one such as origin=Debian,codename=…")), true
		}
	}
	if !origins.Known() {
		return control.Outcome{}, false // its own control says that there is none
	}
	if o, bad := pinnedDown(h); bad {
		return o, true
	}
	for _, o := range origins.V {
		if o.Security() && !matched(patterns, o) {
			return ineffective("unattended-upgrades is switched on, but no pattern matches the security archive "+o.String(),
				control.Saw("Unattended-Upgrade::Origins-Pattern", patterns[0].Place, patterns[0].Text, "one that matches "+o.String())), true
		}
	}
	return control.Outcome{}, false
}

// pinnedDown tells that pins have apt prefer the rest of the release to its
// security updates: then these are never installed.
func pinnedDown(h *fact.Host) (control.Outcome, bool) {
	for _, s := range h.Updates.Origins.V {
		if s.Label != "Debian-Security" {
			continue
		}
		for _, o := range h.Updates.Origins.V {
			if o.Label == "Debian" && o.Codename == h.OS.Codename.V && o.Priority > s.Priority {
				return ineffective(fmt.Sprintf("security updates are never installed: apt gives their archive the priority %d, and %s that of %d", s.Priority, o.Codename, o.Priority),
					control.Saw("priority of "+s.String(), s.Place, strconv.Itoa(s.Priority), fmt.Sprintf("%d or more; look in /etc/apt/preferences and /etc/apt/preferences.d", o.Priority))), true
			}
		}
	}
	return control.Outcome{}, false
}

func matched(patterns []fact.OriginPattern, o fact.Origin) bool {
	for _, p := range patterns {
		if p.Matches(o) {
			return true
		}
	}
	return false
}

// updatesRaspberryPi wants the archive of Raspberry Pi's own packages (kernel,
// firmware) among those that are taken.
func updatesRaspberryPi(h *fact.Host) control.Outcome {
	origins := h.Updates.Origins
	if !origins.Known() {
		return control.Missing(origins)
	}
	for _, o := range origins.V {
		if o.Origin != "Raspberry Pi Foundation" {
			continue
		}
		if h.OS.Codename.Missing() {
			return control.Missing(h.OS.Codename)
		}
		patterns := h.UpgradePatterns()
		if matched(patterns, o) {
			return control.Passed("packages of " + o.Origin + " are upgraded too")
		}
		found := "no pattern"
		if len(patterns) > 0 {
			found = fmt.Sprintf("%d patterns, none matches", len(patterns))
		}
		return control.Failed("no pattern of unattended-upgrades matches "+o.String()+": kernel and firmware stay old",
			control.Saw("Unattended-Upgrade::Origins-Pattern", fact.Place{Path: "/etc/apt/apt.conf.d"}, found, "origin=Raspberry Pi Foundation"))
	}
	return control.DoesNotApply("no archive of the Raspberry Pi Foundation is used")
}

func updatesLastRun(h *fact.Host) control.Outcome {
	at := h.Updates.UpgradeAt
	now := h.Snap.Taken
	switch {
	case at.Known():
		age := now.Sub(at.V)
		ev := control.Saw("last run", at.Place, at.V.UTC().Format(time.DateOnly), "in the last 7 days")
		if age > maxAge {
			return ineffective("unattended-upgrades last ran "+days(age)+" ago", ev)
		}
		return control.Passed("unattended-upgrades last ran "+days(age)+" ago", ev)
	case at.Missing():
		return control.Missing(at)
	}
	// It has never run. On a host that has just been set up that is normal.
	if e, st, _ := h.Snap.Stat("/var/lib/dpkg/info/unattended-upgrades.list"); st == fact.Known && now.Sub(e.MTime) < 48*time.Hour {
		return control.CannotTell("unattended-upgrades was installed less than two days ago and has not run yet; look again tomorrow")
	}
	return ineffective("unattended-upgrades has never run", control.Saw("last run", fact.Place{Path: "/var/lib/apt/periodic"}, "never", "in the last 7 days"))
}

func updatesPending(h *fact.Host) control.Outcome {
	p := h.Updates.Pending
	if !p.Known() {
		return control.Missing(p)
	}
	var names []string
	o := control.Outcome{}
	for _, u := range p.V {
		if u.Security {
			names = append(names, u.Package)
			if len(o.Evidence) < 20 {
				o = o.With(control.Saw(u.Package, p.Place, u.From, u.To))
			}
		}
	}
	if len(names) > 0 {
		shown := strings.Join(names[:min(4, len(names))], ", ")
		f := control.Failed(fmt.Sprintf("%d security update%s not installed: %s", len(names), plural(len(names), " is", "s are"), shown), o.Evidence...)
		if len(names) > 4 {
			f.Reason += ", …"
		}
		return f
	}
	lists, made := h.Updates.ListsAt, h.Updates.MadeAt
	age := h.Snap.Taken.Sub(lists.V)
	switch {
	case !lists.Known():
		return control.CannotTell("apt has never fetched its lists; run `apt-get update`")
	case age > maxAge:
		return control.CannotTell("no update is known to be pending, but the lists are "+days(age)+" old; run `apt-get update`",
			control.Saw("lists of packages", lists.Place, lists.V.UTC().Format(time.DateOnly), "in the last 7 days"))
	case made.State == fact.Denied: // snapshots of before did not ask for it
		return control.Missing(made)
	case made.Known() && h.Snap.Taken.Sub(made.V) > 2*maxAge:
		return control.CannotTell("no update is known to be pending, but the list of security updates is "+days(h.Snap.Taken.Sub(made.V))+" old: apt does not reach the archive; look at what `apt-get update` says",
			control.Saw("list of security updates", made.Place, made.V.UTC().Format(time.DateOnly), "in the last 14 days"))
	}
	if o, bad := pinnedDown(h); bad {
		return control.CannotTell(o.Reason, o.Evidence...)
	}
	if h.Packages.State != fact.Known || len(h.Packages.All) == 0 {
		return control.CannotTell("whether packages are on hold, of which apt does not tell, is not known: " + h.Packages.Why)
	}
	var held []string
	for _, p := range h.Packages.All {
		if p.Held {
			held = append(held, p.Name)
		}
	}
	if len(held) > 0 {
		slices.Sort(held)
		return control.CannotTell("no update is known to be pending, but apt does not tell of packages on hold: "+strings.Join(held[:min(4, len(held))], ", "),
			control.Saw("packages on hold", h.Packages.Place, strings.Join(held, ", "), "none (`apt-mark showhold`)"))
	}
	return control.Passed(fmt.Sprintf("no security update is pending, by lists of %s ago", days(age)))
}

// ineffective is set up by the files, and does nothing now or after a reboot.
func ineffective(reason string, ev ...control.Evidence) control.Outcome {
	o := control.IsIneffective(reason, ev...)
	o.Persistent = control.No
	return o
}

func orPlace(p fact.Place, path string) fact.Place {
	if p == (fact.Place{}) {
		return fact.Place{Path: path}
	}
	return p
}

func orNot(v fact.Value[string]) string {
	if v.Known() {
		return v.V
	}
	return "not set"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); {
	case n < 1:
		return "less than a day"
	case n == 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}
