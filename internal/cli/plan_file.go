package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"picket/internal/core/plan"
)

// savedPlan reads a plan from a file, where a target names one: a file that begins as JSON does. A saved snapshot
// does not.
func (p *program) savedPlan(target string) (s plan.Saved, is bool, err error) {
	if target == "local" || p.isSSH(target) || strings.HasPrefix(target, "image:") {
		return s, false, nil
	}
	info, err := os.Stat(target)
	if err != nil || !info.Mode().IsRegular() {
		return s, false, nil // what it is otherwise is told where targets are
	}
	f, err := os.Open(target)
	if err != nil {
		return s, false, usage(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, plan.MaxSaved+1))
	if err != nil {
		return s, false, usage(err)
	}
	if !looksLikePlan(target, data) {
		return s, false, nil
	}
	if s, err = plan.Read(data); err != nil {
		return s, true, withHint(usage(fmt.Errorf("%s is no plan: %w", target, err)), "a plan is written by `picket plan --save FILE`")
	}
	return s, true, nil
}

func looksLikePlan(name string, data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) || strings.HasSuffix(name, ".plan") && !bytes.HasPrefix(data, []byte("\x1f\x8b"))
}
