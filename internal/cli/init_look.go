package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"picket/internal/core/inventory"
	"picket/internal/core/snap"
	"picket/internal/host/remote"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// sources are what was found of nodes.
type sources struct {
	found  []inventory.Found // the first that names something counts
	unread []string          // what is there and could not be read, with the reason
	over   []leader          // the hosts that were asked over SSH
}

// A leader is a host whose own files were read over SSH.
type leader struct {
	name  string // of its node
	known []byte // its user's known_hosts
	nodes []string
}

// A reader reads those files of a machine that there are, by their paths or patterns of them. What could not be read is
// told with its reason.
type reader func(ctx context.Context, patterns []string) (files map[string][]byte, denied []string, err error)

// here reads this machine's files.
func here(_ context.Context, patterns []string) (map[string][]byte, []string, error) {
	files, denied := map[string][]byte{}, []string(nil)
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range names {
			if info, err := os.Stat(f); err == nil && !info.Mode().IsRegular() {
				continue
			}
			data, err := readBounded(f)
			switch {
			case err == nil:
				files[f] = data
			case !errors.Is(err, fs.ErrNotExist):
				denied = append(denied, strings.TrimPrefix(err.Error(), "open "))
			}
		}
	}
	return files, denied, nil
}

// on reads files of a host over SSH, as who logged in there.
func on(t snapshot.Taker, now time.Time) reader {
	return func(ctx context.Context, patterns []string) (map[string][]byte, []string, error) {
		s := snap.New(snap.Source{Kind: "ssh"}, now)
		m := snap.Manifest{Files: patterns}
		if err := t.Round(ctx, m, s); err != nil {
			return nil, nil, err
		}
		s.MarkAsked(m)
		files, denied := map[string][]byte{}, []string(nil)
		for _, p := range patterns {
			es, st, why := s.Glob(p)
			if st == snap.Denied {
				denied = append(denied, why)
			}
			for _, e := range es {
				switch _, st, why := s.File(e.Path); {
				case st == snap.Known:
					files[e.Path] = e.Content
				case st == snap.Denied:
					denied = append(denied, why)
				}
			}
		}
		return files, denied, nil
	}
}

// A site is where files lie that know nodes.
type site struct {
	home      string   // of the user
	folders   []string // to look for an inventory of Ansible in
	inventory string   // $ANSIBLE_INVENTORY
}

// ansibleNames are what inventories are called in a folder.
var ansibleNames = []string{
	"inventory", "inventory.ini", "inventory.yml", "inventory.yaml", "hosts", "hosts.ini", "hosts.yml", "hosts.yaml",
	"inventory/hosts", "inventory/hosts.ini", "inventory/hosts.yml", "inventory/hosts.yaml",
}

// ansibleSkips are endings of files that Ansible leaves out of a folder, and its templates'.
var ansibleSkips = []string{".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry", ".sh", ".py", ".j2"}

