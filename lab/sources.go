package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// aptSources gathers where the machine gets Debian itself from, in deb822 form and for a release that may be
// another than its own; sources of others in dir (a copy of /etc/apt) are left out.
func aptSources(dir, release string) (string, error) {
	lists, err := filepath.Glob(filepath.Join(dir, "sources.list.d", "*.list"))
	if err != nil {
		return "", err
	}
	stanzas, err := filepath.Glob(filepath.Join(dir, "sources.list.d", "*.sources"))
	if err != nil {
		return "", err
	}
	var found []string
	for _, path := range slices.Concat([]string{filepath.Join(dir, "sources.list")}, lists) {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // the file is optional
		}
		for line := range strings.Lines(string(content)) {
			if stanza, ok := oneLineSource(line); ok {
				found = append(found, stanza)
			}
		}
	}
	for _, path := range stanzas {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		for _, stanza := range strings.Split(withoutComments(string(content)), "\n\n") {
			if debianStanza(stanza) {
				found = append(found, strings.TrimSpace(stanza))
			}
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("no source of Debian %s in %s", suite, dir)
	}
	for i := range found {
		found[i] = ofRelease(found[i], release)
	}
	return strings.Join(found, "\n\n") + "\n", nil
}

// ofRelease names another release in the suites of a stanza.
func ofRelease(stanza, release string) string {
	var out strings.Builder
	for line := range strings.Lines(stanza) {
		if key, _, _ := strings.Cut(line, ":"); strings.EqualFold(key, "suites") {
			line = strings.ReplaceAll(line, suite, release)
		}
		out.WriteString(line)
	}
	return out.String()
}

// oneLineSource turns "deb [options] URI SUITE COMPONENT…" into a stanza.
func oneLineSource(line string) (string, bool) {
	line, _, _ = strings.Cut(line, "#")
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
	if !ok {
		return "", false
	}
	signed := "/usr/share/keyrings/debian-archive-keyring.gpg"
	rest = strings.TrimSpace(rest)
	if strings.HasPrefix(rest, "[") {
		options, after, ok := strings.Cut(rest[1:], "]")
		if !ok {
			return "", false
		}
		for _, option := range strings.Fields(options) {
			if key, value, _ := strings.Cut(option, "="); key == "signed-by" {
				signed = value
			}
		}
		rest = after
	}
	fields := strings.Fields(rest)
	if len(fields) < 3 {
		return "", false
	}
	stanza := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s",
		fields[0], fields[1], strings.Join(fields[2:], " "), signed)
	return stanza, debianStanza(stanza)
}

// debianStanza tells whether a stanza is Debian's own archive of our suite. Others publish under the
// same suite names, but not with Debian's key and section.
func debianStanza(stanza string) bool {
	fields := map[string]string{}
	for line := range strings.Lines(stanza) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	if fields["enabled"] == "no" || !slices.Contains(strings.Fields(fields["types"]), "deb") {
		return false
	}
	signed := fields["signed-by"]
	if signed != "" && !strings.Contains(signed, "debian-archive") {
		return false
	}
	if !slices.Contains(strings.Fields(fields["components"]), "main") {
		return false
	}
	suites := strings.Fields(fields["suites"])
	for _, name := range suites {
		if name != suite && name != suite+"-updates" && name != suite+"-security" {
			return false
		}
	}
	return len(suites) > 0
}

func withoutComments(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
