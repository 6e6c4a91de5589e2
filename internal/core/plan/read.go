package plan

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// MaxSaved bounds a plan that is kept, in bytes.
const MaxSaved = 64 << 20

// Read reads what [Saved.Encode] has written. Reading is strict, as it is there to be applied: what it does not know
// it refuses, with line and place.
func Read(data []byte) (Saved, error) {
	r := reader{data: data, at: map[string]int64{}}
	var in jsonSaved
	if err := r.decode(&in); err != nil {
		return Saved{}, err
	}
	out := Saved{Picket: in.Picket, Made: in.Made, Taken: in.Taken, Profile: in.Profile, Identity: in.Identity}
	if in.Policy != nil {
		out.Policy = *in.Policy
	}
	out.Plan = Plan{Host: in.Host, Ways: in.Ways, Blind: in.Blind, Running: in.Running, Ports: in.Ports, Judged: in.Judged, Unknown: in.Unknown}
	for _, need := range []struct {
		at   string
		none bool
	}{
		{"picket", in.Picket == ""}, {"made", in.Made.IsZero()}, {"taken", in.Taken.IsZero()}, {"profile", in.Profile == ""},
		{"host.name", in.Host.Name == ""}, {"host.target", in.Host.Target == ""}, {"host.via", in.Host.Via == ""},
		{"items", in.Items == nil}, {"steps", in.Steps == nil}, {"ways", in.Ways == nil}, {"unknown", in.Unknown == nil},
	} {
		if need.none {
			return Saved{}, fmt.Errorf("%s is missing", need.at)
		}
	}
	for n, j := range in.Items {
		out.Plan.Items = append(out.Plan.Items, r.item(fmt.Sprintf("items[%d]", n), j))
	}
	out.Plan.Steps = r.steps("steps", in.Steps)
	if r.err != nil {
		return Saved{}, r.err
	}
	if _, err := Compile(out.Plan.Steps); err != nil {
		return Saved{}, err
	}
	return out, nil
}

// A reader knows where each part of a document stands, and keeps the first thing that is wrong.
type reader struct {
	data []byte
	at   map[string]int64 // of a place such as items[2].title
	err  error
}

func (r *reader) wrong(place, format string, args ...any) {
	if r.err == nil {
		r.err = r.line(r.offset(place), fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
	}
}

// offset is where a place stands, or, where it is missing, what it is missing in.
func (r *reader) offset(place string) int64 {
	for place != "" {
		if at, ok := r.at[place]; ok {
			return at
		}
		place = place[:max(0, strings.LastIndexAny(place, ".["))]
	}
	return 0
}

func (r *reader) line(offset int64, err error) error {
	return fmt.Errorf("line %d: %w", 1+bytes.Count(r.data[:min(int(offset), len(r.data))], []byte("\n")), err)
}

func (r *reader) decode(into *jsonSaved) error {
	if len(r.data) > MaxSaved {
		return fmt.Errorf("it is larger than %d MB", MaxSaved>>20)
	}
	var version struct {
		Schema string `json:"schema"`
	}
	switch err := json.Unmarshal(r.data, &version); {
	case err != nil:
	case version.Schema == "":
		return errors.New("it has no schema: it is no plan of Picket")
	case version.Schema != Schema && strings.HasPrefix(version.Schema, "picket.plan/"):
		return fmt.Errorf("it is of schema %s, and this Picket reads %s: make it anew", version.Schema, Schema)
	case version.Schema != Schema:
		return fmt.Errorf("it is of schema %s, want %s", version.Schema, Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(r.data))
	err := r.known(dec, reflect.TypeFor[jsonSaved](), "")
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("something follows the plan")
		}
	}
	at := dec.InputOffset()
	if err == nil {
		err = json.Unmarshal(r.data, into)
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF) && len(bytes.TrimSpace(r.data)) > 0:
		return errors.New("it ends in the middle: it was cut off")
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at, err = kind.Offset, fmt.Errorf("%s is a %s", strings.TrimPrefix(kind.Field, "."), kind.Value)
	}
	return r.line(at, err)
}

