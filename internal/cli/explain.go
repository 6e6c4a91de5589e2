package cli

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
	"picket/internal/report"
	"picket/internal/ui"
)

func (p *program) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CONTROL [TARGET]",
		Short:   "why a control matters, what is read, what to do, who else asks for it",
		Example: "  picket explain ssh/password-login\n  picket explain ssh/password-login ssh://pi@leader   # with the commands about that host",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return withHint(usage(fmt.Errorf("want one control, and at most one target behind it, found %d", len(args))), "`picket controls list` shows all")
			}
			return nil
		},
		ValidArgsFunction: completeControls,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.explain(args[0], targetOf(args[1:])) },
	}
}

// explain says what a control is about; target is the host that the commands are to be for.
func (p *program) explain(id, target string) error {
	if err := p.checkTarget(target); err != nil {
		return err
	}
	all, profiles, err := p.catalogue()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(c control.Control) bool { return c.ID == id })
	if i < 0 {
		topic := strings.TrimSuffix(id, "/")
		if some, err := control.Filter(all, []string{topic}, nil); err == nil && !strings.Contains(topic, "*") {
			return withHint(usage(fmt.Errorf("%s is a topic of %d controls", topic, len(some))), "`"+p.typed("controls list "+topic)+"` shows them")
		}
		err := usage(fmt.Errorf("unknown control %q", id))
		var ids []string
		for _, c := range all {
			ids = append(ids, c.ID)
		}
		if near := nearControls(id, ids); len(near) > 0 {
			return withHint(err, "did you mean "+strings.Join(near, " or ")+"?")
		}
		if topic, _, ok := strings.Cut(id, "/"); ok && slices.ContainsFunc(all, func(c control.Control) bool { return strings.HasPrefix(c.ID, topic+"/") }) {
			return withHint(err, "`"+p.typed("controls list "+topic)+"` shows those of the topic")
		}
		return withHint(err, "`"+p.typed("controls list")+"` shows all")
	}
	return p.showControl(all[i], profiles, target)
}

// nearControls are those with a similar id, or with the word in it.
func nearControls(id string, ids []string) []string {
	if near := yaml.Nearest(id, ids); near != "" {
		return []string{near}
	}
	var out []string
	for _, i := range ids {
		if strings.Contains(i, id) && len(out) < 3 {
			out = append(out, i)
		}
	}
	return out
}

func (p *program) showControl(c control.Control, profiles []control.Profile, target string) error {
	command := func(verb, flags string) string {
		if target == "local" {
			return p.typedAsRoot(verb + " " + flags)
		}
		return p.typed(verb + " " + snap.CommandKey(target) + " " + flags)
	}
	width := p.width()
	w, bold := &strings.Builder{}, func(s string) string { return p.style.Paint(s, ui.Bold) }
	fmt.Fprintf(w, "%s · %s · %s\n%s\n", bold(c.ID), c.Severity, c.Layer, ui.Wrap(c.Title, width, ""))
	fmt.Fprintf(w, "\n%s\n  %s\n", bold("Why"), ui.Wrap(c.Why, width, "  "))
	if d, ok := c.Rule.(control.Describer); ok {
		fmt.Fprintf(w, "\n%s\n", bold("What is judged"))
		for _, line := range d.Describe() {
			fmt.Fprintf(w, "  %s\n", ui.Wrap(line, width, "    "))
		}
	}
	again := "--only " + c.ID
	if flag, tried := fact.ProbesFor(c.ID); len(tried) > 0 {
		again += " " + flag
		fmt.Fprintf(w, "\n%s\n", bold("What "+flag+" tries"))
		for _, line := range tried {
			fmt.Fprintf(w, "  %s\n", ui.Wrap(line, width, "    "))
		}
	}
	fmt.Fprintf(w, "\n%s\n", bold("What to do"))
	if plan.CanFix(c) {
		fmt.Fprintf(w, "  Picket does it; the first shows what it would change:\n      %s\n      %s\n  By hand:\n", bold(command("plan", "--only "+c.ID)), bold(command("apply", "--only "+c.ID)))
	} else {
		fmt.Fprintln(w, "  By hand: Picket has no change of its own for it.")
	}
	for _, s := range report.Steps(c.Fix) {
		if !s.Code {
			fmt.Fprintf(w, "  %s\n", ui.Wrap(s.Text, width, "  "))
			continue
		}
		for line := range strings.Lines(s.Text) { // not wrapped: to be copied
			fmt.Fprintf(w, "      %s\n", bold(strings.TrimSuffix(line, "\n")))
		}
	}
	written := "Written out for this machine; for another, put its name behind the control:"
	if target != "local" {
		written = "Written out for " + target + ":"
	}
	fmt.Fprintf(w, "  %s\n      %s\n", ui.Wrap(written, width, "  "), bold(command("audit", again)))
	if c.Note != "" {
		fmt.Fprintf(w, "\n%s\n  %s\n", bold("Good to know"), ui.Wrap(c.Note, width, "  "))
	}
	if len(c.Risk) > 0 {
		fmt.Fprintf(w, "\n%s\n  %s\n", bold("Risk of the change"), ui.Wrap(strings.Join(report.Risks(c.Risk), "; "), width, "  "))
	}
	var in []string
	for _, prof := range profiles {
		if prof.Selects(c) && !prof.Inherits(c) {
			in = append(in, prof.Name)
		}
	}
	fmt.Fprintf(w, "\n%s\n  %s\n", bold("Profiles that hold it"), strings.Join(in, ", "))
	if len(c.Baselines) > 0 {
		fmt.Fprintf(w, "\n%s\n", bold("Baselines disagree"))
		for _, b := range c.Baselines {
			fmt.Fprintf(w, "  %s\n", ui.Wrap(b.Who+": "+b.Says, width, "    "))
		}
	}
	for _, prof := range profiles {
		if d, ok := prof.For(c).Rule.(control.Describer); ok && prof.Tunes(c.ID) {
			fmt.Fprintf(w, "\n%s\n", bold("Judged otherwise in the profile "+prof.Name))
			for _, line := range d.Describe() {
				fmt.Fprintf(w, "  %s\n", ui.Wrap(line, width, "    "))
			}
		}
	}
	if refs := references(c.Refs); len(refs) > 0 {
		fmt.Fprintf(w, "\n%s\n", bold("Also asked for by"))
		for _, r := range refs {
			fmt.Fprintf(w, "  %s\n", r)
		}
	}
	_, err := io.WriteString(p.io.Out, w.String())
	return err
}

// references lists the filled fields of Refs that others know, in their order.
func references(r control.Refs) []string {
	names := map[string]string{
		"cis-debian12": "CIS Debian 12", "anssi-bp28": "ANSSI BP-028", "dev-sec": "dev-sec", "lynis": "Lynis",
		"ssh-audit": "ssh-audit", "document": "the hardening guides of",
	}
	var out []string
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		name := names[v.Type().Field(i).Tag.Get("yaml")] // Picket's own requirements have none: they say nothing to others
		if ids := v.Field(i).Interface().([]string); len(ids) > 0 && name != "" {
			out = append(out, name+" "+strings.Join(ids, ", "))
		}
	}
	return out
}
