// Package control says what a rule is: its words, its references, when it
// applies, and the outcome of looking at a host. The rules themselves are data
// in catalogue/; what they do is in package kind.
package control

import (
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// Severity of a finding, as in the reports of the field.
type Severity string

// Severities, from the least.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Severities in rising order.
var Severities = []Severity{Low, Medium, High, Critical}

// Rank is 0 for low to 3 for critical, -1 for anything else.
func (s Severity) Rank() int {
	for i, t := range Severities {
		if s == t {
			return i
		}
	}
	return -1
}

// Layers of protection a control may belong to.
var Layers = []string{"network", "application", "secrets", "host"}

// Refs are the places outside that ask for the same thing. Others compare us
// by them; their text is never copied.
type Refs struct {
	CISDebian12 []string `yaml:"cis-debian12" json:"cis-debian12,omitempty"` // section numbers of CIS Debian Linux 12 Benchmark
	ANSSI       []string `yaml:"anssi-bp28" json:"anssi-bp28,omitempty"`     // R numbers of ANSSI BP-028
	DevSec      []string `yaml:"dev-sec" json:"dev-sec,omitempty"`           // ids of the dev-sec baselines
	Lynis       []string `yaml:"lynis" json:"lynis,omitempty"`               // test ids
	SSHAudit    []string `yaml:"ssh-audit" json:"ssh-audit,omitempty"`
	Document    []string `yaml:"document" json:"document,omitempty"`       // the guide followed: pioreactor, pi-cluster, nio, pisovereign
	Requirement []string `yaml:"requirement" json:"requirement,omitempty"` // rows of Picket's own requirements: H1, T1
}

// A Control is one rule over a host.
type Control struct {
	ID       string   // topic/name: the path of its file below controls/
	File     string   // for messages
	Title    string   `yaml:"title"` // what is true of a host that passes
	Layer    string   `yaml:"layer"`
	Severity Severity `yaml:"severity"`
	Why      string   `yaml:"why"`  // one or two sentences for somebody who is not a security engineer
	Fix      string   `yaml:"fix"`  // what a person would do about it; commands on lines of their own
	Note     string   `yaml:"note"` // what else to know: where baselines disagree, what a fix can break
	Applies  Applies  `yaml:"applies"`
	Kind     string   `yaml:"kind"`
	Risk     []string `yaml:"risk"`  // what its fix could cost: lose-ssh, lose-network, reboot, data
	Guard    string   `yaml:"guard"` // condition under which its fix is refused
	Refs     Refs     `yaml:"refs"`
	Rule     Rule     // from Kind and its parameters

	Baselines []Baseline `yaml:"baselines"` // who asks for what, where baselines disagree

	params *yaml.Node // of the kind, and what makes a rule of them
	decode func(*yaml.Node) (Rule, yaml.Problems)
}

// A Rule looks at one host. It must not panic on any host, and must answer
// Unknown rather than guess.
type Rule interface {
	Evaluate(*fact.Host) Outcome
}

// Risks that a fix may carry and that have to be accepted by name.
var Risks = []string{"lose-ssh", "lose-network", "reboot", "data"}

// A Describer tells a reader what it looks at, a line a thing.
type Describer interface{ Describe() []string }
