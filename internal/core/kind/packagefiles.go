package kind

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// packageFiles wants the files of some packages to be as they were installed.
// It is for a few: comparing all of a host takes minutes on an SD card.
type packageFiles struct {
	Packages []string `yaml:"packages"`
}

func decodePackageFiles(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &packageFiles{}
	ps := n.Decode(r)
	if len(ps) == 0 && (len(r.Packages) == 0 || len(r.Packages) > 40) {
		ps = append(ps, n.Problem("packages is to name 1 to 40 of them"))
	}
	return r, ps
}

func (r *packageFiles) argv() []string { return append([]string{"dpkg", "--verify"}, r.Packages...) }

// Ask implements control.Asker.
func (r *packageFiles) Ask() snap.Manifest {
	return snap.Manifest{Commands: []snap.Command{{Argv: r.argv()}}}
}

// leftOut are folders whose files a site may leave out (path-exclude of dpkg);
// nothing in them is run.
var leftOut = []string{"/usr/share/man/", "/usr/share/doc/", "/usr/share/locale/", "/usr/share/lintian/", "/usr/share/info/"}

// Evaluate implements control.Rule.
func (r *packageFiles) Evaluate(h *fact.Host) control.Outcome {
	out, st, why := h.Snap.Run(r.argv()...)
	if st != fact.Known {
		return control.CannotTell(why)
	}
	if !h.Snap.Root() {
		return control.CannotTell("not every file may be compared by this user; run as root")
	}
	missing := 0
	for _, l := range strings.Split(strings.TrimSpace(out.Stderr), "\n") {
		switch {
		case strings.HasPrefix(l, "dpkg: package '") && strings.HasSuffix(l, "' is not installed"):
			missing++
		case l != "":
			return control.CannotTell("dpkg could not compare all files: " + l)
		}
	}
	if out.Exit > 1 || out.Exit == 1 && missing == 0 {
		return control.CannotTell(fmt.Sprintf("dpkg could not compare the files (exit status %d)", out.Exit))
	}
	var bad []control.Evidence
	for _, l := range strings.Split(string(out.Stdout), "\n") {
		how, rest, ok := strings.Cut(l, "   ")
		p := strings.TrimSpace(rest)
		if !ok || !strings.HasPrefix(p, "/") {
			continue // "?? c /etc/…": a file of settings
		}
		found := "is not the file of the package"
		if how == "missing" {
			if slices.ContainsFunc(leftOut, func(d string) bool { return strings.HasPrefix(p, d) }) {
				continue
			}
			found = "is missing"
		}
		if len(bad) < 20 {
			bad = append(bad, control.Saw("file of a package", fact.Place{Path: p}, found, "as installed"))
		}
	}
	if len(bad) > 0 {
		o := control.Failed(bad[0].Place+" "+bad[0].Found, bad...)
		o.Persistent = control.No
		return o
	}
	o := control.Passed(fmt.Sprintf("the files of %d packages are as they were installed", len(r.Packages)-missing))
	o.Persistent = control.Yes
	return o
}

// Describe implements control.Describer.
func (r *packageFiles) Describe() []string {
	return []string{"the checksums of the files of " + strings.Join(r.Packages, ", ") + " (`dpkg --verify`), without settings in /etc"}
}
