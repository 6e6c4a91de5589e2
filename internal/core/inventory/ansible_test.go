package inventory

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"picket/lab/leftout"
)

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

const iniSample = `plain ansible_host=10.0.0.9
; a comment
[lab]   # with a comment
worker[01:05:2] ansible_port=2222 ansible_user="pi" # hi
db-[a:c].example ansible_ssh_private_key_file='~/.ssh/my key'
gw:2200
fd00::7

[farm:children]
lab
other # too
[farm:vars]
ansible_user = bob
ansible_ssh_common_args='-o ProxyJump=gw'
[other]
rack[1:2]-[a:b] ansible_ssh_extra_args="-o ProxyCommand='ssh -W %h:%p ada@far.example.org'"
plain
[other:vars]
ansible_user="carol"
[all:vars]
ansible_ssh_common_args=
ansible_ssh_port=2022
http_port=80
`

func TestAnsibleINI(t *testing.T) {
	readings(t, "hosts", AnsibleINI, []reading{
		{"sample", iniSample, `plain at=10.0.0.9 user=carol port=2022 jump=gw groups=farm+other
worker01 user=pi port=2222 jump=gw groups=lab+farm
worker03 user=pi port=2222 jump=gw groups=lab+farm
worker05 user=pi port=2222 jump=gw groups=lab+farm
db-a.example user=bob port=2022 key=~/.ssh/my key jump=gw groups=lab+farm
db-b.example user=bob port=2022 key=~/.ssh/my key jump=gw groups=lab+farm
db-c.example user=bob port=2022 key=~/.ssh/my key jump=gw groups=lab+farm
gw user=bob port=2200 jump=gw groups=lab+farm
fd00::7 user=bob port=2022 jump=gw groups=lab+farm
rack1-a user=carol port=2022 jump=gw groups=farm+other
rack1-b user=carol port=2022 jump=gw groups=farm+other
rack2-a user=carol port=2022 jump=gw groups=farm+other
rack2-b user=carol port=2022 jump=gw groups=farm+other`, []string{"1 other variables"}},
		{"secrets", `[lab]
w1 ansible_password=raspberry ansible_user=pi
w2 ansible_become_pass="rasp berry"
ansible_ssh_pass=raspberry
[lab:vars]
ansible_ssh_pass: raspberry=
ansible_sudo_pass = raspberry
my_token=raspberry
ansible_ssh_private_key_file = $ANSIBLE_VAULT;1.1;AES256
[lab:children]
ansible_password=raspberry
`, "w1 user=pi groups=lab\nw2 groups=lab", []string{"hosts:2: ansible_password may be a secret: not read", "hosts:3: ansible_become_pass may be", "hosts:4: a variable where a host is wanted: it belongs under [lab:vars]",
			"hosts:6: a variable may be a secret", "ansible_sudo_pass may", "my_token may", "ansible_ssh_private_key_file is a secret", "hosts:11: no name of a group"}},
		{"templates", "a ansible_host={{ip}}\nb ansible_user={{u}} ansible_port=23\nc ansible_ssh_common_args='-J {{gw}}'\n", "b port=23\nc", []string{
			"the address of a is a template", "ansible_user of b is a template", "ansible_ssh_common_args of c is a template"}},
		{"this machine", "localhost ansible_connection=local\nvm ansible_host=127.0.0.1 ansible_port=2222\nme ansible_host=127.0.0.1\nbox ansible_connection=docker\nwin ansible_connection=winrm\n",
			"vm at=127.0.0.1 port=2222", []string{"localhost is this machine", "me is this machine (127.0.0.1)", "box is not reached by ssh", "win is not"}},
		{"arguments", "a ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'\nb ansible_ssh_common_args='-i k -p 23 -l pi -oProxyJump=none -C'\n" +
			"c ansible_ssh_common_args='-J a;b'\nd ansible_ssh_common_args='-o ProxyCommand=\"sshpass -p raspberry ssh -W %h:%p x\"'\ne ansible_ssh_common_args='-J \"x'\n",
			"a\nb user=pi port=23 key=k\nd\ne", []string{"ansible_ssh_common_args of a turns the check of host keys off", "ansible_ssh_common_args of b says more", "c is reached through another host",
				"ansible_ssh_common_args of d says more", "hosts:5: ansible_ssh_common_args of e: a quote is not closed"}},
		{"circles and strangers", "[a:children]\nb\nnowhere\n[b:children]\na\n[b]\nx\n[ghost:vars]\nk=v\n[c:hosts]\ny\n[d d]\nz\n[e:what]\nq\n", "x groups=a+b\ny groups=c", []string{
			"no name of a section", "[e:what] is neither", `the group "nowhere" stands nowhere`, "hold each other", "[ghost:vars] is of a group", "1 other variables"}},
		{"ranges", "a[1:3] x=1\nb[01:3]\nc[3:1]\nd[1:9999999]\ne[1]\nf[:2]\ng[a:C:9]\nh[1:2\ni[1:4:0]\nj[A:b]\n", "a1\na2\na3\nf0\nf1\nf2\nga\ngj\ngs\ngB", []string{
			":2: \"[01:3]\" is no range", ":3: \"[3:1]\" is no range", ":4: a range of more than", ":5: \"[1]\" is no range", ":8: the range in", ":9:", ":10:", "1 other variables"}},
		{"slips", "a ansible_port=ssh ansible_user='a b'\nb ansible_host=10.0.0.1:22\nc stray\nd ansible_user=\"x\n-----\ne:\n", "a\nc", []string{
			`c" is not key=value`, "a quote is not closed", "this looks like YAML", "nothing behind its colon", "a: want the name of one user", "a: want a port", "b: want an address alone"}},
		{"vault", "$ANSIBLE_VAULT;1.1;AES256\n6136\n", "", []string{"encrypted as a whole"}},
		{"names", "[web]\nweb\n[all]\nx\n[we/b]\ny\n[local]\nz\n", "web groups=web\nx\ny\nz", []string{`the group "we/b" is left out`, `the group "local" is left out`}},
		{"port again", "a\na:23\nb:24\nb:24\n", "a\nb port=24", []string{"hosts:2: the port behind \"a\" is not used"}},
		{"one line, many hosts", "a\nb\n[all:vars]\nansible_user=x y\n", "a\nb", []string{"hosts:4: a: want the name of one user"}},
		{"depth", "[a]\nh\n[b]\nh\n[a:vars]\nansible_user=a\nansible_port=1\nansible_group_priority=10\n[b:vars]\nansible_user=b\nansible_port=2\n[up:children]\nb\n[up:vars]\nansible_port=3\nansible_host=10.0.0.1\n",
			"h at=10.0.0.1 user=b port=2 groups=a+b+up", nil},
		{"priority", "[a]\nh\n[b]\nh\n[a:vars]\nansible_user=a\nansible_group_priority=10\n[b:vars]\nansible_user=b\n", "h user=a groups=a+b", nil},
	})
}

