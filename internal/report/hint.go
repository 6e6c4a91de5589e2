package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"picket/internal/ui"
)

// A Hint is a command to type next, and what it does.
type Hint struct {
	Command string
	Does    string // may be empty
}

// hints ends a text with what to type next. What a command does stands beside it where there is room.
func hints(b *strings.Builder, all []Hint, width int, style ui.Style) {
	longest := 0
	for _, h := range all {
		longest = max(longest, utf8.RuneCountInString(h.Command))
	}
	label := "\nNext: "
	for _, h := range all {
		fmt.Fprintf(b, "%s%s", label, style.Paint(h.Command, ui.Bold))
		label = "      "
		n := utf8.RuneCountInString(h.Command)
		for _, pad := range []int{longest - n, 0} {
			does := strings.Repeat(" ", pad) + "  # " + h.Does
			if h.Does != "" && len(label)+n+utf8.RuneCountInString(does) <= width {
				b.WriteString(style.Paint(does, ui.Dim))
				break
			}
		}
		b.WriteString("\n")
	}
}
