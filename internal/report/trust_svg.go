package report

import (
	"fmt"
	"html"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"picket/internal/core/trust"
	"picket/internal/ui"
)

// trustCSS has the colours of the picture, for a light and for a dark page.
const trustCSS = `.tm{--bg:#f6f7f9;--ink:#1a1f26;--soft:#5b6672;--line:#c9d0d8;--cell:#e6eaef;--bad:#b3123a;--some:#c98a00;--lead:#2563a8;--good:#1a7f45;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-size:13px}
@media(prefers-color-scheme:dark){.tm{--bg:#12161b;--ink:#e8ecf1;--soft:#9aa7b4;--line:#3d4956;--cell:#252d37;--bad:#ff6b8b;--some:#e5b84c;--lead:#78b4f5;--good:#5ccb8b}}
.tm text{fill:var(--ink)}.tm .soft{fill:var(--soft)}.tm .h{font-weight:600;font-size:15px}
.tm .bg{fill:var(--bg)}.tm .cell{fill:var(--cell)}.tm .self{fill:var(--line)}.tm .root{fill:var(--bad)}.tm .some{fill:var(--some)}.tm .leads{fill:var(--lead)}
.tm .later{fill:none;stroke:var(--some);stroke-width:2}.tm .way{fill:none;stroke-width:1.6}.tm .w-bad{stroke:var(--bad)}.tm .w-lead{stroke:var(--lead)}.tm .w-slow{stroke:var(--some);stroke-dasharray:5 4}
.tm .a-bad{fill:var(--bad)}.tm .a-lead{fill:var(--lead)}.tm .a-slow{fill:var(--some)}
.tm .dot{fill:var(--bg);stroke:var(--ink);stroke-width:2}.tm .d-takes{stroke:var(--bad)}.tm .d-lead{stroke:var(--lead)}.tm .d-alone{stroke:var(--good)}.tm .d-unread{stroke:var(--soft);stroke-dasharray:3 3}
.tm .open{fill:none;stroke:var(--bad);stroke-width:1.5}`

// TrustSVG draws the map: at the left who comes to whom by key, at the right what falls with what. The same map gives the same picture.
func TrustSVG(w io.Writer, m trust.Map) error {
	_, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+trustPicture(m)+"\n")
	return err
}

// A picture is being drawn.
type picture struct {
	strings.Builder
	m trust.Map
}

