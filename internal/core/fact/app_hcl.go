package fact

import (
	"slices"
	"strconv"
	"strings"
)

// readAppHCL reads what Vault's and OpenBao's servers take: name = value,
// name "label" { … }, lists, objects, comments and texts of several lines. A
// block becomes its name and a number; its labels are called label. The
// library of the format's makers has no bound on nesting, and a file may come
// from a hostile host.
func readAppHCL(r *appReader, text string) {
	s := &blockScan{text: text, line: 1, hash: "//", ends: "{}[]=,:"}
	p := newBlockPath()
	h := &hclReader{r: r, s: s}
	for r.err == "" && s.bad == "" {
		w, line := s.next()
		quoted := s.was
		switch {
		case w == "" && !quoted:
			if len(p.parts) > 0 {
				s.bad = "it ends within a block"
				break
			}
			return
		case !quoted && w == "}":
			if !p.leave() {
				s.bad = "a } in the wrong place"
			}
		case !quoted && w == ",":
		case !quoted && strings.Contains("{[]=:", w):
			s.bad = "a " + w + " in the wrong place"
		default:
			h.item(p, w, line)
		}
	}
	if s.bad != "" {
		r.fail(s.line, "%s", s.bad)
	}
}

type hclReader struct {
	r *appReader
	s *blockScan
}

// item reads what follows a name: a value or the beginning of a block.
func (h *hclReader) item(p *blockPath, name string, line int) {
	var labels []string
	for {
		w, _ := h.s.next()
		switch {
		case h.s.was:
			labels = append(labels, w)
			if len(labels) > 5 {
				h.s.bad = "too many labels"
				return
			}
		case w == "=" || w == ":":
			if len(labels) > 0 {
				h.s.bad = "a = after a label"
				return
			}
			h.value(p.key(name), line, 0)
			return
		case w == "{":
			if len(p.parts) >= 2*maxAppDepth {
				h.s.bad = "nested too deeply"
				return
			}
			p.enter(name)
			h.r.add(line, strings.Join(labels, " "), true, p.key("label")...)
			return
		default:
			h.s.bad = "neither a value nor a block after " + keepName(name)
			return
		}
	}
}

// value reads one value, with the lists and objects in it.
func (h *hclReader) value(key []string, line, depth int) {
	if depth > maxAppDepth || h.r.err != "" {
		h.s.bad = "nested too deeply"
		return
	}
	w, at := h.s.next()
	switch {
	case h.s.was:
		h.r.add(at, w, true, key...)
	case strings.HasPrefix(w, "<<"):
		h.r.add(at, h.heredoc(strings.TrimPrefix(w[2:], "-")), true, key...)
	case w == "[":
		h.list(key, line, depth)
	case w == "{":
		h.object(key, line, depth)
	case w == "" || strings.Contains("}]=,:", w):
		h.s.bad = "a value is missing"
	default:
		h.r.add(at, w, false, key...)
	}
}

func (h *hclReader) list(key []string, line, depth int) {
	for i := 0; h.s.bad == "" && h.r.err == ""; {
		before := *h.s
		switch w, _ := h.s.next(); {
		case w == "]" && !h.s.was:
			if i == 0 {
				h.r.add(line, "", true, key...)
			}
			return
		case w == "," && !h.s.was:
		default:
			*h.s = before
			h.value(append(slices.Clip(key), strconv.Itoa(i)), line, depth+1)
			i++
		}
	}
}

func (h *hclReader) object(key []string, line, depth int) {
	for h.s.bad == "" && h.r.err == "" {
		w, _ := h.s.next()
		quoted := h.s.was
		switch {
		case w == "}" && !quoted:
			return
		case w == "," && !quoted:
		case w == "" && !quoted:
			h.s.bad = "an object has no end"
		default:
			if eq, _ := h.s.next(); h.s.was || eq != "=" && eq != ":" {
				h.s.bad = "a value is missing"
				return
			}
			h.value(append(slices.Clip(key), w), line, depth+1)
		}
	}
}

// heredoc reads to the line that is its mark.
func (h *hclReader) heredoc(mark string) string {
	rest := h.s.text[h.s.at:]
	var b strings.Builder
	for l := range strings.Lines(rest) {
		h.s.at += len(l)
		h.s.line += strings.Count(l, "\n")
		if strings.TrimSpace(l) == mark && b.Len() > 0 {
			return strings.TrimPrefix(b.String(), "\n")
		}
		b.WriteString(l)
	}
	h.s.bad = "a text of several lines has no end"
	return ""
}
