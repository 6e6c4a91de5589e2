// Package audit evaluates a catalogue of controls over the facts of one host
// and gives the report.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// Schema identifies the report's JSON form; its fields are described in
// docs/report.schema.json.
const Schema = "picket.report/1"

// A Report is what was found on one host.
type Report struct {
	Schema              string    `json:"schema"`
	Picket              string    `json:"picket,omitempty"` // version of the program that judged
	Host                Host      `json:"host"`
	Taken               time.Time `json:"taken"` // when the host was read
	Profile             string    `json:"profile"`
	Score               int       `json:"score"` // 0 to 100, see Score
	ScoreWithoutWaivers int       `json:"scoreWithoutWaivers"`
	Confidence          int       `json:"confidence"` // 0 to 100: weighted share of what could be judged
	Counts              Counts    `json:"counts"`
	Apps                []App     `json:"apps,omitempty"`     // applications that were recognised
	Results             []Result  `json:"results"`            // worst first
	Problems            []string  `json:"problems,omitempty"` // what went wrong while reading the host
	Tried               int       `json:"tried,omitempty"`    // attempts at its services that were made, see picket audit --probe
}

// App is an application that the host has.
type App struct {
	Name  string `json:"name"`  // of its profile in catalogue/apps
	Title string `json:"title"` // for a person
	By    string `json:"by"`    // what it was recognised by
}

// Host is how a report names its host.
type Host struct {
	Name   string `json:"name"`
	Target string `json:"target"` // as typed
	Via    string `json:"via"`    // local, ssh, image
	OS     string `json:"os,omitempty"`
	Model  string `json:"model,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	Root   bool   `json:"root"` // read with root's rights
}

// Counts of results by verdict; Waived are also counted under their verdict.
type Counts struct {
	Pass          int `json:"pass"`
	Fail          int `json:"fail"`
	Ineffective   int `json:"ineffective"`
	NotApplicable int `json:"notApplicable"`
	Unknown       int `json:"unknown"`
	Error         int `json:"error"`
	Waived        int `json:"waived"`
}

// A Result is one control's verdict with its grounds.
type Result struct {
	Control    string             `json:"control"`
	Title      string             `json:"title"`
	Layer      string             `json:"layer"`
	Severity   control.Severity   `json:"severity"`
	Verdict    control.Verdict    `json:"verdict"`
	Configured *bool              `json:"configured"`
	Effective  *bool              `json:"effective"`
	Persistent *bool              `json:"persistent"`
	Explicit   *bool              `json:"explicit"`
	Reason     string             `json:"reason"`
	Evidence   []control.Evidence `json:"evidence"`
	Why        string             `json:"why,omitempty"`
	Fix        string             `json:"fix,omitempty"`
	Risk       []string           `json:"risk,omitempty"` // what the fix could cost, see control.Risks
	Note       string             `json:"note,omitempty"` // what else to know before it
	Refs       control.Refs       `json:"refs"`
	Waiver     *Waiver            `json:"waiver"`
}

// Finding reports whether the result is bad and not waived.
func (r Result) Finding() bool { return r.Verdict.Bad() && r.Waiver == nil }

// A Waiver accepts a finding until a date. It lies over a verdict and ends by
// itself.
type Waiver struct {
	Control string    `json:"control"`
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner"`
	Until   time.Time `json:"until"` // the first moment at which it no longer holds
}

// Options of an evaluation.
type Options struct {
	Version string
	Profile string
	Now     time.Time // for waivers
	Waivers []Waiver
}

// Ask returns what is still to be read from a host for these controls. It is
// empty when nothing more is needed.
func Ask(controls []control.Control, s *snap.Snapshot) snap.Manifest {
	m := fact.Ask(s)
	for _, c := range controls {
		m.Add(snap.Manifest{Stats: c.Applies.Paths()})
		if a, ok := c.Rule.(control.Asker); ok {
			m.Add(a.Ask())
		}
	}
	return m.Minus(s)
}

// Evaluate judges a host. The report depends on nothing but its arguments.
func Evaluate(controls []control.Control, s *snap.Snapshot, opt Options) Report {
	h := fact.Parse(s)
	r := Report{
		Schema: Schema, Picket: opt.Version, Taken: s.Taken, Profile: opt.Profile, Problems: s.Problems,
		Host:    HostOf(h),
		Results: []Result{}, Tried: h.ProbeCount(),
	}
	for _, a := range h.Apps.Found() {
		r.Apps = append(r.Apps, App{a.Name, a.Title, cut(a.Sign, MaxText)})
	}
	for _, c := range controls {
		r.Results = append(r.Results, one(c, h, opt))
	}
	r.Problems = slices.Concat(r.Problems, notJudged(controls, h), ended(r.Results, opt))
	slices.SortStableFunc(r.Results, worstFirst)
	r.count()
	r.Score, r.ScoreWithoutWaivers, r.Confidence = Score(r.Results)
	r.own()
	return r
}

