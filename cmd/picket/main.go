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
// and all else fit into this; with 47 MiB the peak is 2 MB higher, and an audit
// is no faster. The program itself comes on top. A Pi Zero has 512 MB for
// everything.
const softLimit = 42 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us whatever we wait for
	os.Exit(cli.Main(ctx, os.Args, ui.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, machine.Getenv))
}