// known walks through a value and refuses keys that its type does not have, or that stand there twice: a person who
// reviews the plan could see another of them than Picket does.
func (r *reader) known(dec *json.Decoder, t reflect.Type, place string) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	r.at[place] = dec.InputOffset()
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch tok {
	case json.Delim('['):
		var of reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			of = t.Elem()
		}
		for n := 0; dec.More(); n++ {
			if err := r.known(dec, of, fmt.Sprintf("%s[%d]", place, n)); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	case json.Delim('{'):
		fields := fieldsOf(t)
		seen := map[string]bool{}
		for dec.More() {
			tok, err := dec.Token()
			if err != nil {
				return err
			}
			key, _ := tok.(string)
			of, ok := fields[key]
			switch {
			case !ok:
				var names []string
				for name := range fields {
					names = append(names, name)
				}
				slices.Sort(names)
				return errors.New(strings.TrimPrefix(place+": ", ": ") + yaml.UnknownKey(key, names))
			case seen[key]:
				return fmt.Errorf("%s%q is set twice", strings.TrimPrefix(place+": ", ": "), key)
			}
			seen[key] = true
			if err := r.known(dec, of, strings.TrimPrefix(place+"."+key, ".")); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	}
	return err
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	if t == nil || t.Kind() != reflect.Struct {
		return out
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = t.Field(i).Type
	}
	return out
}

func (r *reader) item(place string, j jsonItem) Item {
	switch {
	case j.Control == "":
		r.wrong(place, "it names no control")
	case j.Severity.Rank() < 0:
		r.wrong(place+".severity", "there is no severity %q", j.Severity)
	}
	for n, risk := range j.Risk {
		if !slices.Contains(control.Risks, risk) {
			r.wrong(fmt.Sprintf("%s.risk[%d]", place, n), "there is no risk %q", risk)
		}
	}
	i := Item{Control: j.Control, Title: j.Title, Severity: j.Severity, Reason: j.Reason, Risk: j.Risk, Guard: j.Guard, Later: j.Later, Told: j.Told, Left: j.Left, Wanted: j.Wanted, ByHand: j.ByHand, Fix: j.Fix}
	for n, e := range j.Edits {
		at := fmt.Sprintf("%s.edits[%d]", place, n)
		r.path(at+".path", e.Path)
		i.Edits = append(i.Edits, change.Edit{Control: j.Control, Path: e.Path, Before: r.thing(at+".before", e.Before), After: r.thing(at+".after", e.After), Secret: e.Secret})
	}
	i.Steps = r.steps(place+".steps", j.Steps)
	if i.Changes() == (i.Left != "") {
		r.wrong(place, "it has to be either changed or left, with the reason")
	}
	return i
}

func (r *reader) path(place, p string) {
	if !strings.HasPrefix(p, "/") {
		r.wrong(place, "%q is no path", p)
	}
}

func (r *reader) steps(place string, js []jsonStep) (out []change.Step) {
	for n, j := range js {
		at := fmt.Sprintf("%s[%d]", place, n)
		if len(j.Controls) == 0 {
			r.wrong(at, "it says of no control that it is for it")
		}
		s := change.Step{Verb: j.Verb, Name: j.Name, Args: j.Args, Controls: j.Controls}
		if j.Verb == change.File {
			r.path(at+".name", j.Name)
			s.Before, s.After = r.thing(at+".before", j.Before), r.thing(at+".after", j.After)
		} else if j.Before != nil || j.After != nil {
			r.wrong(at, "only a step of the verb %s has before and after", change.File)
		}
		out = append(out, s)
	}
	return out
}

var octal = regexp.MustCompile(`^[0-7]{4}$`)

func (r *reader) thing(place string, j *jsonThing) (t change.Thing) {
	if j == nil {
		return t
	}
	mode, _ := strconv.ParseUint(j.Mode, 8, 32)
	t = change.Thing{Type: j.Type, Mode: uint32(mode), UID: j.UID, GID: j.GID, Target: j.Target}
	if !octal.MatchString(j.Mode) {
		r.wrong(place+".mode", "want four octal digits, found %q", j.Mode)
	}
	switch {
	case j.Type == snap.File && j.Content != nil && j.Base64 != nil:
		r.wrong(place, "it has content and base64")
	case j.Type == snap.File && j.Content != nil:
		t.Content = []byte(*j.Content)
	case j.Type == snap.File && j.Base64 != nil:
		var err error
		if t.Content, err = base64.StdEncoding.DecodeString(*j.Base64); err != nil {
			r.wrong(place+".base64", "%v", err)
		}
	case j.Type == snap.File:
		t.Opaque = true
	case j.Type != snap.Dir && j.Type != snap.Link:
		r.wrong(place+".type", "want file, dir or link, found %q", j.Type)
	case j.Content != nil || j.Base64 != nil || j.Sum != "":
		r.wrong(place, "only a file has content and sum")
	}
	if t.Type == snap.File && Sum(t) != j.Sum {
		r.wrong(place+".sum", "it is not that of the content: somebody has changed one of them")
	}
	return t
}
