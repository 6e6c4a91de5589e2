package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"picket/internal/host/machine"
)

// canWrite finds out before a host is read whether the file that a flag names
// can be written. Name is what a file in a folder could be called; device is
// whether it may be no plain file, as /dev/null.
func canWrite(flag, file, name string, device bool) error {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return withHint(usage(fmt.Errorf("%s: %s is a folder", flag, file)), "name a file in it, as "+filepath.Join(file, name))
	case err == nil && !info.Mode().IsRegular() && !device:
		return usage(fmt.Errorf("%s: %s is no plain file", flag, file))
	case err == nil && !info.Mode().IsRegular(): // replaceFile writes into it
		if err := machine.Access(file, machine.MayWrite); err != nil {
			return usage(fmt.Errorf("%s: %s cannot be written: %w", flag, file, err))
		}
		return nil
	case err == nil:
		if file, err = filepath.EvalSymlinks(file); err != nil {
			return usage(fmt.Errorf("%s: %w", flag, err))
		}
	}
	dir := filepath.Dir(file)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return withHint(usage(fmt.Errorf("%s %s: there is no folder %s", flag, file, dir)), "mkdir -p "+dir)
	case err == nil && !info.IsDir():
		return usage(fmt.Errorf("%s %s: %s is not a folder", flag, file, dir))
	}
	if err := machine.Access(dir, machine.MayWrite|machine.MayEnter); err != nil {
		return withHint(usage(fmt.Errorf("%s %s: nothing can be written in the folder %s: %w", flag, file, dir, err)),
			"name a file in a folder of yours, as ~/"+name)
	}
	return nil
}

// replaceFile writes a file whole, or leaves the old one as it is. A link stays
// a link, and what was closed to others stays closed. A device or a pipe, such
// as /dev/null, is written to: it must not be replaced by a file.
func replaceFile(name string, data []byte) error { return replace(name, data, 0o666) } // less the umask

// writeFile is replaceFile of what is written piece by piece. When that fails the old file stays.
func writeFile(name string, write func(io.Writer) error) error { return replaceBy(name, 0o666, write) }

// replacePrivate does the same with a file that nobody else is to read, whoever could read the one before.
func replacePrivate(name string, data []byte) error { return replace(name, data, 0o600) }

func replace(name string, data []byte, mode fs.FileMode) error {
	return replaceBy(name, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func replaceBy(name string, mode fs.FileMode, write func(io.Writer) error) error {
	private := mode == 0o600
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder", name)
	case err == nil && !info.Mode().IsRegular():
		return writeInto(name, write)
	case err == nil:
		if !private {
			mode = info.Mode().Perm()
		}
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	tmp := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s-%016x", filepath.Base(name), rand.Uint64()))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) { // the name of the temporary file says nothing
			return &fs.PathError{Op: "write", Path: name, Err: at.Err}
		}
		return err
	}
	defer os.Remove(tmp) // of no use once it has been renamed
	buffered := bufio.NewWriterSize(f, 64<<10)
	err = errors.Join(write(buffered), buffered.Flush())
	var at *fs.PathError
	if errors.As(err, &at) {
		err = &fs.PathError{Op: "write", Path: name, Err: at.Err}
	}
	if info != nil && err == nil {
		err = f.Chmod(mode) // the umask is for new files
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

func writeInto(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
