package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"picket/internal/core/plan"
	"picket/internal/harden"
	"picket/internal/ui"
)

// HistorySchema identifies the history's JSON form; its fields are described in docs/history.schema.json.
const HistorySchema = "picket.history/1"

type jsonHistory struct {
	Schema  string       `json:"schema"`
	Target  string       `json:"target"`
	Changes []jsonChange `json:"changes"`
}

type jsonChange struct {
	ID       string      `json:"id"`
	State    string      `json:"state"`
	Since    time.Time   `json:"since"`
	Seconds  *int        `json:"secondsLeft"` // of one that is applied
	Controls []string    `json:"controls"`
	Steps    []plan.Line `json:"steps"`
	Left     []string    `json:"leftToYou"`
	Journal  []string    `json:"journal"`
}

func historyJSON(w io.Writer, target string, all []harden.Change) error {
	out := jsonHistory{HistorySchema, target, []jsonChange{}}
	for _, c := range all {
		j := jsonChange{ID: c.ID, State: c.State, Since: c.Since, Controls: plan.ControlsOf(c.Steps),
			Steps: append([]plan.Line{}, c.Steps...), Left: append([]string{}, c.ToYou...), Journal: append([]string{}, c.Journal...)}
		if c.State == "applied" {
			s := int(c.Left.Seconds())
			j.Seconds = &s
		}
		for n := range j.Steps {
			j.Steps[n].Controls = append([]string{}, j.Steps[n].Controls...)
		}
		out.Changes = append(out.Changes, j)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (p *program) historyText(w io.Writer, target, tx string, all []harden.Change) error {
	b := &strings.Builder{}
	switch {
	case tx != "":
		p.wholeChange(b, target, all[0])
	case len(all) == 0:
		fmt.Fprintln(b, "Picket has changed nothing there")
	default:
		for _, c := range all {
			p.oneChange(b, target, c)
		}
		fmt.Fprintf(b, "\nWhat one changed: %s\n", p.typedOn(target, "history "+all[0].ID))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// when is a time as it is shown.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// column is where the text beside a change's name stands.
var column = strings.Repeat(" ", 17)

// oneChange is a change in the list.
func (p *program) oneChange(w io.Writer, target string, c harden.Change) {
	fmt.Fprintf(w, "%-15s  %-9s  %s  %s\n", ui.Clean(c.ID), ui.Clean(c.State), when(c.Since), counted(len(c.Steps), "step"))
	fmt.Fprintf(w, "%s%s\n", column, ui.Wrap(few(c), p.width(), column))
	if text := p.stands(target, c); text != "" {
		fmt.Fprintf(w, "%s%s\n", column, text)
	}
}

// stands says what is to be done about a change, "" where nothing is.
func (p *program) stands(target string, c harden.Change) string {
	switch c.State {
	case "applied":
		return "goes back by itself in " + span(c.Left) + "; to keep it:\n" + column + p.typedOn(target, "confirm "+c.ID)
	case "prepared":
		return "refused before its first step: nothing was changed"
	case "stuck":
		return "not all could be taken back; to try again:\n" + column + p.typedOn(target, "rollback "+c.ID)
	}
	return ""
}

// few are the controls that a change was for, or the first of them.
func few(c harden.Change) string {
	ids := plan.ControlsOf(c.Steps)
	const most = 6
	if len(ids) > most {
		ids = append(ids[:most:most], fmt.Sprintf("and %d more", len(ids)-most))
	}
	return ui.Clean(strings.Join(ids, ", "))
}

// wholeChange is all of one change.
func (p *program) wholeChange(w io.Writer, target string, c harden.Change) {
	bold := func(s string) string { return p.style.Paint(s, ui.Bold) }
	fmt.Fprintf(w, "%s · %s since %s · %s\n", bold(c.ID), ui.Clean(c.State), when(c.Since), counted(len(c.Steps), "step"))
	if text := p.stands(target, c); text != "" {
		fmt.Fprintf(w, "%s%s\n", column, text)
	}
	title := "What it changed"
	if c.State == "prepared" {
		title = "What it would have changed"
	}
	fmt.Fprintf(w, "\n%s\n", bold(title))
	for _, l := range c.Steps {
		fmt.Fprintf(w, "  %s\n", ui.Wrap(ui.Clean(l.InWords()), p.width(), "    "))
		fmt.Fprintf(w, "    %s\n", p.style.Paint(ui.Wrap(ui.Clean("for "+strings.Join(l.Controls, ", ")), p.width(), "    "), ui.Dim))
	}
	if len(c.ToYou) > 0 {
		fmt.Fprintf(w, "\n%s\n  %s\n", bold("What it left to you"), ui.Wrap(ui.Clean(strings.Join(c.ToYou, ", ")), p.width(), "  "))
	}
	if len(c.Journal) > 0 {
		fmt.Fprintf(w, "\n%s\n", bold("Journal of the host"))
	}
	for _, line := range c.Journal {
		fmt.Fprintf(w, "  %s\n", ui.Wrap(ui.Clean(line), p.width(), "    "))
	}
	if c.Back() {
		fmt.Fprintf(w, "\nTo take it back: %s\n", p.typedOn(target, "rollback "+c.ID))
	}
}
