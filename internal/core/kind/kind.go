// Package kind holds the kinds of control: typed rules that many controls
// share, each made from its parameters in the control's file.
package kind

import (
	"slices"

	"picket/internal/core/check"
	"picket/internal/core/control"
	"picket/internal/core/yaml"
)

// All kinds. A new one goes here and into a file of its name.
func All() []control.Kind {
	return []control.Kind{
		{Name: "file-mode", Doc: "mode, owner and group of files", Decode: decodeFileMode},
		{Name: "sysctl", Doc: "settings of the kernel, running and after a boot", Decode: decodeSysctl},
		{Name: "kernel-module", Doc: "modules that must not be loaded", Decode: decodeKernelModule},
		{Name: "mount-option", Doc: "options of a mounted file system", Decode: decodeMountOption},
		{Name: "boot-param", Doc: "words of the kernel's command line", Decode: decodeBootParam},
		{Name: "file-absent", Doc: "files that must not be there", Decode: decodeFileAbsent},
		{Name: "file-line", Doc: "lines that a file must or must not hold", Decode: decodeFileLine},
		{Name: "file-setting", Doc: "the value of one setting in a file and its drop-ins", Decode: decodeFileSetting},
		{Name: "package", Doc: "packages installed or absent", Decode: decodePackage},
		{Name: "unit", Doc: "systemd units running, off, masked or absent", Decode: decodeUnit},
		{Name: "pam-option", Doc: "an option of a PAM module, from its line or its files", Decode: decodePAMOption},
		{Name: "sandbox", Doc: "what systemd keeps services from, by its score", Decode: decodeSandbox},
		{Name: "package-files", Doc: "files of packages that were changed", Decode: decodePackageFiles},
		{Name: "audit-rule", Doc: "what the kernel's audit records", Decode: decodeAuditRule},
		{Name: "sshd-option", Doc: "options of the SSH server, for everybody who might log in", Decode: decodeSSHDOption},
		{Name: "app-setting", Doc: "the value of a setting of an application", Decode: decodeAppSetting},
		{Name: "app-keys", Doc: "settings that an application does not read", Decode: decodeAppKeys},
		{Name: "go", Doc: "a function of package check", Decode: decodeGo},
	}
}

func decodeGo(n *yaml.Node) (control.Rule, yaml.Problems) {
	var p struct {
		Check string `yaml:"check"`
	}
	if ps := n.Decode(&p); len(ps) > 0 {
		return nil, ps
	}
	all := check.All()
	i := slices.IndexFunc(all, func(c check.Check) bool { return c.Name == p.Check })
	if i < 0 {
		var names []string
		for _, c := range all {
			names = append(names, c.Name)
		}
		at := n
		if c := n.Get("check"); c != nil {
			at = c
		}
		text := "unknown check %q"
		if near := yaml.Nearest(p.Check, names); near != "" {
			return nil, yaml.Problems{at.Problem(text+"; did you mean %q?", p.Check, near)}
		}
		return nil, yaml.Problems{at.Problem(text, p.Check)}
	}
	return all[i], nil
}
