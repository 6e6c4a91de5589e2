package inventory

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/lab/leftout"
)

const sshSample = `# home
Host gw bastion
    HostName gw.example.org
    User ada
    Port 2222

Host worker1
  HostName 192.168.0.101
  ProxyJump gw
Host=worker2 "worker3"
  HostName %h.lan
  User = "pi"   # factory
  IdentityFile "~/.ssh/my key"
  IdentityFile ~/.ssh/second
host !worker2 worker*
  port 2200
Host old
  ProxyCommand ssh -q -W %h:%p -p 2222 ada@gw.example.org
Host two
  ProxyJump gw,pi@10.0.0.1:23
Host v6
  HostName fd00::7
Host direct
  ProxyJump none
Match all
  IdentityFile %d/.ssh/third
Host *
  User everybody
  ProxyJump none
`

func TestSSHConfig(t *testing.T) {
	readings(t, "~/.ssh/config", SSHConfig, []reading{
		{"sample", sshSample, `gw at=gw.example.org user=ada port=2222 key=~/.ssh/third
bastion at=gw.example.org user=ada port=2222 key=~/.ssh/third
worker1 at=192.168.0.101 user=everybody port=2200 key=~/.ssh/third jump=gw
worker2 at=worker2.lan user=pi key=~/.ssh/my key
worker3 at=worker3.lan user=pi port=2200 key=~/.ssh/my key
old user=everybody key=~/.ssh/third jump=ada@gw.example.org:2222
two user=everybody key=~/.ssh/third jump=gw,pi@10.0.0.1:23
v6 at=fd00::7 user=everybody key=~/.ssh/third
direct user=everybody key=~/.ssh/third`, []string{"worker2 has more than one IdentityFile", "worker3 has more than one IdentityFile"}},
		{"not followed", "Include conf.d/*\nHost a\n  User pi\nMatch host a exec \"x\"\n  User root\n", "a user=pi",
			[]string{`~/.ssh/config:1: includes "conf.d/*", which is not looked at`, "~/.ssh/config:4: what stands under Match is not followed"}},
		{"left out", "Host a\n ProxyCommand nc -X 5 %h %p\nHost b\n HostName x y;z\nHost c\n HostName $(id)\nHost github.com\n User git\nHost d\n ProxyJump ;id\n", "b at=x",
			[]string{"a is reached by a ProxyCommand, which cannot be followed: left out", "c: want the name or address of a host", "c is left out",
				"github.com has the user git", `d: want a host`, "d is left out"}},
		{"slips", "Host a\n Port ssh\n User a:b\n IdentityFile ~/.ssh/id.pub\n HostName\n IdentityFile \"x\nHost \nHost all -x\n", "a",
			[]string{":5: says nothing", ":6: a quote is not closed", ":7: says nothing", ":2: a: want a port", ":3: a: want the name of one user", `:4: a: "~/.ssh/id.pub" is the public half`,
				`"all" has a meaning of its own`, "want a name of letters"}},
		{"twice", "Host a\n User x\nHost a b\n User y\n", "a user=x\nb user=y", []string{`:3: "a" stands on line 1 already`}},
		{"patterns alone", "Host *\n User x\nHost w?\n", "", nil},
	})
}

// TestSSHItself holds what is read to what the ssh command would do.
func TestSSHItself(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		leftout.Missing(t, "no ssh to compare with")
	}
	text := strings.ReplaceAll(sshSample, "~/", "/home/ada/")
	text = strings.ReplaceAll(text, "%d/", "/home/ada/")
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := SSHConfig(file, []byte(text))
	for _, n := range f.Nodes {
		out, err := exec.Command(ssh, "-F", file, "-G", n.Name).Output()
		if err != nil {
			t.Fatalf("%s: %v", n.Name, err)
		}
		got := map[string]string{}
		for l := range strings.Lines(string(out)) {
			key, v, _ := strings.Cut(strings.TrimSpace(l), " ")
			if got[key] == "" {
				got[key] = v
			}
		}
		if got["proxyjump"] == "" {
			if jump, ok := JumpOf(got["proxycommand"]); ok {
				got["proxyjump"] = jump
			}
		}
		got["proxyjump"] = strings.NewReplacer("[", "", "]", "").Replace(got["proxyjump"])
		for key, want := range map[string]string{"hostname": n.Host(), "user": n.User, "port": strconv.Itoa(n.port()), "identityfile": n.Identity, "proxyjump": n.Jump} {
			if want != got[key] && (want != "" || key == "proxyjump" && got[key] != "") {
				t.Errorf("%s: %s is %q, ssh has %q", n.Name, key, want, got[key])
			}
		}
	}
}

func TestJumpOf(t *testing.T) {
	for in, want := range map[string]string{
		"ssh -W %h:%p gw":                             "gw",
		"ssh -q -W '[%h]:%p' ada@gw":                  "ada@gw",
		"exec ssh gw -W %h:%p -l ada -p 23":           "ada@gw:23",
		"ssh -W%h:%p gw":                              "gw",
		"ssh gw nc %h %p":                             "",
		"ssh -W other:22 gw":                          "",
		"sshpass -p raspberry ssh -W %h:%p gw":        "",
		"ssh -o StrictHostKeyChecking=no -W %h:%p gw": "",
		"ssh -W %h:%p":                                "",
		"ssh -W %h:%p 'gw":                            "",
		"":                                            "",
	} {
		if got, _ := JumpOf(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func FuzzSSHConfig(f *testing.F) {
	f.Add([]byte(sshSample))
	f.Add([]byte("Match host x\nHost \"a b\" c\\\n ProxyCommand ssh -W %h:%p [::1]\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sound(t, SSHConfig("f", data), data) })
}
