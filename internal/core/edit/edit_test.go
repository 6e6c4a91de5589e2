package edit_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"picket/internal/core/edit"
)

type job func([]byte) ([]byte, error)

func set(f edit.Form, section, key, value string) job {
	return func(b []byte) ([]byte, error) { return f.Set(b, section, key, value) }
}

func is(words ...string) func(string) bool {
	return func(w string) bool { return strings.Contains(" "+strings.Join(words, " ")+" ", " "+w+" ") }
}

func ptr(s string) *string { return &s }

// Each edit gives the wanted bytes, and done again changes nothing.
func TestEdits(t *testing.T) {
	for name, c := range map[string]struct {
		do       job
		in, want string
	}{
		"last wins":                {set(edit.Words, "", "user", "_chrony"), "user a\nx y\nuser  root # why\n", "user a\nx y\nuser  _chrony # why\n"},
		"below its example":        {set(edit.Equals, "", "deny", "5"), "# deny = 3\n# more\nother = 1\n", "# deny = 3\ndeny = 5\n# more\nother = 1\n"},
		"at the end":               {set(edit.Equals, "", "deny", "5"), "other = 1", "other = 1\ndeny = 5\n"},
		"empty file":               {set(edit.Shell, "", "A", "b"), "", "A=b\n"},
		"CRLF stays":               {set(edit.Shell, "", "A", "b"), "A=c\r\nB=1\r\n", "A=b\r\nB=1\r\n"},
		"new line in CRLF":         {set(edit.Shell, "", "C", "b"), "A=c\r\nB=1\r\n", "A=c\r\nB=1\r\nC=b\r\n"},
		"section":                  {set(edit.INI, "xdmcp", "Enable", "false"), "[a]\nEnable=true\n[xdmcp]\nEnable = true\n\n[b]\nEnable=true\n", "[a]\nEnable=true\n[xdmcp]\nEnable = false\n\n[b]\nEnable=true\n"},
		"end of a section":         {set(edit.INI, "a", "k", "v"), "[a]\nx=1\n\n[b]\ny=2\n", "[a]\nx=1\nk=v\n\n[b]\ny=2\n"},
		"a section that comes":     {set(edit.INI, "c", "k", "v"), "[a]\nx=1\n", "[a]\nx=1\n\n[c]\nk=v\n"},
		"a section in two parts":   {set(edit.INI, "a", "k", "v"), "[a]\nk=1\n[b]\n[a]\nx=2\n", "[a]\nk=v\n[b]\n[a]\nx=2\n"},
		"case in INI":              {set(edit.INI, "XDMCP", "enable", "false"), "[xdmcp]\nEnable=true\n", "[xdmcp]\nEnable=false\n"},
		"case in systemd":          {set(edit.Systemd, "Journal", "Compress", "yes"), "[Journal]\ncompress=no\n", "[Journal]\ncompress=no\nCompress=yes\n"},
		"a flag":                   {set(edit.Flags, "", "even_deny_root", ""), "# even_deny_root\ndeny = 3\n", "# even_deny_root\neven_deny_root\ndeny = 3\n"},
		"a flag that is there":     {set(edit.Flags, "", "even_deny_root", ""), "even_deny_root # x\n", "even_deny_root # x\n"},
		"words without a value":    {set(edit.Words, "", "UMASK", "027"), "UMASK\n", "UMASK 027\n"},
		"tabs":                     {set(edit.Words, "", "UMASK", "027"), "UMASK\t\t022\n", "UMASK\t\t027\n"},
		"before the first section": {set(edit.Table, "", "a", "1"), "b = 2\n\n[x]\na = 3\n", "b = 2\na = 1\n\n[x]\na = 3\n"},
		"comment out":              {func(b []byte) ([]byte, error) { return edit.CommentOut(b, "#", 2) }, "a\nb\n", "a\n#b\n"},
		"a command line":           {func(b []byte) ([]byte, error) { return edit.Parameters(b, is("nopti"), "audit=1") }, "root=/dev/x nopti quiet\n", "root=/dev/x quiet audit=1\n"},
		"a command line as it is":  {func(b []byte) ([]byte, error) { return edit.Parameters(b, is("nopti"), "quiet") }, "root=x  quiet", "root=x  quiet"},
		"a variable":               {func(b []byte) ([]byte, error) { return edit.Quoted(b, "G", is("off"), "a=1") }, "G=\"x off\"\nG='y off' # why\n", "G=\"x\"\nG='y a=1' # why\n"},
		"a variable that comes":    {func(b []byte) ([]byte, error) { return edit.Quoted(b, "G", nil, "a=1", "b") }, "H=1\n", "H=1\nG=\"a=1 b\"\n"},
		"a bare variable":          {func(b []byte) ([]byte, error) { return edit.Quoted(b, "G", nil, "b") }, "G=a\n", "G=\"a b\"\n"},
		"an empty variable":        {func(b []byte) ([]byte, error) { return edit.Quoted(b, "G", nil, "b") }, "G=\"\"\n", "G=\"b\"\n"},
		"a # within quotes":        {func(b []byte) ([]byte, error) { return edit.Quoted(b, "G", nil, "b") }, "G=\"a # c\"\n", "G=\"a # c b\"\n"},
		"fstab":                    {func(b []byte) ([]byte, error) { return edit.Mount(b, "/home", []string{"nosuid", "nodev"}, "") }, "# /home\nUUID=1 /home\text4  defaults,suid 0 2\n", "# /home\nUUID=1 /home\text4  defaults,nosuid,nodev 0 2\n"},
		"fstab that is right":      {func(b []byte) ([]byte, error) { return edit.Mount(b, "/home", []string{"nodev"}, "") }, "a /home/ ext4 nodev,noatime\n", "a /home/ ext4 nodev,noatime\n"},
		"fstab, cancelled":         {func(b []byte) ([]byte, error) { return edit.Mount(b, "/home", []string{"nodev"}, "") }, "a /home ext4 nodev,dev\n", "a /home ext4 nodev\n"},
		"fstab without options":    {func(b []byte) ([]byte, error) { return edit.Mount(b, "/home", []string{"nodev"}, "") }, "a /home ext4\n", "a /home ext4 defaults,nodev\n"},
		"fstab, a new line": {func(b []byte) ([]byte, error) {
			return edit.Mount(b, "/dev/shm", []string{"nodev"}, "tmpfs /dev/shm tmpfs nodev 0 0")
		}, "a / ext4", "a / ext4\ntmpfs /dev/shm tmpfs nodev 0 0\n"},
		"PAM, new":                   {func(b []byte) ([]byte, error) { return edit.ModuleOption(b, "pam_x.so", "deny", true, ptr("5")) }, "auth [default=die] pam_x.so authfail # why\n", "auth [default=die] pam_x.so authfail deny=5 # why\n"},
		"PAM, other value":           {func(b []byte) ([]byte, error) { return edit.ModuleOption(b, "pam_x.so", "deny", true, ptr("5")) }, "auth\trequired\t/lib/pam_x.so  deny=3 silent\n", "auth\trequired\t/lib/pam_x.so  deny=5 silent\n"},
		"PAM, twice":                 {func(b []byte) ([]byte, error) { return edit.ModuleOption(b, "pam_x.so", "deny", true, ptr("5")) }, "auth required pam_x.so deny=3 deny=4\n", "auth required pam_x.so deny=5\n"},
		"PAM, away":                  {func(b []byte) ([]byte, error) { return edit.ModuleOption(b, "pam_x.so", "nullok", false, nil) }, "auth required pam_x.so nullok try\nauth required pam_y.so nullok\n", "auth required pam_x.so try\nauth required pam_y.so nullok\n"},
		"JSON, other value":          {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"icc"}, false) }, "{ \"icc\" : true, \"a\": [1,2] }\n", "{ \"icc\" : false, \"a\": [1,2] }\n"},
		"JSON, the same":             {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"a"}, []int{1, 2}) }, "{\"a\": [ 1, 2 ]}", "{\"a\": [ 1, 2 ]}"},
		"JSON, new":                  {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"icc"}, false) }, "{\n    \"a\": 1\n}\n", "{\n    \"a\": 1,\n    \"icc\": false\n}\n"},
		"JSON, on one line":          {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"icc"}, false) }, "{\"a\": 1}", "{\"a\": 1, \"icc\": false}"},
		"JSON, empty":                {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"icc"}, false) }, "", "{\n  \"icc\": false\n}\n"},
		"JSON, an object on the way": {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"log-opts", "max-size"}, "10m") }, "{\"log-opts\": {}}", "{\"log-opts\": {\n    \"max-size\": \"10m\"\n  }}"},
		"JSON, objects that come":    {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"log-opts", "max-size"}, "10m") }, "{}", "{\n  \"log-opts\": {\"max-size\": \"10m\"}\n}"},
		"replace on a line":          {func(b []byte) ([]byte, error) { return edit.ReplaceOn(b, 2, "b", "c") }, "b\na b\n", "b\na c\n"},
	} {
		got, err := c.do([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v\nwant %q", name, got, err, c.want)
			continue
		}
		if name == "replace on a line" {
			continue // it names what it replaces
		}
		if again, err := c.do(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s, once more: %q, %v", name, again, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		do       job
		in, want string
	}{
		"two lines":          {set(edit.Shell, "", "A", "b\nc"), "", `"b\nc" does not fit on a line`},
		"no mount":           {func(b []byte) ([]byte, error) { return edit.Mount(b, "/x", []string{"nodev"}, "") }, "", "no line mounts /x"},
		"no module":          {func(b []byte) ([]byte, error) { return edit.ModuleOption(b, "pam_x.so", "a", true, nil) }, "auth required pam_y.so\n", "there is no line of pam_x.so"},
		"a line goes on":     {func(b []byte) ([]byte, error) { return edit.ModuleOption(b, "pam_x.so", "a", true, nil) }, "auth required pam_x.so \\\n b\n", "line 1 goes on in the next"},
		"no line":            {func(b []byte) ([]byte, error) { return edit.CommentOut(b, "#", 3) }, "a\n", "there is no line 3"},
		"no object":          {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"a"}, 1) }, "[{}]", "it is no object"},
		"twice":              {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"a"}, 1) }, `{"a":1,"a":2}`, `"a" is there twice`},
		"no JSON":            {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"a"}, 1) }, `{"a":`, "unexpected end of JSON input"},
		"a value on the way": {func(b []byte) ([]byte, error) { return edit.JSON(b, []string{"a", "b"}, 1) }, `{"a":1}`, `"a" is no object`},
		"an open quote":      {func(b []byte) ([]byte, error) { return edit.Quoted(b, "G", nil, "a") }, "G=\"x\n", "line 1: the quotation mark is not closed"},
		"no command line":    {func(b []byte) ([]byte, error) { return edit.Parameters(b, nil, "a") }, "\nx\n", "its first line is no command line"},
		"not once":           {func(b []byte) ([]byte, error) { return edit.ReplaceOn(b, 1, "a", "c") }, "a a\n", `line 1 does not hold "a" once`},
	} {
		if got, err := c.do([]byte(c.in)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %q, %v, want %s", name, got, err, c.want)
		}
	}
}

