package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/snap"
)

const unfinished = "its answer did not come to an end"

// command keeps a part of a command's answer.
func (a *answer) command(s *stream, name string, args []string) error {
	if len(args) == 0 {
		return errGarbage
	}
	i, err := strconv.Atoi(args[0])
	if err != nil || i < 0 || i >= len(a.m.Commands) {
		return errGarbage
	}
	o := a.outs[i]
	if o == nil {
		o = &snap.Output{Argv: a.m.Commands[i].Argv}
		a.outs[i] = o
	}
	switch name {
	case secAbsent:
		o.Missing = true
	case secCommand:
		o.Exit, o.Err = -1, unfinished
		o.Stdout, o.Cut, err = s.keep(snap.MaxOutput)
	case secExit:
		if len(args) < 2 {
			return errGarbage
		}
		if o.Exit, err = strconv.Atoi(args[1]); err != nil {
			return errGarbage
		}
		o.Err = ""
		switch p, _ := snap.Permit(o.Argv); {
		case o.Exit > 128 && o.Exit < 160 && o.Exit != 137:
			o.Exit, o.Err = -1, fmt.Sprintf("ended by signal %d", o.Exit-128)
		case o.Exit == 137:
			o.Exit, o.Err = -1, "no answer after "+short(a.limit.of(p))
		}
		var text []byte
		text, _, err = s.keep(maxStderr)
		o.Stderr = strings.ToValidUTF8(string(text), "\uFFFD")
		if o.Cut {
			o.Exit, o.Err = -1, tooMuch
		}
	}
	return err
}

// short writes a duration as a person would: 10s, 2m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	return s
}
