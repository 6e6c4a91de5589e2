// Package report writes a report in one of several formats.
package report

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"

	"picket/internal/core/audit"
)

// A Format writes one report.
type Format struct {
	Name string
	Doc  string
	Func func(io.Writer, audit.Report) error
}

// Formats that do not depend on a terminal; text has options of its own.
func Formats() []Format {
	return []Format{
		{"json", "one document, see docs/report.schema.json", JSON},
		{"html", "one self-contained page", HTML},
		{"markdown", "a page for a wiki or an issue", Markdown},
		{"csv", "a line a control, for a spreadsheet", CSV},
		{"sarif", "SARIF 2.1.0, for code scanning", SARIF},
		{"junit", "JUnit's XML, for a build server", JUnit},
		{"ocsf", "OCSF Compliance Findings, one a line", OCSF},
		{"prometheus", "metrics, for node_exporter's text files", Prometheus},
	}
}

// Names of all formats, text first.
func Names() []string {
	names := []string{"text"}
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return slices.Clip(names)
}

// Several reports whether a format can hold the reports of several hosts.
func Several(format string) bool { return format == "text" || format == "json" }

// JSON writes the document that others build on.
func JSON(w io.Writer, r audit.Report) error { return encode(w, r) }

// JSONArray writes the documents of several hosts as one array.
// One after the other: that of many hosts is not held in memory as a whole.
func JSONArray(w io.Writer, rs []audit.Report) error {
	for i, r := range rs {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("  ", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
		between := ",\n  "
		if i == 0 {
			between = "[\n  "
		}
		if _, err := io.WriteString(w, between); err != nil {
			return err
		}
		if _, err := w.Write(bytes.TrimRight(b.Bytes(), "\n")); err != nil {
			return err
		}
	}
	end := "\n]\n"
	if len(rs) == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
