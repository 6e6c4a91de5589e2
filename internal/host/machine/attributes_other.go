//go:build !linux

package machine

import (
	"errors"
	"os"
)

// Attributes are the extended attributes of a file that is open: of a card's file systems none are read here.
func Attributes(*os.File) (map[string][]byte, error) { return nil, nil }

// SetAttribute is not had here.
func SetAttribute(*os.File, string, []byte) error { return errors.ErrUnsupported }
