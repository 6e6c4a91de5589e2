package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// personalise gives a new disk what the first boot of a real one would: an identity of its own. And the
// lab's key, for each user that the role lets in.
func (m *Machine) personalise() error {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	if err := m.plant("etc/machine-id", 0o444, hex.EncodeToString(id)+"\n"); err != nil {
		return err
	}
	if err := m.mkdir("etc/ssh"); err != nil {
		return err
	}
	keygen := exec.Command("ssh-keygen", "-A", "-f", filepath.Join(m.dir, "upper"))
	if err := run(keygen); err != nil {
		return err
	}
	public, err := os.ReadFile(m.site.keyFile + ".pub")
	if err != nil {
		return err
	}
	for _, user := range m.Role.Users {
		if err := m.authorise(user, string(public)); err != nil {
			return fmt.Errorf("let the lab's key log in as %s: %w", user, err)
		}
	}
	return m.writeKnownHosts()
}

// authorise adds the key to what the user's authorized_keys holds already.
func (m *Machine) authorise(user, key string) error {
	home := filepath.Join("home", user)
	dir := filepath.Join(home, ".ssh")
	if err := m.mkdir(home); err != nil {
		return err
	}
	owner, err := os.Stat(filepath.Join(m.dir, "upper", home))
	if err != nil {
		return err
	}
	stat := owner.Sys().(*syscall.Stat_t)
	before := ""
	for _, layer := range m.lower {
		content, err := os.ReadFile(filepath.Join(layer, dir, "authorized_keys"))
		if err == nil {
			before = string(content)
			break
		}
	}
	if err := m.mkdir(dir); err != nil {
		return err
	}
	if err := m.plant(filepath.Join(dir, "authorized_keys"), 0o600, before+key); err != nil {
		return err
	}
	upper := filepath.Join(m.dir, "upper", dir)
	if err := os.Chmod(upper, 0o700); err != nil {
		return err
	}
	for _, path := range []string{upper, filepath.Join(upper, "authorized_keys")} {
		if err := os.Lchown(path, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// plant writes a file of the disk while the machine is off.
func (m *Machine) plant(path string, mode fs.FileMode, content string) error {
	if err := m.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	full := filepath.Join(m.dir, "upper", path)
	if err := os.WriteFile(full, []byte(content), mode); err != nil {
		return err
	}
	return os.Chmod(full, mode)
}

// mkdir makes a folder in the disk's upper layer as it is in the layers below: there, its mode and owner
// would win.
func (m *Machine) mkdir(path string) error {
	if path == "." {
		return nil
	}
	upper := filepath.Join(m.dir, "upper", path)
	if exists(upper) {
		return nil
	}
	if err := m.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(upper, 0o755); err != nil {
		return err
	}
	for _, layer := range m.lower {
		info, err := os.Stat(filepath.Join(layer, path))
		if err != nil {
			continue
		}
		stat := info.Sys().(*syscall.Stat_t)
		if err := os.Lchown(upper, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
		return os.Chmod(upper, info.Mode())
	}
	return nil
}

// writeKnownHosts writes the machine's host keys as ssh on this machine wants to see them.
func (m *Machine) writeKnownHosts() error {
	keys, err := filepath.Glob(filepath.Join(m.dir, "upper/etc/ssh/ssh_host_*_key.pub"))
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, path := range keys {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fields := strings.Fields(string(content))
		if len(fields) < 2 {
			return fmt.Errorf("%s: not a public key", path)
		}
		fmt.Fprintf(&lines, "%s %s %s\n", m.Addr(), fields[0], fields[1])
	}
	return os.WriteFile(m.KnownHosts(), []byte(lines.String()), 0o644)
}

// KnownHosts is a known_hosts file with the machine's host keys.
func (m *Machine) KnownHosts() string { return filepath.Join(m.dir, "known_hosts") }

// KeyFile is the private key that the role's users accept.
func (m *Machine) KeyFile() string { return m.site.keyFile }

// hostname is what the disk's /etc/hostname says.
func (m *Machine) hostname() string {
	dirs := []string{filepath.Join(m.dir, "upper")}
	for _, dir := range append(dirs, m.lower...) {
		if content, err := os.ReadFile(filepath.Join(dir, "etc/hostname")); err == nil {
			return strings.TrimSpace(string(content))
		}
	}
	return "localhost"
}

// Root is the folder with the machine's whole file system, as on a card in a reader. Only while it is
// off: the next Boot takes the folder away.
func (m *Machine) Root() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	merged := filepath.Join(m.dir, "merged")
	if m.running != nil {
		return "", fmt.Errorf("%s is on: stop it before reading its disk", m)
	}
	if m.mounted {
		return merged, nil
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s",
		strings.Join(m.lower, ":"), filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work"))
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("mount the disk of %s: %w", m, err)
	}
	m.mounted = true
	return merged, nil
}

// unmount undoes Root.
func (m *Machine) unmount() error {
	if !m.mounted {
		return nil
	}
	err := syscall.Unmount(filepath.Join(m.dir, "merged"), 0)
	if errors.Is(err, syscall.EBUSY) {
		err = syscall.Unmount(filepath.Join(m.dir, "merged"), syscall.MNT_DETACH)
	}
	m.mounted = err != nil
	return err
}
