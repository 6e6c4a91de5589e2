package fact

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// A Source is one entry of apt's list of sources.
type Source struct {
	URIs     []string // credentials taken out
	Suites   []string
	Options  map[string]string // by lower-case name: trusted, signed-by, allow-insecure
	Disabled bool
	Place    Place
}

// On reports whether an option is on, as apt takes it.
func (s Source) On(option string) bool {
	v := strings.ToLower(strings.Trim(strings.TrimSpace(s.Options[option]), `"`))
	n, err := strconv.Atoi(v)
	return err == nil && n > 0 || slices.Contains([]string{"yes", "true", "with", "on", "enable"}, v)
}

// An Origin is one archive that apt knows the packages of.
type Origin struct {
	Origin, Label, Suite, Codename, Component, Site string
	Priority                                        int // as its pins have it; 0 where apt was not asked
	Place                                           Place
}

// Security reports whether it carries Debian's security updates. Raspbian has them
// in its one archive, among all others.
func (o Origin) Security() bool {
	return o.Label == "Debian-Security" || o.Label == "Raspbian" || o.Origin == "Debian" && (strings.HasSuffix(o.Codename, "-security") || strings.HasSuffix(o.Suite, "-security"))
}

func (o Origin) String() string {
	return "o=" + o.Origin + ",l=" + o.Label + ",n=" + o.Codename
}

// aptSources reads sources.list and sources.list.d in both forms.
func aptSources(s *snap.Snapshot) (out []Source, st State, why string) {
	st = Known
	take := func(e *snap.Entry) {
		switch {
		case e.Denied != "":
			st, why = Denied, e.Denied
		case !e.Read:
		case strings.HasSuffix(e.Path, ".sources"):
			out = append(out, deb822(e)...)
		default:
			out = append(out, oneLine(e)...)
		}
	}
	if e, fst, fwhy := s.Stat("/etc/apt/sources.list"); fst == Known {
		take(e)
	} else if fst == Denied {
		st, why = fst, fwhy
	}
	es, gst, gwhy := s.Glob("/etc/apt/sources.list.d/*")
	if gst == Denied || gst == Unknown {
		st, why = gst, gwhy
	}
	for _, e := range es {
		if n := path.Base(e.Path); aptPartName(n, ".list") || aptPartName(n, ".sources") {
			take(e)
		}
	}
	return out, st, why
}

// oneLine reads "deb [option=value] uri suite component…".
func oneLine(e *snap.Entry) []Source {
	var out []Source
	for _, l := range lines(e) {
		t := uncomment(l.text, "#")
		kind, rest := word(t)
		if kind != "deb" || len(out) > 1000 {
			continue
		}
		src := Source{Options: map[string]string{}, Place: l.at}
		if strings.HasPrefix(rest, "[") {
			opts, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				continue
			}
			rest = after
			for _, o := range strings.Fields(opts) {
				k, v, _ := strings.Cut(o, "=")
				src.Options[strings.ToLower(strings.TrimRight(k, "+-"))] = v
			}
		}
		f := strings.Fields(rest)
		if len(f) < 2 {
			continue
		}
		src.URIs, src.Suites = f[:1], f[1:2]
		out = append(out, src)
	}
	return out
}

// deb822 reads paragraphs of "Field: value".
func deb822(e *snap.Entry) []Source {
	var out []Source
	fields := map[string]string{}
	var at Place
	last := ""
	end := func() {
		if len(fields) > 0 && strings.Contains(" "+fields["types"]+" ", " deb ") && len(out) < 1000 {
			out = append(out, Source{
				URIs: strings.Fields(fields["uris"]), Suites: strings.Fields(fields["suites"]),
				Options: fields, Disabled: fields["enabled"] != "" && !aptTrue(fields["enabled"]), Place: at,
			})
		}
		fields, last = map[string]string{}, ""
	}
	for _, l := range lines(e) {
		switch k, v, ok := strings.Cut(l.text, ":"); {
		case strings.HasPrefix(l.text, "#"):
		case strings.TrimSpace(l.text) == "":
			end()
		case l.text[0] == ' ' || l.text[0] == '\t':
			if last != "" {
				fields[last] += " " + strings.TrimSpace(l.text)
			}
		case ok:
			if len(fields) == 0 {
				at = l.at
			}
			last = strings.ToLower(strings.TrimSpace(k))
			fields[last] = strings.TrimSpace(v)
		}
	}
	end()
	return out
}

// policyOrigins reads `apt-cache policy`.
func policyOrigins(o *snap.Output) []Origin {
	var out []Origin
	priority := 0
	for _, l := range outLines(o) {
		t := strings.TrimSpace(l.text)
		if n, err := strconv.Atoi(strings.SplitN(t, " ", 2)[0]); err == nil {
			priority = n
		}
		if t == "Pinned packages:" {
			break
		}
		if site, ok := strings.CutPrefix(t, "origin "); ok && len(out) > 0 {
			out[len(out)-1].Site = site
		}
		rel, ok := strings.CutPrefix(t, "release ")
		if !ok || rel == "a=now" || len(out) > 1000 {
			continue
		}
		one := Origin{Priority: priority, Place: l.at}
		for _, f := range strings.Split(rel, ",") {
			k, v, _ := strings.Cut(f, "=")
			switch k {
			case "o":
				one.Origin = v
			case "l":
				one.Label = v
			case "a":
				one.Suite = v
			case "n":
				one.Codename = v
			case "c":
				one.Component = v
			}
		}
		out = append(out, one)
	}
	return out
}

// releaseOrigins reads the heads of the Release files that apt has fetched.
func releaseOrigins(s *snap.Snapshot) ([]Origin, State, string) {
	es, st, why := s.Glob("/var/lib/apt/lists/*Release")
	var out []Origin
	for _, e := range es {
		if e.Denied != "" {
			st, why = Denied, e.Denied
		}
		if !e.Read {
			continue
		}
		one := Origin{Place: Place{Path: e.Path}}
		for _, l := range lines(e) {
			k, v, _ := strings.Cut(l.text, ": ")
			switch k {
			case "Origin":
				one.Origin = v
			case "Label":
				one.Label = v
			case "Suite":
				one.Suite = v
			case "Codename":
				one.Codename = v
			}
		}
		out = append(out, one)
	}
	if st == Known && len(out) == 0 {
		return nil, Absent, "apt has no lists of packages"
	}
	return out, st, why
}

// releaseHead keeps what names an archive, and drops the thousand lines of
// hashes below it.
func releaseHead(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	var out []byte
	for _, l := range lines(e) {
		k, _, _ := strings.Cut(l.text, ":")
		switch k {
		case "Origin", "Label", "Suite", "Codename", "Version", "Date", "Valid-Until":
			out = append(out, l.text+"\n"...)
		case "MD5Sum", "SHA1", "SHA256", "SHA512":
			return out
		}
	}
	return out
}
