package fact

import (
	"encoding/binary"
	"path"
	"strings"
	"unicode/utf8"
)

// gitNamed are the files that hold secrets in what people keep under version
// control: nobody needs the names of the others.
var gitNamed = []string{"nio.conf", "secrets.conf", "pk_server.conf", "users.json", "*.key", "*.pem", ".env", "*.env", "config.toml", "vault-keys.json", "id_rsa", "id_ed25519", "config.ini"}

// readAppGit lists from a repository's index which files with secrets it
// tracks. Format: git's documentation, gitformat-index; versions 2 to 4.
func readAppGit(r *appReader, text string) {
	const head = 12
	if len(text) < head || text[:4] != "DIRC" {
		r.fail(0, "not an index of git")
		return
	}
	version := binary.BigEndian.Uint32([]byte(text[4:8]))
	n := binary.BigEndian.Uint32([]byte(text[8:12]))
	if version < 2 || version > 4 {
		r.fail(0, "an index of git of a version that is not read")
		return
	}
	at, name := head, ""
	for range n {
		fixed := at + 62
		if fixed > len(text) {
			r.fail(0, "an index of git that ends too early")
			return
		}
		if version > 2 && text[at+60]&0x40 != 0 {
			fixed += 2
		}
		if version == 4 {
			cut, used := gitVarint(text[min(fixed, len(text)):])
			if used == 0 || cut > len(name) {
				r.fail(0, "an index of git that makes no sense")
				return
			}
			name, fixed = name[:len(name)-cut], fixed+used
		} else {
			name = ""
		}
		end := strings.IndexByte(text[min(fixed, len(text)):], 0)
		if end < 0 || end > 4096 {
			r.fail(0, "an index of git that ends too early")
			return
		}
		name += text[fixed : fixed+end]
		if len(name) > 4096 {
			r.fail(0, "an index of git that makes no sense")
			return
		}
		length := fixed + end - at
		if version < 4 {
			at += length + 8 - length%8 // one to eight zeros
		} else {
			at += length + 1
		}
		for _, p := range gitNamed {
			if ok, _ := path.Match(p, path.Base(name)); ok && utf8.ValidString(name) {
				r.add(0, name, true, "tracked")
				break
			}
		}
	}
	if len(r.list) == 0 && r.err == "" {
		r.add(0, "none of them", true, "tracks")
	}
}

// gitVarint reads a number as git writes offsets; used is 0 for none.
func gitVarint(s string) (v, used int) {
	for i := range min(len(s), 4) {
		v = v<<7 | int(s[i]&0x7f)
		if s[i]&0x80 == 0 {
			return v, i + 1
		}
		v++
	}
	return 0, 0
}
