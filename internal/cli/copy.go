package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/host/files"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

type copyOptions struct {
	many    manyOptions
	ssh     sshOptions
	to      string
	root    bool
	parents bool
	serial  bool
	pretend bool
	output  string
	accept  []string
}

func (p *program) copyCommand() *cobra.Command {
	var opt copyOptions
	cmd := &cobra.Command{
		Use:   "copy SOURCE… TARGET",
		Short: "copy files and folders to hosts, to the same place there",
		Long: `Copies files and folders to many hosts at once, with their modes and times. They go to
the same path as here, and what lies in your home to the home of whoever logs in; or
to where --to says. Several targets stand behind --.

What is the same there already is not sent: that is told by checksums (SHA-256). The
rest arrives beside its place, is checked there, and takes its place at once when all of it
has come. So no file is ever half there, and a host without room for it is as it was.
A new folder appears whole; in one that is there the files take their places one after the
other, and what else it holds stays. A copy that was cut off goes on, with the same
command, from where it was.

A host needs a shell and what BusyBox has; no tar, rsync or sftp.

Exit codes: 0 it is there on each host · 2 wrong usage or settings · 3 on some host it is
not · 130 interrupted.`,
		Example: `  picket copy ~/.bashrc all
  picket copy ~/.scripts workers
  picket copy chrony.conf all --root --to /etc/chrony/chrony.conf
  picket copy --root --to /etc/systemd/system/ *.service -- worker1 worker2
  picket copy ~/.pioreactor/plugins workers --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.ArgsLenAtDash()
			if at < 0 {
				at = max(len(args)-1, 0)
			}
			return p.copy(cmd.Context(), args[:at], args[at:], opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.to, "to", "", "`PATH` there, from the home of whoever logs in if it does not begin with /; with a / at its end, a folder into which it goes (default: the same path as here)")
	f.BoolVar(&opt.root, "root", false, "write it as root, by sudo: new files are root's, and those that are there keep their owner")
	f.BoolVar(&opt.parents, "parents", false, "make the folders above it that are missing there")
	f.BoolVarP(&opt.pretend, "dry-run", "n", false, "say what would be sent, and send nothing")
	f.BoolVar(&opt.serial, "serial", false, "one host after the other, in the order of the targets; the same as --parallel 1")
	f.StringVarP(&opt.output, "output", "o", "text", "`FORMAT`: text, or json: a line for each host, as it is done")
	f.StringSliceVar(&opt.accept, "accept-risk", nil, "`RISK` to take: lose-ssh, for lists of keys that are copied over those of a host")
	opt.ssh.flags(f)
	opt.many.flags(f, 0)
	return cmd
}

// copied is what came of it on one host.
type copied struct {
	Host      string   `json:"host"`
	Places    []string `json:"places"`
	Files     int      `json:"files"`    // sent, or with --dry-run to be sent
	Same      int      `json:"same"`     // there already
	Adjusted  int      `json:"adjusted"` // of which only the mode or the time was set
	Bytes     int64    `json:"bytes"`
	Continued int64    `json:"continued"` // bytes that had come before
	Seconds   float64  `json:"seconds"`
	Error     string   `json:"error,omitempty"`
}

func (p *program) copy(ctx context.Context, names, words []string, opt copyOptions) error {
	if opt.output != "text" && opt.output != "json" {
		return usage(fmt.Errorf("--output %s: want text or json", opt.output))
	}
	if err := p.copyWords(names, words); err != nil {
		return err
	}
	targets, err := p.hosts(words, opt.ssh)
	if err != nil {
		return err
	}
	if opt.serial {
		opt.many.atOnce = 1
	}
	if err := opt.many.check(); err != nil {
		return err
	}
	jobs, err := p.jobs(ctx, names, opt)
	if err != nil {
		return err
	}
	out := &hostLines{}
	opt.many.through, opt.many.plain = out, opt.output == "json" && passedOn(p.io.Out)
	encode := json.NewEncoder(p.io.Out)
	var unwritten error
	cutOff := false
	begin := p.now()
	_, errs := manyHeard(ctx, p, targets, opt.many, func(ctx context.Context, target string, tell ui.Teller) (copied, error) {
		began := p.now()
		sent, err := p.send(ctx, target, jobs, opt, tell)
		r := copied{
			Host: target, Places: sent.Places, Files: sent.Files, Same: sent.Same, Adjusted: sent.Adjusted,
			Bytes: sent.Bytes, Continued: sent.Continued, Seconds: p.now().Sub(began).Seconds(),
		}
		var refused *files.Refusal
		switch {
		case errors.As(err, &refused):
			err = withHint(fmt.Errorf("%s: %w", target, err), copyHint(refused, opt))
		case err != nil && sent.Begun:
			err = withHint(err, "what had come is kept there: the same command goes on from it")
		}
		return r, err
	}, func(r copied) string { return r.text(opt.pretend) }, func(_ int, r copied, err error) {
		var refused *files.Refusal
		if err != nil {
			cutOff = cutOff || !errors.As(err, &refused)
			r.Error = broken(ctx, err)
		}
		if opt.output == "json" && unwritten == nil {
			unwritten = out.write(func() error { return encode.Encode(r) })
		}
	})
	err = p.told(ctx, whole{targets: targets, errs: errs, took: p.now().Sub(begin)})
	if ctx.Err() != nil && cutOff {
		fmt.Fprintln(p.io.Err, "no file is half in its place; what had come is kept, and the same command goes on from it")
	}
	return errors.Join(unwritten, err)
}

// text is what a person is told of a host.
func (r copied) text(pretend bool) string {
	var parts []string
	count := func(n int, what string) {
		switch {
		case n == 1:
			parts = append(parts, "1 file "+what)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d files %s", n, what))
		}
	}
	if sent := "sent (" + files.Size(r.Bytes) + ")"; pretend {
		count(r.Files, "to be "+sent)
		count(r.Adjusted, "whose mode or time is to be set")
	} else {
		count(r.Files, sent)
		count(r.Adjusted, "whose mode or time was set")
	}
	count(r.Same, "the same already")
	if r.Continued > 0 {
		parts = append(parts, files.Size(r.Continued)+" had come before")
	}
	if len(parts) == 0 {
		parts = []string{"no files"}
	}
	return strings.Join(parts, ", ")
}

func copyHint(r *files.Refusal, opt copyOptions) string {
	switch r.Kind {
	case "denied":
		return "--root writes as root; --to PATH names another place"
	case "root":
		return "log in as who owns it, without --root, or name a folder that belongs to root alone"
	case "folder":
		return "--parents makes it"
	case "isfolder":
		return "--to " + strings.TrimSuffix(r.What, "/") + "/, with a / at its end, puts something into that folder"
	case "islink", "dangling":
		return "name what it is to lead to with --to, or take the link away there"
	}
	if r.Kind == "write" || r.Kind == "meta" {
		return ""
	}
	return "nothing was changed there"
}

// copyWords finds words that stand in the wrong place.
func (p *program) copyWords(names, words []string) error {
	const example = "`picket copy ~/.bashrc all` copies it to every node of picket.yaml"
	if len(words) == 0 {
		return withHint(usage(errors.New("want a file or a folder, and a target")), example)
	}
	for _, w := range words {
		if strings.HasPrefix(w, "-") {
			return withHint(usage(fmt.Errorf("%s stands behind --, where only targets do", w)), "flags come before")
		}
		host, at, colon := strings.Cut(w, ":")
		if _, ok := p.node(host); ok && colon || colon && strings.Contains(host, "@") {
			if !ok {
				host = meantSSH(w)
			}
			hint := "`picket copy " + strings.Join(append(slices.Clone(names), host), " ")
			if at != "" {
				hint += " --to " + at
			}
			return withHint(usage(fmt.Errorf("%s: the host and the place on it are given each by itself", w)), hint+"`")
		}
	}
	if len(names) == 0 {
		if _, err := os.Lstat(words[0]); err == nil || looksLikeFile(words[0]) {
			return withHint(usage(errors.New("no target is named: it is the last word")), example)
		}
		return withHint(usage(errors.New("no file is named: files come first, and the target is the last word")), example)
	}
	if last := words[len(words)-1]; isPlain(last) {
		if _, err := os.Lstat(last); err == nil {
			if inv, err := p.cluster(); err == nil {
				if _, err := inv.Select([]string{last}); err != nil {
					return withHint(usage(fmt.Errorf("no target is named: %s, the last word, is a file here", last)), example)
				}
			}
		}
	}
	return nil
}

