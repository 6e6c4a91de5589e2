package sudoers_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"picket/internal/core/sudoers"
)

// What cvtsudoers of sudo 1.9.13 makes of the same files, as JSON. Lines that
// sudo refuses were taken out before, since cvtsudoers then answers nothing.
type converted struct {
	Defaults []struct {
		Binding []map[string]any
		Options []map[string]any
	}
	UserSpecs []struct {
		UserList  []map[string]any `json:"User_List"`
		HostList  []map[string]any `json:"Host_List"`
		CmndSpecs []struct {
			RunasUsers  []map[string]any `json:"runasusers"`
			RunasGroups []map[string]any `json:"runasgroups"`
			Options     []any
			Commands    []map[string]any
		} `json:"Cmnd_Specs"`
	} `json:"User_Specs"`
	UserAliases  map[string][]map[string]any `json:"User_Aliases"`
	RunasAliases map[string][]map[string]any `json:"Runas_Aliases"`
	HostAliases  map[string][]map[string]any `json:"Host_Aliases"`
	CmndAliases  map[string][]map[string]any `json:"Command_Aliases"`
}

func (c converted) lines() []string {
	items := func(list []map[string]any, group string) string {
		var out []string
		for _, m := range list {
			for k, v := range m {
				name := fmt.Sprint(v)
				switch k {
				case "negated", "sha256":
					continue
				case "usergroup":
					name = group + name
				case "userid":
					name = "#" + name
				case "usergid":
					name = "%#" + name
				case "netgroup":
					name = "+" + name
				}
				if m["negated"] == true {
					name = "!" + name
				}
				out = append(out, name)
			}
		}
		return strings.Join(out, ",")
	}
	var out []string
	for kind, all := range map[string]map[string][]map[string]any{"User": c.UserAliases, "Runas": c.RunasAliases, "Host": c.HostAliases, "Cmnd": c.CmndAliases} {
		for name, list := range all {
			out = append(out, kind+" "+name+" = "+items(list, "%"))
		}
	}
	for _, d := range c.Defaults {
		for _, o := range d.Options {
			for k, v := range o {
				out = append(out, fmt.Sprintf("Defaults %s %s = %v", items(d.Binding, "%"), k, v))
			}
		}
	}
	for _, u := range c.UserSpecs {
		for _, s := range u.CmndSpecs {
			ask := "as set"
			for _, o := range s.Options {
				if m, ok := o.(map[string]any); ok && m["authenticate"] != nil {
					ask = map[any]string{true: "PASSWD", false: "NOPASSWD"}[m["authenticate"]]
				}
			}
			for _, cmd := range s.Commands {
				out = append(out, fmt.Sprintf("%s %s = (%s:%s) %s: %s", items(u.UserList, "%"), items(u.HostList, "%"),
					items(s.RunasUsers, "%"), items(s.RunasGroups, ""), ask, items([]map[string]any{cmd}, "%")))
			}
		}
	}
	slices.Sort(out)
	return out
}

