package snapshot

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"picket/internal/core/snap"
)

var (
	errFlood   = fmt.Errorf("the host sent more than %d MiB", snap.MaxTotal>>20)
	errGarbage = errors.New("the host's answer makes no sense")
)

// maxNoise is how much a login may say before we get a word in.
const maxNoise = 64 << 10

// A stream is what a host sends: sections, each begun by a line that holds
// the nonce. Read gives one section and then io.EOF; next goes to the next.
// It never holds more than one buffer.
type stream struct {
	r     *bufio.Reader
	nonce []byte
	left  int64 // bytes that the host may still send

	buf    []byte // of the current section, not yet read
	held   bool   // a line feed that may belong to the next header
	inLine bool   // the next bytes continue a line
	header string // of the next section, once the current one has ended
	err    error
	heard  []byte // the beginning of all, for a login that says why it gives no shell
}

func newStream(r io.Reader) *stream {
	return &stream{r: bufio.NewReaderSize(r, 64<<10), left: snap.MaxTotal}
}

// expect sets the nonce of the sections to come.
func (s *stream) expect(nonce string) {
	s.nonce = []byte(nonce + " ")
	s.held, s.inLine, s.header = false, false, ""
}

func (s *stream) Read(p []byte) (int, error) {
	for len(s.buf) == 0 {
		if s.header != "" {
			return 0, io.EOF
		}
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(p, s.buf)
	s.buf = s.buf[n:]
	return n, nil
}

// fill takes one line, or the part of one that fits the buffer.
func (s *stream) fill() {
	line, err := s.r.ReadSlice('\n')
	if s.left -= int64(len(line)); s.left < 0 {
		s.err = errFlood
		return
	}
	if room := 200 - len(s.heard); room > 0 {
		s.heard = append(s.heard, line[:min(room, len(line))]...)
	}
	if err != nil && err != bufio.ErrBufferFull {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // only secEnd ends an answer
		}
		s.err = err
		if len(line) == 0 {
			return
		}
	}
	if !s.inLine && err == nil && bytes.HasPrefix(line, s.nonce) {
		s.header = string(bytes.TrimSuffix(line[len(s.nonce):], []byte("\n")))
		s.held = false
		return
	}
	var out []byte
	if s.held {
		out = append(out, '\n')
	}
	full := bytes.HasSuffix(line, []byte("\n"))
	s.held, s.inLine = full, !full
	s.buf = append(out, bytes.TrimSuffix(line, []byte("\n"))...)
}

// next leaves out what remains of the section and returns the words of the
// next one's header.
func (s *stream) next() ([]string, error) {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return nil, err
	}
	words := strings.Fields(s.header)
	s.header = ""
	if len(words) == 0 || len(words) > 4 {
		return nil, errGarbage
	}
	return words, nil
}

// keep reads the section up to limit bytes; the rest is left out.
func (s *stream) keep(limit int64) (data []byte, cut bool, err error) {
	data, err = io.ReadAll(io.LimitReader(s, limit+1))
	if int64(len(data)) > limit {
		data, cut = data[:limit:limit], true
	}
	return data, cut, err
}

// names calls each for every item of the section that ends in "//" and a line
// feed.
func (s *stream) names(each func(item string) error) error {
	var item []byte
	br := bufio.NewReaderSize(s, 8<<10)
	for {
		part, err := br.ReadSlice('\n')
		item = append(item, part...)
		if i, ok := bytes.CutSuffix(item, []byte("//\n")); ok {
			if err := each(string(i)); err != nil {
				return err
			}
			item = item[:0]
		}
		switch {
		case err == io.EOF:
			return nil // the last header's own line feed may be cut off here
		case err != nil && err != bufio.ErrBufferFull:
			return err
		case len(item) > 1<<16:
			return errGarbage
		}
	}
}
