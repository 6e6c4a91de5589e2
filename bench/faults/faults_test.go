package main

import (
	"math/rand/v2"
	"os"
	"testing"

	"picket/lab"
	"picket/lab/leftout"
)

// TestSample makes some of the trials, others each time: all of them take an hour.
func TestSample(t *testing.T) {
	if os.Getenv("PICKET_LAB") == "off" {
		leftout.Skip(t, "PICKET_LAB=off")
	}
	if err := lab.Available(); err != nil {
		leftout.Missing(t, err.Error())
	}
	chance := map[string]float64{"apply-kill": 0.01, "apply-cut": 0.01, "apply-link": 0.006, "confirm-link": 0.05, "undo-link": 0.006, "confirm-kill": 0.1, "undo-kill": 0.01, "undo-cut": 0.01, "boot": 0.01}
	c := campaign{log: func(line string) { t.Log(line) }, pick: func(tr trial) bool { return rand.Float64() < chance[tr.kind] }}
	if err := c.run(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if c.count("else") > 0 {
		t.Error("hosts ended neither as they were nor as they were to be")
	}
	t.Logf("%v: %v", c.made, c.ended)
}
