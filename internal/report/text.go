package report

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/snap"
	"picket/internal/ui"
)

// Text writes for a person at a terminal: worst first.
type Text struct {
	Width int
	Style ui.Style
	Short bool   // one screen: the worst findings and what to type next
	All   bool   // every detail, also of what passes and does not apply
	Fixes bool   // fixes to their end, not only the commands that they begin with
	Name  string // of the program, as it can be typed here; "" is picket
	Next  []Hint // what to type next; may be empty

	// Apply is the command that has Picket make what a finding is about right, "" where it cannot; nil: it never can.
	Apply func(control string) string

	host audit.Host // of the report that is written
}

// shortLines is how many lines the findings of the short form may take: with
// the head, the foot and the next prompt they fit on a screen of 24 lines.
const shortLines = 13

// fewResults is how many results are shown with every detail, whatever their
// severity: somebody has asked for just these.
const fewResults = 12

// indent is where the text beside a severity stands.
var indent = strings.Repeat(" ", 10)

// Write writes one report.
func (t Text) Write(w io.Writer, r audit.Report) error {
	t.host = r.Host
	b := &strings.Builder{}
	t.head(b, r)
	if where := elsewhere(r); where != "" && !t.Short {
		fmt.Fprintln(b, t.Style.Paint(where, ui.Yellow))
	}
	if t.Short {
		t.worst(b, r)
	} else {
		t.findings(b, r)
		t.unknown(b, r)
		t.waived(b, r)
		if t.All {
			t.list(b, r, "Passed", control.Pass)
			t.list(b, r, "Does not apply here", control.NotApplicable)
		}
	}
	t.notes(b, r.Problems)
	hints(b, t.Next, t.Width, t.Style)
	_, err := io.WriteString(w, b.String())
	return err
}

// elsewhere says for what machine the fixes are, where it is not the reader's.
func elsewhere(r audit.Report) string {
	if !slices.ContainsFunc(r.Results, audit.Result.Finding) {
		return ""
	}
	switch r.Host.Via {
	case "ssh":
		return "Commands of picket are typed on the computer from which it is run; all others on " + oneLine(r.Host.Name) + "."
	case "image":
		return "The fixes are for the system in this image: type them there once it runs, not here."
	}
	return ""
}

func (t Text) notes(b *strings.Builder, notes []string) {
	for i, p := range notes {
		if t.Short && i == 1 {
			fmt.Fprintf(b, "%s\n", t.Style.Paint(fmt.Sprintf("note: %d more, see picket audit", len(notes)-1), ui.Yellow))
			return
		}
		text := ui.Clean(p)
		if t.Short {
			text = ui.Cut(text, t.Width-9)
		}
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint(ui.Wrap("note: "+text, t.Width, "  "), ui.Yellow))
	}
}

func (t Text) head(b *strings.Builder, r audit.Report) {
	name := []string{t.Style.Paint(oneLine(r.Host.Name), ui.Bold)}
	for _, s := range []string{r.Host.OS, r.Host.Model} {
		if s != "" {
			name = append(name, oneLine(s))
		}
	}
	fmt.Fprintln(b, strings.Join(name, " · "))
	if len(r.Apps) > 0 && !t.Short {
		var apps []string
		for _, a := range r.Apps {
			apps = append(apps, a.Name)
		}
		fmt.Fprintln(b, ui.Wrap("applications: "+strings.Join(apps, ", "), t.Width, "  "))
	}
	color := map[string]string{bad: ui.Red, fair: ui.Yellow, good: ui.Green}[band(r)]
	score := t.Style.Paint(fmt.Sprintf("score %d of 100", r.Score), color, ui.Bold)
	if r.Confidence == 0 && r.Counts.Waived == 0 {
		score = t.Style.Paint("no score", ui.Yellow, ui.Bold)
	}
	if r.Counts.Waived > 0 {
		score += fmt.Sprintf(" (%d without waivers)", r.ScoreWithoutWaivers)
	}
	fmt.Fprintf(b, "%s · judged %d %% of what applies", score, r.Confidence)
	if !r.Host.Root {
		fmt.Fprint(b, t.Style.Paint(" · read without root", ui.Yellow))
	}
	fmt.Fprintln(b)

	fmt.Fprintf(b, "%s · %d passed", findings(r, t.Style), r.Counts.Pass)
	if r.Counts.Unknown > 0 {
		fmt.Fprintf(b, " · %d unknown", r.Counts.Unknown)
	}
	if r.Counts.Waived > 0 {
		fmt.Fprintf(b, " · %d waived", r.Counts.Waived)
	}
	if r.Tried > 0 {
		fmt.Fprintf(b, " · %d tried", r.Tried)
	}
	if r.Counts.Error > 0 {
		fmt.Fprint(b, t.Style.Paint(fmt.Sprintf(" · %d errors in Picket itself", r.Counts.Error), ui.Red))
	}
	fmt.Fprintln(b)
}

