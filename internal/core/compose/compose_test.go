package compose

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
)

// onDisk reads a project of testdata as if it lay in /.
func onDisk(t *testing.T, root string) Source {
	file := func(p string) []byte {
		data, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			return nil
		}
		return data
	}
	return Source{
		File: func(p string) ([]*Node, *Problem) {
			data := file(p)
			if data == nil {
				return nil, &Problem{p, 0, "there is no such file"}
			}
			return Parse(p, data)
		},
		Env: func(p string) (Vars, string, bool) {
			data := file(p)
			if data == nil {
				return nil, "there is no " + p, false
			}
			vars := Vars{}
			for _, l := range ParseEnv(string(data), func(line int, what string) { t.Errorf("%s:%d: %s", p, line, what) }) {
				if !l.Bare {
					vars[l.Name] = Var{Value: l.Value}
				}
			}
			return vars, "", true
		},
	}
}

type wantService struct {
	Image, User, Pid, Ipc, Uts, NetworkMode, UsernsMode, Memory string
	Privileged, ReadOnly                                        bool
	Pids                                                        int64
	CapAdd, CapDrop, SecurityOpt, Devices, Networks             []string
	Command, Health                                             []string
	Environment                                                 []string
	Volumes, Ports                                              []string
}

type wantProject struct {
	Error    bool
	Name     string
	Services map[string]wantService
	Internal []string
}

func words(ns []*Node) []string {
	var out []string
	for _, n := range ns {
		out = append(out, n.Text)
	}
	return out
}

func summary(p *Project) wantProject {
	out := wantProject{Name: p.Name(), Services: map[string]wantService{}}
	if len(p.Problems) > 0 {
		return wantProject{Error: true}
	}
	if nets := p.Top.Get("networks"); nets.Is(Map) {
		for i, k := range nets.Keys {
			if on, _ := (Service{Node: nets.Items[i]}).Flag("internal"); on {
				out.Internal = append(out.Internal, k)
			}
		}
	}
	slices.Sort(out.Internal)
	for _, s := range p.Services() {
		text := func(keys ...string) string { v, _ := s.Text(keys...); return v }
		w := wantService{Image: text("image"), User: text("user"), Pid: text("pid"), Ipc: text("ipc"), Uts: text("uts"), NetworkMode: text("network_mode"), UsernsMode: text("userns_mode"),
			CapAdd: words(s.List("cap_add")), CapDrop: words(s.List("cap_drop")), SecurityOpt: words(s.List("security_opt"))}
		w.Privileged, _ = s.Flag("privileged")
		w.ReadOnly, _ = s.Flag("read_only")
		if n, ok := Bytes(cmp.Or(text("deploy", "resources", "limits", "memory"), text("mem_limit"))); ok {
			w.Memory = fmt.Sprint(n)
		}
		fmt.Sscan(cmp.Or(text("deploy", "resources", "limits", "pids"), text("pids_limit")), &w.Pids)
		for _, d := range s.List("devices") {
			src, _, _ := strings.Cut(d.Text, ":")
			w.Devices = append(w.Devices, src)
		}
		if w.NetworkMode == "" {
			w.Networks = s.Networks()
		}
		if off, _ := s.Flag("healthcheck", "disable"); off {
			w.Health = []string{"NONE"}
		} else if test := words(s.List("healthcheck", "test")); len(test) > 0 {
			w.Health = test[:1]
		}
		if cmd := s.Get("command"); cmd.Is(List) {
			w.Command = words(cmd.Items)
		}
		env := s.Named("environment")
		for i, k := range env.Keys {
			if env.Items[i].Kind == Scalar {
				k += "=" + env.Items[i].Text
			}
			w.Environment = append(w.Environment, k)
		}
		for _, v := range s.Volumes() {
			w.Volumes = append(w.Volumes, fmt.Sprintf("%s %s %s %v %s", v.Type, v.Source, v.Target, v.ReadOnly, v.Propagation))
		}
		for _, p := range s.Ports() {
			w.Ports = append(w.Ports, fmt.Sprintf("%s %s %s %s", p.Host, p.Published, p.Target, p.Proto))
		}
		for _, l := range []*[]string{&w.Networks, &w.Environment, &w.Volumes, &w.Ports} {
			slices.Sort(*l)
		}
		out.Services[s.Name] = w
	}
	return out
}

// TestAsCompose holds what is read to what the library behind `docker
// compose` makes of the same files: tools/compose wrote want.json.
func TestAsCompose(t *testing.T) {
	dirs, _ := filepath.Glob("testdata/*/want.json")
	if len(dirs) < 8 {
		t.Fatalf("only %d projects", len(dirs))
	}
	for _, f := range dirs {
		root := filepath.Dir(f)
		t.Run(filepath.Base(root), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var want wantProject
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			for _, s := range want.Services { // its paths were longer when it was written
				slices.Sort(s.Volumes)
			}
			src := onDisk(t, root)
			vars, _, _ := src.Env("/project/.env")
			files := Discover("/project", vars, func(p string) bool {
				_, err := os.Stat(filepath.Join(root, p))
				return err == nil
			})
			p := Load(src, "/project", files)
			got := summary(p)
			if got.Error != want.Error {
				t.Fatalf("problems: %v", p.Problems)
			}
			if d := diff.Diff(want, got); !want.Error && d != "" {
				t.Error("- docker compose, + here\n" + d)
			}
		})
	}
}

// text is a source of files that are given.
func text(files map[string]string) Source {
	return Source{
		File: func(p string) ([]*Node, *Problem) {
			s, ok := files[p]
			if !ok {
				return nil, &Problem{p, 0, "there is no " + path.Base(p)}
			}
			return Parse(p, []byte(s))
		},
		Env: func(p string) (Vars, string, bool) { return nil, "", false },
	}
}

