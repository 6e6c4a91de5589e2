package harden

import (
	"encoding/base64"
	"testing"
	"time"
)

func TestHistoryIsRead(t *testing.T) {
	b := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	all, err := readHistory([]byte("up 1000\ntx two\nstate applied\nsince 950\ndue 1070\nplan " + b("step unit 001 a.service stop # x/y\n") + "\nleft " + b("a/b\nc/d\n") + "\njournal " + b("one\ntwo\n") +
		"\ntx one\nstate prepared\nsince 10\ndue \n"))
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	c := all[0]
	if c.ID != "two" || c.Left != 70*time.Second || !c.Back() || len(c.Steps) != 1 || c.Steps[0].InWords() != "stop a.service" || len(c.Journal) != 2 || c.Journal[1] != "two" || len(c.ToYou) != 2 {
		t.Errorf("%+v", c)
	}
	if c := all[1]; c.Left != 0 || c.Back() || c.Since.Unix() != 10 {
		t.Errorf("%+v", c)
	}
	if all, err := readHistory(nil); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	for _, bad := range []string{"tx a\nsince x\n", "tx a\nplan !\n"} {
		if _, err := readHistory([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if all, _ = readHistory([]byte("now 5000\ntx a\nstate applied\nsince 10\ndue \n")); all[0].Left != 0 {
		t.Error("time is left of what is long over")
	}
}
