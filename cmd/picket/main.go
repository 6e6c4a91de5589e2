// Command picket secures small self-hosted clusters.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"picket/internal/cli"
	"picket/internal/ui"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, os.Args, ui.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Getenv))
}