// jobs reads what is to be copied, and says where it goes.
func (p *program) jobs(ctx context.Context, names []string, opt copyOptions) ([]files.Job, error) {
	into := strings.HasSuffix(opt.to, "/") || opt.to == "~" || opt.to == "."
	if opt.to != "" && !into && len(names) > 1 {
		return nil, withHint(usage(fmt.Errorf("--to %s is the place of one file or folder, and there are %d", opt.to, len(names))), "--to "+opt.to+"/, with a / at its end, is a folder into which they go")
	}
	to := strings.TrimPrefix(strings.TrimPrefix(opt.to, "~"), "./")
	if opt.to != to && opt.to[0] == '~' && to != "" && to[0] != '/' {
		return nil, usage(fmt.Errorf("--to %s: the homes of others are not known here: name the whole path", opt.to))
	}
	if strings.HasPrefix(opt.to, "~") {
		to = strings.TrimPrefix(to, "/")
	}
	progress := ui.NewProgress(p.progressTo(), "reading "+names[0], p.now)
	defer progress.Stop()
	var jobs []files.Job
	taken := map[string]string{}
	for _, n := range names {
		progress.Say("reading " + n)
		s, err := files.Read(ctx, n)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, fs.ErrNotExist) && len(s.Entries) == 0:
			return nil, usage(fmt.Errorf("there is no file %s", n))
		case err != nil:
			return nil, usage(err)
		}
		at := p.sameThere(s.Path)
		switch {
		case into:
			at = path.Join(to, filepath.Base(s.Path))
		case opt.to != "":
			at = path.Clean(to)
		}
		if other, twice := taken[at]; twice {
			return nil, usage(fmt.Errorf("%s and %s would both become %s", other, n, at))
		}
		taken[at] = n
		if err := keysOf(s, at); err != nil && !slices.Contains(opt.accept, "lose-ssh") {
			return nil, err
		}
		jobs = append(jobs, files.Job{Source: s, To: at})
	}
	return jobs, nil
}