// What the colour of a score says.
const (
	bad  = "bad"
	fair = "fair"
	good = "good"
)

// band is good only where nothing urgent stands and enough is known: most
// controls are of little weight, so that a host with an open door may have many
// points.
func band(r audit.Report) string {
	urgent := slices.ContainsFunc(r.Results, func(res audit.Result) bool {
		return res.Finding() && (res.Severity == control.High || res.Severity == control.Critical)
	})
	switch {
	case r.Score <= audit.CriticalCap:
		return bad
	case urgent, r.Score < 80, r.Confidence < 50:
		return fair
	}
	return good
}

// oneLine keeps a host's words from making lines of their own.
func oneLine(s string) string { return ui.Clean(strings.Join(strings.Fields(s), " ")) }

func severityColor(s control.Severity) []string {
	switch s {
	case control.Critical:
		return []string{ui.Red, ui.Bold}
	case control.High:
		return []string{ui.Red}
	case control.Medium:
		return []string{ui.Yellow}
	}
	return []string{ui.Blue}
}

// shown are the results that are said first: findings and bugs.
func shown(r audit.Report) []audit.Result {
	var out []audit.Result
	for _, res := range r.Results {
		if res.Finding() || res.Verdict == control.Error {
			out = append(out, res)
		}
	}
	return out
}

// worst is the short form: as many findings as a screen holds.
func (t Text) worst(b *strings.Builder, r audit.Report) {
	all := shown(r)
	lines := min(len(r.Problems), 2) // notes take room too
	if lines > 0 {
		lines++
	}
	for i, res := range all {
		text := ui.Wrap(ui.Cut(ui.Clean(sentence(res)), 3*(t.Width-len(indent))-8), t.Width, indent)
		n := 2 + strings.Count(text, "\n")
		if lines+n > shortLines {
			fmt.Fprintf(b, "\n%s… and %d more\n", indent, len(all)-i)
			return
		}
		if i == 0 {
			fmt.Fprintln(b)
		}
		lines += n
		fmt.Fprintf(b, "%s  %s\n%s%s\n", t.mark(res), t.name(res), indent, text)
	}
}

// findings are the long form. What is only good order takes a line each,
// unless every detail, or so few controls, were asked for.
func (t Text) findings(b *strings.Builder, r audit.Report) {
	full := t.All || len(r.Results) <= fewResults
	var low []audit.Result
	for _, res := range shown(r) {
		if res.Severity == control.Low && res.Verdict != control.Error && !full {
			low = append(low, res)
			continue
		}
		t.finding(b, res)
	}
	if len(low) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s  %s\n", t.Style.Paint("LOW     ", severityColor(control.Low)...),
		t.Style.Paint(fmt.Sprintf("%d of good order; --all shows the details", len(low)), ui.Dim))
	for _, res := range low {
		fmt.Fprintf(b, "%s%s\n%s  %s\n", indent, t.name(res), indent, ui.Wrap(ui.Clean(sentence(res)), t.Width, indent+"  "))
	}
}

func (t Text) mark(res audit.Result) string {
	if res.Verdict == control.Error {
		return t.Style.Paint("ERROR   ", ui.Red, ui.Bold)
	}
	return t.Style.Paint(fmt.Sprintf("%-8s", strings.ToUpper(string(res.Severity))), severityColor(res.Severity)...)
}

