// Package snap holds what is asked of a host (Manifest) and what it answered
// (Snapshot), as plain values. Nothing else about a host is ever judged.
package snap

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Schema is the identifier written into every saved snapshot.
const Schema = "picket.snapshot/1"

// MaxRounds is how often a host may be asked. A later round asks for what an
// earlier one revealed: an Include, a home folder, an account.
const MaxRounds = 3

// Limits of one snapshot. They are generous for an honest host and keep a
// hostile one from filling our memory.
const (
	MaxFile    = 1 << 20  // bytes kept of one file
	MaxOutput  = 8 << 20  // bytes kept of one command's output
	MaxTotal   = 96 << 20 // bytes kept of one host
	MaxEntries = 200_000  // files, folders and links
)

// A Manifest says what to gather. Paths are absolute patterns as in
// path.Match, one component at a time; a leading * or ? does not match a name
// that begins with a dot, as in a shell.
type Manifest struct {
	Files    []string  // content, with metadata
	Stats    []string  // metadata only
	Commands []Command // from the table in commands.go, nothing else
	Walk     *Walk     // one pass over the file system, shared by all topics
	Keys     []string  // those of Files that the host's own settings call files of SSH keys; nothing else is kept of them
}

// A Command is run on a live host without a shell. On an image, and wherever
// no command can run, the files of Instead are gathered in its place.
type Command struct {
	Argv    []string
	Instead []string
}

// Key identifies a command in a snapshot: its arguments as a person would
// type them.
func (c Command) Key() string { return CommandKey(c.Argv...) }

// CommandKey is Key for an argument list.
func CommandKey(argv ...string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// odd is a letter that a shell may take for something else.
func odd(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '+' && r <= ':': // + , - . / digits :
		return false
	}
	return strings.IndexByte("_=@%*?~", byte(r)) < 0 || r > '~'
}

