package cli

import (
	"errors"
	"fmt"
	"strings"

	"picket/internal/ui"
)

// Exit codes, as every command's help says.
const (
	ExitFine        = 0
	ExitFindings    = 1   // findings at or above --fail-on
	ExitUsage       = 2   // wrong usage or settings
	ExitPartial     = 3   // a host or a fact could not be read
	ExitRefused     = 4   // refused or not confirmed, nothing changed
	ExitRolledBack  = 5   // failed and rolled back
	ExitNotUndone   = 6   // failed and not rolled back
	ExitInterrupted = 130 // by the user
)

// exitHelp closes the help of the commands that judge.
const exitHelp = `Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage or
settings, 3 something could not be read (and no finding is at or above
--fail-on), 130 interrupted.`

// otherHelp closes the help of all other commands.
const otherHelp = `Exit codes: 0 done, 2 wrong usage or settings, 3 something could not be read,
130 interrupted.`

// coded is an error with an exit code and, often, what to type next.
type coded struct {
	err  error
	code int
	hint string
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

func withCode(code int, err error) error { return &coded{err: err, code: code} }

func usage(err error) error { return withCode(ExitUsage, err) }

// withHint adds what to type next.
func withHint(err error, hint string) error {
	var c *coded
	if errors.As(err, &c) {
		return &coded{err, c.code, hint}
	}
	return &coded{err, ExitPartial, hint}
}

// errFindings ends a run whose report says it all.
var errFindings = &coded{err: errors.New("findings"), code: ExitFindings}

// errPartial ends a run whose report says what could not be read.
var errPartial = &coded{err: errors.New("something could not be read"), code: ExitPartial}

// several are errors about different targets.
type several struct{ errs []error }

func (e *several) Error() string   { return errors.Join(e.errs...).Error() }
func (e *several) Unwrap() []error { return e.errs }

// fail prints an error and returns its code. Anything without a code is
// something that could not be read.
func (p *program) fail(err error) int {
	if err == error(errFindings) || err == error(errPartial) {
		return err.(*coded).code
	}
	var many *several
	if errors.As(err, &many) {
		code := 0 // the worst
		for _, e := range many.errs {
			code = max(code, p.fail(e))
		}
		return code
	}
	const indent = "\n        " // below the first word after "picket: "
	fmt.Fprintf(p.io.Err, "picket: %s\n", strings.ReplaceAll(ui.Clean(p.asTyped(err.Error())), "\n", indent))
	var c *coded
	if !errors.As(err, &c) {
		return ExitPartial
	}
	if c.hint != "" {
		fmt.Fprintf(p.io.Err, "%s\n", strings.TrimPrefix(indent, "\n")+strings.ReplaceAll(ui.Clean(p.asTyped(c.hint)), "\n", indent))
	}
	return c.code
}
