package main

import (
	"context"
	"strings"

	"picket/bench/booted"
	"picket/lab"
)

// Where the programs lie on the host.
const (
	picketOnHost = booted.Picket
	benchOnHost  = "/usr/local/bin/bench-audit"
)

// A host is a booted lab host with Picket, this program and the other tools.
type host struct{ *booted.Host }

func boot(ctx context.Context) (*host, error) {
	h, err := booted.Boot(ctx, lab.Bench, map[string]string{"picket/bench/audit": benchOnHost})
	if err != nil {
		return nil, err
	}
	return &host{h}, nil
}

// run measures one run of a program on the host.
func (h *host) run(ctx context.Context, sample bool, argv ...string) (run, error) {
	args := []string{"measure"}
	if sample {
		args = append(args, "-tree")
	}
	out, err := h.Do(ctx, nil, benchOnHost, append(args, argv...)...)
	if err != nil {
		return run{}, err
	}
	return parse(strings.NewReader(out))
}
