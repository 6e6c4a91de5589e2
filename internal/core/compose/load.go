package compose

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
)

// A Source gives what a project is made of. Both say why something is not
// known; "" and nothing is an empty file.
type Source struct {
	File func(path string) (docs []*Node, bad *Problem)
	Env  func(path string) (vars Vars, why string, exists bool)
}

// A Project is what some compose files say together.
type Project struct {
	Dir      string // what relative paths are relative to
	Files    []string
	Vars     Vars      // of .env
	Top      *Node     // all files over each other, variables filled in
	Read     []string  // every file that was led to, in order
	Problems []Problem // what was not read or followed; services may be missing
}

// Bounds of one project.
const (
	maxFiles = 40
	maxDepth = 8
	maxGrown = 30_000 // values that are there again in each service that extends or is given them
)

type loader struct {
	src   Source
	p     *Project
	total int
	grown int
}

// grow reports whether there may be more values again.
func (l *loader) grow(values int) bool {
	l.grown += values
	return l.grown <= maxGrown
}

// Load reads a project: its files over each other, as they are named, with
// the variables of .env.
func Load(src Source, dir string, files []string) *Project {
	l := &loader{src: src, p: &Project{Dir: dir, Files: files}}
	l.p.Vars = l.env(path.Join(dir, ".env"), nil, false)
	l.p.Top = l.files(dir, files, l.p.Vars, nil)
	l.environment()
	return l.p
}

func (l *loader) bad(p Problem) {
	if len(l.p.Problems) < 50 && !slices.Contains(l.p.Problems, p) {
		l.p.Problems = append(l.p.Problems, p)
	}
}

func (l *loader) note(file string) {
	if !slices.Contains(l.p.Read, file) {
		l.p.Read = append(l.p.Read, file)
	}
}

// env adds the variables of a file to those that are known: theirs win.
func (l *loader) env(file string, known Vars, wanted bool) Vars {
	out := Vars{}
	vars, why, exists := l.src.Env(file)
	if exists || why != "" {
		l.note(file)
	}
	if why != "" && (exists || wanted) {
		l.bad(Problem{File: file, Text: why})
		vars = vars.Others()
	}
	for _, from := range []Vars{vars, known} {
		for k, v := range from {
			out[k] = v
		}
	}
	return out
}

// files reads files over each other.
func (l *loader) files(dir string, files []string, vars Vars, open []string) *Node {
	all := &Node{Kind: Map}
	for _, f := range files {
		l.note(f)
		if l.total++; l.total > maxFiles || len(open) > maxDepth || slices.Contains(open, f) {
			l.bad(Problem{File: f, Text: "more files lead to each other than are followed"})
			continue
		}
		docs, bad := l.src.File(f)
		if bad != nil {
			l.bad(*bad)
		}
		for _, d := range docs {
			d = l.one(dir, f, d.Copy(), vars, append(slices.Clip(open), f))
			merged, bad := Merge(all, d)
			if bad != nil {
				l.bad(*bad)
			}
			if merged != nil {
				all = merged
			}
			if all.Size() > 200_000 {
				l.bad(Problem{File: f, Text: "the files say more than is read"})
				return all
			}
		}
	}
	return all
}

// one is what a document says when its variables are filled in and what it
// includes and extends is put in.
func (l *loader) one(dir, file string, d *Node, vars Vars, open []string) *Node {
	Fill(d, vars)
	absolute(d, dir)
	l.include(dir, d, vars, open)
	services := d.Get("services")
	if services.Is(Map) {
		for _, name := range services.Keys {
			services.Set(name, l.extend(dir, file, services, name, vars, nil))
		}
	}
	return d
}