// usual reads what is in the usual places of a machine.
func usual(ctx context.Context, read reader, s site) (found []inventory.Found, unread []string, err error) {
	take := func(kind inventory.Kind, patterns ...string) (n int, err error) {
		files, denied, err := read(ctx, patterns)
		if err != nil {
			return 0, err
		}
		unread = append(unread, denied...)
		for _, f := range inOrder(files, patterns) {
			as := kind
			if kind == inventory.KindAnsible {
				if slices.ContainsFunc(ansibleSkips, func(end string) bool { return strings.HasSuffix(f, end) }) || slices.ContainsFunc(found, func(o inventory.Found) bool { return o.File == f }) {
					continue
				}
				as = inventory.Guess(f, files[f]) // hosts may be called so as well
			}
			found = append(found, inventory.Read(as, f, files[f]))
			n++
		}
		return n, nil
	}
	configs := []string{path.Join(s.home, ".ansible.cfg"), "/etc/ansible/ansible.cfg"}
	for _, d := range slices.Backward(s.folders) {
		configs = slices.Insert(configs, 0, path.Join(d, "ansible.cfg"))
	}
	var inventories []string
	if s.inventory != "" {
		for f := range strings.SplitSeq(s.inventory, ",") {
			inventories = append(inventories, f)
		}
	} else {
		files, _, err := read(ctx, configs)
		if err != nil {
			return nil, nil, err
		}
		if all := inOrder(files, configs); len(all) > 0 { // Ansible reads the first alone
			for _, f := range inventory.AnsibleConfig(files[all[0]]) {
				if rest, ok := strings.CutPrefix(f, "~/"); ok {
					f = path.Join(s.home, rest)
				} else if !path.IsAbs(f) {
					f = path.Join(path.Dir(all[0]), f)
				}
				inventories = append(inventories, f)
			}
		}
	}
	var patterns []string
	for _, f := range inventories {
		patterns = append(patterns, snap.Literal(f), snap.Literal(f)+"/*")
	}
	for _, d := range s.folders {
		for _, n := range ansibleNames {
			patterns = append(patterns, path.Join(snap.Literal(d), n))
		}
	}
	if _, err = take(inventory.KindAnsible, append(patterns, "/etc/ansible/hosts")...); err != nil {
		return nil, nil, err
	}
	if s.home != "" {
		if _, err = take(inventory.KindSSH, path.Join(snap.Literal(s.home), ".ssh/config")); err != nil {
			return nil, nil, err
		}
		if n, err := take(inventory.KindPioreactor, path.Join(snap.Literal(s.home), ".pioreactor/config.ini")); err != nil {
			return nil, nil, err
		} else if n == 0 {
			if _, err := take(inventory.KindPioreactor, "/home/pioreactor/.pioreactor/config.ini"); err != nil {
				return nil, nil, err
			}
		}
	}
	if _, err = take(inventory.KindHosts, "/etc/hosts"); err != nil {
		return nil, nil, err
	}
	return found, unread, nil
}

// inOrder are files in the order of the patterns that name them.
func inOrder(files map[string][]byte, patterns []string) (out []string) {
	for _, p := range patterns {
		var some []string
		for f := range files {
			if snap.Match(p, f) && !slices.Contains(out, f) {
				some = append(some, f)
			}
		}
		slices.Sort(some)
		out = append(out, some...)
	}
	return out
}

// mdnsTime is how long workers have to answer to mDNS.
const mdnsTime = 6 * time.Second

var mdns = []string{"avahi-browse", "-rpt", inventory.PioreactorService}

// lookHere finds what this machine knows.
func (p *program) lookHere(ctx context.Context, l *sources) error {
	found, unread, err := usual(ctx, here, site{home: p.getenv("HOME"), folders: []string{"."}, inventory: p.getenv("ANSIBLE_INVENTORY")})
	if err != nil {
		return err
	}
	l.found, l.unread = append(l.found, found...), append(l.unread, unread...)
	program, err := exec.LookPath(mdns[0])
	if err != nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, mdnsTime)
	defer cancel()
	var out limitedBuffer
	cmd := exec.CommandContext(limited, program, mdns[1:]...)
	cmd.Stdout, cmd.WaitDelay = &out, time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && out.Len() == 0 {
		l.unread = append(l.unread, "mDNS: "+mdns[0]+" gave no answer")
		return nil
	}
	l.found = append(l.found, inventory.Avahi("mDNS", out.Bytes()))
	return nil
}

// limitedBuffer keeps the beginning of what is written.
type limitedBuffer struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxSettings - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// lookIn reads a file that --from names, as KIND:FILE or FILE.
func (p *program) lookIn(ctx context.Context, from string, l *sources) error {
	kind, file := inventory.Kind(""), from
	if k, rest, ok := strings.Cut(from, ":"); ok && slices.Contains(inventory.Kinds(), inventory.Kind(k)) {
		kind, file = inventory.Kind(k), rest
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(from, "@"):
		return withHint(usage(fmt.Errorf("--from %s: there is no such file", from)), "files on another host are read with `picket init ssh://"+strings.TrimPrefix(from, remote.Scheme)+"`")
	case errors.Is(err, fs.ErrNotExist):
		return usage(fmt.Errorf("--from %s: there is no such file", from))
	case err != nil:
		return usage(fmt.Errorf("--from: %w", err))
	}
	patterns := []string{snap.Literal(file)}
	if info.IsDir() {
		patterns = []string{snap.Literal(strings.TrimSuffix(file, "/")) + "/*"}
	}
	files, denied, err := here(ctx, patterns)
	if err == nil && len(files) == 0 {
		err = errors.New(cmp.Or(strings.Join(denied, "; "), "there is no file of nodes"))
	}
	if err != nil {
		return usage(fmt.Errorf("--from %s: %w", from, err))
	}
	l.unread = append(l.unread, denied...)
	for _, f := range inOrder(files, patterns) {
		if info.IsDir() && slices.ContainsFunc(ansibleSkips, func(end string) bool { return strings.HasSuffix(f, end) }) {
			continue
		}
		l.found = append(l.found, inventory.Read(cmp.Or(kind, inventory.Guess(f, files[f])), f, files[f]))
	}
	return nil
}

