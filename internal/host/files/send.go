package files

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	_ "embed"

	"picket/internal/host/shell"
)

//go:embed host.sh
var hostProgram string

// A Job is a source and where it is to be on the host: an absolute path, or one from the home of whoever logs in.
type Job struct {
	Source Source
	To     string
}

// Options of Send.
type Options struct {
	Home    string // from which paths are meant that are not absolute; empty: that of the shell
	Parents bool   // makes the folders above a target that are missing
	Pretend bool   // finds out what would be done, and sends nothing
	Said    func(string)
}

// Sent is what came of it on one host.
type Sent struct {
	Files     int   // that were sent, or made: links too
	Same      int   // that were there, and as they are to be
	Adjusted  int   // of which the content was there, and the mode or the time was set
	Bytes     int64 // that went over the line
	Continued int64 // bytes that had come before and were not sent again
	Places    []string
	Begun     bool // something was sent, whatever came of it
}

// A Refusal is why a host does not take something: nothing was changed there.
type Refusal struct {
	Kind string // of host.sh: denied, root, folder, isfolder, islink, dangling, other, tool, space, changed, write, meta
	What string // a path, or what the host said
}

func (r *Refusal) Error() string {
	switch r.Kind {
	case "denied":
		return "the login may not write in " + r.What
	case "root":
		return "others than root can change what is in " + r.What + ", or in a folder above: as root nothing is written there"
	case "folder":
		return "there is no folder " + r.What
	case "isfolder":
		return r.What + " is a folder there"
	case "islink":
		return r.What + " is a link there, and none here"
	case "dangling":
		return r.What + " is a link there that leads nowhere"
	case "other":
		return r.What + " is something else there than here"
	case "tool":
		return "the host has no " + r.What + " (BusyBox's would do)"
	case "changed":
		return r.What + " has changed here while it was sent"
	case "space":
		return r.What
	}
	return "the host cannot write it: " + r.What
}

// Send brings sources to a host, over one run of its shell. All that differs is laid beside its place first and
// checked there by its SHA-256; only when everything has arrived, and is on the disk, each file takes its place at once,
// by being renamed. A folder that is not there yet appears whole; into one that is there its files go one by one, since
// what else it holds has to stay. What was cut off stays beside its place, and is continued from by the same Send.
//
// The error is a *Refusal where the host does not take it. A file is never half written. What is in place already when
// something goes wrong in between is complete, and counted in Sent.
func Send(ctx context.Context, sh shell.Streamer, jobs []Job, opt Options) (Sent, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := talk(ctx, sh, opt)
	defer d.in.Close()
	s := &sending{d: d, opt: opt}
	err := s.all(ctx, jobs)
	if err == nil {
		err = d.end()
	}
	return s.sent, err
}

type sending struct {
	d    *dialog
	opt  Options
	sent Sent
}

// A goal is what is to be done for one job.
type goal struct {
	Job
	at    string // the path itself
	work  string // where it is put together: at, or beside it
	free  int64  // bytes; -1: not known
	need  int64
	steps []step
}

// A step brings one entry.
type step struct {
	Entry
	place, part string
	had         int64 // bytes of part that are right
	do          string
}

