package inventory

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	bracketPort = regexp.MustCompile(`^\[(.+)\]:([0-9]+)$`)
	namePort    = regexp.MustCompile(`^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$`)
)

// hostPattern reads how Ansible names hosts: a name, with ranges such as
// [1:5], [01:10:3] or [a:c], and perhaps a port behind it. Where the names
// become more than most, they are refused.
func hostPattern(s string, most int) (names []string, port string, err error) {
	for _, re := range []*regexp.Regexp{bracketPort, namePort} {
		if m := re.FindStringSubmatch(s); m != nil {
			s, port = m[1], m[2]
			break
		}
	}
	if strings.HasSuffix(s, ":") && !plainIP(s) {
		return nil, "", errors.New("a name with nothing behind its colon")
	}
	names, err = expand(s, most)
	return names, port, err
}

func expand(s string, most int) ([]string, error) {
	open := strings.IndexByte(s, '[')
	if open < 0 {
		return []string{s}, nil
	}
	end := strings.IndexByte(s[open:], ']')
	if end < 0 {
		return nil, fmt.Errorf("the range in %s is not closed", short(s))
	}
	head, inner, tail := s[:open], s[open+1:open+end], s[open+end+1:]
	seq, err := sequence(inner, most)
	if err != nil {
		return nil, err
	}
	tails, err := expand(tail, most)
	if err != nil {
		return nil, err
	}
	if len(seq)*len(tails) > most {
		return nil, tooMany(most)
	}
	var out []string
	for _, x := range seq {
		for _, t := range tails {
			out = append(out, head+x+t)
		}
	}
	return out, nil
}

func tooMany(most int) error { return fmt.Errorf("a range of more than %d names", most) }

// sequence is begin:end or begin:end:step, of numbers or of letters. A
// beginning with a zero wants both to be equally long, and keeps that length.
func sequence(s string, most int) (out []string, err error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	bad := func() ([]string, error) {
		return nil, fmt.Errorf("%s is no range such as [1:5], [01:10:3] or [a:c]", short("["+s+"]"))
	}
	parts := strings.Split(s, ":")
	if len(parts) != 2 && len(parts) != 3 || parts[1] == "" {
		return bad()
	}
	begin, end, step := parts[0], parts[1], 1
	if len(parts) == 3 {
		if step, err = strconv.Atoi(parts[2]); err != nil || step < 1 {
			return bad()
		}
	}
	if begin == "" {
		begin = "0"
	}
	if len(begin) == 1 && len(end) == 1 {
		from, to := strings.Index(letters, begin), strings.Index(letters, end)
		if from >= 0 && to >= from {
			for i := from; i <= to; i += step {
				out = append(out, letters[i:i+1])
			}
			return out, nil
		}
	}
	from, err1 := strconv.ParseUint(begin, 10, 31)
	to, err2 := strconv.ParseUint(end, 10, 31)
	width := 0
	if begin[0] == '0' && len(begin) > 1 {
		width = len(begin)
	}
	if err1 != nil || err2 != nil || from > to || width > 0 && width != len(end) {
		return bad()
	}
	if (to-from)/uint64(step) >= uint64(max(most, 0)) {
		return nil, tooMany(most)
	}
	for i := from; i <= to; i += uint64(step) {
		out = append(out, fmt.Sprintf("%0*d", width, i))
	}
	return out, nil
}
