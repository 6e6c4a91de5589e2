package remote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"

	"picket/internal/core/inventory"
	"picket/internal/host/machine"
)

// NoConfig in place of a file's name: the person's ssh settings are not read.
const NoConfig = "none"

// A ConfigError says what in the settings of ssh keeps us from the host.
type ConfigError struct {
	Target Target
	File   string
	What   string
	Next   string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%s: %s %s", e.Target, e.File, e.What) }

// Hint says what to type instead.
func (e *ConfigError) Hint() string { return e.Next }

// configured fills in what ~/.ssh/config says of a host, as the ssh command
// does: the name that was typed may be an alias. What was typed wins. The
// system's own /etc/ssh/ssh_config is not read. jump is through which hosts it
// is reached, the first one first.
func configured(t Target, opt Options) (host Target, with Options, jump []Target, err error) {
	file, named := opt.Config, true
	if file == "" && opt.Home != "" {
		file, named = filepath.Join(opt.Home, ".ssh", "config"), false
	}
	if file == "" || file == NoConfig {
		return t, opt, nil, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return t, opt, nil, nil
	}
	if err != nil {
		return t, opt, nil, fmt.Errorf("settings of ssh: %w", err)
	}
	bad := func(next, format string, args ...any) error {
		return &ConfigError{t, file, fmt.Sprintf(format, args...), next}
	}
	const without = "to leave that file out, add --ssh-config none"
	cfg, err := ssh_config.DecodeBytes(text)
	if err != nil {
		return t, opt, nil, bad(without, "cannot be followed: %v", err)
	}
	var problem error
	get := func(key string) []string {
		v, err := cfg.GetAll(t.Host, key)
		if err != nil && problem == nil {
			problem = bad(without, "cannot be followed: %s: %v", key, err)
		}
		return v
	}
	first := func(key string) string {
		if v := get(key); len(v) > 0 {
			return strings.Trim(v[0], `"`)
		}
		return ""
	}
	host = t
	if v := first("HostName"); v != "" {
		host.Host = strings.ReplaceAll(strings.ReplaceAll(v, "%h", t.Host), "%%", "%")
		if strings.HasPrefix(host.Host, "[") || !validHost(host.Host) {
			return t, opt, nil, bad(without, "gives %s the HostName %q, which is none", t.Host, v)
		}
	}
	if v := first("User"); v != "" && host.User == "" {
		host.User = v
	}
	if v := first("Port"); v != "" && host.Port == 0 {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 65535 {
			return t, opt, nil, bad(without, "gives %s the Port %q, which is no number from 1 to 65535", t.Host, v)
		}
		host.Port = n
	}
	switch key, v := firstOf(cfg, t.Host, "ProxyJump", "ProxyCommand"); {
	case v == "" || strings.EqualFold(v, "none") || opt.Jump != nil:
	case key == "ProxyCommand":
		over, ok := inventory.JumpOf(v)
		if !ok {
			return t, opt, nil, bad(fmt.Sprintf("if the command only goes through another host, write in its place: ProxyJump THATHOST\nelse open a way by hand: ssh -N -L 2222:%s:%d JUMPHOST\nthen: picket audit ssh://%s@localhost:2222",
				host.Host, host.port(), userOr(host, opt)),
				"says that %s is reached through a program (ProxyCommand %s), which picket does not run", t.Host, printable(v))
		}
		v = over
		fallthrough
	default:
		v = strings.NewReplacer("%%", "%", "%h", host.Host, "%n", t.Host, "%p", strconv.Itoa(host.port()), "%r", userOr(host, opt)).Replace(v)
		hops, err := inventory.Hops(v)
		if err != nil {
			return t, opt, nil, bad("write ProxyJump user@host:port, or its name in that file; "+without, "gives %s the ProxyJump %s: %v", t.Host, printable(v), err)
		}
		for _, h := range hops {
			jump = append(jump, Target{User: h.User, Host: h.Host, Port: h.Port})
		}
	}
	if len(opt.KnownHosts) == 0 {
		if v := first("UserKnownHostsFile"); v != "" && v != "none" {
			for f := range strings.FieldsSeq(v) {
				opt.KnownHosts = append(opt.KnownHosts, inHome(f, opt.Home))
			}
			opt.KnownHosts = append(opt.KnownHosts, systemKnownHosts)
		}
	}
	host.alias = first("HostKeyAlias")
	for _, f := range get("IdentityFile") {
		if f = strings.Trim(f, `"`); f != "none" {
			opt.configIdentities = append(opt.configIdentities, inHome(f, opt.Home))
		}
	}
	opt.identitiesOnly = strings.EqualFold(first("IdentitiesOnly"), "yes")
	switch v := first("IdentityAgent"); v {
	case "", "SSH_AUTH_SOCK":
	case "none":
		opt.AgentSocket = machine.NoAgent
	default:
		opt.AgentSocket = inHome(v, opt.Home)
	}
	return host, opt, jump, problem
}

// firstOf is the first of some settings that holds for a host: of those that
// exclude each other, ssh takes that one.
func firstOf(cfg *ssh_config.Config, host string, keys ...string) (key, value string) {
	for _, block := range cfg.Hosts {
		if !block.Matches(host) {
			continue
		}
		for _, node := range block.Nodes {
			for _, k := range keys {
				v := ""
				switch n := node.(type) {
				case *ssh_config.KV:
					if strings.EqualFold(n.Key, k) {
						v = n.Value
					}
				case *ssh_config.Include:
					v = n.Get(host, k)
				}
				if k != "ProxyCommand" { // which is the line as it stands
					v = strings.Trim(v, `"`)
				}
				if v != "" {
					return k, v
				}
			}
		}
	}
	return "", ""
}

func userOr(t Target, opt Options) string {
	if t.User != "" {
		return t.User
	}
	return opt.User
}

// inHome writes out the home folder at the beginning of a path.
func inHome(p, home string) string {
	for _, begin := range []string{"~/", "%d/", "${HOME}/"} {
		if rest, ok := strings.CutPrefix(p, begin); ok {
			return filepath.Join(home, rest)
		}
	}
	return p
}
