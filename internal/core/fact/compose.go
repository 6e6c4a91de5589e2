package fact

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/compose"
	"picket/internal/core/snap"
)

// Composed are the projects of `docker compose` that a host has: those that the
// engine's containers were made of, and those that lie where they usually lie.
type Composed struct {
	Projects []ComposeProject
	State    State // Known when all places could be looked at
	Why      string
	// UnreadEnv is why a file of variables could not be read, "" when all could.
	UnreadEnv     string
	wants         []string // files that are still to be read
	secret        []string // files of variables that hold a secret
	values, bytes int      // how much the compose files hold
	led           []string // all files that compose files lead to, read or not
	keptOnly      bool     // what still holds secrets is not read
}

// A ComposeProject is some compose files over each other.
type ComposeProject struct {
	*compose.Project
	Name     string
	Started  bool // the engine has containers that were made of it
	Services []ComposeService
}

// Reached are the files that the project is made of, as far as it is followed.
func (p ComposeProject) Reached() []string {
	return slices.DeleteFunc(slices.Clone(p.Read), func(f string) bool {
		return !slices.Contains(p.Files, f) && f != path.Join(p.Dir, ".env") && !composeReach(p.Dir, f)
	})
}

// Unread is what could not be read or followed, "" when all could.
func (p ComposeProject) Unread() string {
	if len(p.Problems) == 0 {
		return ""
	}
	b := p.Problems[0]
	return Problem{At(b.File, b.Line), b.Text}.String()
}

// maxNotJudged is how many of what could not be read are told.
const maxNotJudged = 10

// NotJudged is all that could not be read or followed of the projects, each
// with its place.
func (c Composed) NotJudged() []string {
	var out []string
	for _, p := range c.Projects {
		for _, b := range p.Problems {
			if text := (Problem{At(b.File, b.Line), b.Text}).String(); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	if n := len(out) - maxNotJudged; n > 0 {
		out = append(out[:maxNotJudged], fmt.Sprintf("and %d more parts of compose files", n))
	}
	return out
}

// composeFolders are where projects usually lie.
var composeFolders = []string{"/opt", "/opt/*", "/opt/*/*", "/srv", "/srv/*", "/srv/*/*", "/home/*", "/home/*/*", "/home/*/*/docker", "/root", "/root/*", "/etc/docker/compose/*"}

// maxComposeProjects is how many are read.
const maxComposeProjects = 60

func composePatterns() []string {
	var out []string
	for _, d := range composeFolders {
		for _, n := range []string{"compose.y*ml", "docker-compose.y*ml", "compose.override.y*ml", "docker-compose.override.y*ml"} {
			out = append(out, d+"/"+n)
		}
	}
	return out
}

// dockerPsAll tells of all containers, those that have stopped too, of which
// files they were made.
var dockerPsAll = []string{"docker", "ps", "-a", "--no-trunc", "--format", `{{.Label "com.docker.compose.project.working_dir"}}|{{.Label "com.docker.compose.project.config_files"}}`}

func askCompose(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: composePatterns()}
	if s.Source.Kind != "image" {
		m.Commands = append(m.Commands, snap.Command{Argv: dockerPsAll})
	}
	m.Files = append(m.Files, h.Composed.wants...)
	for _, p := range h.Composed.Projects {
		for _, f := range p.Reached() {
			m.Stats = append(m.Stats, withParents(f)...)
		}
	}
	return m
}

func parseCompose(h *Host, s *snap.Snapshot) {
	c := &h.Composed
	c.State = Known
	unseen := func(st State, why string) {
		if c.State == Known {
			c.State, c.Why = st, why
		}
	}
	var found []*compose.Project
	var named []string // folders whose project the engine names
	for _, l := range composeLabelled(h, s, unseen) {
		if _, st, _ := s.File(l.files[0]); st == Absent {
			continue // it is in another container, as Portainer's are, or gone: it says nothing any more
		}
		found = append(found, c.load(s, l.dir, l.files))
		for _, f := range l.files {
			named = append(named, realPath(s, f))
		}
	}
	started := len(found)
	have := map[string]bool{}
	var dirs []string
	for _, pattern := range composePatterns() {
		es, st, why := s.Glob(pattern)
		if st != Known && st != Absent {
			unseen(st, why)
		}
		for _, e := range es {
			if e.Type == snap.File {
				have[e.Path] = true
				dirs = append(dirs, path.Dir(e.Path))
			}
		}
	}
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		vars, _, _ := c.env(s, d, path.Join(d, ".env"))
		files := compose.Discover(d, vars, func(p string) bool { return have[p] })
		files = slices.DeleteFunc(files, func(f string) bool { return !composeReach(d, f) })
		// What another project has put in already is judged there.
		if len(files) == 0 || slices.Contains(named, realPath(s, files[0])) || slices.ContainsFunc(found, func(p *compose.Project) bool { return slices.Contains(p.Read, files[0]) }) {
			continue
		}
		if len(found) == maxComposeProjects {
			unseen(Unknown, "there are more compose files than are read")
			break
		}
		p := c.load(s, d, files)
		for _, n := range slices.Concat(compose.DefaultNames, compose.DefaultOverlay) {
			if _, st, why := s.Stat(path.Join(d, n)); st == Denied {
				p.Problems = append(p.Problems, compose.Problem{File: files[0], Text: "whether " + n + " changes it is not known: " + why})
			}
		}
		found = append(found, p)
	}
	for i, p := range found {
		c.Projects = append(c.Projects, ComposeProject{Project: p, Name: p.Name(), Started: i < started})
	}
	for i := range c.Projects {
		p := &c.Projects[i]
		for _, svc := range p.Project.Services() {
			p.Services = append(p.Services, composeService(p, svc))
		}
	}
}

