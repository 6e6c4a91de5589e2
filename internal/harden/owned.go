package harden

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"picket/internal/core/snap"
	"picket/internal/host/shell"
)

// maxOwned is how many files change hands in steps of their own, each with its way back.
const maxOwned = 3000

// Owned are the files and folders below a folder, itself included, of an account or its group. Links have no owner that
// matters and are left out.
func Owned(ctx context.Context, sh shell.Shell, folder string, uid, gid int) ([]*snap.Entry, error) {
	at := "'" + string(bytes.ReplaceAll([]byte(folder), []byte("'"), []byte(`'\''`))) + "'"
	out, exit, err := sh.Run(ctx, fmt.Sprintf(`find %s -xdev \( -uid %d -o -gid %d \) \( -type f -printf 'f %%m %%U %%G %%p\0' -o -type d -printf 'd %%m %%U %%G %%p\0' \)`, at, uid, gid), nil, nil)
	if err == nil && exit != 0 {
		err = errors.New("find fails")
	}
	if err != nil {
		return nil, fmt.Errorf("what lies in %s cannot be listed: %w", folder, err)
	}
	var all []*snap.Entry
	for rec := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		f := bytes.SplitN(rec, []byte(" "), 5)
		if len(f) != 5 {
			continue
		}
		if len(all) == maxOwned {
			return nil, fmt.Errorf("%s holds more than %d files: `sudo chown -hR --from=%d NAME: %s` gives it away, without a way back", folder, maxOwned, uid, folder)
		}
		if bytes.ContainsAny(f[4], "\n\r") {
			return nil, fmt.Errorf("%q has a line break in its name: rename it first", f[4])
		}
		mode, err := strconv.ParseUint(string(f[1]), 8, 16)
		u, err1 := strconv.Atoi(string(f[2]))
		g, err2 := strconv.Atoi(string(f[3]))
		if err := errors.Join(err, err1, err2); err != nil {
			return nil, fmt.Errorf("what lies in %s cannot be listed: %w", folder, err)
		}
		e := &snap.Entry{Path: string(f[4]), Type: snap.File, Mode: uint32(mode), UID: u, GID: g}
		if f[0][0] == 'd' {
			e.Type = snap.Dir
		}
		all = append(all, e)
	}
	return all, nil
}