// FuzzSet: whatever a file holds, an edit keeps all lines but one, and done again it changes nothing.
func FuzzSet(f *testing.F) {
	f.Add([]byte("[a]\nk = 1 # x\n\n#k=2\r\n[b]\nk\n"), 0, "k", "v")
	f.Add([]byte("\xff=\n= 1\n[\n[]\n"), 3, "k", "")
	forms := []edit.Form{edit.Systemd, edit.INI, edit.Shell, edit.Equals, edit.Words, edit.Flags, edit.Colon, edit.Table}
	f.Fuzz(func(t *testing.T, b []byte, n int, key, value string) {
		form := forms[uint(n)%uint(len(forms))]
		if key == "" || strings.ContainsAny(key, " \t=:#;[]\r\n\x00") || strings.ContainsAny(value, "#\r\n\x00") || strings.TrimSpace(value) != value {
			t.Skip()
		}
		section := ""
		if form.Sections {
			section = "a"
		}
		got, err := form.Set(b, section, key, value)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := form.Set(got, section, key, value); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q, %s=%s: %q, once more %q, %v", b, key, value, got, again, err)
		}
		was, is := bytes.Split(b, []byte("\n")), bytes.Split(got, []byte("\n"))
		if len(is) < len(was) || len(is) > len(was)+4 {
			t.Errorf("%d lines became %d", len(was), len(is))
		}
	})
}

