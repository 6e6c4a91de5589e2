package fact

import "testing"

// TestPerHour: with fail2ban's own settings an address fails 5 times, is banned
// for 10 minutes, and comes back; or it stays just below the 5.
func TestPerHour(t *testing.T) {
	own := Jail{MaxRetry: Is("5", At("/j", 1)), FindTime: Is("10m", At("/j", 2)), BanTime: Is("600", At("/j", 3))}
	growing, short, long := own, own, own
	growing.Growing = true
	short.BanTime = Is("1", At("/j", 3))
	long.BanTime = Is("-1", At("/j", 3))
	for _, tt := range []struct {
		name string
		jail Jail
		want float64
		line int
	}{
		{"as installed", own, 30, 1}, {"longer each time", growing, 24, 1}, {"banned for a second", short, 18000, 3}, {"banned for ever", long, 24, 1},
	} {
		if n, at, ok := tt.jail.PerHour(); !ok || n != tt.want || at.Line != tt.line {
			t.Errorf("%s: %v at %s, %v; want %v at line %d", tt.name, n, at, ok, tt.want, tt.line)
		}
	}
	if _, _, ok := (Jail{MaxRetry: Is("few", Place{})}).PerHour(); ok {
		t.Error("few is a number")
	}
}