// lookOn reads what another host knows, over SSH. It becomes the leader of what is found.
func (p *program) lookOn(ctx context.Context, target string, opt initOptions, l *sources) error {
	progress := ui.NewProgress(p.progressTo(), "reading what "+target+" knows", p.now)
	defer progress.Stop()
	c, t, _, err := p.dial(ctx, target, opt.ssh, progress)
	if err != nil {
		return err
	}
	defer c.Close()
	typed, err := p.remoteTarget(target)
	if err != nil {
		return usage(err)
	}
	limited, cancel := context.WithTimeout(ctx, mdnsTime)
	var workers limitedBuffer
	_, browse := c.Exec(limited, remote.Command(mdns), nil, &workers, io.Discard)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	taker := snapshot.NewSSH(c, target, snapshot.SSHOptions{NoSudo: true})
	if _, err := taker.Source(ctx); err != nil {
		return err
	}
	read := on(taker, p.now())
	first, _, err := read(ctx, []string{"/etc/passwd", "/etc/hostname"})
	if err != nil {
		return err
	}
	home := homeIn(first["/etc/passwd"], t.User)
	found, unread, err := usual(ctx, read, site{home: home, folders: []string{home, path.Join(home, "ansible")}})
	if err != nil {
		return err
	}
	if browse == nil && workers.Len() > 0 {
		found = append(found, inventory.Avahi("mDNS", workers.Bytes()))
	}
	own := leader{}
	if home != "" {
		file := path.Join(snap.Literal(home), ".ssh/known_hosts")
		files, _, err := read(ctx, []string{file})
		if err != nil {
			return err
		}
		for _, text := range files {
			own.known = text
		}
	}
	hostname, _, _ := strings.Cut(strings.TrimSpace(string(first["/etc/hostname"])), ".")
	there, _ := c.Ends()
	node, written := p.node(target)
	if !written {
		node = leaderNode(typed, hostname, there, found)
	}
	node.At = inventory.Place{File: target}
	own.name = node.Name
	for _, u := range unread {
		l.unread = append(l.unread, node.Name+": "+u)
	}
	l.found = append(l.found, inventory.Found{File: target, Nodes: []inventory.Node{node}})
	for _, f := range found {
		f = f.There(node.Name)
		for i := range f.Nodes {
			n := &f.Nodes[i]
			own.nodes = append(own.nodes, n.Name)
			if n.User == "" {
				n.User = t.User
			}
			if n.Name == node.Name { // as it is reached from here
				n.Address, n.User, n.Port, n.Jump = node.Address, node.User, node.Port, ""
			}
		}
		l.found = append(l.found, f)
	}
	l.over = append(l.over, own)
	return nil
}

// leaderNode is a host as it was reached, under the name that its own files have for it.
func leaderNode(typed remote.Target, hostname string, there netip.Addr, found []inventory.Found) inventory.Node {
	n := inventory.Node{Address: typed.Host, User: typed.User, Port: typed.Port, Roles: []string{inventory.Leader}}
	for _, f := range found {
		for _, o := range f.Nodes {
			a, err := netip.ParseAddr(o.Host())
			switch {
			case n.Name != "":
			case err == nil && a.Unmap() == there, strings.EqualFold(o.Host(), typed.Host), strings.EqualFold(o.Name, hostname) && hostname != "":
				n.Name = o.Name
			}
		}
	}
	if n.Name == "" && inventory.CheckName(hostname) == nil && hostname != "localhost" {
		n.Name = hostname
	}
	if n.Name == "" {
		n.Name = typed.Host
	}
	if n.Address == n.Name {
		n.Address = ""
	}
	return n
}

// homeIn is the home folder of an account in a file as /etc/passwd.
func homeIn(passwd []byte, user string) string {
	for line := range strings.Lines(string(passwd)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 7 && f[0] == user && path.IsAbs(f[5]) {
			return path.Clean(f[5])
		}
	}
	return ""
}
