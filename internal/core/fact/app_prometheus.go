package fact

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// An AlertRule is one rule of Prometheus that raises an alert.
type AlertRule struct {
	Name  string
	Expr  string
	Uses  []MetricUse
	Place Place
}

// A MetricUse is one metric that a rule looks at, with the labels that it
// wants to have a value.
type MetricUse struct {
	Name   string
	Labels []string
}

const maxMetrics = 40

// AlertRules are those in the rule files that are known; recorded are the
// metrics that other rules make.
func (as Apps) AlertRules() (rules []AlertRule, recorded []string) {
	for _, f := range as.RuleFiles() {
		for _, s := range f.Settings {
			if len(s.Key) != 5 || s.Key[0] != "groups" || s.Key[2] != "rules" {
				continue
			}
			switch s.Key[4] {
			case "record":
				recorded = append(recorded, s.Value)
			case "alert":
				r := AlertRule{Name: s.Value, Place: s.Place}
				if e, ok := f.Last(append(slices.Clone(s.Key[:4]), "expr")...); ok {
					r.Expr, r.Place = e.Value, e.Place
					r.Uses = metricsOf(e.Value)
				}
				rules = append(rules, r)
			}
		}
	}
	return rules, recorded
}

// RuleFiles are those that hold rules: other settings lie in the same folders.
func (as Apps) RuleFiles() []AppFile {
	return slices.DeleteFunc(as.Get("prometheus").Files("rules"), func(f AppFile) bool {
		return f.State != Known || !slices.ContainsFunc(f.Settings, func(s AppSetting) bool { return s.Key[0] == "groups" })
	})
}

// NamesRules reports whether an entry of rule_files in a prometheus.yml names a file.
func NamesRules(config AppFile, entry AppSetting, f AppFile) bool {
	if inContainer(config) { // where the folder is another; the name stays
		ok, _ := path.Match(path.Base(entry.Value), path.Base(f.Entry.Path))
		return ok
	}
	ok, _ := path.Match(rulesAt(config, entry), f.Entry.Path)
	return ok
}

func inContainer(config AppFile) bool { return path.Dir(config.Entry.Path) != "/etc/prometheus" }

func rulesAt(config AppFile, entry AppSetting) string {
	if path.IsAbs(entry.Value) {
		return path.Clean(entry.Value)
	}
	return path.Join(path.Dir(config.Entry.Path), entry.Value)
}

// RulesElsewhere is why there may be more rules than were read: rule_files names what is not looked at. It
// is "" where there are no others.
func (as Apps) RulesElsewhere() string {
	a := as.Get("prometheus")
	for _, config := range a.Files("config") {
		for _, entry := range config.All("rule_files.*") {
			at := rulesAt(config, entry)
			looked := slices.ContainsFunc(as.RuleFiles(), func(f AppFile) bool { return NamesRules(config, entry, f) }) ||
				!inContainer(config) && slices.ContainsFunc(a.Settings["rules"].Files, func(p string) bool {
					ok, _ := path.Match(p, at) // a pattern is looked at where ours has the same star
					return ok
				})
			if !looked {
				return entry.Value + ", which rule_files names (" + entry.Place.String() + "), is not looked at"
			}
		}
	}
	return ""
}

// askSeries asks a Prometheus of this host for the metrics that alerts use.
func askSeries(h *Host, _ *snap.Snapshot) (m snap.Manifest) {
	if h.Snap.Source.Kind == "image" || !slices.ContainsFunc(h.Sockets.Listening, func(s Socket) bool { return s.Port == 9090 && s.Proto == "tcp" }) {
		return m
	}
	seen := map[string]bool{}
	rules, recorded := h.Apps.AlertRules()
	for _, r := range rules {
		for _, u := range r.Uses {
			if !seen[u.Name] && !slices.Contains(recorded, u.Name) && len(m.Commands) < maxMetrics {
				seen[u.Name] = true
				m.Commands = append(m.Commands, snap.Command{Argv: seriesCommand(u.Name)})
			}
		}
	}
	return m
}

func seriesCommand(metric string) []string {
	return []string{"promtool", "query", "series", "--match=" + metric, "http://127.0.0.1:9090"}
}

// SeriesLabels are the labels that a running Prometheus has of a metric: nil
// when it has none of it.
func (h *Host) SeriesLabels(metric string) Value[[]string] {
	argv := seriesCommand(metric)
	o, st, why := h.Snap.Run(argv...)
	if st != Known {
		return Not[[]string](st, why)
	}
	var labels []string
	for _, l := range outLines(o) {
		for _, m := range labelName.FindAllStringSubmatch(l.text, -1) {
			if !slices.Contains(labels, m[1]) {
				labels = append(labels, m[1])
			}
		}
	}
	return Is(labels, By(argv...))
}

var (
	labelName = regexp.MustCompile(`[{, ]([a-zA-Z_][a-zA-Z0-9_]*)="`)
	promWords = []string{
		"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool", "inf", "nan", "atan2",
	}
	promToken = regexp.MustCompile(`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|` + "`[^`]*`" + `|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z_.]*|=~|!~|!=|[{}(),=]`)
)

// metricsOf finds the metrics in an expression of PromQL. One that asks
// whether something is missing uses none: it fires just then.
func metricsOf(expr string) []MetricUse {
	if len(expr) > maxAppValue || strings.Contains(expr, "absent") {
		return nil
	}
	tokens := promToken.FindAllString(expr, -1)
	var out []MetricUse
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		word := t[0] == '_' || t[0] == ':' || t[0] >= 'a' && t[0] <= 'z' || t[0] >= 'A' && t[0] <= 'Z'
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch {
		case slices.Contains(promWords[:6], strings.ToLower(t)) && next == "(":
			for i < len(tokens) && tokens[i] != ")" {
				i++ // names of labels
			}
		case t == "{": // without a name: any metric
			for i < len(tokens) && tokens[i] != "}" {
				i++
			}
		case next == "by" || next == "without": // sum by (…)
		case !word || next == "(" || slices.Contains(promWords, strings.ToLower(t)):
		default:
			u := MetricUse{Name: t}
			if next == "{" {
				for i += 2; i < len(tokens) && tokens[i] != "}"; i++ {
					if i+2 < len(tokens) && (tokens[i+1] == "=" || tokens[i+1] == "=~") && wantsLabel(tokens[i+1], tokens[i+2]) {
						u.Labels = append(u.Labels, tokens[i])
					}
				}
			}
			out = append(out, u)
		}
	}
	return out
}

// wantsLabel reports whether a comparison fails where there is no such label.
func wantsLabel(op, quoted string) bool {
	v := strings.Trim(quoted, "\"'`")
	if op == "=" {
		return v != ""
	}
	re, err := regexp.Compile(`^(?:` + v + `)$`)
	return err == nil && !re.MatchString("")
}
