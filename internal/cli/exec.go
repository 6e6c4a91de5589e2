package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"picket/internal/host/remote"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

type execOptions struct {
	many     manyOptions
	ssh      sshOptions
	line     string // for a shell on the host
	root     bool
	serial   bool
	stdin    string
	output   string
	noPrefix bool
}

func (p *program) execCommand() *cobra.Command {
	var opt execOptions
	cmd := &cobra.Command{
		Use:   "exec TARGET… -- COMMAND [ARGUMENT…]",
		Short: "run a command on hosts, with exactly these arguments",
		Long: `Runs a command on many hosts at once. What each of them says comes as it says it, behind
its name; how each command ended is told at the end. A host that is away, or hangs,
does not keep the others from being done.

The arguments reach the command as they are: no shell on the host splits them, or
looks for wildcards, once more. For a line of a shell, with pipes and the like,
there is --shell.

Exit codes: 0 each command succeeded · 1 some did not · 2 wrong usage or settings ·
3 some host could not be reached · 130 interrupted.`,
		Example: `  picket exec all -- uptime
  picket exec workers -- sudo systemctl restart chrony
  picket exec worker1 worker2 --shell 'dmesg | tail -3'
  picket exec all --root -- cat /etc/shadow
  picket exec all --output json -- uname -r`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 0 {
				dash = len(args)
			}
			return p.exec(cmd.Context(), args[:dash], args[dash:], opt)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.line, "shell", "c", "", "a `LINE` for the shell on the host, instead of a command and its arguments")
	f.BoolVar(&opt.root, "root", false, "run it as root, by sudo")
	f.BoolVar(&opt.serial, "serial", false, "one host after the other, in the order of the targets; the same as --parallel 1")
	f.StringVar(&opt.stdin, "stdin", "", "`FILE` that each command is given to read; -: what comes in here (default: nothing)")
	f.StringVarP(&opt.output, "output", "o", "text", "`FORMAT`: text, or json: a line for each host, as it is done")
	f.BoolVar(&opt.noPrefix, "no-prefix", false, "leave the names of the hosts out before what they say")
	opt.ssh.flags(f)
	opt.many.flags(f, 0)
	return cmd
}

// ran is how a command went on one host.
type ran struct {
	Host    string  `json:"host"`
	Exit    int     `json:"exit"` // -1: it did not run to its end
	Stdout  string  `json:"stdout,omitempty"`
	Stderr  string  `json:"stderr,omitempty"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`

	Stdout64 []byte `json:"stdoutBase64,omitempty"` // in place of Stdout where that is no UTF-8
	Stderr64 []byte `json:"stderrBase64,omitempty"`
}

