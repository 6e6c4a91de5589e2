// Package machine is what differs by the operating system of the machine that Picket runs on. Hosts are Linux; a laptop from
// which they are reached need not be.
package machine

import "errors"

// ErrNotLinux is what reading or changing the machine itself gives anywhere else.
var ErrNotLinux = errors.New("this machine is no Linux: Picket reads and changes others from here, over SSH")

// NoAgent in place of a socket is that no agent is to be asked.
const NoAgent = "none"

// What somebody may do with a file, for [Access].
const (
	MayWrite = 2
	MayEnter = 1
)
