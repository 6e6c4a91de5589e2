package fact

import (
	"slices"
	"testing"
)

// A command without a word after it is judged as well.
func TestFullWithoutWords(t *testing.T) {
	for _, c := range slices.Concat(rootMakers, []string{"crontab", "passwd", "systemctl"}) {
		full("/usr/bin/" + c)
		full("/usr/bin/" + c + " ")
		full("/usr/bin/" + c + ` ""`)
	}
	if full("/usr/bin/systemctl ") || !full("/usr/bin/systemctl edit ssh") {
		t.Error("systemctl edit is an editor of root's, systemctl is not")
	}
}
