//go:build !race

package leftout

const race = false
