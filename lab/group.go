package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const groupPrefix = "picket-lab-"

// hierarchies are the control group trees in which a host needs a group of its own: systemd in a host
// takes the group that it finds itself in for the root, so two hosts must not share one.
func hierarchies() []string {
	if exists("/sys/fs/cgroup/cgroup.controllers") {
		return []string{"/sys/fs/cgroup"}
	}
	var found []string
	for _, dir := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		if exists(dir) {
			found = append(found, dir)
		}
	}
	return found
}

// makeGroups makes the groups of one host, and answers their folders.
func makeGroups(run, host string) ([]string, error) {
	var groups []string
	for _, tree := range hierarchies() {
		group := filepath.Join(tree, groupPrefix+run+"-"+host)
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// groupsOf are the groups of one host of a run, or with "*" of all.
func groupsOf(run, host string) []string {
	var found []string
	for _, tree := range hierarchies() {
		groups, _ := filepath.Glob(filepath.Join(tree, groupPrefix+run+"-"+host))
		found = append(found, groups...)
	}
	return found
}

// removeGroup removes a group and those below it. Processes that were just killed keep theirs for a
// moment.
func removeGroup(group string) error {
	var below []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			below = append([]string{path}, below...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var problems []error
	for _, path := range below {
		problems = append(problems, removeBusy(path))
	}
	return errors.Join(problems...)
}

func removeBusy(path string) error {
	var err error
	for range 50 {
		if err = syscall.Rmdir(path); err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return &os.PathError{Op: "rmdir", Path: strings.TrimSpace(path), Err: err}
}