const yamlSample = `---
all:
  hosts:
    plain:
      ansible_host: 10.0.0.9
    gw: {ansible_port: 2200}
  vars:
    ansible_user: &u pi
    http_port: [1, 2]
  children:
    lab:
      hosts:
        worker[1:2]:
          ansible_ssh_common_args: -J gw
        plain:
      vars: {ansible_user: ada}
      children:
        deep:
          hosts: alone
          vars: {ansible_port: 23, copy: *u}
    nothing:
lab:
  hosts:
    worker2: {ansible_user: bob}
`

func TestAnsibleYAML(t *testing.T) {
	readings(t, "hosts.yaml", AnsibleYAML, []reading{
		{"sample", yamlSample, `plain at=10.0.0.9 user=ada groups=lab
gw user=pi port=2200
worker1 user=ada jump=gw groups=lab
worker2 user=bob jump=gw groups=lab
alone user=ada port=23 groups=lab+deep`, []string{`the group "nothing" has no nodes`, "2 other variables"}},
		{"secrets", "lab:\n  hosts:\n    a:\n      ansible_password: raspberry\n      ansible_user: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6136\n  vars:\n    db_secrets: {x: raspberry}\n    ansible_become_password: !vault x\n",
			"a groups=lab", []string{"hosts.yaml:4: ansible_password may be a secret", "hosts.yaml:5: ansible_user is encrypted", "hosts.yaml:9: db_secrets may be", "hosts.yaml:10: ansible_become_password is encrypted"}},
		{"json", `{"lab": {"hosts": {"a": {"ansible_host": "10.0.0.1"}, "b": null}}}`, "a at=10.0.0.1 groups=lab\nb groups=lab", nil},
		{"template", "lab:\n  hosts:\n    a: {ansible_host: '{{ x }}'}\n    b: {ansible_connection: \"{{ c }}\"}\n", "b groups=lab", []string{"the address of a is a template", "ansible_connection of b is a template"}},
		{"plugin", "plugin: amazon.aws.aws_ec2\nregions: [x]\n", "", []string{"hosts.yaml:1: asks a plugin"}},
		{"shown", `{"_meta": {"hostvars": {}}, "all": {}}`, "", []string{"how Ansible shows an inventory to programs"}},
		{"wrong shapes", "lab:\n  hosts: [a, b]\n  vars: x\n  strange: {}\nweb: 5\nlist: []\nok:\n  hosts:\n    c: 7\n    d[1:x]:\n", "c groups=ok", []string{
			"hosts.yaml:2: \"hosts\" of \"lab\" is a list", "hosts.yaml:3: \"vars\"", "hosts.yaml:4: \"strange\"", `"web" is no group`, `"list" is no group`, `behind "c" there are no`, `"[1:x]" is no range`, `the group "lab" has no nodes`}},
		{"circle", "a:\n  children:\n    b:\n      children:\n        a:\n  hosts: {x: }\n", "x groups=a+b", []string{"hold each other"}},
		{"no mapping", "- a\n- b\n", "", []string{"want groups"}},
		{"broken", "lab: [\n", "", []string{"nothing of the file is used"}},
		{"empty", "", "", nil},
		{"bare", "---\n", "", nil},
		{"two documents", "a: {hosts: {x: }}\n---\nb: {hosts: {y: }}\n", "x groups=a", []string{"a second document"}},
	})
}

