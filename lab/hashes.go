package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hashes describes each file below a folder of the machine, so that two moments can be compared: path →
// type and mode, owner, extended attributes, and the hash of the content or the target of a link.
// Times are left out. It works while the machine is on and while it is off.
func (m *Machine) Hashes(folder string) (map[string]string, error) {
	root := ""
	if b := m.current(); b != nil {
		root = b.root()
	} else {
		var err error
		if root, err = m.Root(); err != nil {
			return nil, err
		}
	}
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			found[strings.TrimPrefix(path, root)], err = describe(path)
		}
		if errors.Is(err, fs.ErrNotExist) && path != filepath.Join(root, folder) {
			delete(found, strings.TrimPrefix(path, root))
			return nil // gone since the folder was read
		}
		return err
	})
	return found, err
}

// describe is one file in one line.
func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	attributes, err := attributes(path)
	if err != nil {
		return "", err
	}
	content := ""
	switch {
	case info.Mode().IsRegular():
		content, err = hashFile(path)
	case info.Mode()&fs.ModeSymlink != 0:
		content, err = os.Readlink(path)
		content = "-> " + content
	case info.Mode()&fs.ModeDevice != 0:
		content = fmt.Sprintf("device %d", owner.Rdev)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %d:%d %s%s", info.Mode(), owner.Uid, owner.Gid, attributes, content)), err
}

// attributes are a file's extended attributes, capabilities and access lists among them.
func attributes(path string) (string, error) {
	buffer := make([]byte, 64<<10) // the kernel's limit for the list, and for a value
	n, err := unix.Llistxattr(path, buffer)
	if errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	if err != nil {
		return "", &fs.PathError{Op: "list attributes of", Path: path, Err: err}
	}
	var list strings.Builder
	for name := range strings.SplitSeq(strings.TrimRight(string(buffer[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", &fs.PathError{Op: "read attribute " + name + " of", Path: path, Err: err}
		}
		fmt.Fprintf(&list, "%s=%x ", name, value[:n])
	}
	return list.String(), nil
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
