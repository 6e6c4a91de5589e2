package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadReports reads what `picket audit --output json` has written: one report,
// or an array of several. An error names the line. Fields that are not known are passed over: a
// later version of the same schema may have added them.
func ReadReports(data []byte) (rs []Report, err error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '[' {
		err = decodeAll(data, &rs)
	} else {
		rs = make([]Report, 1)
		err = decodeAll(data, &rs[0])
	}
	if err != nil {
		return nil, err
	}
	if len(rs) == 0 {
		return nil, errors.New("it holds no report")
	}
	for i, r := range rs {
		if why := r.wrong(); why != "" {
			if len(rs) > 1 {
				why = fmt.Sprintf("report %d: %s", i+1, why)
			}
			return nil, errors.New(why)
		}
	}
	return rs, nil
}

// decodeAll decodes one JSON value that is all there is, and says in which line
// it is wrong.
func decodeAll(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	err := dec.Decode(v)
	at := dec.InputOffset()
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			at, err = dec.InputOffset(), errors.New("something follows the report")
		}
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends in the middle: it was cut off")
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
		err = fmt.Errorf("%s is a %s", strings.TrimPrefix(kind.Field, "."), kind.Value)
	}
	line := 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n"))
	return fmt.Errorf("line %d: %w", line, err)
}

// wrong says what keeps a report from being one.
func (r Report) wrong() string {
	switch {
	case r.Schema == "":
		return "it has no schema: it is no report of Picket"
	case r.Schema != Schema && strings.HasPrefix(r.Schema, "picket.report/"):
		return "it is of schema " + r.Schema + ", and this Picket reads " + Schema + ": take a newer one"
	case r.Schema != Schema:
		return "it is of schema " + r.Schema + ", want " + Schema
	case r.Host.Name == "" || r.Taken.IsZero() || r.Results == nil:
		return "host, taken or results are missing"
	}
	for _, res := range r.Results {
		switch {
		case res.Control == "":
			return "a result names no control"
		case !res.Verdict.Valid():
			return fmt.Sprintf("%s: there is no verdict %q", res.Control, res.Verdict)
		case res.Severity.Rank() < 0:
			return fmt.Sprintf("%s: there is no severity %q", res.Control, res.Severity)
		}
	}
	return ""
}