func (t Text) name(res audit.Result) string {
	s := t.Style.Paint(res.Control, ui.Bold)
	switch res.Verdict {
	case control.Ineffective:
		s += t.Style.Paint(" (configured, not effective)", ui.Magenta)
	case control.Error:
		s += t.Style.Paint(" (please report it)", ui.Magenta)
	}
	return s
}

func (t Text) finding(b *strings.Builder, res audit.Result) {
	fmt.Fprintf(b, "\n%s  %s\n", t.mark(res), t.name(res))
	fmt.Fprintf(b, "%s%s\n", indent, ui.Wrap(ui.Clean(sentence(res)), t.Width, indent))
	in := indent + "      "
	line := func(label, text string) {
		fmt.Fprintf(b, "%s%s\n", indent, t.Style.Paint(fmt.Sprintf("%-5s ", label)+text, ui.Dim))
	}
	if res.Why != "" {
		line("why", ui.Wrap(res.Why, t.Width, in))
	}
	most := 4
	if t.All {
		most = len(res.Evidence)
	}
	for i, e := range res.Evidence {
		label := "seen"
		if i > 0 {
			label = ""
		}
		if i == most {
			line(label, fmt.Sprintf("… %d more: --all", len(res.Evidence)-most))
			break
		}
		line(label, ui.Wrap(ui.Clean(t.seen(e)), t.Width, in+"  "))
	}
	apply := ""
	if t.Apply != nil {
		apply = t.Apply(res.Control)
	}
	commands, more := firstCommands(res.Fix)
	if len(commands) > 0 || t.Fixes || apply != "" { // else the explanation tells of it
		label, risk := "risk", slices.Clone(res.Risk)
		if !t.Fixes {
			risk = slices.DeleteFunc(risk, func(r string) bool { return r == "reboot" })
		}
		for _, r := range Risks(risk) {
			line(label, ui.Wrap(r, t.Width, in))
			label = ""
		}
	}
	label := "fix  "
	if apply != "" {
		fmt.Fprintf(b, "%s%s %s\n", indent, t.Style.Paint(label, ui.Dim), t.Style.Paint(apply, ui.Bold))
		label = "or   "
	}
	if t.Fixes {
		t.whole(b, res, strings.TrimSpace(label), line, in)
		return
	}
	for _, c := range commands { // not wrapped: a command is there to be copied
		fmt.Fprintf(b, "%s%s %s\n", indent, t.Style.Paint(label, ui.Dim), ui.Clean(c))
		label = "     "
	}
	switch {
	case more && len(commands) > 0:
		line("", "and more: "+t.explain(res))
	case more:
		line(strings.TrimSpace(label), t.explain(res))
	}
}

// whole writes a fix to its end, and what else to know before it is typed.
func (t Text) whole(b *strings.Builder, res audit.Result, label string, line func(label, text string), in string) {
	for _, s := range Steps(res.Fix) {
		if !s.Code {
			line(label, ui.Wrap(ui.Clean(s.Text), t.Width, in))
			label = ""
			continue
		}
		for c := range strings.Lines(s.Text) { // not wrapped: a command is there to be copied
			fmt.Fprintf(b, "%s%s %s\n", indent, t.Style.Paint(fmt.Sprintf("%-5s", label), ui.Dim), ui.Clean(strings.TrimRight(c, "\n")))
			label = ""
		}
	}
	if res.Note != "" {
		line("note", ui.Wrap(res.Note, t.Width, in))
	}
}

// explain is the command that says the rest.
func (t Text) explain(res audit.Result) string {
	return explained(t.Name, res.Control, t.host)
}

// explained is the command that explains a control, with the host that it is about, where that is another machine.
func explained(name, control string, h audit.Host) string {
	command := cmp.Or(name, "picket") + " explain " + control
	if h.Via == "ssh" && h.Target != "" {
		command += " " + snap.CommandKey(h.Target)
	}
	return command
}

// sentence is the reason; a rule whose reason is bare is introduced by what
// should be true.
func sentence(res audit.Result) string { return cmp.Or(res.Reason, res.Title) }