func TestAnsibleForm(t *testing.T) {
	for _, tc := range []struct{ file, text, want string }{
		{"inv.yml", yamlSample, "plain"}, {"hosts", "lab:\n  hosts: {a: }\n", "a"}, {"hosts", "[lab]\na\n", "a"}, {"hosts", "a\nb\n", "a"}, {"inv.ini", "a:22\n", "a"},
	} {
		f := Ansible(tc.file, []byte(tc.text))
		if len(f.Nodes) == 0 || f.Nodes[0].Name != tc.want {
			t.Errorf("%s %q: %s", tc.file, tc.text, nodeLines(f.Nodes))
		}
	}
}

// TestAnsibleItself holds what is read to what ansible-inventory says of the
// same files. PICKET_ANSIBLE names it where it is not on the PATH.
func TestAnsibleItself(t *testing.T) {
	program := os.Getenv("PICKET_ANSIBLE")
	if program == "" {
		program = "ansible-inventory"
	}
	if _, err := exec.LookPath(program); err != nil {
		leftout.Missing(t, "no ansible-inventory to compare with")
	}
	for name, text := range map[string]string{
		"sample.ini": iniSample, "sample.yaml": yamlSample,
		"depth.ini":    "[a]\nh\n[b]\nh\n[a:vars]\nansible_user=a\nansible_port=1\nansible_group_priority=10\n[b:vars]\nansible_user=b\nansible_port=2\n[up:children]\nb\n[up:vars]\nansible_port=3\nansible_host=10.0.0.1\n",
		"priority.ini": "[a]\nh\n[b]\nh\n[a:vars]\nansible_user=a\nansible_group_priority=10\n[b:vars]\nansible_user=b\n",
		"quotes.ini":   "a ansible_user=x#y\nb ansible_user='x'\"y\" k=\"'v'\"\nc\\d ansible_user=\"'q'\"\ne:23 ansible_port=24\n[fd00::9]:25\nf ansible_user=one\nf ansible_user=two\n[v]\ng\n[v:vars]\nansible_user='z' \nansible_ssh_private_key_file=\"a b\"\n",
		"ranges.ini":   "n[1:3]\nm[01:09:4]x\no[a:e:2]\n[g]\np[0:1]q[y:Z]\nr[001:002].lan:2200\n",
		"tree.ini":     "[top:children]\nmid\n[mid:children]\nlow\nlow2\n[low]\na\n[low2]\nb\na\n[top:vars]\nansible_user=t\n[low2:vars]\nansible_user=l2\n[low:vars]\nansible_user=l1\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(program, "-i", file, "--list").Output()
			if err != nil {
				t.Fatal(err)
			}
			f := Ansible(file, []byte(text))
			want, got := theirs(t, out), map[string][]string{}
			for _, n := range f.Nodes {
				got[n.Name] = append(slices.Sorted(slices.Values(n.Groups)), "address "+n.Address, "user "+n.User, "port "+itoa(n.Port), "key "+n.Identity)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("- ansible, + read here\n%s\n%s", d, noteLines(f.Notes))
			}
		})
	}
}

