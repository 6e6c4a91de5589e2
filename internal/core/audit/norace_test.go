//go:build !race

package audit_test

const every = 1