func ours(es []sudoers.Entry) []string {
	items := func(list []sudoers.Item) string {
		var out []string
		for _, i := range list {
			if i.Not {
				i.Name = "!" + i.Name
			}
			out = append(out, i.Name)
		}
		return strings.Join(out, ",")
	}
	var out []string
	for _, e := range es {
		for _, a := range e.Aliases {
			out = append(out, a.Kind+" "+a.Name+" = "+items(a.Items))
		}
		for _, s := range e.Settings {
			v := cmp.Or(s.Value, fmt.Sprint(s.Op != "!"))
			out = append(out, fmt.Sprintf("Defaults %s %s = %s", items(s.Who), s.Name, v))
		}
		for _, s := range e.Specs {
			for _, c := range s.Cmds {
				ask := map[sudoers.Ask]string{sudoers.AsSet: "as set", sudoers.Passwd: "PASSWD", sudoers.NoPasswd: "NOPASSWD"}[c.Ask]
				out = append(out, fmt.Sprintf("%s %s = (%s:%s) %s: %s", items(s.Users), items(s.Hosts), items(c.Users), items(c.Groups), ask, items([]sudoers.Item{c.Item})))
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestParseAgainstSudo(t *testing.T) {
	for _, name := range []string{"many", "debian"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		// Where sudo is installed, ask it again.
		if bin, err := exec.LookPath("cvtsudoers"); err == nil {
			cmd := exec.Command(bin, "-f", "json")
			cmd.Stdin = bytes.NewReader(valid(text))
			if answer, err = cmd.Output(); err != nil {
				t.Fatal(err)
			}
		}
		var c converted
		if err := json.Unmarshal(answer, &c); err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(c.lines(), ours(sudoers.Parse(string(text)))); d != "" {
			t.Errorf("%s (-cvtsudoers +ours):\n%s", name, d)
		}
	}
}

// valid leaves out the two lines that sudo refuses.
func valid(text []byte) []byte {
	var out []byte
	for l := range bytes.Lines(text) {
		if !bytes.HasPrefix(l, []byte("broken")) && !bytes.Contains(l, []byte("NOPASSWD ALL")) {
			out = append(out, l...)
		}
	}
	return out
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"pi ALL=(ALL NOPASSWD: ALL": `')' is missing before "NOPASSWD: ALL"`,
		"pi ALL=NOPASSWD:":          "a command is missing",
		"a,b,,c ALL=ALL":            `a name is missing before ",c ALL=ALL"`,
		"Defaults foo bar":          `',' is missing before "bar"`,
		"pi ALL=ls":                 `the command "ls" has no full path`,
		"broken line here":          `'=' is missing before "here"`,
		"pi ALL=(ALL) NOPASSWD ALL": `"NOPASSWD" takes no arguments`,
		`"pi ALL=ALL`:               "a quote is not closed",
		"pi ALL=PASSWD: CWD=/ ALL":  `':' is missing before "=/ ALL"`,
		`pi ALL=CWD="/" ALL`:        "CWD takes no quotes",
		"pi ALL=!sha224:aa /a":      `the command "sha224" has no full path`,
		"User_Alias admins = pi":    `"admins" is not the name of an alias`,
	} {
		es := sudoers.Parse("# first\n" + text + "\nroot ALL=ALL\n")
		if len(es) != 2 || es[0].Err != want || es[0].Line != 2 || es[1].Specs == nil {
			t.Errorf("%q: %+v, want the error %q on line 2", text, es, want)
		}
	}
}

func TestLinesAndIncludes(t *testing.T) {
	es := sudoers.Parse("pi ALL = CWD=/tmp /bin/a, \\\n  NOPASSWD: /bin/b\n#include /etc/x\n@includedir /etc/sudoers.d # c\n#includes nothing\n")
	if len(es) != 3 {
		t.Fatalf("%d entries: %+v", len(es), es)
	}
	if cmds := es[0].Specs[0].Cmds; cmds[0].Line != 1 || cmds[1].Line != 2 || cmds[1].Ask != sudoers.NoPasswd {
		t.Errorf("commands: %+v", cmds)
	}
	if i := es[1]; i.Line != 3 || *i.Include != (sudoers.Include{Path: "/etc/x"}) {
		t.Errorf("include: %+v", i)
	}
	if i := es[2]; *i.Include != (sudoers.Include{Path: "/etc/sudoers.d", Dir: true}) {
		t.Errorf("includedir: %+v", i)
	}
}

func TestItems(t *testing.T) {
	es := sudoers.Parse("p\\x69\\x ALL = CHROOT=* sha224:aa, sha256:bb !/a, /b\nCmnd_Alias A = sha224:aa /a, !/b\n")
	if len(es) != 2 || es[0].Err+es[1].Err != "" {
		t.Fatalf("entries: %+v", es)
	}
	cmds := es[0].Specs[0].Cmds
	if who := es[0].Specs[0].Users; who[0].Name != "pix" || cmds[0].Chroot != "*" || cmds[1].Chroot != "*" {
		t.Errorf("user %v, commands %+v", who, cmds)
	}
	want := []sudoers.Item{{Name: "/a", Not: true, Digest: true}, {Name: "/b"}}
	if got := []sudoers.Item{cmds[0].Item, cmds[1].Item}; !slices.Equal(got, want) {
		t.Errorf("commands: %+v", got)
	}
	want = []sudoers.Item{{Name: "/a", Digest: true}, {Name: "/b", Not: true}}
	if got := es[1].Aliases[0].Items; !slices.Equal(got, want) {
		t.Errorf("alias: %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/many", "testdata/debian"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("a ALL=(:) NOPASSWD:\\")
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range sudoers.Parse(text) {
			parts := 0
			for _, set := range []bool{e.Specs != nil, e.Settings != nil, e.Aliases != nil, e.Include != nil, e.Err != ""} {
				if set {
					parts++
				}
			}
			if parts != 1 {
				t.Errorf("line %d has %d parts: %+v", e.Line, parts, e)
			}
		}
	})
}
