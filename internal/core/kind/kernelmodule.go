package kind

import (
	"fmt"
	"path"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// kernelModule wants modules not to be loaded, and kept from being loaded. A
// module is given as its path below the kernel's folder of modules, so that a
// kernel that does not bring it is seen: fs/cramfs/cramfs.
type kernelModule struct {
	Modules []string `yaml:"modules"`
	Unless  []string `yaml:"unless"` // paths that show that the modules are needed
}

func decodeKernelModule(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &kernelModule{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Modules) == 0 {
		ps = append(ps, n.Problem("modules is missing"))
	}
	for _, m := range r.Modules {
		if !strings.Contains(m, "/") || path.Clean(m) != m || path.IsAbs(m) {
			ps = append(ps, n.Get("modules").Problem("%q is not a module's path below kernel/, such as fs/cramfs/cramfs", m))
		}
	}
	for _, p := range r.Unless {
		if !path.IsAbs(p) {
			ps = append(ps, n.Get("unless").Problem("%q is not an absolute path", p))
		}
	}
	return r, ps
}

func moduleFile(m string) string { return "/lib/modules/*/kernel/" + m + ".ko*" }

// Ask implements control.Asker.
func (r *kernelModule) Ask() snap.Manifest {
	m := snap.Manifest{Stats: append([]string{}, r.Unless...)}
	for _, mod := range r.Modules {
		m.Stats = append(m.Stats, moduleFile(mod))
	}
	return m
}

// Evaluate implements control.Rule.
func (r *kernelModule) Evaluate(h *fact.Host) control.Outcome {
	for _, p := range r.Unless {
		if es, _, _ := h.Snap.Glob(p); len(es) > 0 {
			return control.DoesNotApply(es[0].Path + " shows that this is needed here")
		}
	}
	ms := h.Modules
	image := h.Snap.Source.Kind == "image"
	if !ms.Any && ms.Hidden != "" {
		return control.CannotTell(needRoot(h, ms.Hidden))
	}
	if !ms.Any && len(ms.Loaded.V) == 0 {
		return control.DoesNotApply("this system has no kernel modules of its own")
	}
	o := control.Outcome{Configured: control.Yes, Effective: control.Yes, Persistent: control.Yes, Explicit: control.Yes}
	var bad, fixed []string
	judged := 0
	for _, m := range r.Modules {
		name := strings.ReplaceAll(path.Base(m), "-", "_")
		if ms.BuiltIn[name] {
			fixed = append(fixed, name)
			continue
		}
		judged++
		block, blocked := ms.Blocked[name]
		loaded := ms.Loaded.V[name]
		files, st, why := h.Snap.Glob(moduleFile(m))
		o.Explicit = o.Explicit.And(control.TriOf(blocked))
		if len(files) == 0 && !loaded && !blocked {
			if st != fact.Absent {
				return control.CannotTell(why)
			}
			continue // nothing to load
		}
		o.Configured = o.Configured.And(control.TriOf(blocked))
		o.Persistent = o.Persistent.And(control.TriOf(blocked))
		o.Effective = o.Effective.And(control.TriOf(blocked && !loaded))
		switch {
		case loaded && blocked:
			bad = append(bad, name+" is loaded although "+block.Place.String()+" keeps it out")
			o = o.With(control.Saw("module "+name, ms.Loaded.Place, "loaded", "not loaded"))
		case loaded:
			bad = append(bad, name+" is loaded")
			o = o.With(control.Saw("module "+name, ms.Loaded.Place, "loaded", "not loaded"))
		case !blocked:
			bad = append(bad, name+" can be loaded")
			o = o.With(control.Saw("module "+name, fact.Place{Path: files[0].Path}, "nothing in modprobe.d keeps it out", "install "+name+" /bin/false"))
		default:
			o = o.With(control.Saw("module "+name, block.Place, block.How, ""))
		}
	}
	switch {
	case judged == 0:
		return control.DoesNotApply(strings.Join(fixed, ", ") + " is built into the kernel and cannot be kept out")
	case len(bad) > 0 && ms.Missing != "":
		return control.CannotTell(needRoot(h, ms.Missing), o.Evidence...)
	case len(bad) == 0 && ms.Missing != "":
		// A file of the same name in /etc hides the one that keeps a module out.
		return control.CannotTell(needRoot(h, ms.Missing), o.Evidence...)
	case !image && ms.Loaded.Missing():
		return control.Missing(ms.Loaded)
	}
	if image {
		o.Effective = control.Untold
	}
	o = o.Judge()
	switch {
	case len(bad) > 0:
		o.Reason = strings.Join(bad, ", ")
	case o.Explicit == control.Yes:
		o.Reason = fmt.Sprintf("all %d modules are kept out", judged)
	default:
		o.Reason = "this kernel does not have these modules, or they are kept out"
	}
	if len(fixed) > 0 {
		o.Reason += "; built into the kernel: " + strings.Join(fixed, ", ")
	}
	return o
}