func (p *program) exec(ctx context.Context, words, argv []string, opt execOptions) error {
	command, err := commandOf(argv, opt.line)
	if err != nil {
		return err
	}
	if opt.output != "text" && opt.output != "json" {
		return usage(fmt.Errorf("--output %s: want text or json", opt.output))
	}
	if len(words) == 0 {
		return withHint(usage(errors.New("no host is named")), "`picket exec all -- COMMAND` runs it on every node of picket.yaml")
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
	input, err := p.input(opt.stdin)
	if err != nil {
		return err
	}
	out := &hostLines{width: widest(targets), style: p.style, bare: opt.noPrefix || len(targets) == 1, alone: len(targets) == 1}
	opt.many.through, opt.many.plain = out, passedOn(p.io.Out)
	encode := json.NewEncoder(p.io.Out)
	encode.SetEscapeHTML(false)
	var unwritten error
	failed := map[string]bool{}
	begin := p.now()
	_, errs := manyHeard(ctx, p, targets, opt.many, func(ctx context.Context, target string, tell ui.Teller) (r ran, err error) {
		began := p.now()
		r = ran{Host: target, Exit: -1}
		defer func() { r.Seconds = p.now().Sub(began).Seconds() }()
		var stdout, stderr kept
		to, complain := io.Writer(&stdout), io.Writer(&stderr)
		if opt.output == "text" {
			o, e := out.on(p.io.Out, target), out.on(p.io.Err, target)
			defer o.end()
			defer e.end()
			to, complain = o, e
		}
		defer func() {
			r.Stdout, r.Stdout64, r.Stderr, r.Stderr64 = stdout.text(), stdout.base64(), stderr.text(), stderr.base64()
		}()
		tell.Say("connecting")
		c, t, password, err := p.dial(ctx, target, opt.ssh, tell)
		if err != nil {
			return r, err
		}
		defer c.Close()
		tell.Say("running")
		if opt.root {
			r.Exit, err = shell.SSH(c, t.User, password).Stream(ctx, command, bytes.NewReader(input), to, func(line string) { fmt.Fprintln(complain, line) })
		} else {
			mark := rand.Text()
			o, e := &behind{to: to, mark: []byte(mark + "\n")}, &behind{to: complain, mark: []byte(mark + "\n")}
			r.Exit, err = c.Exec(ctx, marked(argv, opt.line, mark), bytes.NewReader(input), o, e)
			if !o.seen && err == nil {
				err = fmt.Errorf("the login gives no shell that works: it said %q", ui.Cut(strings.TrimSpace(string(o.held)), 200))
			}
		}
		return r, err
	}, func(r ran) string {
		if r.Exit == 0 {
			return "done"
		}
		return fmt.Sprintf("exit code %d", r.Exit)
	}, func(i int, r ran, err error) {
		r.Host = targets[i]
		switch {
		case err != nil:
			r.Exit, r.Error = -1, broken(ctx, err)
		case r.Exit != 0:
			failed[r.Host] = true
		}
		if opt.output == "json" && unwritten == nil {
			unwritten = out.write(func() error { return encode.Encode(r) })
		}
	})
	err = p.told(ctx, whole{targets: targets, errs: errs, failed: failed, took: p.now().Sub(begin)})
	switch {
	case unwritten != nil:
		return unwritten
	case err == nil && len(failed) > 0:
		return errFindings
	}
	return err
}

// broken is why a host was not done, for a program that reads it.
func broken(ctx context.Context, err error) string {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}

// passedOn reports whether what is written there comes out elsewhere, perhaps on the same terminal: by a pipe.
func passedOn(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// mostKept is how much of what a host says is kept for one line of JSON, in bytes.
const mostKept = 16 << 20

// kept is what a host says.
type kept struct{ bytes.Buffer }

// Write implements io.Writer.
func (k *kept) Write(b []byte) (int, error) {
	if k.Len()+len(b) > mostKept {
		return 0, fmt.Errorf("it says more than %d MB, which is too long for a line of JSON: --output text has no limit", mostKept>>20)
	}
	return k.Buffer.Write(b)
}

// text is what was said, if that is text.
func (k *kept) text() string {
	if !utf8.Valid(k.Bytes()) {
		return ""
	}
	return k.String()
}

// base64 is what was said, if it is no text.
func (k *kept) base64() []byte {
	if utf8.Valid(k.Bytes()) {
		return nil
	}
	return k.Bytes()
}

// marked is the command behind a line on both of its outputs: what comes before is said by the login's own files. A line
// is for the shell of whoever logs in, whichever that is.
func marked(argv []string, line, mark string) string {
	begin := "echo " + mark + "; echo " + mark + " >&2; "
	if line != "" {
		return "/bin/sh -c '" + begin + "'\n" + line
	}
	return remote.Command(append([]string{"/bin/sh", "-c", begin + `case $(command -v -- "$1") in */*) exec "$@" ;; esac; "$@"`, "sh"}, argv...))
}

// A behind writer passes on what comes behind a mark.
type behind struct {
	to   io.Writer
	mark []byte
	seen bool
	held []byte
}

// Write implements io.Writer.
func (w *behind) Write(b []byte) (int, error) {
	if w.seen {
		return w.to.Write(b)
	}
	w.held = append(w.held, b...)
	_, rest, found := bytes.Cut(w.held, w.mark)
	if !found {
		w.held = w.held[max(0, len(w.held)-4096):]
		return len(b), nil
	}
	w.seen, w.held = true, nil
	if len(rest) == 0 {
		return len(b), nil
	}
	if _, err := w.to.Write(rest); err != nil {
		return 0, err
	}
	return len(b), nil
}

// commandOf is what is run: the arguments as they are, or a line.
func commandOf(argv []string, line string) (string, error) {
	switch {
	case line != "" && len(argv) > 0:
		return "", usage(errors.New("--shell is the whole command: nothing can stand behind --"))
	case line != "":
		return line, nil
	case len(argv) == 0:
		return "", withHint(usage(errors.New("no command is named: it stands behind --")), "`picket exec all -- uptime`")
	}
	return remote.Command(argv), nil
}

// hosts are running hosts that words mean, which are reached over SSH.
func (p *program) hosts(words []string, ssh sshOptions) ([]string, error) {
	targets, err := p.targets(words)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		switch err := p.checkTarget(t); {
		case err != nil:
			return nil, err
		case !p.isSSH(t):
			return nil, withHint(usage(fmt.Errorf("%s is no host that is reached over SSH", t)), "name a node of picket.yaml, or ssh://user@host")
		}
	}
	return p.distinct(targets), ssh.check()
}

// distinct takes each host once, whatever it is called.
func (p *program) distinct(targets []string) []string {
	taken := map[string]bool{}
	return slices.DeleteFunc(targets, func(target string) bool {
		n, _ := p.node(target)
		t, err := p.remoteTarget(target)
		at := n.Jump + "|" + t.User + "|" + strings.ToLower(t.Address())
		twice := err == nil && taken[at]
		taken[at] = true
		return twice
	})
}

// input is what commands are given to read.
func (p *program) input(file string) ([]byte, error) {
	switch file {
	case "":
		return nil, nil
	case "-":
		return io.ReadAll(p.io.In)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, usage(fmt.Errorf("--stdin: %w", err))
	}
	return b, nil
}

// named says of an error which host it is about, where it does not itself.
func named(target string, err error) error {
	if strings.Contains(err.Error(), target) {
		return err
	}
	return fmt.Errorf("%s: %w", target, err)
}

func widest(names []string) (n int) {
	for _, s := range names {
		n = max(n, len([]rune(s)))
	}
	return n
}

// hostLines writes what many hosts say, whole lines of one at a time, behind its name.
type hostLines struct {
	mu    sync.Mutex
	width int
	style ui.Style
	bare  bool                           // without names
	alone bool                           // there is one host
	over  func(write func() error) error // makes room on the terminal; nil: there is nothing else on it
}

// write has one of all who want to write do so.
func (h *hostLines) write(do func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over != nil {
		return h.over(do)
	}
	return do()
}

type hostLine struct {
	all  *hostLines
	w    io.Writer
	name string
	rest []byte // of a line that has not ended
}

func (h *hostLines) on(w io.Writer, name string) *hostLine {
	return &hostLine{all: h, w: w, name: name}
}

// Write implements io.Writer.
func (l *hostLine) Write(b []byte) (int, error) {
	if l.exact() {
		err := l.put(b)
		return len(b), err
	}
	l.rest = append(l.rest, b...)
	i := bytes.LastIndexByte(l.rest, '\n') + 1
	if i == 0 && len(l.rest) > longest {
		l.rest = append(l.rest, '\n')
		i = len(l.rest)
	}
	if i == 0 {
		return len(b), nil
	}
	err := l.put(l.rest[:i])
	l.rest = slices.Clone(l.rest[i:])
	return len(b), err
}

// longest is how long a line may be before it is broken, in bytes.
const longest = 1 << 20

// exact is whether what a host says is passed on byte by byte: it is the only one, and no person looks.
func (l *hostLine) exact() bool { return l.all.alone && !ui.Terminal(l.w) }

// end writes what came without the end of its line.
func (l *hostLine) end() {
	if len(l.rest) > 0 {
		_ = l.put(append(l.rest, '\n'))
		l.rest = nil
	}
}

func (l *hostLine) put(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	return l.all.write(func() error {
		_, err := l.w.Write(l.shown(lines))
		return err
	})
}

// colours are what text may steer a terminal with.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// shown is what is written of lines: as they are where no person looks, and otherwise so that they can do nothing to the
// terminal but paint.
func (l *hostLine) shown(lines []byte) []byte {
	if l.exact() {
		return lines
	}
	onTerminal := ui.Terminal(l.w)
	var out bytes.Buffer
	for line := range bytes.Lines(lines) {
		if !l.all.bare {
			fmt.Fprint(&out, l.all.style.Paint(fmt.Sprintf("%-*s |", l.all.width, l.name), ui.Dim), " ")
		}
		if !onTerminal {
			out.Write(line)
			continue
		}
		text := strings.TrimRight(string(line), "\r\n")
		text = text[strings.LastIndexByte(text, '\r')+1:] // written over the one before
		at, painted := 0, false
		for _, c := range colours.FindAllStringIndex(text, -1) {
			out.WriteString(ui.Clean(text[at:c[0]]) + text[c[0]:c[1]])
			at, painted = c[1], true
		}
		out.WriteString(ui.Clean(text[at:]))
		if painted {
			out.WriteString("\x1b[0m")
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}
