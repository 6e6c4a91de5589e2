package inventory

import (
	"slices"
	"strconv"
	"strings"
)

// Variables that say how a host is reached; the older name comes second.
var (
	ansibleHostVars = []string{"ansible_host", "ansible_ssh_host"}
	ansibleUserVars = []string{"ansible_user", "ansible_ssh_user"}
	ansiblePortVars = []string{"ansible_port", "ansible_ssh_port"}
	ansibleKeyVars  = []string{"ansible_ssh_private_key_file", "ansible_private_key_file"}
	ansibleArgVars  = []string{"ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"}
	ansibleConnVars = []string{"ansible_connection"}
	ansibleUsed     = slices.Concat(ansibleHostVars, ansibleUserVars, ansiblePortVars, ansibleKeyVars, ansibleArgVars, ansibleConnVars)
)

// secretName reports whether a variable of that name may hold a secret.
func secretName(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"pass", "secret", "token", "vault", "credential", "api_key", "apikey", "psk"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// variable is its name, unless that may be more than a name.
func variable(key string) string {
	if !word.MatchString(key) || len(key) > 60 {
		return "a variable"
	}
	return key
}

// set takes one variable into vars, if it is of use. What may be a secret is
// told and left where it is.
func (a *ansible) set(vars ansibleVars, key, text string, line int) {
	used := slices.Contains(ansibleUsed, key)
	switch {
	case secretName(key):
		a.note(line, "%s may be a secret: not read", variable(key))
	case strings.Contains(text, "$ANSIBLE_VAULT") || strings.Contains(text, "PRIVATE KEY-"):
		a.note(line, "%s is a secret: not read", variable(key))
	case used:
		vars[key] = ansibleValue{text, line}
	default:
		a.other++
	}
}

func (a *ansible) setGroup(g *ansibleGroup, key, text string, line int) {
	if key != "ansible_group_priority" {
		a.set(g.vars, key, text, line)
		return
	}
	if n, err := strconv.Atoi(text); err == nil {
		g.priority = n
	} else {
		a.note(line, "ansible_group_priority is no number")
	}
}

// value is what holds for a host, of several names of one variable.
func value(vars ansibleVars, names []string) (ansibleValue, bool) {
	for _, n := range names {
		if v, ok := vars[n]; ok && v.text != "" {
			return v, true
		}
	}
	return ansibleValue{}, false
}

func template(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// node is what the variables make of a host; not every host is reached by ssh.
func (a *ansible) node(h *ansibleHost, vars ansibleVars) (Node, bool) {
	n := Node{Name: h.name, At: a.at(h.line)}
	if err := CheckName(h.name); err != nil {
		a.note(h.line, "%s", err)
		return n, false
	}
	// get is a variable that was written out; a template is known to Ansible alone.
	get := func(names []string) (v ansibleValue, ok bool) {
		if v, ok = value(vars, names); ok && template(v.text) {
			a.once(v.line, names[0], "%s of %s is a template ({{ }}), which is not filled in: not used", names[0], n.Name)
			return ansibleValue{}, false
		}
		return v, ok
	}
	if v, ok := get(ansibleConnVars); ok {
		switch strings.TrimPrefix(v.text, "ansible.builtin.") {
		case "ssh", "smart", "paramiko", "paramiko_ssh":
		case "local":
			a.note(h.line, "%s is this machine (ansible_connection is local), whose target is local: left out", n.Name)
			return n, false
		default:
			a.note(h.line, "%s is not reached by ssh (ansible_connection): left out", n.Name)
			return n, false
		}
	}
	if v, ok := value(vars, ansibleHostVars); ok {
		if template(v.text) {
			a.note(v.line, "the address of %s is a template ({{ }}), which is not filled in: left out", n.Name)
			return n, false
		}
		if err := CheckAddress(v.text); err != nil {
			a.note(v.line, "%s: %s: left out", n.Name, err)
			return n, false
		}
		if v.text != n.Name {
			n.Address = v.text
		}
	}
	ssh := a.args(n.Name, vars, get)
	user, hasUser := get(ansibleUserVars)
	port, hasPort := get(ansiblePortVars)
	key, hasKey := get(ansibleKeyVars)
	or := func(v ansibleValue, has bool, other string) ansibleValue {
		if !has {
			return ansibleValue{other, h.line}
		}
		return v
	}
	take := func(v ansibleValue, check func(string) error, into func(string)) {
		if v.text == "" {
			return
		}
		if err := check(v.text); err != nil {
			a.once(v.line, err.Error(), "%s: %s", n.Name, err)
			return
		}
		into(v.text)
	}
	take(or(user, hasUser, ssh.user), CheckUser, func(s string) { n.User = s })
	take(or(port, hasPort, ssh.port), CheckPort, func(s string) { n.Port, _ = strconv.Atoi(s) })
	take(or(key, hasKey, ssh.identity), CheckIdentity, func(s string) { n.Identity = s })
	if ssh.jump != "" && !strings.EqualFold(ssh.jump, "none") {
		hops, err := Hops(ssh.jump)
		if err != nil {
			a.note(h.line, "%s is reached through another host: %s: left out", n.Name, err)
			return n, false
		}
		n.Jump = written(hops)
	}
	if own := addressKey(n.Host()); n.Jump == "" && n.port() == 22 && (own == "localhost" || own == "::1" || strings.HasPrefix(own, "127.") && plainIP(own)) {
		a.note(h.line, "%s is this machine (%s), whose target is local: left out", n.Name, n.Host())
		return n, false
	}
	return n, true
}

// args reads the variables that hold arguments for ssh.
func (a *ansible) args(name string, vars ansibleVars, get func([]string) (ansibleValue, bool)) sshArgs {
	var all []string
	line, key := 0, ""
	for _, k := range ansibleArgVars {
		v, ok := get([]string{k})
		if !ok {
			continue
		}
		w, ok := words(v.text, false)
		if !ok {
			a.once(v.line, k, "%s of %s: a quote is not closed", k, name)
			continue
		}
		line, key = v.line, k
		all = append(all, w...)
	}
	ssh := readSSHArgs(all)
	if ssh.unchecked {
		a.once(line, "keys", "%s of %s turns the check of host keys off, which is not taken over", key, name)
	}
	if ssh.other {
		a.once(line, "rest", "%s of %s says more than how the host is reached: the rest is not used", key, name)
	}
	return ssh
}
