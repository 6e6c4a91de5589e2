// Command picket secures small self-hosted clusters.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"picket/internal/cli"
	"picket/internal/host/machine"
	"picket/internal/ui"
)

// softLimit of memory, in bytes: checking a yescrypt hash takes 16 MiB each time,
// and without a limit the collector lets several of those pile up. Two at a time
// and all else fit into this; some 2 MB less and the collector is at work so
// often that an audit takes a sixth longer. The program itself comes on top. A Pi
// Zero has 512 MB for everything.
const softLimit = 47 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us whatever we wait for
	os.Exit(cli.Main(ctx, os.Args, ui.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, machine.Getenv))
}
