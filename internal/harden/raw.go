package harden

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/shell"
)

// Anew reads what a plan wants of a host before it can change it, and has it planned again with that. The secrets are
// in the steps of the new plan and nowhere else.
func Anew(ctx context.Context, sh shell.Shell, p plan.Plan, again func(raw map[string][]byte) plan.Plan) (plan.Plan, error) {
	raw, asked := map[string][]byte{}, map[string]bool{}
	for {
		want := slices.DeleteFunc(p.Wanted(), func(w string) bool { return asked[w] })
		if len(want) == 0 {
			for i := range p.Items {
				p.Items[i].Wanted = nil // it was read, or is not there any more
			}
			return p, nil
		}
		found, err := Raw(ctx, sh, want)
		if err != nil {
			return p, err
		}
		for _, w := range want {
			asked[w] = true
			if e, ok := found[w]; ok {
				raw[w] = e.Content
			}
		}
		p = again(raw)
	}
}

// maxRaw bounds what is read of one file, in bytes; longer ones are refused.
const maxRaw = snap.MaxFile

// Raw reads files of a host as they are, with what is secret in them, and what a snapshot has not asked for. It gives
// those that are files; nothing is followed, nothing else is read. What comes back is kept in memory only.
func Raw(ctx context.Context, sh shell.Shell, paths []string) (map[string]*snap.Entry, error) {
	out := map[string]*snap.Entry{}
	if len(paths) == 0 {
		return out, nil
	}
	// No tar: it takes a backslash in a name for the beginning of an escape, and units have some.
	program := strings.Builder{}
	program.WriteString(`one() { if [ -f "$2" ] && [ ! -L "$2" ]; then is=$(stat -c '%a %u %g %Y %s' "$2") || exit 9; n=${is##* }; ` +
		fmt.Sprintf(`[ "$n" -le %d ] || { echo "$2 is longer than can be changed" >&2; exit 9; }; `, maxRaw) +
		`printf '%s %s\n' "$1" "$is"; head -c "$n" <"$2" || exit 9; echo; fi; }` + "\n")
	for i, p := range paths {
		if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\n\x00") || slices.Contains(strings.Split(p, "/"), "..") {
			return nil, fmt.Errorf("%q is no path that can be read anew", p)
		}
		fmt.Fprintf(&program, "one %d '%s'\n", i, strings.ReplaceAll(p, "'", `'\''`))
	}
	said := ""
	data, exit, err := sh.Run(ctx, program.String(), nil, func(l string) { said = l })
	if err == nil && exit != 0 {
		err = errors.New(said)
	}
	if err != nil {
		return nil, fmt.Errorf("what is to be changed cannot be read anew: %w", err)
	}
	for len(data) > 0 {
		head, rest, _ := bytes.Cut(data, []byte("\n"))
		var i, mode, uid, gid, size int
		var mtime int64
		if _, err := fmt.Sscanf(string(head), "%d %o %d %d %d %d", &i, &mode, &uid, &gid, &mtime, &size); err != nil || i < 0 || i >= len(paths) || size < 0 || size >= len(rest) || rest[size] != '\n' {
			return nil, errors.New("what is to be changed cannot be read anew: it changes while it is read")
		}
		out[paths[i]] = &snap.Entry{Path: paths[i], Type: snap.File, Mode: uint32(mode), UID: uid, GID: gid, Size: int64(size),
			MTime: snap.Time(mtime), Read: true, Content: bytes.Clone(rest[:size])}
		data = rest[size+1:]
	}
	return out, nil
}

// ErrThere is that something lies where a new home is to be.
var ErrThere = errors.New("there is such a folder already")

// Skel is what a host puts into a new home: folders, files and links of /etc/skel. Nothing may lie where that is to be.
func Skel(ctx context.Context, sh shell.Shell, home string) ([]account.Piece, error) {
	q := "'" + strings.ReplaceAll(home, "'", `'\''`) + "'"
	data, exit, err := sh.Run(ctx, "if [ -e "+q+" ] || [ -L "+q+" ]; then exit 17; fi; [ ! -d /etc/skel ] || { cd /etc/skel && tar -cf - .; }", nil, nil)
	switch {
	case err == nil && exit == 17:
		return nil, fmt.Errorf("%w: %s", ErrThere, home)
	case err == nil && exit != 0:
		err = errors.New("tar fails")
	}
	if err != nil {
		return nil, fmt.Errorf("/etc/skel cannot be read: %w", err)
	}
	var out []account.Piece
	if len(data) == 0 {
		return nil, nil
	}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("/etc/skel cannot be read: %w", err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
		t := change.Thing{Mode: uint32(h.Mode & 0o777)}
		switch h.Typeflag {
		case tar.TypeDir:
			t.Type = snap.Dir
		case tar.TypeSymlink:
			t.Type, t.Target = snap.Link, h.Linkname
		case tar.TypeReg:
			t.Type = snap.File
			if t.Content, err = io.ReadAll(io.LimitReader(r, maxRaw+1)); err != nil || len(t.Content) > maxRaw {
				return nil, fmt.Errorf("/etc/skel/%s is longer than what a home begins with", name)
			}
		default:
			continue
		}
		if name != "" && name != "." && !strings.ContainsAny(name, "\n\r") {
			out = append(out, account.Piece{Path: name, Thing: t})
		}
	}
}