// include puts what other files say below what this one says.
func (l *loader) include(dir string, d *Node, vars Vars, open []string) {
	list := d.Get("include")
	if list == nil {
		return
	}
	d.Set("include", nil)
	for _, it := range asList(list).Items {
		paths := asList(it)
		if it.Kind == Map {
			if it.Get("path") == nil {
				continue
			}
			paths = asList(it.Get("path"))
		}
		var files []string
		for _, p := range paths.Items {
			if why := notHere(p); why != "" {
				l.bad(Problem{p.File, p.Line, "an include is not followed: " + why})
				continue
			}
			files = append(files, abs(dir, p.Text))
		}
		if len(files) == 0 {
			continue
		}
		below := path.Dir(files[0])
		if p := it.Get("project_directory"); p.Is(Scalar) && p.Open == "" {
			below = abs(dir, p.Text)
		}
		theirs := vars
		if e := it.Get("env_file"); e != nil {
			for _, f := range asList(e).Items {
				if f.Open == "" && f.Text != "/dev/null" {
					theirs = l.env(abs(dir, f.Text), theirs, true)
				}
			}
		} else {
			theirs = l.env(path.Join(below, ".env"), vars, false)
		}
		got := l.files(below, files, theirs, open)
		for _, kind := range []string{"services", "networks", "volumes", "secrets", "configs"} {
			from := got.Get(kind)
			if !from.Is(Map) {
				continue
			}
			if !d.Get(kind).Is(Map) {
				d.Set(kind, &Node{Kind: Map, File: from.File, Line: from.Line})
			}
			own := d.Get(kind)
			for i, name := range from.Keys {
				m := &merging{}
				own.Set(name, m.node(from.Items[i], own.Get(name), []string{kind, name}))
				if m.bad != nil {
					l.bad(*m.bad)
				}
			}
		}
	}
}

// extend is a service over those that it extends.
func (l *loader) extend(dir, file string, services *Node, name string, vars Vars, seen []string) *Node {
	s := services.Get(name)
	x := s.Get("extends")
	if x == nil {
		return s
	}
	s = s.Copy()
	s.Set("extends", nil)
	lost := func(text string) *Node {
		l.bad(Problem{x.File, x.Line, "what service " + name + " extends is not known: " + text})
		s.Open = "what it extends is not known: " + text
		return s
	}
	of, from := x, (*Node)(nil)
	if x.Kind == Map {
		of, from = x.Get("service"), x.Get("file")
	}
	if !of.Is(Scalar) || of.Open != "" {
		return lost("no service is named")
	}
	key := file + "\x00" + of.Text
	if len(seen) > maxDepth || slices.Contains(seen, key) {
		return lost("services extend each other without end")
	}
	seen = append(slices.Clip(seen), key)
	if from != nil {
		if why := notHere(from); why != "" {
			return lost(why)
		}
		file = abs(dir, from.Text)
		dir = path.Dir(file)
		l.note(file)
		if l.total++; l.total > maxFiles {
			return lost("more files lead to each other than are followed")
		}
		docs, bad := l.src.File(file)
		if bad != nil {
			if bad.Line > 0 {
				l.bad(*bad)
			}
			return lost(bad.Text)
		}
		services = &Node{Kind: Map}
		for _, d := range docs {
			d = d.Copy()
			Fill(d, vars)
			absolute(d, dir)
			if more := d.Get("services"); more.Is(Map) {
				for i, k := range more.Keys {
					services.Set(k, more.Items[i])
				}
			}
		}
	}
	if services.Get(of.Text) == nil {
		return lost("there is no service " + of.Text + " in " + file)
	}
	base := l.extend(dir, file, services, of.Text, vars, seen)
	if l.grown > maxGrown || !l.grow(base.Size()) {
		return lost("services that extend each other say more than is read")
	}
	base = base.Copy()
	open := base.Open
	base = settled(base)
	own := s.Copy()
	m := &merging{}
	out := m.node(base, s, []string{"services", name})
	if m.bad != nil {
		l.bad(*m.bad)
	}
	if out != nil {
		for i, k := range own.Keys {
			if own.Items[i].Tag == "!reset" {
				out.Set(k, own.Items[i]) // for the files below this one
			}
		}
		out.Open, out.File, out.Line = cmp.Or(s.Open, open), s.File, s.Line
	}
	return out
}

// notHere says why the file that a node names cannot be read here.
func notHere(n *Node) string {
	switch {
	case !n.Is(Scalar):
		return "no file is named"
	case n.Open != "":
		return n.Open
	case strings.Contains(n.Text, "://"), strings.HasPrefix(n.Text, "git@"), strings.HasPrefix(n.Text, "oci:"):
		return "it is not on this host"
	}
	return ""
}

func abs(dir, p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}