// realPath is where a path leads, as far as that is known.
func realPath(s *snap.Snapshot, p string) string {
	if e := s.Entries[p]; e != nil && e.Real != "" {
		return e.Real
	}
	return p
}

// A labelled project is one that the engine's containers tell of.
type labelled struct {
	dir   string
	files []string
}

// composeLabelled are the projects that the engine's containers tell of.
func composeLabelled(h *Host, s *snap.Snapshot, unseen func(State, string)) []labelled {
	var out []labelled
	add := func(dir, files string) {
		l := composeLabels(dir, files)
		if len(l.files) == 0 || slices.ContainsFunc(out, func(o labelled) bool { return slices.Equal(o.files, l.files) }) {
			return
		}
		if len(out) < maxComposeProjects {
			out = append(out, l)
		} else {
			unseen(Unknown, "there are more compose projects than are read")
		}
	}
	for _, c := range h.Docker.Containers.V {
		add(c.Config.Labels["com.docker.compose.project.working_dir"], c.Config.Labels["com.docker.compose.project.config_files"])
	}
	o, st, why := s.Run(dockerPsAll...)
	switch {
	case o == nil && s.Complete(), st == Absent, s.Source.Kind == "image":
	case st != Known:
		unseen(st, dockerWhy(s, strings.Replace(why, snap.CommandKey(dockerPsAll...), "docker ps -a", 1)))
	default:
		for _, l := range outLines(o) {
			dir, files, _ := strings.Cut(l.text, "|")
			add(dir, files)
		}
	}
	return out
}

// composeLabels reads the labels: the older docker-compose writes names that
// are relative to the folder.
func composeLabels(dir, files string) labelled {
	if !path.IsAbs(dir) || path.Clean(dir) != dir {
		return labelled{}
	}
	l := labelled{dir: dir}
	for _, f := range strings.Split(files, ",") {
		if !path.IsAbs(f) {
			f = path.Join(dir, f)
		}
		if ext := path.Ext(f); (ext == ".yml" || ext == ".yaml") && path.Clean(f) == f && !strings.ContainsAny(f, "*?[\\") {
			l.files = append(l.files, f)
		}
	}
	return l
}

// composeReach reports whether a project may lead to a file: who writes a
// compose file is not to make us read whatever he wants.
func composeReach(dir, file string) bool {
	if strings.ContainsAny(file, "*?[\\") {
		return false
	}
	n := 2
	if strings.HasPrefix(dir, "/home/") {
		n = 3
	}
	for _, top := range []string{"/opt", "/srv", "/root", "/home"} {
		if strings.HasPrefix(dir+"/", top+"/") {
			parts := strings.SplitN(dir+"/", "/", n+1)
			return strings.HasPrefix(file, strings.Join(parts[:n], "/")+"/")
		}
	}
	return strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/") && strings.Count(dir, "/") > 1
}

// load reads one project from a snapshot and notes what is still to be read.
func (c *Composed) load(s *snap.Snapshot, dir string, files []string) *compose.Project {
	return compose.Load(compose.Source{
		File: func(p string) ([]*compose.Node, *compose.Problem) {
			if !slices.Contains(files, p) && !composeReach(dir, p) {
				return nil, &compose.Problem{File: p, Text: "it is not followed out of the project's folder"}
			}
			c.led = append(c.led, p)
			e, st, why := c.file(s, p)
			switch {
			case st == Known:
				if c.bytes += len(e.Content); c.bytes > maxComposeBytes {
					return nil, &compose.Problem{File: p, Text: "all compose files together are longer than is read"}
				}
				docs, bad := readCompose(e)
				for _, d := range docs {
					c.values += d.Size()
				}
				if c.values > maxComposeTotal {
					return nil, &compose.Problem{File: p, Text: "all compose files together say more than is read"}
				}
				return docs, bad
			case st == Unknown:
				c.wants = append(c.wants, p)
			}
			return nil, &compose.Problem{File: p, Text: why}
		},
		Env: func(p string) (compose.Vars, string, bool) { return c.env(s, dir, p) },
	}, dir, files)
}

func (c *Composed) file(s *snap.Snapshot, p string) (*snap.Entry, State, string) {
	e, st, why := s.File(p)
	if st == Known && c.keptOnly && !e.Redact {
		return nil, Unknown, "it is not kept yet"
	}
	return e, st, why
}

// env reads a file of variables.
func (c *Composed) env(s *snap.Snapshot, dir, p string) (vars compose.Vars, why string, exists bool) {
	if !composeReach(dir, p) && p != path.Join(dir, ".env") {
		return nil, "it is not followed out of the project's folder", true
	}
	c.led = append(c.led, p)
	e, st, why := c.file(s, p)
	switch {
	case st == Absent:
		return nil, why, false
	case st == Unknown:
		c.wants = append(c.wants, p)
		return nil, why, true
	case st != Known:
		c.UnreadEnv = cmp.Or(c.UnreadEnv, why)
		return nil, why, true
	}
	list, why := envSettings(s, e, Secrets{})
	c.UnreadEnv = cmp.Or(c.UnreadEnv, why)
	vars = compose.Vars{}
	for _, v := range list {
		if what, ok := AppSecret(v.Value); ok && !strings.HasPrefix(what, SecretHashed) {
			c.secret = append(c.secret, p)
		}
		hidden := v.Value == valueNotKept || v.Value == Hidden || secretNote.MatchString(v.Value) || strings.Contains(v.Value, "$")
		vars[v.Last()] = compose.Var{Value: v.Value, Hidden: hidden}
	}
	return vars, why, true
}
