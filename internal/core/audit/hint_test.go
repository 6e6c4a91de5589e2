package audit

import "testing"

func TestHint(t *testing.T) {
	for _, tc := range []struct {
		reason string
		root   bool
		want   string
	}{
		{"run as root to read /etc/shadow; run as root", false, "run as root to read /etc/shadow"},
		{"only root may ask the kernel; run as root", false, "only root may ask the kernel; run as root"},
		{"/x was not read; run as root", true, "/x was not read"},
		{"the system refused even root to read /x", true, "the system refused even root to read /x"},
	} {
		if got := hint(tc.reason, tc.root); got != tc.want {
			t.Errorf("hint(%q, %t) is %q, want %q", tc.reason, tc.root, got, tc.want)
		}
	}
}