// absolute puts the folder before the relative paths of mounts and of files of
// variables: merging brings together what was relative to several.
func absolute(d *Node, dir string) {
	services := d.Get("services")
	if !services.Is(Map) {
		return
	}
	for _, s := range services.Items {
		for _, v := range listOf(s.Get("volumes")) {
			switch src := v.Get("source"); {
			case v.Kind == Map && src.Is(Scalar) && v.Get("type") != nil && v.Get("type").Text == "bind":
				src.Text = below(dir, src)
			case v.Kind == Scalar && v.Open == "" && strings.HasPrefix(v.Text, "."):
				src, rest, more := strings.Cut(v.Text, ":")
				if more {
					v.Text = abs(dir, src) + ":" + rest
				}
			}
		}
		if files := s.Get("env_file"); files != nil {
			list := asList(files)
			for _, f := range list.Items {
				if f.Kind == Map {
					f = f.Get("path")
				}
				if f.Is(Scalar) {
					f.Text = below(dir, f)
				}
			}
			s.Set("env_file", list)
		}
	}
}

func below(dir string, n *Node) string {
	if n.Open != "" || n.Text == "" || strings.HasPrefix(n.Text, "~") {
		return n.Text
	}
	return abs(dir, n.Text)
}

func listOf(n *Node) []*Node {
	if n == nil || n.Kind == Nothing {
		return nil
	}
	return asList(n).Items
}

// The names under which a project is looked for, the first first.
var (
	DefaultNames   = []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
	DefaultOverlay = []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}
)

// Discover names the files that make the project of a folder when nobody says
// more: those of COMPOSE_FILE in its .env, or those that are there.
func Discover(dir string, vars Vars, exists func(string) bool) []string {
	if v := vars["COMPOSE_FILE"]; v.Value != "" && !v.Hidden {
		var out []string
		for _, f := range strings.Split(v.Value, cmp.Or(vars["COMPOSE_PATH_SEPARATOR"].Value, ":")) {
			out = append(out, abs(dir, f))
		}
		return out
	}
	var out []string
	for _, names := range [][]string{DefaultNames, DefaultOverlay} {
		i := slices.IndexFunc(names, func(n string) bool { return exists(path.Join(dir, n)) })
		if i >= 0 {
			out = append(out, path.Join(dir, names[i]))
		}
		if len(out) == 0 {
			return nil
		}
	}
	return out
}

// environment puts the variables of env_file into those of each service, whose
// own win.
func (l *loader) environment() {
	services := l.p.Top.Get("services")
	if !services.Is(Map) {
		return
	}
	type file struct {
		vars   Vars
		why    string
		exists bool
	}
	read := map[string]file{}
	for i, name := range services.Keys {
		s := Service{services.Items[i], name}
		if s.Kind != Map || s.Get("environment") == nil && s.Get("env_file") == nil {
			continue
		}
		own := s.Named("environment")
		for j, k := range own.Keys {
			if v := l.p.Vars[k]; own.Items[j].Kind == Nothing && v != (Var{}) {
				own.Items[j] = l.value(v, own.Items[j].File, own.Items[j].Line)
			}
		}
		for _, f := range slices.Backward(s.List("env_file")) {
			at, needed := f, true
			if f.Kind == Map {
				at = f.Get("path")
				if r := f.Get("required"); r.Is(Scalar) && r.Text == "false" {
					needed = false
				}
			}
			if !at.Is(Scalar) || at.Open != "" {
				own.Open = "a file of variables is not known"
				continue
			}
			got, known := read[at.Text]
			if !known {
				l.note(at.Text)
				got.vars, got.why, got.exists = l.src.Env(at.Text)
				read[at.Text] = got
			}
			if got.why != "" && (needed || got.exists) {
				own.Open = got.why
			}
			if !l.grow(len(got.vars)) {
				own.Open = "the files of variables say more than is read"
				continue
			}
			for _, k := range slices.Sorted(maps.Keys(got.vars)) {
				if own.Get(k) == nil {
					own.Set(k, l.value(got.vars[k], at.Text, 0))
				}
			}
		}
		s.Set("environment", own)
	}
}

func (l *loader) value(v Var, file string, line int) *Node {
	n := &Node{Kind: Scalar, Text: v.Value, File: file, Line: line}
	if v.Hidden {
		n.Open = "its value is not kept"
	}
	return n
}