func quote(w string) string {
	if w != "" && strings.IndexFunc(w, odd) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// A Walk asks for the few files of the whole system that a rule may object
// to: set-id files, files that anybody may write, files whose owner or group
// is not in the given lists. It stays on the file systems of Roots and never
// enters Skip.
type Walk struct {
	Roots []string // "/" and the mount points of other local disks
	Skip  []string // folders left out: container stores, /proc
	UIDs  []int    // known owners; empty: owners are not judged
	GIDs  []int
}

// Add merges another manifest into m. Only one walk is kept: the first.
func (m *Manifest) Add(o Manifest) {
	m.Files = append(m.Files, o.Files...)
	m.Stats = append(m.Stats, o.Stats...)
	m.Commands = append(m.Commands, o.Commands...)
	m.Keys = append(m.Keys, o.Keys...)
	if m.Walk == nil {
		m.Walk = o.Walk
	}
}

// Empty reports whether nothing is asked.
func (m Manifest) Empty() bool {
	return len(m.Files) == 0 && len(m.Stats) == 0 && len(m.Commands) == 0 && m.Walk == nil
}

// Minus leaves what s has not been asked yet, sorted and without duplicates.
func (m Manifest) Minus(s *Snapshot) Manifest {
	var out Manifest
	files := map[string]bool{}
	for _, p := range m.Files {
		if !s.askedFiles[p] && !files[p] {
			files[p] = true
			out.Files = append(out.Files, p)
		}
	}
	stats := map[string]bool{}
	for _, p := range m.Stats {
		if !s.askedFiles[p] && !s.askedStats[p] && !files[p] && !stats[p] {
			stats[p] = true
			out.Stats = append(out.Stats, p)
		}
	}
	seen := map[string]bool{}
	for _, c := range m.Commands {
		if _, ok := s.Commands[c.Key()]; !ok && !seen[c.Key()] {
			seen[c.Key()] = true
			out.Commands = append(out.Commands, c)
		}
	}
	for _, p := range m.Keys {
		if files[p] && !slices.Contains(out.Keys, p) {
			out.Keys = append(out.Keys, p)
		}
	}
	slices.Sort(out.Keys)
	if s.Walk == nil {
		out.Walk = m.Walk
	}
	slices.Sort(out.Files)
	slices.Sort(out.Stats)
	slices.SortFunc(out.Commands, func(a, b Command) int { return strings.Compare(a.Key(), b.Key()) })
	return out
}

// State says how far a value is known. Its zero value is Unknown, so that
// what nobody set never looks like an answer.
type State uint8

const (
	Unknown State = iota // not asked, ran out of time, or no answer here
	Known
	Absent // asked, and it is not there
	Denied // it may be there; we were not allowed to look
)

func (s State) String() string { return [...]string{"unknown", "known", "absent", "denied"}[s] }

// Type of a file system entry.
type Type string

const (
	File   Type = "file"
	Dir    Type = "dir"
	Link   Type = "link" // a dangling link; others are given as what they lead to
	Socket Type = "socket"
	Fifo   Type = "fifo"
	Device Type = "device"
)

// An Entry is one path. Type, Mode, UID, GID, Size and MTime are those of what
// the path leads to; Target is set when the path itself is a symbolic link.
type Entry struct {
	Path    string    `json:"path"`
	Type    Type      `json:"type"`
	Mode    uint32    `json:"mode"` // permission, set-id and sticky bits: 0 to 07777
	UID     int       `json:"uid"`
	GID     int       `json:"gid"`
	Size    int64     `json:"size"`
	MTime   time.Time `json:"mtime"`
	Target  string    `json:"target,omitempty"`   // as written in the link
	Real    string    `json:"real,omitempty"`     // where it leads, when that differs from Path
	Read    bool      `json:"read,omitempty"`     // Content was read
	Cut     bool      `json:"cut,omitempty"`      // Content is longer on the host
	Redact  bool      `json:"redacted,omitempty"` // Content was searched for secrets, and these were replaced
	Whole   bool      `json:"whole,omitempty"`    // of one with Redact: nothing had to be replaced, Content is what the file holds
	Denied  string    `json:"denied,omitempty"`   // why content or metadata could not be read
	Content []byte    `json:"-"`
}

// Output is what a command answered.
type Output struct {
	Argv    []string `json:"argv"`
	Exit    int      `json:"exit"`
	Stderr  string   `json:"stderr,omitempty"`
	Missing bool     `json:"missing,omitempty"` // no such program on the host
	Err     string   `json:"error,omitempty"`   // it gave no answer: timed out, no commands on an image
	Cut     bool     `json:"cut,omitempty"`
	Stdout  []byte   `json:"-"`
}

// Walked is the answer to a Walk.
type Walked struct {
	Found []Entry  `json:"found"`           // only what the walk asks for, sorted by path
	Seen  int      `json:"seen,omitempty"`  // entries looked at; 0 when not counted
	Err   string   `json:"error,omitempty"` // why it is incomplete: "ran out of time after 20s"
	Roots []string `json:"roots,omitempty"`
}

// Source says how a snapshot was taken.
type Source struct {
	Kind   string `json:"kind"`   // local, ssh, image
	Target string `json:"target"` // as given by the user
	UID    int    `json:"uid"`    // who read the host; 0 is root
	Client string `json:"client,omitempty"`
}

// A Snapshot is the answer of one host. It never holds a secret: what does is
// replaced while it is taken. Entries are added with Put and never removed.
type Snapshot struct {
	Taken    time.Time
	Source   Source
	Entries  map[string]*Entry
	Commands map[string]*Output
	Denials  map[string]string // asked pattern, or a path within one → why nothing could be seen there
	Walk     *Walked
	Problems []string // what went wrong on the way, for the reader

	askedFiles map[string]bool
	askedStats map[string]bool
	wild       map[int][]string // the patterns among them, by their number of slashes
	keys       map[string]bool  // see ExpectKeys
	complete   bool
	paths      atomic.Pointer[[]string] // see sorted
}

// Complete reports what MarkComplete recorded.
func (s *Snapshot) Complete() bool { return s.complete }

// MarkComplete records that everything that could be asked is there: what is
// not in the snapshot is absent. Only cases written by hand are complete.
func (s *Snapshot) MarkComplete() { s.complete = true }

// New returns an empty snapshot.
func New(source Source, taken time.Time) *Snapshot {
	return &Snapshot{
		Taken: taken, Source: source,
		Entries: map[string]*Entry{}, Commands: map[string]*Output{}, Denials: map[string]string{},
		askedFiles: map[string]bool{}, askedStats: map[string]bool{}, wild: map[int][]string{}, keys: map[string]bool{},
	}
}

// MarkAsked records that a manifest was served, so that what is not in the
// snapshot is known to be absent.
func (s *Snapshot) MarkAsked(m Manifest) {
	for _, p := range m.Files {
		s.ask(p, s.askedFiles)
	}
	for _, p := range m.Stats {
		s.ask(p, s.askedStats)
	}
}

func (s *Snapshot) ask(p string, in map[string]bool) {
	if !s.askedFiles[p] && !s.askedStats[p] && IsPattern(p) {
		n := strings.Count(p, "/")
		s.wild[n] = append(s.wild[n], p)
	}
	in[p] = true
}

// ExpectKeys records, before a manifest is served, which of its files may be
// anything on the host and are to be kept as SSH keys only.
func (s *Snapshot) ExpectKeys(m Manifest) {
	for _, p := range m.Keys {
		s.keys[p] = true
	}
}

// IsKeys reports whether ExpectKeys named a path.
func (s *Snapshot) IsKeys(p string) bool { return s.keys[p] }

// Clone is another snapshot with the same entries and answers. Those themselves are shared.
func (s *Snapshot) Clone() *Snapshot {
	wild := map[int][]string{}
	for n, of := range s.wild {
		wild[n] = slices.Clone(of)
	}
	return &Snapshot{
		Taken: s.Taken, Source: s.Source, Entries: maps.Clone(s.Entries), Commands: maps.Clone(s.Commands), Denials: maps.Clone(s.Denials),
		Walk: s.Walk, Problems: s.Problems,
		askedFiles: maps.Clone(s.askedFiles), askedStats: maps.Clone(s.askedStats), wild: wild, keys: maps.Clone(s.keys), complete: s.complete,
	}
}

// Asked returns the patterns served so far, sorted: of files whose content was
// wanted, and of those of which only metadata was.
func (s *Snapshot) Asked() (files, stats []string) {
	for p := range s.askedFiles {
		files = append(files, p)
	}
	for p := range s.askedStats {
		stats = append(stats, p)
	}
	slices.Sort(files)
	slices.Sort(stats)
	return files, stats
}

// Run returns the answer of a command. The state is Absent when the host has
// no such program.
func (s *Snapshot) Run(argv ...string) (o *Output, st State, why string) {
	key := CommandKey(argv...)
	o, ok := s.Commands[key]
	switch {
	case !ok:
		return nil, Unknown, shown(argv) + " was not run"
	case o.Missing:
		return o, Absent, argv[0] + " is not installed"
	}
	if why := o.Unusable(); why != "" {
		return o, Unknown, shown(argv) + ": " + why
	}
	return o, Known, ""
}

// shown is a command in a sentence: a long one ends in dots.
func shown(argv []string) string {
	const enough = 60
	text := CommandKey(argv...)
	if len(text) > enough {
		text = CommandKey(argv[0])
		for _, a := range argv[1:] {
			if len(text)+len(a) > enough/2 {
				break
			}
			text += " " + CommandKey(a)
		}
		text += " …"
	}
	return "`" + text + "`"
}

// Root reports whether the host was read as root, so that nothing was hidden.
func (s *Snapshot) Root() bool { return s.Source.UID == 0 }
