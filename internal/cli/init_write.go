package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"picket/internal/core/settings"
	"picket/internal/core/snap"
	"picket/internal/ui"
)

// head is the beginning of a new file.
const head = "# Written by picket init; docs/settings.md says what else can stand here.\n"

// settingsToWrite is the file that the nodes go to: the one that is named, or read, or one here.
func (p *program) settingsToWrite(output string) (string, error) {
	file := output
	switch {
	case output == "-":
		return output, nil
	case output != "":
	case len(p.configs) > 0:
		file = p.configs[len(p.configs)-1]
	default:
		found, err := p.findSettings()
		if err != nil {
			return "", err
		}
		file = cmp.Or(found, settingsName)
	}
	if err := canWrite("--output", file, settingsName, false); err != nil {
		return "", err
	}
	return file, nil
}

// write adds the nodes to the file, once somebody has seen the lines.
func (n *initRun) write(ctx context.Context, file string) error {
	var old []byte
	if file != "-" {
		var err error
		if old, err = readBounded(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return usage(err)
		}
	}
	added, err := settings.Add(file, old, n.inv)
	var hand settings.ByHand
	switch {
	case errors.As(err, &hand):
		fmt.Fprintf(n.out, "\nThese lines belong into %s, by hand:\n%s", file, hand.Lines)
		return withHint(withCode(ExitRefused, fmt.Errorf("%w: nothing was written", err)), "put the lines above there yourself, or write another file with --output FILE")
	case err != nil:
		return usage(err)
	}
	for _, note := range added.Notes {
		fmt.Fprintln(n.out, ui.Wrap(ui.Clean(note.String()), n.p.width(), "  "))
	}
	if len(added.Nodes) == 0 {
		fmt.Fprintf(n.out, "\n%s has all of them already: it stays as it is\n", file)
		return nil
	}
	text := added.Text
	if len(old) == 0 {
		text = append([]byte(head), text...)
	}
	if file == "-" {
		_, err := n.p.io.Out.Write(text)
		return err
	}
	n.tellLines(file, old, added.Text)
	if prompt := n.prompt(ctx); prompt.Possible() {
		question := "\nWrite " + file + "?"
		if len(old) > 0 {
			question = "\nAdd these lines to " + file + "?"
		}
		switch ok, err := prompt.Confirm(question); {
		case err != nil:
			return unanswered(err)
		case !ok:
			return withCode(ExitRefused, fmt.Errorf("%s was not written", file))
		}
	}
	mode := fs.FileMode(0o644) // one that others can write is not read
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	if err := replace(file, text, mode); err != nil {
		return err
	}
	n.wrote = true
	return nil
}

// tellLines shows a file that is to be written, or what is new in it.
func (n *initRun) tellLines(file string, old, text []byte) {
	was := map[string]int{}
	for l := range strings.Lines(string(old)) {
		was[strings.TrimRight(l, "\n")]++
	}
	fmt.Fprintf(n.out, "\n%s:\n", file)
	for l := range strings.Lines(string(text)) {
		l = strings.TrimRight(l, "\n")
		if was[l] > 0 {
			was[l]--
			continue
		}
		fmt.Fprintln(n.out, n.p.style.Paint("+ "+ui.Clean(l), ui.Green))
	}
}

// close says what is not ready, and what to type next.
func (n *initRun) close(file string) error {
	p := n.p
	var ready, left []string
	var errs []error
	for _, one := range n.inv.Nodes {
		if err := n.failed[one.Name]; err != nil {
			left, errs = append(left, one.Name), append(errs, named(one.Name, err))
		} else {
			ready = append(ready, one.Name)
		}
	}
	for _, h := range n.hints {
		fmt.Fprintln(n.out, ui.Wrap(h, p.width(), "  "))
	}
	if len(errs) > 0 {
		fmt.Fprintln(p.io.Err)
		p.fail(&several{errs})
	}
	if n.wrote {
		fmt.Fprintf(n.out, "\n%s is written", file)
	} else {
		fmt.Fprintln(n.out)
	}
	total := len(n.inv.Nodes)
	fmt.Fprintf(n.out, "%s%d of %s.", map[bool]string{true: ": ", false: ""}[n.wrote], len(ready), nodesText(total))
	if len(left) > 0 {
		fmt.Fprintf(n.out, " Not ready: %s", strings.Join(left, ", "))
	}
	next := "audit all"
	if len(ready) == 0 {
		next = ""
	}
	if found, err := p.findSettings(); next != "" && file != "-" && (err != nil || found != file || len(p.configs) > 0) {
		next += " --config " + snap.CommandKey(file)
	}
	if next != "" {
		fmt.Fprintf(n.out, "\nNext: %s\n", p.style.Paint(p.typed(next+n.opt.ssh.where()), ui.Bold))
	} else {
		fmt.Fprintln(n.out)
	}
	if len(errs) > 0 {
		return errPartial
	}
	return nil
}

func nodesText(n int) string {
	if n == 1 {
		return "1 node is ready"
	}
	return fmt.Sprintf("%d nodes are ready", n)
}
