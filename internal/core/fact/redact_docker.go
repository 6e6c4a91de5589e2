package fact

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// keptLabels are those of a container's labels that are kept.
var keptLabels = []string{"com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.project.config_files",
	"com.docker.compose.project.working_dir", "com.docker.compose.oneoff"}

// redactDocker keeps of the engine's answers what rules read, and nothing else:
// arguments, labels and the environment are full of secrets.
func redactDocker(o *snap.Output) {
	if len(o.Argv) < 2 || o.Argv[0] != "docker" || len(o.Stdout) == 0 {
		return
	}
	var kept any
	switch o.Argv[1] {
	case "inspect":
		var cs []Container
		if json.Unmarshal(o.Stdout, &cs) != nil {
			break
		}
		for i := range cs {
			env := cs[i].Config.Env
			for j, e := range env {
				name, value, _ := strings.Cut(e, "=")
				if value != "" {
					value = Hidden
				}
				env[j] = name + "=" + value
			}
			if hc := cs[i].Config.Healthcheck; hc != nil {
				hc.Test = hc.Test[:min(len(hc.Test), 1)]
			}
			for k := range cs[i].Config.Labels {
				if !slices.Contains(keptLabels, k) {
					delete(cs[i].Config.Labels, k)
				}
			}
		}
		kept = cs
	case "info":
		var info DockerInfo
		if json.Unmarshal(o.Stdout, &info) != nil {
			break
		}
		kept = info
	default:
		return
	}
	if kept == nil {
		o.Stdout = []byte("not kept: it is not the expected JSON\n")
		return
	}
	data, err := json.Marshal(kept)
	if err != nil {
		data = []byte("not kept\n")
	}
	o.Stdout = data
}

// redactDaemonConfig keeps what the engine's settings hold but secrets: passwords
// of proxies, whatever has the name of a secret, and of the options of a log driver
// all but those that no driver has a secret in.
func redactDaemonConfig(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	text := hideSecrets(string(e.Content))
	text = logOptions.ReplaceAllStringFunc(text, func(options string) string {
		return jsonText.ReplaceAllStringFunc(options, func(pair string) string {
			return hidePair(pair, func(name string) bool { return !slices.Contains(plainLogOptions, name) })
		})
	})
	return []byte(jsonText.ReplaceAllStringFunc(text, func(pair string) string { return hidePair(pair, NamesSecret) }))
}

var (
	logOptions = regexp.MustCompile(`"log-opts"\s*:\s*\{[^{}]*`)
	jsonText   = regexp.MustCompile(`"((?:\\.|[^"\\])*)"(\s*:\s*)"(?:\\.|[^"\\])*"`)

	plainLogOptions = []string{"max-size", "max-file", "compress", "mode", "max-buffer-size", "labels", "labels-regex", "env", "env-regex", "tag"}
)

// hidePair takes the text out of "name": "text" where the name says so.
func hidePair(pair string, secret func(name string) bool) string {
	m := jsonText.FindStringSubmatch(pair)
	if !secret(m[1]) {
		return pair
	}
	return `"` + m[1] + `"` + m[2] + `"` + Hidden + `"`
}
