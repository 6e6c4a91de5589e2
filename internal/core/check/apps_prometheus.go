package check

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var prometheus = []Check{
	{"apps.prometheus-rules", prometheusRules,
		"the metrics and labels in the expressions of alert rules (/etc/prometheus), against those that a running Prometheus has (`promtool query series`) and those that applications are known to give"},
	{"apps.prometheus-alerting", prometheusAlerting, "alerting in /etc/prometheus/prometheus.yml, where there are alert rules"},
	{"apps.prometheus-rule-files", prometheusRuleFiles, "rule_files in /etc/prometheus/prometheus.yml, against the rule files in /etc/prometheus that are there"},
	{"apps.prometheus-targets", prometheusTargets, "the targets in /etc/prometheus/prometheus.yml, against the open ports of this host and what the application's settings say"},
}

func prometheusRules(h *fact.Host) control.Outcome {
	a := h.Apps.Get("prometheus")
	rules, recorded := h.Apps.AlertRules()
	var bad, fine, doubt []control.Evidence
	why := cmp.Or(a.Unread("rules"), h.Apps.RulesElsewhere())
	for _, r := range rules {
		dead, told := "", true
		for _, u := range r.Uses {
			if slices.Contains(recorded, u.Name) {
				continue
			}
			labels, known := exported(h, u.Name)
			if series := h.SeriesLabels(u.Name); series.Known() {
				if labels, known = series.V, true; len(labels) == 0 {
					dead = "nothing exports " + u.Name
				}
			} else if !known && why == "" {
				why = series.Why
			}
			told = told && known
			for _, l := range u.Labels {
				if known && dead == "" && !slices.Contains(labels, l) {
					dead = u.Name + " has no label " + l
				}
			}
		}
		e := control.Saw("alert "+r.Name, r.Place, dead, "metrics and labels that something exports")
		switch {
		case dead != "":
			bad = append(bad, e)
		case !told:
			doubt = append(doubt, e)
		default:
			e.Found = "can fire"
			fine = append(fine, e)
		}
	}
	switch {
	case len(bad) > 0:
		return control.IsIneffective(fmt.Sprintf("%s can never fire: %s", bad[0].Fact, bad[0].Found), bad...)
	case len(doubt) > 0:
		return control.CannotTell(fmt.Sprintf("whether %s can fire: %s", doubt[0].Fact, why))
	case why != "":
		return control.CannotTell(why)
	case len(rules) == 0:
		return control.DoesNotApply("there are no alert rules")
	}
	return control.Passed("every alert looks at metrics and labels that are exported", fine...)
}

// exported are the labels of a metric of an application of this host whose
// profile tells.
func exported(h *fact.Host, metric string) ([]string, bool) {
	for _, a := range h.Apps.Found() {
		if labels, ok := a.Metrics[metric]; ok {
			return append(slices.Clone(labels), "job", "instance"), true
		}
	}
	return nil, false
}

func prometheusAlerting(h *fact.Host) control.Outcome {
	a := h.Apps.Get("prometheus")
	rules, _ := h.Apps.AlertRules()
	why := cmp.Or(a.Unread("config"), a.Unread("rules"), h.Apps.RulesElsewhere())
	var fine, bad []control.Evidence
	for _, f := range a.Files("config") {
		if f.State != fact.Known {
			continue
		}
		n := 0
		for _, s := range f.Under("alerting", "alertmanagers") {
			if s.Value != "" {
				n++
				fine = append(fine, control.Saw("alerting.alertmanagers", s.Place, s.Value, "an Alertmanager"))
			}
		}
		if n == 0 {
			bad = append(bad, control.Saw("alerting.alertmanagers", fact.Place{Path: f.Entry.Path}, "none", "an Alertmanager"))
		}
	}
	switch {
	case len(bad) > 0 && len(rules) > 0:
		return control.IsIneffective(fmt.Sprintf("there are %d alert rules, and nobody is told when one fires", len(rules)), bad...)
	case why != "":
		return control.CannotTell(why)
	case len(rules) == 0:
		return control.DoesNotApply("there are no alert rules")
	case len(fine) == 0:
		return control.CannotTell("there is no prometheus.yml where one is looked for")
	}
	return control.Passed("alerts are sent to an Alertmanager", fine...)
}

