package harden

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/plan"
	"picket/internal/host/shell"
)

// A Change is one that was made on a host, as it stands there.
type Change struct {
	ID      string
	State   string        // prepared, applying, applied, confirmed, undoing, undone or stuck
	Since   time.Time     // when it came into that state, by the host's clock
	Left    time.Duration // of one that is applied: until it goes back by itself
	Steps   []plan.Line
	ToYou   []string // controls whose findings it left to a person
	Journal []string // of what the host did, a line each
}

// Back reports whether there is something to take back.
func (c Change) Back() bool {
	switch c.State {
	case "applying", "applied", "confirmed", "undoing", "stuck":
		return true
	}
	return false
}

// list prints what is asked of each transaction: a word, a blank, and the value; of files in base64.
const list = `cd ` + Box + ` 2>/dev/null || exit 0
printf 'up %s\n' "$(cut -d. -f1 /proc/uptime)"
for t in $(ls -r); do
	[ -e "$t/tx" ] || continue
	printf 'tx %s\nstate %s\n' "$t" "$(cat "$t/state" 2>/dev/null || echo prepared)"
	printf 'since %s\n' "$(stat -c %Y "$t/state" 2>/dev/null || stat -c %Y "$t")"
	printf 'due %s\n' "$(cat "$t/due" 2>/dev/null)"
	for f in plan left journal; do
		[ ! -r "$t/$f" ] || printf '%s %s\n' "$f" "$(base64 <"$t/$f" | tr -d '\n')"
	done
done`

// History reads the changes that were made on a host, the newest first.
func History(ctx context.Context, sh shell.Shell) ([]Change, error) {
	out, exit, err := sh.Run(ctx, list, nil, nil)
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit status %d", exit)
	}
	if err != nil {
		return nil, err
	}
	return readHistory(out)
}

func readHistory(out []byte) (all []Change, err error) {
	var up int64
	for line := range bytes.Lines(out) {
		word, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if word == "tx" {
			all = append(all, Change{ID: value})
			continue
		}
		number, numberErr := strconv.ParseInt(value, 10, 64)
		if word == "up" && numberErr == nil {
			up = number
			continue
		}
		if len(all) == 0 {
			continue
		}
		c := &all[len(all)-1]
		switch word {
		case "state":
			c.State = value
		case "since":
			if numberErr != nil {
				return nil, errors.New("the host's answer cannot be understood")
			}
			c.Since = time.Unix(number, 0).UTC()
		case "due":
			if c.State == "applied" && numberErr == nil {
				c.Left = max(0, time.Duration(number-up)*time.Second)
			}
		case "plan", "left", "journal":
			data, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				return nil, errors.New("the host's answer cannot be understood")
			}
			switch word {
			case "plan":
				c.Steps = plan.ReadLines(data)
			case "left":
				c.ToYou = strings.Fields(string(data))
			default:
				c.Journal = strings.Split(strings.TrimRight(string(data), "\n"), "\n")
			}
		}
	}
	return all, nil
}