func (p *picture) add(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// text writes a text; anchor is start, middle or end.
func (p *picture) text(x, y float64, anchor, class, text, more string) {
	p.add(`<text x="%.1f" y="%.1f" text-anchor="%s" class="%s"%s>%s</text>`, x, y, anchor, class, more, xmlText(text))
}

// xmlText is a text that can stand in XML, whatever a host is called.
func xmlText(s string) string { return html.EscapeString(oneLine(s)) }

const (
	mostLabel = 18  // letters
	perLetter = 7.4 // pixels, of the widest usual fonts
	pictureAt = 56  // where the drawing begins below the title
)

func labelOf(s string) string { return ui.Cut(oneLine(s), mostLabel) }

func trustPicture(m trust.Map) string {
	p := &picture{m: m}
	n := len(m.Nodes)
	widest := 0
	for _, node := range m.Nodes {
		widest = max(widest, len([]rune(labelOf(node.Name))))
	}
	names := float64(widest)*perLetter + 16
	radius := math.Max(110, float64(n)*42/(2*math.Pi))
	ring := 2 * (radius + names + 12)
	cell := 26.0
	if n > 12 {
		cell = 20
	}
	table := math.Max(340, names+float64(n)*cell+names*0.75)
	height := pictureAt + 30 + math.Max(2*radius+80, names*0.8+float64(n)*cell+20)
	width := math.Max(ring+table+40, 780)
	legend := height
	height += 100
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" class="tm" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-labelledby="tm-t tm-d">`, width, height, width, height)
	p.add(`<title id="tm-t">Who can become whom</title><desc id="tm-d">%s</desc>`, xmlText(trustSum(m)))
	p.add(`<style>%s</style>`, trustCSS)
	p.add(`<rect class="bg" width="%.0f" height="%.0f"/>`, width, height)
	p.text(20, 26, "start", "h", trustSum(m), "")
	p.text(20, pictureAt, "start", "soft", "Who comes to whom by a key", "")
	p.text(ring+20, pictureAt, "start", "soft", "If the host of a row is taken, so are the columns", "")
	p.ring(ring/2, pictureAt+50+radius, radius)
	p.table(ring+20, pictureAt+20, names, cell)
	p.legend(20, legend)
	p.add(`</svg>`)
	return strings.TrimSpace(p.String())
}

// A way between two hosts, of all those between their accounts the plainest.
type hostWay struct {
	there, back string // bad, lead, slow, or "" for none
}

// ring draws the hosts on a circle and the ways between them.
func (p *picture) ring(cx, cy, radius float64) {
	n := len(p.m.Nodes)
	at := map[string]int{}
	for i, node := range p.m.Nodes {
		at[node.Name] = i
	}
	host := map[string]string{}
	for _, a := range p.m.Accounts {
		host[a.ID] = a.Host
	}
	ways := map[[2]int]hostWay{}
	for _, e := range p.m.Edges {
		from, ok := at[host[e.From]]
		to, ok2 := at[host[e.To]]
		if !ok || !ok2 || from == to || e.Only != "" {
			continue
		}
		class := "bad"
		switch {
		case e.Needs != "":
			class = "slow"
		case p.m.Nodes[from].Leads():
			class = "lead"
		}
		k := [2]int{min(from, to), max(from, to)}
		w := ways[k]
		side := &w.there
		if from > to {
			side = &w.back
		}
		if *side == "" || *side == "slow" {
			*side = class
		}
		ways[k] = w
	}
	spot := func(i int) (x, y, c, s float64) {
		turn := 2*math.Pi*float64(i)/float64(n) - math.Pi/2
		c, s = math.Cos(turn), math.Sin(turn)
		return cx + radius*c, cy + radius*s, c, s
	}
	opacity := 1.0
	if len(ways) > 40 {
		opacity = math.Max(0.25, 40/float64(len(ways)))
	}
	p.add(`<g opacity="%.2f">`, opacity)
	const dot = 8.0
	for i := range n {
		for j := i + 1; j < n; j++ {
			w, ok := ways[[2]int{i, j}]
			if !ok {
				continue
			}
			x1, y1, _, _ := spot(i)
			x2, y2, _, _ := spot(j)
			far := math.Hypot(x2-x1, y2-y1)
			dx, dy := (x2-x1)/far, (y2-y1)/far
			x1, y1, x2, y2 = x1+dx*(dot+1), y1+dy*(dot+1), x2-dx*(dot+1), y2-dy*(dot+1)
			class := w.there
			if class == "" || w.back == "bad" {
				class = w.back
			}
			p.add(`<line class="way w-%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
			if w.there != "" {
				p.arrow(x2, y2, dx, dy, w.there)
			}
			if w.back != "" {
				p.arrow(x1, y1, -dx, -dy, w.back)
			}
		}
	}
	p.add(`</g>`)
	for i, node := range p.m.Nodes {
		x, y, c, s := spot(i)
		class := "d-alone"
		switch {
		case !node.Read:
			class = "d-unread"
		case node.Leads():
			class = "d-lead"
		case len(node.Takes) > 0:
			class = "d-takes"
		}
		if slices.ContainsFunc(p.m.Anybody, func(f trust.Fallen) bool { return f.Host == node.Name }) {
			p.add(`<circle class="open" cx="%.1f" cy="%.1f" r="%.1f"/>`, x, y, dot+4)
		}
		p.add(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="%.1f"><title>%s</title></circle>`, class, x, y, dot, xmlText(node.Name+": "+takesWords(node, n)))
		anchor, lx := "middle", x
		switch {
		case c > 0.15:
			anchor, lx = "start", x+dot+8
		case c < -0.15:
			anchor, lx = "end", x-dot-8
		}
		ly := y + 4.5 + s*18
		if anchor != "middle" {
			ly = y + 4.5 + s*6
		}
		p.text(lx, ly, anchor, "", labelOf(node.Name), "")
	}
}

func takesWords(n trust.Node, all int) string {
	switch {
	case !n.Read:
		return "it could not be read"
	case len(n.Takes) == 0:
		return "takes no other with it"
	}
	return fallen(n.Takes, all-1)
}

// arrow draws the head of an arrow that comes to a point.
func (p *picture) arrow(x, y, dx, dy float64, class string) {
	const long, half = 8.0, 3.6
	bx, by := x-dx*long, y-dy*long
	p.add(`<polygon class="a-%s" points="%.1f,%.1f %.1f,%.1f %.1f,%.1f"/>`, class, x, y, bx-dy*half, by+dx*half, bx+dy*half, by-dx*half)
}

// table draws what falls with what.
func (p *picture) table(x, y, names, cell float64) {
	top := y + names*0.8
	left := x + names
	for j, node := range p.m.Nodes {
		cx := left + float64(j)*cell + cell/2
		p.text(cx+3, top-6, "start", "", labelOf(node.Name), fmt.Sprintf(` transform="rotate(-50 %.1f %.1f)"`, cx+3, top-6))
	}
	for i, row := range p.m.Nodes {
		cy := top + float64(i)*cell
		p.text(left-8, cy+cell/2+4.5, "end", "", labelOf(row.Name), "")
		for j, column := range p.m.Nodes {
			class, more, says := "cell", "", row.Name+" does not take "+column.Name
			is := func(fs []trust.Fallen) int {
				return slices.IndexFunc(fs, func(f trust.Fallen) bool { return f.Host == column.Name })
			}
			k, l := is(row.Takes), is(row.Later)
			switch {
			case i == j:
				class, says = "self", row.Name
			case !row.Read:
				more, says = "?", "what "+row.Name+" takes is not known"
			case k >= 0 && row.Takes[k].Root:
				if class, says = "root", row.Name+" takes all of "+column.Name; row.Leads() {
					class = "leads"
				}
			case k >= 0:
				class, says = "some", row.Name+" takes "+strings.Join(row.Takes[k].Accounts, ", ")+" of "+column.Name
			}
			px, size := left+float64(j)*cell+1, cell-2
			p.add(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3"><title>%s</title></rect>`, class, px, cy+1, size, size, xmlText(says))
			if l >= 0 {
				p.add(`<rect class="later" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"/>`, px+2.5, cy+3.5, size-5, size-5)
			}
			if more != "" {
				p.text(px+size/2, cy+cell/2+4.5, "middle", "soft", more, "")
			}
		}
	}
}

// legend says what the colours mean.
func (p *picture) legend(x, y float64) {
	leads := slices.ContainsFunc(p.m.Nodes, trust.Node.Leads)
	item := func(x, y float64, draw, text string) float64 {
		p.add(`<g transform="translate(%.1f %.1f)">%s</g>`, x, y, draw)
		p.text(x+34, y+4.5, "start", "soft", text, "")
		return x + 34 + float64(len([]rune(text)))*6.8 + 26
	}
	line := func(class string) string {
		return fmt.Sprintf(`<line class="way w-%s" x1="0" y1="0" x2="20" y2="0"/><polygon class="a-%s" points="26,0 18,-3.6 18,3.6"/>`, class, class)
	}
	box := func(class string) string {
		return fmt.Sprintf(`<rect class="%s" x="4" y="-8" width="16" height="16" rx="3"/>`, class)
	}
	at := x
	if leads {
		at = item(at, y, line("lead"), "the leader comes in")
	}
	at = item(at, y, line("bad"), "comes in by a key")
	item(at, y, line("slow"), "needs a passphrase or password, too")
	at = x
	if leads {
		at = item(at, y+26, box("leads"), "all of it, by the leader")
	}
	at = item(at, y+26, box("root"), "all of it, at once")
	item(at, y+26, box("some"), "an account of it")
	at = item(x, y+52, box("later"), "once somebody types a password there")
	if len(p.m.Anybody) > 0 {
		item(at, y+52, `<circle class="dot d-takes" cx="12" cy="0" r="6"/><circle class="open" cx="12" cy="0" r="9.5"/>`, "anybody comes in: its password is known to all")
	}
}

var trustPage = template.Must(template.New("trust").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><title>Who can become whom</title>
<style>{{.CSS}}
.map{overflow-x:auto;margin:1rem 0}.map svg{max-width:none}main{max-width:80rem}header{max-width:80rem;display:block}</style></head><body>
<header><p class="brand">Picket · trust map</p><h1>Who can become whom</h1></header>
<main><div class="map">{{.Picture}}</div>
{{range .Findings}}<p class="problem">{{.}}</p>
{{end}}<h2>In words</h2><pre>{{.Text}}</pre></main></body></html>
`))

// TrustHTML writes one self-contained page with the picture and the words. It needs no network and no script.
func TrustHTML(w io.Writer, m trust.Map) error {
	var text strings.Builder
	if err := (Trust{Width: 100}).Write(&text, m); err != nil {
		return err
	}
	var found []string
	for _, f := range m.Findings() {
		found = append(found, oneLine(f))
	}
	return trustPage.Execute(w, map[string]any{
		"CSS": template.CSS(htmlCSS), "Picture": template.HTML(trustPicture(m)), "Findings": found, "Text": text.String(),
	})
}