// own has a report hold what it says and no more. Its texts are often parts of the files and answers of the host, all of which
// would be held as long as the report is: some megabytes for each of many hosts.
func (r *Report) own() {
	h := &r.Host
	for _, s := range []*string{&h.Name, &h.Target, &h.OS, &h.Model, &h.Kernel} {
		*s = strings.Clone(*s)
	}
	for i := range r.Results {
		res := &r.Results[i]
		res.Reason, res.Evidence = strings.Clone(res.Reason), slices.Clone(res.Evidence)
		for k := range res.Evidence {
			e := &res.Evidence[k]
			for _, s := range []*string{&e.Fact, &e.Place, &e.Found, &e.File, &e.Account, &e.Group} {
				*s = strings.Clone(*s)
			}
			e.Lines = slices.Clone(e.Lines)
			for l := range e.Lines {
				e.Lines[l] = strings.Clone(e.Lines[l])
			}
		}
	}
	for i := range r.Problems {
		r.Problems[i] = strings.Clone(r.Problems[i])
	}
}

// HostOf names a host for a report.
func HostOf(h *fact.Host) Host {
	return Host{
		Name: cmp.Or(cut(h.OS.Hostname.V, MaxText), h.Snap.Source.Target), Target: h.Snap.Source.Target, Via: h.Snap.Source.Kind,
		OS: cut(h.OS.Name.V, MaxText), Model: cut(h.OS.Model.V, MaxText), Kernel: cut(h.OS.Kernel.V, MaxText), Root: h.Snap.Root(),
	}
}

// notJudged names the compose files that could not be read, once for all rules
// about containers: those find what is wrong in the others all the same.
func notJudged(controls []control.Control, h *fact.Host) []string {
	if !slices.ContainsFunc(controls, func(c control.Control) bool { return strings.HasPrefix(c.ID, "docker/") }) {
		return nil
	}
	var out []string
	for _, what := range h.Composed.NotJudged() {
		out = append(out, "not judged: "+cut(what, MaxReason))
	}
	return out
}

// ended says of which findings a waiver has run out.
func ended(results []Result, opt Options) []string {
	var out []string
	for _, res := range results {
		last := time.Time{}
		for _, w := range opt.Waivers {
			if w.Control == res.Control && w.Until.After(last) {
				last = w.Until
			}
		}
		if res.Finding() && !last.IsZero() {
			out = append(out, fmt.Sprintf("the waiver for %s ended after %s; it is a finding again", res.Control, last.AddDate(0, 0, -1).Format(time.DateOnly)))
		}
	}
	return out
}

// one evaluates a control. A rule that panics is our bug and must not hide
// the other rules' answers.
func one(c control.Control, h *fact.Host, opt Options) (res Result) {
	res = Result{
		Control: c.ID, Title: c.Title, Layer: c.Layer, Severity: c.Severity,
		Why: c.Why, Fix: c.Fix, Risk: c.Risk, Note: c.Note, Refs: c.Refs, Evidence: []control.Evidence{},
	}
	defer func() {
		if p := recover(); p != nil {
			res.Verdict = control.Error
			res.Reason = fmt.Sprintf("a bug in Picket: %v", p)
		}
		res.bounded()
	}()
	o := Outcome(c, h)
	res.Verdict, res.Reason = o.Verdict, o.Reason
	res.Configured, res.Effective = o.Configured.Ptr(), o.Effective.Ptr()
	res.Persistent, res.Explicit = o.Persistent.Ptr(), o.Explicit.Ptr()
	if o.Evidence != nil {
		res.Evidence = o.Evidence
	}
	if res.Verdict.Bad() {
		res.Fix = fill(c.Fix, res.Evidence)
	}
	for _, w := range opt.Waivers {
		if w.Control == c.ID && res.Verdict.Bad() && opt.Now.Before(w.Until) {
			res.Waiver = &w
			break
		}
	}
	return res
}

// Outcome judges one control over one host.
func Outcome(c control.Control, h *fact.Host) control.Outcome {
	ok, reason, unknown := c.Applies.To(h)
	switch {
	case unknown != "":
		return control.CannotTell("cannot tell whether this applies: " + unknown)
	case !ok:
		return control.DoesNotApply(reason)
	}
	o := tried(c.Rule.Evaluate(h), h.Tried(c.ID))
	if o.Verdict == control.Unknown {
		o.Reason = hint(o.Reason, h.Snap.Root())
	}
	return o
}

// hint leaves "run as root" once in a reason, and not at all where it was
// done.
func hint(reason string, root bool) string {
	const what = "run as root"
	if rest, ok := strings.CutSuffix(reason, "; "+what); ok && (root || strings.Contains(rest, what)) {
		return rest
	}
	return reason
}

// order of verdicts in a report.
var order = []control.Verdict{control.Error, control.Fail, control.Ineffective, control.Unknown, control.Pass, control.NotApplicable}

func worstFirst(a, b Result) int {
	group := func(r Result) int {
		i := slices.Index(order, r.Verdict)
		if r.Verdict == control.Ineffective {
			i-- // among the failures, by severity
		}
		if r.Waiver != nil {
			i = slices.Index(order, control.Unknown)
		}
		return i
	}
	return cmp.Or(
		cmp.Compare(group(a), group(b)),
		cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
		cmp.Compare(a.Control, b.Control),
	)
}

func (r *Report) count() {
	for _, res := range r.Results {
		c := &r.Counts
		switch res.Verdict {
		case control.Pass:
			c.Pass++
		case control.Fail:
			c.Fail++
		case control.Ineffective:
			c.Ineffective++
		case control.NotApplicable:
			c.NotApplicable++
		case control.Unknown:
			c.Unknown++
		default:
			c.Error++
		}
		if res.Waiver != nil {
			c.Waived++
		}
	}
}
