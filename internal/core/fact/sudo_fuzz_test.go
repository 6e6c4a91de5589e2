package fact

import "testing"

// FuzzSudoCommand: what one command covers does not become less dangerous by
// being covered: whoever may run the wider one may run the narrower.
func FuzzSudoCommand(f *testing.F) {
	for _, s := range [][2]string{{"ALL", "/usr/bin/vim x"}, {"/usr/bin/", "/bin/sh"}, {"/usr/bin/*", "/usr/bin/sh -c"}, {"/usr/bin/env", "/bin/env sudo su"}, {"sudoedit", "sudoedit /a"}, {"^/x$", `/usr/bin/nice ""`}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, wide, narrow string) {
		if covers(wide, narrow) && full(narrow) && !full(wide) && rootMaker(narrow) == rootMaker(wide) {
			t.Errorf("%q covers %q, which makes root", wide, narrow)
		}
		if !covers(narrow, narrow) || !covers("ALL", narrow) {
			t.Errorf("%q is not covered by itself", narrow)
		}
	})
}
