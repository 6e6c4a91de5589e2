package machine

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes are the extended attributes of a file that is open; none where its file system has no such.
func Attributes(f *os.File) (map[string][]byte, error) {
	names, err := sized(func(b []byte) (int, error) { return unix.Flistxattr(int(f.Fd()), b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("flistxattr", err)
	}
	all := map[string][]byte{}
	for name := range strings.SplitSeq(string(names), "\x00") {
		if name == "" {
			continue
		}
		if all[name], err = sized(func(b []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), name, b) }); err != nil {
			return nil, os.NewSyscallError("fgetxattr "+name, err)
		}
	}
	return all, nil
}

// sized calls what tells without room how much it needs.
func sized(get func([]byte) (int, error)) ([]byte, error) {
	n, err := get(nil)
	if err != nil || n == 0 {
		return []byte{}, err
	}
	b := make([]byte, n)
	n, err = get(b)
	return b[:max(n, 0)], err
}

// SetAttribute sets one. The label of SELinux is left to this machine's where it has one.
func SetAttribute(f *os.File, name string, value []byte) error {
	err := unix.Fsetxattr(int(f.Fd()), name, value, 0)
	if err != nil && name == "security.selinux" {
		return nil
	}
	return err
}