// theirs is the answer of ansible-inventory in the form of the test above.
func theirs(t *testing.T, out []byte) map[string][]string {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	var meta struct{ Hostvars map[string]map[string]any }
	_ = json.Unmarshal(all["_meta"], &meta)
	type group struct{ Hosts, Children []string }
	groups := map[string]group{}
	for name, raw := range all {
		var g group
		_ = json.Unmarshal(raw, &g)
		groups[name] = g
	}
	in := map[string][]string{}
	var walk func(name string, above []string)
	walk = func(name string, above []string) {
		above = append(slices.Clone(above), name)
		for _, h := range groups[name].Hosts {
			for _, g := range above {
				if _, ok := in[h]; !ok {
					in[h] = nil
				}
				if g != "all" && g != "ungrouped" && !slices.Contains(in[h], g) {
					in[h] = append(in[h], g)
				}
			}
		}
		for _, c := range groups[name].Children {
			walk(c, above)
		}
	}
	walk("all", nil)
	res := map[string][]string{}
	for h, gs := range in {
		slices.Sort(gs)
		say := func(names ...string) string {
			for _, n := range names {
				if v, ok := meta.Hostvars[h][n]; ok && v != "" {
					if s, ok := v.(string); ok {
						return s
					}
					b, _ := json.Marshal(v)
					return string(b)
				}
			}
			return ""
		}
		port := say(ansiblePortVars...)
		if port == "" {
			port = "0"
		}
		res[h] = append(gs, "address "+say(ansibleHostVars...), "user "+say(ansibleUserVars...), "port "+port, "key "+say(ansibleKeyVars...))
	}
	return res
}

func FuzzAnsible(f *testing.F) {
	f.Add([]byte(iniSample))
	f.Add([]byte(yamlSample))
	f.Add([]byte("[a:children]\nb\n[b:children]\na\n[a]\nx[1:3:2]y[a:c]:22 k='v\n"))
	f.Add([]byte("all: {hosts: {a: {ansible_host: !vault x}, \"b[1:2]\": }, children: {c: {children: {all: }}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sound(t, AnsibleINI("f", data), data)
		sound(t, AnsibleYAML("f", data), data)
	})
}