// sameThere is where a file of this machine is on another: what is in the home of who copies is in that of who logs in.
func (p *program) sameThere(name string) string {
	if home := p.getenv("HOME"); home != "" {
		if rel, err := filepath.Rel(home, name); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return filepath.ToSlash(name)
}

// keysOf refuses to copy over the list of those who may come in.
func keysOf(s files.Source, at string) error {
	for _, e := range s.Entries {
		if whole := "/" + path.Join(at, e.Name); e.Kind != files.Folder && strings.HasSuffix(whole, "/.ssh/authorized_keys") {
			return withHint(withCode(ExitRefused, fmt.Errorf("%s says who comes in: copied over, it keeps out whoever is not in the one from here, you perhaps", strings.TrimPrefix(whole, "/"))),
				"ssh-copy-id adds a key; --accept-risk lose-ssh copies it all the same")
		}
	}
	return nil
}

// send brings the jobs to one host.
func (p *program) send(ctx context.Context, target string, jobs []files.Job, opt copyOptions, tell ui.Teller) (files.Sent, error) {
	tell.Say("connecting")
	c, t, password, err := p.dial(ctx, target, opt.ssh, tell)
	if err != nil {
		return files.Sent{}, err
	}
	defer c.Close()
	how := files.Options{Parents: opt.parents, Pretend: opt.pretend, Said: tell.Say}
	sh := shell.Login(c)
	if opt.root {
		home, _, err := sh.Run(ctx, `printf %s "$HOME"`, nil, nil)
		if err != nil {
			return files.Sent{}, err
		}
		how.Home = string(home)
		sh = shell.SSH(c, t.User, password)
	}
	return files.Send(ctx, sh, jobs, how)
}
