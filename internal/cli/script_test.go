package cli_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"picket/internal/cli"
	"picket/internal/ui"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"picket": func() {
			os.Exit(cli.Main(context.Background(), os.Args, ui.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Getenv))
		},
	})
}

// TestScripts runs the real program as a person would type it.
func TestScripts(t *testing.T) {
	debian12, err := filepath.Abs("../../testdata/hosts/debian12.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			recorded, err := os.ReadFile(debian12)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "debian12.snapshot"), recorded, 0o600)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("no such condition: %s", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":     exits,
			"for_leaks": forLeaks,
		},
	})
}

// exits runs a command and wants this exit code: exits 2 picket audit nosuch.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = exitCode(err)
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// forLeaks wants the word LEAK in no file of the script's folder but below
// host, and not in what is packed in them.
func forLeaks(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(".")
	files, err := os.ReadDir(dir)
	ts.Check(err)
	looked := 0
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		ts.Check(err)
		if strings.HasSuffix(f.Name(), ".snapshot") {
			z, err := gzip.NewReader(bytes.NewReader(data))
			ts.Check(err)
			data, err = io.ReadAll(z)
			ts.Check(err)
		}
		looked++
		if i := bytes.Index(data, []byte("LEAK")); i >= 0 {
			ts.Fatalf("%s holds a secret: …%s…", f.Name(), data[max(0, i-80):min(len(data), i+40)])
		}
	}
	if looked < 5 {
		ts.Fatalf("only %d files were looked at", looked)
	}
}
