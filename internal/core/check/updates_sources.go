package check

import (
	"fmt"
	"strings"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

func updatesSignatures(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	for _, s := range h.Updates.Sources.V {
		for _, key := range []string{"trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure"} {
			if !s.Disabled && s.On(key) {
				bad = append(bad, control.Saw("source "+strings.Join(s.Suites, " "), s.Place, key+"="+strings.ToLower(s.Options[key]), "signatures are checked"))
			}
		}
	}
	apt := h.Updates.Apt
	for _, key := range []string{
		"APT::Get::AllowUnauthenticated", "Acquire::AllowInsecureRepositories",
		"Acquire::AllowWeakRepositories", "Acquire::AllowDowngradeToInsecureRepositories",
	} {
		if v := apt.Get(key); apt.On(key) {
			bad = append(bad, control.Saw(key, v.Place, v.V, "false"))
		}
	}
	switch src := h.Updates.Sources; {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("%s: %s is %s", bad[0].Place, bad[0].Fact, bad[0].Found), bad...)
	case src.State != fact.Known:
		return control.CannotTell("not all sources could be read: " + src.Why + "; run as root")
	case apt.State != fact.Known:
		return control.CannotTell("apt's settings could not be read: " + apt.Why)
	case len(src.V) == 0:
		return control.DoesNotApply("apt has no sources")
	}
	o := control.Passed("apt checks signatures of all sources")
	o.Persistent = control.Yes
	return o
}

func updatesSecuritySuite(h *fact.Host) control.Outcome {
	if h.OS.ID.Missing() {
		return control.Missing(h.OS.ID)
	}
	if h.OS.ID.V != "debian" {
		return control.DoesNotApply("this is not Debian")
	}
	src, code := h.Updates.Sources, h.OS.Codename.V
	if src.State != fact.Known {
		return control.CannotTell("the sources could not be read: " + src.Why)
	}
	var at fact.Place
	configured := false
	for _, s := range src.V {
		for _, suite := range s.Suites {
			if !s.Disabled && (suite == code+"-security" || suite == code+"/updates" || suite == "stable-security" || suite == "oldstable-security") {
				configured, at = true, s.Place
			}
		}
	}
	wanted := code + "-security"
	if !configured {
		o := control.Failed("no source is "+wanted+": security updates never arrive", control.Saw("sources", orPlace(src.Place, "/etc/apt"), "no "+wanted, wanted))
		o.Configured, o.Persistent = control.No, control.No
		return o
	}
	o := control.Outcome{Configured: control.Yes, Persistent: control.Yes, Explicit: control.Yes}
	if !h.Updates.Origins.Known() {
		if h.Updates.Origins.State == fact.Absent {
			return ineffective("the source "+wanted+" is set, but its lists were never fetched; run `apt-get update`", control.Saw("source", at, wanted, ""))
		}
		return control.Missing(h.Updates.Origins)
	}
	for _, origin := range h.Updates.Origins.V {
		if origin.Security() && (origin.Codename == wanted || origin.Codename == code) {
			if o, bad := pinnedDown(h); bad {
				return o
			}
			o.Effective = control.Yes
			return o.Judge().Because("%s is among the sources, and its lists are there", wanted).With(control.Saw("source", at, wanted, wanted))
		}
	}
	return ineffective("the source "+wanted+" is set, but apt has no lists of it; run `apt-get update`", control.Saw("source", at, wanted, "fetched"))
}

func updatesOneRelease(h *fact.Host) control.Outcome {
	origins, code := h.Updates.Origins, h.OS.Codename.V
	if !origins.Known() {
		return control.Missing(origins)
	}
	if code == "" {
		return control.CannotTell("the release of the system is not known")
	}
	seen := 0
	var bad []control.Evidence
	for _, o := range origins.V {
		if o.Origin != "Debian" && o.Origin != "Raspbian" && o.Origin != "Raspberry Pi Foundation" && o.Origin != "Debian Backports" {
			continue
		}
		seen++
		name, _, _ := strings.Cut(o.Codename, "-")
		if name != code && o.Codename != "" {
			bad = append(bad, control.Saw("source", o.Place, o.String(), "release "+code))
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("the system is %s, but %s is a source", code, bad[0].Found), bad...)
	case seen == 0:
		return control.DoesNotApply("no source of Debian or Raspberry Pi OS is used")
	}
	return control.Passed("all sources of the system are of " + code)
}

