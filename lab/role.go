package lab

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
)

// A Role is a kind of host: packages and a setup script, laid over another role.
type Role struct {
	Name string
	// Users are the accounts that the lab's key may log in to over SSH, the first one by default.
	Users []string

	over     *Role    // the role below; nil for the bottom one, which mmdebstrap makes
	suite    string   // of Debian, of the bottom one; "": that of the machine
	packages []string // installed with apt; one that cannot be had fails the build
	setup    string   // a POSIX sh program that root runs in the role's root folder
	ready    string   // a POSIX sh program that succeeds on a booted host when its services answer
	engine   bool     // it runs containers of its own, which takes more rights than other hosts have
}

// layers lists the role and what lies below it, top first.
func (r Role) layers() []Role {
	list := []Role{r}
	for r.over != nil {
		r = *r.over
		list = append(list, r)
	}
	return list
}

// release is the suite of Debian that the role's bottom layer is made of.
func (r Role) release() string {
	all := r.layers()
	return cmp.Or(all[len(all)-1].suite, suite)
}

// rights are the capabilities and the system calls that a container engine needs over those that every host has: bpf
// tells which devices a container may open, and each gets a keyring of its own.
func (r Role) rights() (capabilities, calls string) {
	for _, layer := range r.layers() {
		if layer.engine {
			return ",CAP_BPF", "bpf keyctl"
		}
	}
	return "", ""
}

// readiness is what has to succeed before a host of the role is up.
func (r Role) readiness() string {
	var all strings.Builder
	for _, layer := range r.layers() {
		if layer.ready != "" {
			all.WriteString(layer.ready + "\n")
		}
	}
	return all.String() + ":\n"
}

// recipe names the role's layer by everything that goes into it.
func (r Role) recipe() string {
	sum := sha256.New()
	for _, layer := range r.layers() {
		fmt.Fprintf(sum, "%q %q %q\n", layer.Name, layer.packages, layer.setup)
	}
	fmt.Fprintf(sum, "%s %s %q %q\n", r.release(), runtime.GOARCH, variant, baseScript)
	if r.over != nil {
		fmt.Fprintf(sum, "%q\n", layerScript)
	}
	return r.Name + "-" + hex.EncodeToString(sum.Sum(nil))[:12]
}

func (r Role) String() string { return r.Name }

// include is the role's packages as mmdebstrap wants them.
func (r Role) include() string { return strings.Join(r.packages, ",") }
