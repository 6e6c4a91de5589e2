package plan

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/snap"
)

// Schema identifies a plan that is kept; docs/format-plan.md has its fields.
const Schema = "picket.plan/1"

// A Saved plan is one that is kept in a file, to be reviewed and applied later.
type Saved struct {
	Picket   string        // version of the program that made it
	Made     time.Time     // when
	Taken    time.Time     // when the host was read for it
	Profile  string        // whose controls it is about
	Policy   change.Policy // that it was made with
	Identity Identity
	Plan     Plan
}

// The forms in JSON. Fields of a Saved that are plain values stand in them as they are.
type (
	jsonSaved struct {
		Schema   string         `json:"schema"`
		Picket   string         `json:"picket"`
		Made     time.Time      `json:"made"`
		Taken    time.Time      `json:"taken"`
		Profile  string         `json:"profile"`
		Policy   *change.Policy `json:"policy,omitempty"`
		Host     audit.Host     `json:"host"`
		Identity Identity       `json:"identity"`
		Items    []jsonItem     `json:"items"`
		Steps    []jsonStep     `json:"steps"`
		Ways     []Way          `json:"ways"`
		Blind    string         `json:"blind,omitempty"`
		Running  []string       `json:"running,omitempty"`
		Ports    []Port         `json:"ports,omitempty"`
		Judged   int            `json:"judged"`
		Unknown  []Unjudged     `json:"unknown"`
	}
	jsonItem struct {
		Control  string           `json:"control"`
		Title    string           `json:"title"`
		Severity control.Severity `json:"severity"`
		Reason   string           `json:"reason"`
		Risk     []string         `json:"risk,omitempty"`
		Guard    string           `json:"guard,omitempty"`
		Edits    []jsonEdit       `json:"edits,omitempty"`
		Steps    []jsonStep       `json:"steps,omitempty"`
		Later    []string         `json:"later,omitempty"`
		Told     []string         `json:"told,omitempty"`
		Left     string           `json:"left,omitempty"`
		Wanted   []string         `json:"wanted,omitempty"`
		ByHand   bool             `json:"byHand,omitempty"`
		Fix      string           `json:"fix,omitempty"`
	}
	jsonEdit struct {
		Path   string     `json:"path"`
		Before *jsonThing `json:"before"`
		After  *jsonThing `json:"after"`
		Secret int        `json:"secret,omitempty"`
	}
	jsonStep struct {
		Verb     change.Verb `json:"verb"`
		Name     string      `json:"name"`
		Args     []string    `json:"args,omitempty"`
		Before   *jsonThing  `json:"before,omitempty"`
		After    *jsonThing  `json:"after,omitempty"`
		Controls []string    `json:"controls"`
	}
	jsonThing struct {
		Type    snap.Type `json:"type"`
		Mode    string    `json:"mode,omitempty"`
		UID     int       `json:"uid"`
		GID     int       `json:"gid"`
		Target  string    `json:"target,omitempty"`
		Sum     string    `json:"sum,omitempty"`
		Content *string   `json:"content,omitempty"`
		Base64  *string   `json:"base64,omitempty"`
	}
)

// Encode writes it. It refuses a name that JSON cannot hold.
func (s Saved) Encode() ([]byte, error) {
	out := jsonSaved{
		Schema: Schema, Picket: s.Picket, Made: s.Made.UTC().Truncate(time.Second), Taken: s.Taken.UTC().Truncate(time.Second), Profile: s.Profile, Host: s.Plan.Host,
		Identity: s.Identity, Items: []jsonItem{}, Steps: stepsToJSON(s.Plan.Steps), Ways: append([]Way{}, s.Plan.Ways...), Blind: s.Plan.Blind, Running: s.Plan.Running, Ports: s.Plan.Ports, Judged: s.Plan.Judged, Unknown: append([]Unjudged{}, s.Plan.Unknown...),
	}
	if !reflect.DeepEqual(s.Policy, change.Policy{}) {
		out.Policy = &s.Policy
	}
	for _, i := range s.Plan.Items {
		j := jsonItem{Control: i.Control, Title: i.Title, Severity: i.Severity, Reason: i.Reason, Risk: i.Risk, Guard: i.Guard, Later: i.Later, Told: i.Told, Left: i.Left, Wanted: i.Wanted, ByHand: i.ByHand, Fix: i.Fix}
		for _, e := range i.Edits {
			j.Edits = append(j.Edits, jsonEdit{e.Path, thingToJSON(e.Before), thingToJSON(e.After), e.Secret})
		}
		if len(i.Steps) > 0 {
			j.Steps = stepsToJSON(i.Steps)
		}
		out.Items = append(out.Items, j)
	}
	for _, st := range out.Steps {
		for _, name := range slices.Concat([]string{st.Name}, st.Args) {
			if !utf8.ValidString(name) {
				return nil, fmt.Errorf("%q cannot stand in a plan that is kept: it is not valid UTF-8", name)
			}
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func stepsToJSON(steps []change.Step) []jsonStep {
	out := []jsonStep{}
	for _, s := range steps {
		j := jsonStep{Verb: s.Verb, Name: s.Name, Args: s.Args, Controls: s.Controls}
		if s.Verb == change.File {
			j.Before, j.After = thingToJSON(s.Before), thingToJSON(s.After)
		}
		out = append(out, j)
	}
	return out
}

func thingToJSON(t change.Thing) *jsonThing {
	if t.Type == "" {
		return nil
	}
	out := &jsonThing{Type: t.Type, Mode: fmt.Sprintf("%04o", t.Mode), UID: t.UID, GID: t.GID, Target: t.Target}
	if t.Type != snap.File {
		return out
	}
	out.Sum = Sum(t)
	switch {
	case t.Opaque:
	case utf8.Valid(t.Content):
		text := string(t.Content)
		out.Content = &text
	default:
		text := base64.StdEncoding.EncodeToString(t.Content)
		out.Base64 = &text
	}
	return out
}