func prometheusRuleFiles(h *fact.Host) control.Outcome {
	a := h.Apps.Get("prometheus")
	why := a.Unread("config")
	configs := a.Files("config")
	if why == "" && len(configs) == 0 {
		why = "there is no prometheus.yml where one is looked for"
	}
	if why != "" {
		return control.CannotTell(why)
	}
	var bad, fine []control.Evidence
	for _, f := range h.Apps.RuleFiles() {
		read := slices.ContainsFunc(configs, func(c fact.AppFile) bool {
			return slices.ContainsFunc(c.All("rule_files.*"), func(s fact.AppSetting) bool { return fact.NamesRules(c, s, f) })
		})
		e := control.Saw("rule file", fact.Place{Path: f.Entry.Path}, "read", "named by rule_files")
		if read {
			fine = append(fine, e)
		} else {
			e.Found = "not read"
			bad = append(bad, e)
		}
	}
	switch {
	case len(bad) > 0:
		return control.IsIneffective(bad[0].File+" is there, and rule_files does not name it", bad...)
	case a.Unread("rules") != "":
		return control.CannotTell(a.Unread("rules"))
	case h.Apps.RulesElsewhere() != "":
		return control.CannotTell(h.Apps.RulesElsewhere())
	case len(fine) == 0:
		return control.DoesNotApply("there are no rule files")
	}
	return control.Passed("Prometheus reads the rule files that are there", fine...)
}

func prometheusTargets(h *fact.Host) control.Outcome {
	a := h.Apps.Get("prometheus")
	var bad, fine, doubt []control.Evidence
	why := a.Unread("config")
	for _, f := range a.Files("config") {
		for _, s := range f.All("scrape_configs.*.static_configs.*.targets.*") {
			host, p, ok := strings.Cut(s.Value, ":")
			port, err := strconv.Atoi(p)
			if !ok || err != nil {
				continue
			}
			e := control.Saw("target", s.Place, s.Value, "an address that answers")
			switch {
			case host == "pisovereign":
				want, unread := sovereignPort(h)
				if unread != "" {
					doubt, why = append(doubt, e), unread
					continue
				}
				if want != port {
					e.Wanted = fmt.Sprintf("%s:%d, where PiSovereign listens", host, want)
					bad = append(bad, e)
					continue
				}
			case host == "localhost" || host == "127.0.0.1":
				if h.Snap.Source.Kind == "image" || strings.Contains(f.Entry.Path, "docker") {
					continue // of a container, that is itself
				}
				if h.Sockets.State != fact.Known {
					doubt = append(doubt, e)
					why = h.Sockets.Why
					continue
				}
				if !slices.ContainsFunc(h.Sockets.Listening, func(k fact.Socket) bool { return k.Proto == "tcp" && k.Port == port }) {
					e.Wanted = "a port that is open"
					bad = append(bad, e)
					continue
				}
			}
			fine = append(fine, e)
		}
	}
	switch {
	case len(bad) > 0:
		return control.IsIneffective("Prometheus asks "+bad[0].Found+", where nothing answers: what it should watch is not watched", bad...)
	case len(doubt) > 0 || why != "":
		return control.CannotTell(why)
	case len(fine) == 0:
		return control.DoesNotApply("prometheus.yml names no target of this host")
	}
	return control.Passed("Prometheus asks where something answers", fine[:min(len(fine), 5)]...)
}

// sovereignPort is where PiSovereign's settings have it listen.
func sovereignPort(h *fact.Host) (port int, why string) {
	files, why := sovereignFiles(h, "config")
	if why != "" {
		return 0, why
	}
	port = 3000
	for _, f := range files {
		if s, ok := f.Last("server", "port"); ok {
			port, _ = strconv.Atoi(s.Value)
		}
	}
	return port, ""
}
