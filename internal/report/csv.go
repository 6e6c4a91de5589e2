package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// csvColumns are the first line of the table.
var csvColumns = []string{"host", "control", "verdict", "severity", "layer", "title", "reason", "configured", "effective", "persistent", "explicit",
	"evidence", "waived until", "waiver", "fix", "cis-debian12", "anssi-bp28", "taken"}

// CSV writes a line a control, for a spreadsheet: RFC 4180, with a head.
func CSV(w io.Writer, r audit.Report) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(csvColumns); err != nil {
		return err
	}
	for _, res := range r.Results {
		until, why := "", ""
		if res.Waiver != nil {
			until, why = res.Waiver.Until.Format("2006-01-02"), res.Waiver.Reason+" ("+res.Waiver.Owner+")"
		}
		line := []string{r.Host.Name, res.Control, string(res.Verdict), string(res.Severity), res.Layer, res.Title, res.Reason,
			told(res.Configured), told(res.Effective), told(res.Persistent), told(res.Explicit),
			strings.Join(evidenceLines(res.Evidence), "\n"), until, why, res.Fix,
			strings.Join(res.Refs.CISDebian12, " "), strings.Join(res.Refs.ANSSI, " "), r.Taken.UTC().Format("2006-01-02T15:04:05Z")}
		for i := range line {
			line[i] = noFormula(line[i])
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// noFormula keeps a spreadsheet from taking what a host sent for a formula.
func noFormula(s string) string {
	s = printable(s)
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// told is yes, no, or nothing where it is not known.
func told(b *bool) string {
	if b == nil {
		return ""
	}
	return map[bool]string{true: "yes", false: "no"}[*b]
}

// evidenceLines puts each piece of evidence on a line.
func evidenceLines(evs []control.Evidence) []string {
	var out []string
	for _, e := range evs {
		s := e.Fact
		if e.Place != "" {
			s = e.Place + ": " + s
		}
		if e.Found != "" {
			s += ": " + e.Found
		}
		if e.Wanted != "" {
			s += ", wanted " + e.Wanted
		}
		out = append(out, printable(strings.Join(strings.Fields(s), " ")))
	}
	return out
}

// printable shows control characters, but for line ends and tabs, as escapes:
// they steer terminals, and XML has no place for them.
func printable(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0xfffe || r == 0xffff, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
