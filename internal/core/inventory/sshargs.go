package inventory

import (
	"strings"

	"picket/internal/core/sshwords"
)

// sshArgs is what arguments for the ssh command say of a node.
type sshArgs struct {
	jump, user, port, identity string
	unchecked                  bool // host keys are not looked at
	other                      bool // something else is said too
}

// readSSHArgs reads arguments as Ansible hands them to ssh.
func readSSHArgs(args []string) (a sshArgs) {
	set := func(to *string, v string) {
		if *to == "" { // ssh takes what comes first
			*to = v
		}
	}
	for i := 0; i < len(args); i++ {
		flag := args[i]
		if len(flag) < 2 || flag[0] != '-' {
			a.other = true
			continue
		}
		value := flag[2:]
		if strings.IndexByte("JoiplW", flag[1]) < 0 {
			a.other = true
			continue
		}
		if value == "" && i+1 < len(args) {
			i++
			value = args[i]
		}
		key := map[byte]string{'J': "proxyjump", 'i': "identityfile", 'p': "port", 'l': "user"}[flag[1]]
		if flag[1] == 'o' {
			key, value = option(value)
		}
		switch key {
		case "proxyjump":
			set(&a.jump, value)
		case "proxycommand":
			if jump, ok := JumpOf(value); ok {
				set(&a.jump, jump)
			} else {
				a.other = true
			}
		case "identityfile":
			set(&a.identity, value)
		case "port":
			set(&a.port, value)
		case "user":
			set(&a.user, value)
		case "stricthostkeychecking":
			if v := strings.ToLower(value); v == "no" || v == "off" {
				a.unchecked = true
			} else {
				a.other = true
			}
		case "userknownhostsfile":
			if value == "/dev/null" {
				a.unchecked = true
			} else {
				a.other = true
			}
		default:
			a.other = true
		}
	}
	return a
}

// option splits a setting of ssh, Key=value or Key value; the key in small letters.
func option(s string) (key, value string) {
	key, value = sshwords.First(strings.TrimLeft(s, " \t"))
	return strings.ToLower(key), strings.TrimSpace(value)
}

// JumpOf reads a ProxyCommand that does what ProxyJump does, ssh -W %h:%p HOST;
// Hops takes what it gives.
func JumpOf(command string) (jump string, ok bool) {
	args, ok := words(command, false)
	for ok && len(args) > 0 && args[0] == "exec" {
		args = args[1:]
	}
	if !ok || len(args) == 0 || args[0] != "ssh" && args[0] != "/usr/bin/ssh" {
		return "", false
	}
	var h Hop
	port, through := "", false
	for i := 1; i < len(args); i++ {
		flag := args[i]
		if flag == "" || flag[0] != '-' {
			if h.Host != "" {
				return "", false // a command on the jump host
			}
			h.Host = flag
			continue
		}
		if strings.Trim(flag[1:], "qxTaCANv46") == "" {
			continue // changes nothing of the way
		}
		value := flag[min(2, len(flag)):]
		if value == "" && i+1 < len(args) {
			i++
			value = args[i]
		}
		switch flag[1] {
		case 'W':
			through = strings.Trim(value, `"'`) == "%h:%p" || value == "[%h]:%p"
		case 'p':
			port = value
		case 'l':
			h.User = value
		default:
			return "", false
		}
	}
	if !through || h.Host == "" {
		return "", false
	}
	if h.User != "" {
		h.Host = h.User + "@" + h.Host
	}
	if port != "" {
		h.Host += ":" + port
	}
	if _, err := Hops(h.Host); err != nil {
		return "", false
	}
	return h.Host, true
}
