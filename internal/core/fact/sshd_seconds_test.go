package fact

import "testing"

// TestSSHDSeconds holds the limits of sshd's own times, which are 32 bits.
func TestSSHDSeconds(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "90": 90, "2m": 120, "1h30m": 5400, "1w": 604800, "1m30": 90, "2147483647": 2147483647,
		"2147483648": -1, "4000w": -1, "2147483647s1": -1, "": -1, "m": -1, "-1": -1, "1y": -1,
	} {
		got, ok := SSHDSeconds(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