func (t Text) seen(e control.Evidence) string {
	place := e.Place
	if !t.All {
		place = shortPlace(place)
	}
	s := place + ": " + e.Fact
	switch {
	case strings.HasPrefix(e.Fact, strings.ReplaceAll(strings.TrimPrefix(place, "/proc/sys/"), "/", ".")):
		s = e.Fact // the name of a kernel setting is its place
	case path.Base(place) == e.Fact, place == e.Fact, strings.HasPrefix(e.Found, e.Fact+" "):
		s = place
	}
	if e.Found != "" {
		s += ": " + e.Found
	}
	if e.Wanted != "" {
		s += ", wanted " + e.Wanted
	}
	return s
}

// shortPlace leaves out the options of a command that only shape its output.
func shortPlace(place string) string {
	if !strings.HasPrefix(place, "`") {
		return place
	}
	words := strings.Fields(strings.Trim(place, "`"))
	words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") })
	return "`" + strings.Join(words, " ") + "`"
}

func (t Text) unknown(b *strings.Builder, r audit.Report) {
	groups := Unknowns(r)
	if len(groups) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Could not be judged", ui.Bold))
	for _, g := range groups {
		cause := ui.Clean(g.Cause)
		if g.Hint != "" {
			cause += ": " + g.Hint
		}
		fmt.Fprintf(b, "  %s\n", ui.Wrap(cause, t.Width, "  "))
		most := 5
		for i, m := range g.Missing {
			if i == most && !t.All {
				fmt.Fprintf(b, "    %s\n", t.Style.Paint(fmt.Sprintf("… %d more: --all", len(g.Missing)-most), ui.Dim))
				break
			}
			fmt.Fprintf(b, "    %s\n", ui.Wrap(ui.Clean(m), t.Width, "      "))
		}
		var ids []string
		for _, res := range g.Results {
			ids = append(ids, res.Control)
		}
		if most = 8; len(ids) > most && !t.All {
			ids = append(ids[:most:most], fmt.Sprintf("and %d more", len(g.Results)-most))
		}
		fmt.Fprintf(b, "    %s\n", t.Style.Paint(ui.Wrap(strings.Join(ids, " "), t.Width, "    "), ui.Dim))
	}
}

func (t Text) waived(b *strings.Builder, r audit.Report) {
	first := true
	for _, res := range r.Results {
		if res.Waiver == nil {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Waived", ui.Bold))
			first = false
		}
		text := fmt.Sprintf("%s until %s by %s: %s", res.Control, res.Waiver.Until.AddDate(0, 0, -1).Format("2006-01-02"),
			oneLine(res.Waiver.Owner), oneLine(res.Waiver.Reason))
		fmt.Fprintf(b, "  %s\n", ui.Wrap(text, t.Width, "    "))
	}
}

func (t Text) list(b *strings.Builder, r audit.Report, title string, v control.Verdict) {
	first := true
	for _, res := range r.Results {
		if res.Verdict != v {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n%s\n", t.Style.Paint(title, ui.Bold))
			first = false
		}
		fmt.Fprintf(b, "  %-34s %s\n", res.Control, ui.Wrap(ui.Clean(res.Reason), t.Width, strings.Repeat(" ", 37)))
	}
}

// findings are how many there are of each severity, the worst first.
func findings(r audit.Report, style ui.Style) string {
	counts := map[control.Severity]int{}
	for _, res := range r.Results {
		if res.Finding() {
			counts[res.Severity]++
		}
	}
	var parts []string
	for _, s := range slices.Backward(control.Severities) {
		if counts[s] > 0 {
			parts = append(parts, style.Paint(fmt.Sprintf("%d %s", counts[s], s), severityColor(s)...))
		}
	}
	if len(parts) == 0 {
		return style.Paint("no findings", ui.Green)
	}
	return strings.Join(parts, ", ")
}

// Line is a host's report in one line: its score and its findings.
func Line(r audit.Report) string {
	return fmt.Sprintf("score %d, %s", r.Score, findings(r, ui.Style{}))
}
