// Package ui is the terminal: colours, wrapped text, progress and prompts.
//
// Its rules: results go to Out, everything else to Err. Colours and progress
// only where somebody looks: on a terminal, colours never when NO_COLOR is set.
// Messages begin with a small letter, end without a full stop, and say what
// to type next. Nothing is asked when nobody can answer.
package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"picket/internal/host/machine"
)

// IO is where a program reads and writes. Terminals are recognised by the
// files behind the streams.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

func terminal(v any) (int, bool) {
	f, ok := v.(*os.File)
	if !ok {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// Terminal reports whether somebody looks at a stream.
func Terminal(v any) bool {
	_, ok := terminal(v)
	return ok
}

// narrowest is the least width that is believed.
const narrowest = 40

// Width of the terminal behind w; else what COLUMNS says; else 80.
func Width(w io.Writer, getenv func(string) string) int {
	if fd, ok := terminal(w); ok {
		if cols, _, err := term.GetSize(fd); err == nil && cols >= narrowest {
			return cols
		}
	}
	if cols, err := strconv.Atoi(getenv("COLUMNS")); err == nil && cols >= narrowest {
		return cols
	}
	return 80
}

// Color reports whether w is a terminal that wants colours.
func Color(w io.Writer, getenv func(string) string) bool {
	_, ok := terminal(w)
	return ok && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && machine.Paints(w.(*os.File))
}

// Style paints text, or does not.
type Style struct{ On bool }

// Colours of the terminal's own palette, so that they fit its background.
const (
	Red, Green, Yellow, Blue, Magenta, Dim, Bold = "31", "32", "33", "34", "35", "2", "1"
)

// Paint wraps s in codes such as Bold or Red.
func (st Style) Paint(s string, codes ...string) string {
	if !st.On || s == "" {
		return s
	}
	return "\x1b[" + strings.Join(codes, ";") + "m" + s + "\x1b[0m"
}

// Wrap breaks text at blanks so that no line is longer than width, and puts
// indent before every line but the first.
func Wrap(text string, width int, indent string) string {
	var b strings.Builder
	col := utf8.RuneCountInString(indent)
	for i, w := range strings.Fields(text) {
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case col+1+n > width:
			b.WriteString("\n" + indent)
			col = utf8.RuneCountInString(indent)
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col += n
	}
	return b.String()
}

// Cut shortens text to so many letters, with a mark that it did.
func Cut(text string, most int) string {
	r := []rune(text)
	if len(r) <= max(most, 1) {
		return text
	}
	return string(r[:max(most, 1)-1]) + "…"
}

// Clean makes text from a host safe to show: control characters, which could
// steer the terminal, are shown as escapes.
func Clean(s string) string {
	if strings.IndexFunc(s, unsafeRune) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafeRune(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return r != '\n' && r != '\t' && (r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || // C0, DEL, C1
		r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x061c || // changes of direction
		r >= 0x200b && r <= 0x200f || r == 0x2028 || r == 0x2029 || r == 0xfeff) // no width, or a line of its own
}

// Progress is one line on a terminal that says what is being done. On
// anything else it is silent.
type Progress struct {
	w     io.Writer
	mu    sync.Mutex
	what  string
	since time.Time
	stop  chan struct{}
	once  sync.Once // of closing stop: a prompt of another goroutine may end it, too
	done  sync.WaitGroup
}

// NewProgress starts a line on w.
func NewProgress(w io.Writer, what string, now func() time.Time) *Progress {
	p := &Progress{w: w, what: what, since: now()}
	if _, ok := terminal(w); !ok {
		return p
	}
	p.stop = make(chan struct{})
	p.done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-p.stop:
				fmt.Fprint(p.w, "\r\x1b[K")
				return
			case <-tick.C:
				p.mu.Lock()
				text := fmt.Sprintf("%c %s %.0fs", []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[i%10], Clean(p.what), now().Sub(p.since).Seconds())
				p.mu.Unlock()
				text = Cut(text, Width(p.w, func(string) string { return "" })-1) // a line that wraps cannot be taken back
				fmt.Fprintf(p.w, "\r\x1b[K%s", text)
			}
		}
	})
	return p
}

