// Package cli is the command line: one file a verb. It parses arguments, calls
// the floors below, and maps what they return to text and an exit code.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/inventory"
	"picket/internal/core/snap"
	"picket/internal/harden"
	"picket/internal/host/remote"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// Version and Commit are set by the linker in released builds.
var (
	Version = "0.1.0-dev"
	Commit  = ""
)

// A program is one run of picket: what it was given from outside.
type program struct {
	name   string   // as it was typed
	args   []string // behind it
	io     ui.IO
	getenv func(string) string
	now    func() time.Time
	style  ui.Style // of Out

	configs     []string // --config
	controlDirs []string // --controls

	nodes *inventory.Inventory // see cluster
	hops  *remote.Hops         // the hosts on the way to others, shared by all that are reached through them

	passwords *typedPasswords
	memory    *snapshot.Memory // of guesses at the hosts' passwords
}

// Main runs picket with its arguments, the first of which is its name as it was
// typed, and returns the exit code. It is the whole program: nothing below it exits, or reads
// arguments, the environment or the clock by itself.
func Main(ctx context.Context, args []string, io ui.IO, getenv func(string) string) int {
	p := &program{name: args[0], args: args[1:], io: io, getenv: getenv, now: time.Now}
	p.hops, p.passwords, p.memory = new(remote.Hops), new(typedPasswords), snapshot.NewMemory()
	defer p.hops.Close()
	p.style = ui.Style{On: ui.Color(io.Out, getenv)}
	root := p.root()
	root.SetArgs(args[1:])
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitFine
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) && !errors.Is(err, harden.ErrRolledBack) && !errors.Is(err, harden.ErrNotUndone) { // how a host was left is told
		err = withCode(ExitInterrupted, errors.New("interrupted"))
	}
	return p.fail(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "picket",
		Short: "find what is really exposed on a host, and what to do about it",
		Long: `Picket judges hosts by what is in force, not by what a file says.

Without a command it audits this machine and shows the worst of what it finds.
Nothing is changed, and nothing leaves the machine.

` + exitHelp,
		Example: `  picket                              a short audit of this machine
  sudo picket audit                   all of it, with the evidence
  picket audit ssh://pi@leader        another machine; nothing is installed there
  picket audit image:/mnt/card        a mounted SD card
  picket explain ssh/password-login   what a finding means`,
		Args:                       noArguments,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return p.short(cmd.Context()) },
		SilenceErrors:              true,
		SilenceUsage:               true,
		Version:                    versionText(),
		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("picket {{.Version}}\n")
	root.PersistentFlags().StringArrayVar(&p.configs, "config", nil, "settings `FILE`; may be repeated, the later wins (default: picket.yaml here, ~/.config/picket, /etc/picket)")
	root.PersistentFlags().StringArrayVar(&p.controlDirs, "controls", nil, "`FOLDER` of controls of your own; may be repeated (default: /etc/picket/controls.d)")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(p.usage)
	root.AddCommand(
		p.initCommand(),
		p.auditCommand(),
		p.explainCommand(),
		p.exposureCommand(),
		p.planCommand(),
		p.applyCommand(),
		p.execCommand(),
		p.copyCommand(),
		p.rebootCommand(),
		p.shutdownCommand(),
		p.passwdCommand(),
		p.userCommand(),
		p.trustCommand(),
		p.snapshotCommand(),
		p.joinCommand(),
		p.keysCommand(),
		p.reportCommand(),
		p.compareCommand(),
		p.controlsCommand(),
	)
	root.AddCommand(p.ofChanges()...)
	p.help(root)
	sayExits(root)
	return root
}

// sayExits adds the exit codes to the help of the commands that do not judge.
func sayExits(c *cobra.Command) {
	if !strings.Contains(c.Long, "Exit codes:") {
		c.Long = cmp.Or(c.Long, c.Short) + "\n\n" + otherHelp
	}
	for _, sub := range c.Commands() {
		sayExits(sub)
	}
}

// noArguments refuses words that are no command, with the nearest one.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usage(fmt.Errorf("unknown command %q", args[0]))
	if args[0] == "version" && !cmd.HasParent() {
		return withHint(err, "did you mean `picket --version`?")
	}
	cmd.SuggestionsMinimumDistance = 2 // a sub-command does not inherit it
	if !cmd.HasParent() && isTarget(args[0]) {
		return withHint(err, "did you mean `"+cmd.CommandPath()+" audit "+meant(args[0])+"`?")
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return withHint(err, "did you mean `"+cmd.CommandPath()+" "+near[0]+"`?")
	}
	return withHint(err, "see `"+cmd.CommandPath()+" --help`")
}

// typed is a command as it can be typed here: the program may run from its
// sources, or not be in the path.
func (p *program) typed(args string) string {
	known := func(w string) bool { // what was read already: an error of the settings may be what is told
		if p.nodes == nil {
			return false
		}
		_, is := p.nodes.Node(w)
		return is
	}
	if strings.Contains(args, "ssh://") || slices.ContainsFunc(strings.Fields(args), known) {
		args += p.reaching()
	}
	if strings.Contains(p.name, "/go-build") {
		return strings.TrimSuffix("go run ./cmd/picket "+args, " ")
	}
	return strings.TrimSuffix(p.name+" "+args, " ")
}

// reaching are the flags of the command line that say how hosts are reached, as they were typed: without them what is
// printed would not come in.
func (p *program) reaching() (out string) {
	for i, a := range p.args {
		name, value, whole := strings.Cut(a, "=")
		if a == "-K" || a == "--ask-sudo-password" {
			out += " -K"
		}
		if !slices.Contains([]string{"-i", "--identity", "--known-hosts", "--ssh-config", "--sudo-password-file", "--config"}, name) {
			continue
		}
		if !whole && i+1 < len(p.args) {
			value = p.args[i+1]
		}
		if value != "" {
			out += " " + name + " " + snap.CommandKey(value)
		}
	}
	return out
}

// typedAsRoot is the same with sudo, which seldom knows where Go is.
func (p *program) typedAsRoot(args string) string {
	if strings.Contains(p.name, "/go-build") {
		return "go build ./cmd/picket && sudo ./picket " + args
	}
	return "sudo " + p.name + " " + args
}

// againAsRoot is what was typed, with sudo.
func (p *program) againAsRoot() string {
	words := make([]string, len(p.args))
	for i, a := range p.args {
		words[i] = snap.CommandKey(a)
	}
	return p.typedAsRoot(strings.Join(words, " "))
}

// asTyped puts commands within a message into the form that can be typed here.
func (p *program) asTyped(text string) string {
	text = strings.ReplaceAll(text, "sudo picket ", p.typedAsRoot(""))
	return strings.ReplaceAll(text, "`picket ", "`"+p.typed("")+" ")
}

func versionText() string {
	commit := Commit
	if info, ok := debug.ReadBuildInfo(); ok && commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	if commit == "" {
		commit = "unknown"
	}
	return fmt.Sprintf("%s (commit %.12s, %s, %s/%s)", Version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