func (s *sending) all(ctx context.Context, jobs []Job) error {
	if err := s.d.expect(ctx, "ready"); err != nil {
		return err
	}
	goals := make([]*goal, len(jobs))
	for i, j := range jobs {
		g, err := s.look(ctx, j)
		if err != nil {
			return err
		}
		goals[i] = g
		s.sent.Places = append(s.sent.Places, g.at)
	}
	for _, g := range goals {
		if g.free >= 0 && g.need > g.free {
			return &Refusal{"space", fmt.Sprintf("no space left: %s takes %s, and %s are free there", g.at, Size(g.need), Size(g.free))}
		}
	}
	if s.opt.Pretend {
		for _, g := range goals {
			for _, st := range g.steps {
				s.count(st)
			}
		}
		return nil
	}
	for _, g := range goals {
		if err := s.stage(ctx, g); err != nil {
			return err
		}
	}
	s.say("putting it in place")
	for _, g := range goals {
		if err := s.place(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) count(st step) {
	switch st.do {
	case "":
		if st.Kind != Folder {
			s.sent.Same++
		}
	case "meta":
		if st.Kind != Folder {
			s.sent.Adjusted++
		}
	case "send":
		s.sent.Files++
		s.sent.Bytes += st.Size - st.had
		s.sent.Continued += st.had
	case "relink":
		s.sent.Files++
	}
}

func (s *sending) say(what string) {
	if s.opt.Said != nil {
		s.opt.Said(what)
	}
}

// look finds out what is there of a job.
func (s *sending) look(ctx context.Context, j Job) (*goal, error) {
	parents := "no"
	switch {
	case s.opt.Parents && s.opt.Pretend:
		parents = "pretend"
	case s.opt.Parents:
		parents = "make"
	}
	isFolder := "0"
	if j.Source.Folder() {
		isFolder = "1"
	}
	s.say("looking at what is there")
	said, err := s.d.ask(ctx, "target", word(j.To), isFolder, parents)
	if err != nil {
		return nil, err
	}
	f := strings.SplitN(said, " ", 3)
	if len(f) != 3 {
		return nil, s.d.odd(said)
	}
	g := &goal{Job: j, at: f[2], work: f[2], free: -1}
	if free, err := strconv.ParseInt(f[1], 10, 64); err == nil && free >= 0 {
		g.free = free << 10
	}
	if f[0] == "absent" && j.Source.Folder() {
		g.work = beside(g.at, j.Source.id())
	}
	for _, e := range j.Source.Entries {
		st := step{Entry: e, place: path.Join(g.work, e.Name)}
		switch e.Kind {
		case Folder:
			err = s.d.put("folder", word(st.place))
		case Link:
			st.part = beside(st.place, strings.Repeat("0", 16))
			err = s.d.put("link", word(st.place), word(e.Link))
		case File:
			st.part = beside(st.place, e.Sum)
			err = s.d.put("file", word(st.place), strconv.FormatInt(e.Size, 10), e.Sum, octal(e.Mode), strconv.FormatInt(e.Time.Unix(), 10), word(st.part))
		}
		if err != nil {
			return nil, err
		}
		g.steps = append(g.steps, st)
	}
	if err := s.d.flush(); err != nil {
		return nil, err
	}
	for i := range g.steps {
		st := &g.steps[i]
		said, err := s.d.answer(ctx)
		if err != nil {
			return nil, err
		}
		how, rest, _ := strings.Cut(said, " ")
		switch {
		case how == "same":
		case how == "content":
			st.do = "meta"
		case st.Kind == Folder && how == "absent":
			st.do = "make"
		case st.Kind == Link:
			st.do = "relink"
		case how == "absent":
			st.do = "send"
			g.need += st.Size
		case how == "part":
			st.do = "send"
			count, sum, _ := strings.Cut(rest, " ")
			if n, err := strconv.ParseInt(count, 10, 64); err == nil && n <= st.Size {
				if is, err := st.sum(ctx, n); err != nil {
					return nil, err
				} else if is == sum {
					st.had = n
				}
			}
			g.need += st.Size - st.had
		default:
			return nil, s.d.odd(said)
		}
	}
	return g, nil
}

// stage lays what differs beside its place.
func (s *sending) stage(ctx context.Context, g *goal) error {
	waits := 0 // answers that are still to come
	heard := func(most int) error {
		if waits <= most {
			return nil
		}
		if err := s.d.flush(); err != nil {
			return err
		}
		for ; waits > most; waits-- {
			if err := s.d.expect(ctx, "made", "got"); err != nil {
				return err
			}
		}
		return nil
	}
	total, begun := int64(0), int64(0)
	for _, st := range g.steps {
		if st.do == "send" {
			total += st.Size - st.had
		}
	}
	for _, st := range g.steps {
		var err error
		switch st.do {
		case "make":
			err = s.d.put("make", word(st.place))
		case "send":
			s.sent.Begun = true
			err = s.d.put("put", word(st.part), strconv.FormatInt(st.had, 10), strconv.FormatInt(st.Size-st.had, 10), st.Sum, octal(st.Mode), stamp(st.Time), word(st.place))
			if err == nil {
				err = s.content(ctx, st, func(n int64) {
					s.say(fmt.Sprintf("sending %s of %s", Size(begun+n), Size(total)))
				})
			}
			begun += st.Size - st.had
		default:
			continue
		}
		if err != nil {
			return err
		}
		waits++
		if err := heard(100); err != nil {
			return err
		}
	}
	s.say("waiting until it is written")
	if err := heard(0); err != nil {
		return err
	}
	_, err := s.d.ask(ctx, "sync", word(path.Dir(g.work)))
	return err
}

// content sends what of a file is not there yet.
func (s *sending) content(ctx context.Context, st step, tell func(int64)) error {
	f, err := os.Open(st.here)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(st.had, io.SeekStart); err != nil {
		return err
	}
	want, sent := st.Size-st.had, int64(0)
	n, err := io.Copy(s.d.w, io.LimitReader(readFunc(func(b []byte) (int, error) {
		n, err := f.Read(b)
		sent += int64(n)
		tell(min(sent, want))
		return n, err
	}), want))
	if err != nil {
		return s.d.why(ctx, err)
	}
	if n < want { // the host waits for bytes that do not exist
		return fmt.Errorf("%s has become shorter while it was sent", st.here)
	}
	return nil
}

// place puts everything where it belongs.
func (s *sending) place(ctx context.Context, g *goal) error {
	for _, st := range g.steps {
		var err error
		switch {
		case st.do == "send":
			_, err = s.d.ask(ctx, "move", word(st.part), word(st.place))
		case st.do == "relink":
			_, err = s.d.ask(ctx, "relink", word(st.Link), word(st.part), word(st.place))
		case st.do == "meta" && st.Kind == File:
			_, err = s.d.ask(ctx, "meta", word(st.place), octal(st.Mode), stamp(st.Time))
		}
		if err != nil {
			return err
		}
		s.count(st)
	}
	fresh := map[string]bool{}
	for _, st := range g.steps {
		fresh[st.Name] = st.do == "make" || g.work != g.at // what came before a cut is ours as well
	}
	for _, e := range g.Source.backwards() { // to write in a folder changes its time
		if !fresh[e.Name] {
			continue // its owner has decided on its mode
		}
		if _, err := s.d.ask(ctx, "meta", word(path.Join(g.work, e.Name)), octal(e.Mode), stamp(e.Time)); err != nil {
			return err
		}
	}
	if g.work != g.at {
		if _, err := s.d.ask(ctx, "rename", word(g.work), word(g.at)); err != nil {
			return err
		}
	}
	_, err := s.d.ask(ctx, "sync", word(path.Dir(g.at)))
	return err
}

// stamp is a time as touch -t is told, in UTC.
func stamp(t time.Time) string { return t.UTC().Format("200601021504.05") }

// Size is a number of bytes for a person.
func Size(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, i := float64(n)/1000, 0
	for ; v >= 999.5 && i < len(units)-1; i++ {
		v /= 1000
	}
	if v < 10 {
		return fmt.Sprintf("%.1f %s", v, units[i])
	}
	return fmt.Sprintf("%.0f %s", v, units[i])
}