// Say changes the line.
func (p *Progress) Say(what string) {
	p.mu.Lock()
	p.what = what
	p.mu.Unlock()
}

// Stop removes the line.
func (p *Progress) Stop() {
	if p.stop != nil {
		p.once.Do(func() { close(p.stop) })
		p.done.Wait()
	}
}

// Pause implements Teller: the line is gone for good, since who was asked has seen enough.
func (p *Progress) Pause() (resume func()) {
	p.Stop()
	return func() {}
}

// ErrNoTerminal is returned by a prompt when nobody can answer.
var ErrNoTerminal = errors.New("nobody can be asked: this is not a terminal")

// Prompt asks on a terminal.
type Prompt struct {
	IO       IO
	Progress Teller // makes room before somebody types; may be nil

	// Context ends the waiting. What was being typed is then left behind: the
	// program is about to end.
	Context context.Context
}

// wait runs ask, which reads from the terminal, and leaves it behind when the
// context ends. The terminal is then as it was.
func wait[T any](ctx context.Context, fd int, ask func() (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	before, err := term.GetState(fd)
	if err != nil {
		var none T
		return none, err
	}
	answers := make(chan answer, 1)
	go func() {
		v, err := ask()
		answers <- answer{v, err}
	}()
	select {
	case a := <-answers:
		return a.v, a.err
	case <-ctx.Done():
		var none T
		return none, errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

// Possible reports whether there is somebody to ask.
func (p Prompt) Possible() bool {
	_, ok := terminal(p.IO.In)
	return ok
}

// Password asks for a secret without showing it.
func (p Prompt) Password(prompt string) ([]byte, error) {
	fd, ok := terminal(p.IO.In)
	if !ok {
		return nil, ErrNoTerminal
	}
	if p.Progress != nil {
		defer p.Progress.Pause()()
	}
	fmt.Fprint(p.IO.Err, Clean(prompt)) // it may name what a host has said
	b, err := wait(p.Context, fd, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(p.IO.Err)
	return b, err
}

// Line asks for a line, and gives it without the blanks around it.
func (p Prompt) Line(prompt string) (string, error) {
	fd, ok := terminal(p.IO.In)
	if !ok {
		return "", ErrNoTerminal
	}
	if p.Progress != nil {
		defer p.Progress.Pause()()
	}
	fmt.Fprint(p.IO.Err, Clean(prompt))
	line, err := wait(p.Context, fd, func() (string, error) { return readLine(p.IO.In) })
	return strings.TrimSpace(line), err
}

// Confirm asks a question whose answer must be typed out as yes or no.
func (p Prompt) Confirm(prompt string) (bool, error) {
	fd, ok := terminal(p.IO.In)
	if !ok {
		return false, ErrNoTerminal
	}
	if p.Progress != nil {
		defer p.Progress.Pause()()
	}
	for {
		fmt.Fprint(p.IO.Err, Clean(prompt)+" (yes/no) ")
		line, err := wait(p.Context, fd, func() (string, error) { return readLine(p.IO.In) })
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "yes":
			return true, nil
		case "no":
			return false, nil
		}
		if err != nil {
			return false, err
		}
		fmt.Fprintln(p.IO.Err, "type yes or no, as a whole word")
	}
}

// readLine reads byte by byte, so that nothing of the next answer is lost.
func readLine(r io.Reader) (string, error) {
	var b []byte
	one := make([]byte, 1)
	for len(b) < 1024 {
		if _, err := r.Read(one); err != nil {
			return string(b), err
		}
		if one[0] == '\n' {
			break
		}
		b = append(b, one[0])
	}
	return string(b), nil
}
