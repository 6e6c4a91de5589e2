package picket_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors of the house, from the top. A package uses those below its floor,
// never one of its own floor or above; those of one floor do not know each
// other. The same holds for the packages of internal/core, which are floors
// among themselves.
var floors = [][]string{
	{"cmd/picket"},
	{"internal/cli"},
	{"internal/report", "internal/harden", "internal/fleet"},
	{"internal/host/snapshot", "internal/host/files"},
	{"internal/host/remote", "internal/host/probe", "internal/host/shell"},
	{"internal/ui", "internal/host/known"},
	{"internal/host/machine"},
	{"internal/core/settings", "internal/core/cases", "internal/core/plan", "internal/core/trust"},
	{"internal/core/audit"},
	{"internal/core/kind"},
	{"internal/core/check"},
	{"internal/core/control"},
	{"internal/core/fact", "internal/core/account"},
	{"internal/core/ruleset", "internal/core/app", "internal/core/compose", "internal/core/change", "internal/core/inventory"},
	{"internal/core/snap", "internal/core/edit", "internal/core/pamauth", "internal/core/passhash", "internal/core/pinned", "internal/core/sshwords", "internal/core/sudoers", "internal/core/yaml", "catalogue"},
}

// outside holds what is no part of the program: tests and tools may use all.
var outside = []string{"lab", "bench", "tools"}

type goFile struct {
	path string // from the root, with slashes
	dir  string
	test bool
	ast  *ast.File
}

func goFiles(t *testing.T) (*token.FileSet, []goFile) {
	t.Helper()
	fset := token.NewFileSet()
	var out []goFile
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != "." || d.Name() == "testdata" || d.Name() == "dist") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		out = append(out, goFile{p, filepath.ToSlash(filepath.Dir(p)), strings.HasSuffix(p, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fset, out
}

func floorOf(dir string) int {
	for i, f := range floors {
		if slices.Contains(f, dir) {
			return i
		}
	}
	return -1
}

// TestFloors holds the import direction of ARCHITECTURE.md.
func TestFloors(t *testing.T) {
	_, files := goFiles(t)
	for _, f := range files {
		top, _, _ := strings.Cut(f.dir, "/")
		if f.test || f.dir == "." || slices.Contains(outside, top) {
			continue
		}
		from := floorOf(f.dir)
		if from < 0 {
			t.Errorf("%s: package %s has no floor; give it one in house_test.go", f.path, f.dir)
			continue
		}
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			dir, ours := strings.CutPrefix(path, "picket/")
			if !ours {
				continue
			}
			if to := floorOf(dir); to <= from {
				t.Errorf("%s imports %s, which is not on a floor below it", f.path, dir)
			}
		}
	}
}

// forbidden in internal/core, with the reason.
var forbidden = map[string]string{
	"os": "reads the machine", "os/exec": "runs programs", "os/user": "reads the machine", "net": "speaks to the network",
	"net/http": "speaks to the network", "syscall": "reads the machine", "math/rand": "is random", "math/rand/v2": "is random",
	"crypto/rand": "is random", "log": "writes", "log/slog": "writes", "io/ioutil": "reads the machine", "unsafe": "is unsafe",
	"golang.org/x/sys/unix": "reads the machine", "path/filepath": "depends on the machine; use path", "runtime": "asks the machine",
}

// clock holds what package time does besides values.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}

// TestCoreIsPure keeps internal/core to values in, values out.
func TestCoreIsPure(t *testing.T) {
	fset, files := goFiles(t)
	for _, f := range files {
		if f.test || !strings.HasPrefix(f.dir, "internal/core") {
			continue
		}
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if why, ok := forbidden[path]; ok {
				t.Errorf("%s imports %s, which %s", f.path, path, why)
			}
			if strings.Contains(path, "yaml") && !strings.HasPrefix(path, "picket/") && f.dir != "internal/core/yaml" {
				t.Errorf("%s imports %s; only internal/core/yaml may", f.path, path)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
				t.Errorf("%s: time.%s reads the clock", fset.Position(sel.Pos()), sel.Sel.Name)
			}
			return true
		})
	}
}

// TestPackageDocs wants every package explained once, in one sentence that
// says what it is.
func TestPackageDocs(t *testing.T) {
	_, files := goFiles(t)
	docs := map[string][]string{}
	for _, f := range files {
		if f.test || strings.HasSuffix(f.ast.Name.Name, "_test") {
			continue
		}
		docs[f.dir] = append(docs[f.dir], "")
		if f.ast.Doc != nil {
			docs[f.dir][len(docs[f.dir])-1] = f.ast.Doc.Text()
		}
	}
	for dir, all := range docs {
		all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
		name := dir[strings.LastIndex(dir, "/")+1:]
		want := regexp.MustCompile(fmt.Sprintf(`^(Package|Command) %s `, regexp.QuoteMeta(name)))
		if len(all) != 1 || !want.MatchString(all[0]) {
			t.Errorf("%s: want one package comment that begins with Package %s, found %d", dir, name, len(all))
		}
	}
}

// TestDependenciesAreExplained wants a line in docs/dependencies.md for every
// module that the program or a tool is built with.
func TestDependenciesAreExplained(t *testing.T) {
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	module := regexp.MustCompile(`(?m)^\t([^\s/]+\.[^\s]+) v\S+( // indirect)?$`)
	for _, file := range []string{"go.mod", "tools/go.mod", "tools/compose/go.mod"} {
		mod, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range module.FindAllStringSubmatch(string(mod), -1) {
			found++
			if m[2] != "" && file != "go.mod" {
				continue // what a tool brings along is no part of the program
			}
			if !strings.Contains(string(doc), m[1]) {
				t.Errorf("docs/dependencies.md says nothing of %s, which %s wants", m[1], file)
			}
		}
		if found == 0 {
			t.Errorf("no module found in %s", file)
		}
	}
}