// FuzzJSON: what comes out is JSON again and has the value, and nothing else differs.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a": {"b": [1, {"c": "}"}]}, "x": 1}`), "a", "b")
	f.Add([]byte(`{}`), "x", "")
	f.Fuzz(func(t *testing.T, b []byte, one, two string) {
		if !utf8.ValidString(one) || !utf8.ValidString(two) {
			t.Skip()
		}
		path := []string{one}
		if two != "" {
			path = append(path, two)
		}
		got, err := edit.JSON(b, path, "v")
		if err != nil {
			t.Skip()
		}
		var was, is map[string]any
		if len(bytes.TrimSpace(b)) == 0 {
			b = []byte("{}")
		}
		if json.Unmarshal(b, &was) != nil || json.Unmarshal(got, &is) != nil {
			t.Fatalf("%q became %q", b, got)
		}
		at := is
		for _, p := range path[:len(path)-1] {
			at, _ = at[p].(map[string]any)
		}
		if v := at[path[len(path)-1]]; v != "v" {
			t.Errorf("%q: %v is %v", got, path, v)
		}
		if again, err := edit.JSON(got, path, "v"); err != nil || !bytes.Equal(again, got) {
			t.Errorf("once more: %q, %v", again, err)
		}
		delete(was, one)
		delete(is, one)
		a, _ := json.Marshal(was)
		c, _ := json.Marshal(is)
		if !bytes.Equal(a, c) {
			t.Errorf("%q became %q", b, got)
		}
	})
}
