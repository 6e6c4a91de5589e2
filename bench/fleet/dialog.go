package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
)

// A dialog is what was said in one session of a host: what came in, and what went out when.
type dialog struct {
	command string
	in, out []byte
	chunks  []chunk
	marks   [][]byte // the boundaries that the other side made up, in the order in which they came
}

// A chunk is a part of out that went out when so much of in had come.
type chunk struct{ after, end int }

// mark is a boundary that Picket makes up anew in each run.
var mark = regexp.MustCompile(`picket-[0-9a-f]{32}`)

// A recorder writes a dialog down as it happens.
type recorder struct {
	mu sync.Mutex
	d  *dialog
}

func (r *recorder) heard(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.d.in = append(r.d.in, b...)
}

func (r *recorder) said(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.d.out = append(r.d.out, b...)
	r.d.chunks = append(r.d.chunks, chunk{len(r.d.in), len(r.d.out)})
}

// end finds the boundaries, once all is said.
func (d *dialog) end() {
	for _, m := range mark.FindAll(d.in, -1) {
		if !slices.ContainsFunc(d.marks, func(o []byte) bool { return bytes.Equal(o, m) }) {
			d.marks = append(d.marks, m)
		}
	}
}

// replay says what was said, to somebody who says the same but for the boundaries; it is an error if that is not so.
func (d *dialog) replay(conn io.ReadWriter) error {
	got := make([]byte, 0, len(d.in))
	buf := make([]byte, 64<<10)
	var marks [][]byte
	begin, looked := 0, 0
	for _, c := range d.chunks {
		for len(got) < c.after {
			n, err := conn.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil && len(got) < c.after {
				return fmt.Errorf("after %d of %d bytes: %w", len(got), len(d.in), err)
			}
		}
		for _, m := range mark.FindAll(got[looked:], -1) {
			if !slices.ContainsFunc(marks, func(o []byte) bool { return bytes.Equal(o, m) }) {
				marks = append(marks, bytes.Clone(m))
			}
		}
		looked = max(0, len(got)-64)
		out := bytes.Clone(d.out[begin:c.end])
		for i, m := range marks {
			if i < len(d.marks) {
				out = bytes.ReplaceAll(out, d.marks[i], m)
			}
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
		begin = c.end
	}
	for { // until the other side ends it
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			break
		}
	}
	return d.same(got, marks)
}

// same reports where what was heard is not what was heard at first.
func (d *dialog) same(got []byte, marks [][]byte) error {
	for i, m := range marks {
		if i < len(d.marks) {
			got = bytes.ReplaceAll(got, m, d.marks[i])
		}
	}
	if bytes.Equal(got, d.in) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(d.in) && got[at] == d.in[at] {
		at++
	}
	from := max(0, at-60)
	return fmt.Errorf("it is asked something else than when it was recorded: at %d, %q, then it was %q", at, got[from:min(len(got), at+60)], d.in[from:min(len(d.in), at+60)])
}
