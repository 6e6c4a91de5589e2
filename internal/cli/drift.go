package cli

import (
	"fmt"
	"io"
	"slices"

	"picket/internal/core/audit"
	"picket/internal/report"
	"picket/internal/ui"
)

// drift is what has changed since reports that were kept: of each host that was in them a comparison, of each other its own
// report.
type drift struct {
	file   string
	before []audit.Report
}

// was is the report of a host as it was then.
func (d drift) was(r audit.Report) (audit.Report, bool) {
	i := slices.IndexFunc(d.before, func(b audit.Report) bool { return b.Host.Target == r.Host.Target })
	if i < 0 {
		return audit.Report{}, false
	}
	return d.before[i], true
}

// worse reports whether anything became worse on a host that was there before. Of a host that was not all is new.
func (d drift) worse(reports []audit.Report) (worse bool, joined []audit.Report) {
	for _, r := range reports {
		if b, was := d.was(r); was {
			worse = worse || len(audit.Compare(b, r).Of(audit.Worse)) > 0
		} else {
			joined = append(joined, r)
		}
	}
	return worse, joined
}

// write writes for each host what has changed, and names those that are not there any more.
func (d drift) write(w io.Writer, reports []audit.Report, width int, style ui.Style, whole func(audit.Report) error) error {
	var seen []string
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(w)
		}
		b, was := d.was(r)
		if !was {
			fmt.Fprintln(w, ui.Wrap(fmt.Sprintf("%s is not in %s: all of it is new", r.Host.Target, d.file), width, "  "))
			if err := whole(r); err != nil {
				return err
			}
			continue
		}
		seen = append(seen, b.Host.Target)
		if err := (report.Compare{Width: width, Style: style}).Write(w, audit.Compare(b, r)); err != nil {
			return err
		}
	}
	for _, b := range d.before {
		if !slices.Contains(seen, b.Host.Target) {
			fmt.Fprintf(w, "\n%s\n", ui.Wrap(fmt.Sprintf("%s (%s) is in %s, and was not audited now", b.Host.Target, b.Host.Name, d.file), width, "  "))
		}
	}
	return nil
}
