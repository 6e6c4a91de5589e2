package yaml

import (
	"io/fs"
	"slices"
	"strings"
)

// Files parses every file of fsys that a pattern names, in the order of their
// names; name is that without .yaml. What has problems is left out; all problems of all files
// are returned.
func Files[T any](fsys fs.FS, pattern string, parse func(file, name string, data []byte) (T, Problems)) (out []T, problems Problems) {
	files, err := fs.Glob(fsys, pattern)
	if err != nil {
		return nil, Problems{{File: ".", Text: err.Error()}}
	}
	slices.Sort(files)
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			problems = append(problems, Problem{File: file, Text: err.Error()})
			continue
		}
		one, ps := parse(file, strings.TrimSuffix(file, ".yaml"), data)
		if problems = append(problems, ps...); len(ps) == 0 {
			out = append(out, one)
		}
	}
	return out, problems
}