func TestBroken(t *testing.T) {
	bomb := "x0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("x%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	for name, tc := range map[string]struct{ text, want string }{
		"tab":        {"services:\n\ta: {}\n", "2: not valid YAML: a tab at the beginning of the line; YAML wants blanks"},
		"bomb":       {bomb, "not valid YAML: its aliases (*name) stand for more than 100000 values"},
		"own alias":  {"a: &a [*a]\n", "1: not valid YAML: an alias (*name) that leads to itself"},
		"twice":      {"services:\n  a: {}\n  a: {}\n", "3: not valid YAML: a key is set twice (first on line 2)"},
		"latin-1":    {"services: {a: {image: caf\xe9}}\n", "not valid YAML: "},
		"ten MB":     {strings.Repeat("#2345678\n", 1200000), "not valid YAML: larger than 1048576 bytes"},
		"deep":       {strings.Repeat("[", 10000), "not valid YAML: "},
		"a list":     {"- a\n", "1: not a compose file: it has no keys"},
		"quoted":     {"a: 'hunter2\n", "not valid YAML: "},
		"undefined":  {"a: *hunter2\n", "not valid YAML: "},
		"list as":    {"services: {a: {ports: {x: hunter2}}}\n", ""},
		"endless":    {"services: {a: {extends: b}, b: {extends: a}}", "extend each other without end"},
		"includes":   {"include: [c.yml]\n", "more files lead to each other than are followed"},
		"elsewhere":  {"include: ['https://x.example/c.yml']\n", "1: an include is not followed: it is not on this host"},
		"no base":    {"services: {a: {extends: {file: gone.yml, service: b}}}", "1: what service a extends is not known: there is no gone.yml"},
		"<< of text": {"services: {a: {<<: b}}", "1: not valid YAML: a merge key (<<) wants a mapping"},
	} {
		p := Load(text(map[string]string{"/p/c.yml": tc.text}), "/p", []string{"/p/c.yml"})
		all := ""
		for _, b := range p.Problems {
			all += fmt.Sprintf("%d: %s\n", b.Line, b.Text)
		}
		if !strings.Contains(all, tc.want) {
			t.Errorf("%s: %q, want %q", name, all, tc.want)
		}
		if strings.Contains(all, "hunter2") {
			t.Errorf("%s: what the file holds is told: %s", name, all)
		}
	}
}

// TestGrown: what many services take over from one, or from one file of
// variables, is bounded, and the file is read once.
func TestGrown(t *testing.T) {
	base, list := "services:\n  a: {environment: ["+strings.Repeat("A, ", 1900)+"]}\n", "services:\n"
	for i := range 900 {
		base += fmt.Sprintf("  s%d: {extends: a}\n", i)
		list += fmt.Sprintf("  s%d: {env_file: x.env}\n", i)
	}
	vars := Vars{}
	for i := range 1000 {
		vars[fmt.Sprint("V", i)] = Var{Value: "x"}
	}
	for name, file := range map[string]string{"extends": base, "env_file": list} {
		src := text(map[string]string{"/p/c.yml": file})
		read := 0
		src.Env = func(p string) (Vars, string, bool) {
			if p == "/p/.env" {
				return nil, "", false
			}
			read++
			return vars, "", true
		}
		p := Load(src, "/p", []string{"/p/c.yml"})
		if size := p.Top.Size(); size > 2*maxGrown || read > 1 {
			t.Errorf("%s: %d values, a file of variables read %d times", name, size, read)
		}
		last := p.Top.Get("services", "s899")
		if why := cmp.Or(last.Open, (Service{Node: last}).Named("environment").Open); !strings.Contains(why, "say more than is read") {
			t.Errorf("%s: of the last is told %q", name, why)
		}
	}
}

// What is not known of a value is said, not guessed.
func TestOpen(t *testing.T) {
	vars := Vars{"SET": {Value: "x"}, "EMPTY": {}, "HID": {Value: "[not kept]", Hidden: true}}
	for in, want := range map[string]string{
		"$SET-${SET}": "x-x", "a$$b": "a$b", "${HID:+there}": "there", "${EMPTY:+there}": "", "${EMPTY-d}": "", "${EMPTY:-d}": "d",
		"${NO}": "? NO is set in no file that was read", "${HID}": "? the value of HID is not kept", "${HID:-x}": "? the value of HID is not kept",
		"${NO:?why}": "? NO is set in no file that was read, and has to be", "${NO:-${HID}}": "? the value of HID is not kept",
		"${": "? a ${ in it has no end", "$-": "? a $ in it stands for no variable", "${SET^^}": "? a ${ in it is of no known form", "end$": "end$",
	} {
		n := &Node{Kind: Scalar, Text: in}
		Fill(n, vars)
		got := n.Text
		if n.Open != "" {
			got = "? " + n.Open
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("services: {a: {image: x, ports: [80:80], volumes: [./a:/b]}}", "services: {a: {ports: !override [1]}}", "A=1\nB='x\ny'\n")
	f.Add("x: &a {b: c}\nservices: {a: *a, b: {<<: *a, extends: a}}\ninclude: [b.yml]", "services: !reset {}", "A: b\nexport C")
	f.Fuzz(func(t *testing.T, a, b, env string) {
		src := text(map[string]string{"/p/a.yml": a, "/p/b.yml": b})
		src.Env = func(string) (Vars, string, bool) {
			vars := Vars{}
			for _, l := range ParseEnv(env, func(int, string) {}) {
				vars[l.Name] = Var{Value: l.Value, Hidden: l.Bare}
			}
			return vars, "", true
		}
		p := Load(src, "/p", []string{"/p/a.yml", "/p/b.yml"})
		summary(p)
	})
}
