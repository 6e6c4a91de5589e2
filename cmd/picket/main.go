// Command picket secures small self-hosted clusters.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"picket/internal/cli"
	"picket/internal/ui"
)

// softLimit of memory, in bytes: checking a yescrypt hash takes 16 MiB each time,
// and without a limit the collector lets several of those pile up. A Pi Zero
// has 512 MB for everything.
const softLimit = 52 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us whatever we wait for
	os.Exit(cli.Main(ctx, os.Args, ui.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Getenv))
}