// support ends of Debian's releases: by the security team, then long term.
// Source: Debian's own tables of releases and of LTS.
var support = map[string][2]string{
	"9": {"2020-07-18", "2022-06-30"}, "10": {"2022-09-10", "2024-06-30"}, "11": {"2024-08-14", "2026-08-31"},
	"12": {"2026-06-10", "2028-06-30"}, "13": {"2028-08-09", "2030-06-30"},
}

func updatesSupported(h *fact.Host) control.Outcome {
	id, version := h.OS.ID, h.OS.Version
	if !id.Known() {
		return control.Missing(id)
	}
	if id.V != "debian" && id.V != "raspbian" {
		return control.CannotTell("Picket does not know until when " + h.OS.Name.V + " is supported")
	}
	ends, ok := support[version.V]
	if !ok {
		return control.CannotTell("Picket does not know until when version " + version.V + " is supported")
	}
	name := "Debian " + version.V
	regular, _ := time.Parse(time.DateOnly, ends[0])
	long, _ := time.Parse(time.DateOnly, ends[1])
	now := h.Snap.Taken
	ev := control.Saw("release", version.Place, name, "supported")
	switch {
	case !now.Before(long.AddDate(0, 0, 1)):
		o := control.Failed(name+" has had no security updates since "+ends[1], ev)
		o.Persistent = control.No
		return o
	case !now.Before(regular.AddDate(0, 0, 1)) && id.V == "raspbian":
		// Debian's long term support builds for Debian's own architectures, and Raspbian is none.
		return control.CannotTell(fmt.Sprintf("the support of Debian %s ended on %s, and whether Raspbian gets what its long term support mends is not known; plan the upgrade", version.V, ends[0]), ev)
	case !now.Before(regular.AddDate(0, 0, 1)):
		return control.Passed(fmt.Sprintf("%s is in long term support until %s; plan the upgrade", name, ends[1]), ev)
	}
	return control.Passed(fmt.Sprintf("%s has security updates until %s, long term until %s", name, ends[0], ends[1]), ev)
}

func updatesKernel(h *fact.Host) control.Outcome {
	e, st, why := h.Snap.Stat("/run/reboot-required")
	if st == fact.Denied {
		return control.CannotTell(why)
	}
	if st == fact.Known && h.Snap.Source.Kind != "image" {
		return ineffective("an update waits for a reboot", control.Saw("reboot", fact.Place{Path: e.Path}, "required", "done"))
	}
	if !h.OS.Kernel.Known() {
		return control.Missing(h.OS.Kernel)
	}
	if h.Time.Container() {
		return control.DoesNotApply("this is a container (" + h.Time.Virtual.V + "): the kernel is its host's")
	}
	if len(h.Updates.Kernels) == 0 && h.Updates.KernelsHidden == "" {
		return control.DoesNotApply("no kernel is installed here; another system boots this one")
	}
	newer, ok := h.NewerKernel()
	if why := h.Updates.KernelsHidden; why != "" && newer == "" {
		return control.CannotTell(why)
	}
	running := h.OS.Kernel
	if !ok {
		return control.CannotTell(fmt.Sprintf("the running kernel %s is not among those installed (%s)", running.V, strings.Join(h.Updates.Kernels, ", ")))
	}
	if newer != "" {
		o := ineffective(fmt.Sprintf("kernel %s is installed, %s runs: reboot", newer, running.V), control.Saw("running kernel", running.Place, running.V, newer))
		o.Persistent = control.Yes
		return o
	}
	return control.Passed("the running kernel "+running.V+" is the newest installed", control.Saw("running kernel", running.Place, running.V, ""))
}
