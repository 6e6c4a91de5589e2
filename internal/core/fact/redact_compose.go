package fact

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/compose"
)

// valueNotKept stands for a value of which nothing needs to be known.
const valueNotKept = "[not kept]"

// Bounds of a compose file: its length, and how many values are kept of it and
// of all together. A large one has some hundred values in ten kilobytes.
const (
	maxComposeFile  = 256 << 10
	maxComposeNodes = 4000
	maxComposeTotal = 30_000
	maxComposeBytes = 4 << 20
)

// A composeForm says what is kept of a part of a compose file.
type composeForm uint8

const (
	dropped composeForm = iota
	deeper              // something below it
	asText              // as it is written
	asNames             // the names, of values nothing but what kind they are
	asWords             // of a command line, what tells of a secret or a setting
	asFirst             // the first word
	asThere             // that it is there
)

// composeKept are the parts of a compose file that rules read. All others are
// left out, comments with them.
var composeKept = func() map[string]composeForm {
	m := map[string]composeForm{
		"name": asText, "include": asText,
		"services.*.environment": asNames, "services.*.labels": asNames, "services.*.build.args": asNames, "services.*.build": asThere, "services.*.deploy.labels": asNames,
		"services.*.command": asWords, "services.*.entrypoint": asWords,
		"services.*.healthcheck.test": asFirst, "services.*.healthcheck.disable": asText,
		"services.*.networks": asThere, "services.*.secrets": asThere,
		"services.*.deploy.replicas": asText, "services.*.deploy.resources.limits.memory": asText, "services.*.deploy.resources.limits.pids": asText,
		"networks.*.internal": asText, "networks.*.external": asText, "networks.*.name": asText, "networks.*.driver": asText,
		"volumes.*.driver_opts.device": asText,
		"secrets.*.file":               asText, "secrets.*.environment": asText, "secrets.*.external": asText,
	}
	for _, k := range strings.Fields(`image user privileged read_only pid ipc uts network_mode userns_mode mem_limit pids_limit
		scale use_api_socket cap_add cap_drop security_opt devices volumes volumes_from ports profiles env_file extends`) {
		m["services.*."+k] = asText
	}
	return m
}()

func composeFormOf(path []string) composeForm {
	key := slices.Clone(path)
	if len(key) > 1 {
		key[1] = "*"
	}
	name := strings.Join(key, ".")
	if f := composeKept[name]; f != dropped {
		return f
	}
	for k := range composeKept {
		if strings.HasPrefix(k, name+".") {
			return deeper
		}
	}
	return dropped
}

// composeInner are the keys in the long form of a port, a mount and the like.
var composeInner = strings.Fields("type source target read_only bind propagation host_ip published protocol path required file service project_directory env_file")

// A composeKeeper makes of a file what is kept of it.
type composeKeeper struct{ left int }

func (k *composeKeeper) node(n *compose.Node, path []string) *compose.Node {
	if k.left--; k.left < 0 {
		return nil
	}
	out := &compose.Node{Kind: n.Kind, File: n.File, Line: n.Line}
	if len(path) > 0 && (n.Tag == "!reset" || n.Tag == "!override") {
		out.Tag = n.Tag
	}
	form := deeper
	if len(path) > 0 {
		form = composeFormOf(path)
	}
	switch {
	case form == dropped:
		return nil
	case form != deeper && form != asThere:
		return k.value(out, n, path, form)
	case n.Kind == compose.Scalar:
		out.Text = keepComposeText(n.Text)
	case n.Kind == compose.List:
		for _, it := range n.Items {
			if it.Kind == compose.Scalar {
				out.Items = append(out.Items, k.leaf(it, keepComposeText(it.Text)))
			}
		}
	case n.Kind == compose.Map:
		for i, key := range n.Keys {
			below := append(slices.Clip(path), key)
			kept := k.node(n.Items[i], below)
			if kept == nil && form == asThere && k.left > 0 {
				kept = &compose.Node{File: n.File, Line: n.Items[i].Line}
			}
			if kept != nil {
				out.Keys, out.Items = append(out.Keys, keepName(key)), append(out.Items, kept)
			}
		}
	}
	return out
}

func (k *composeKeeper) leaf(at *compose.Node, text string) *compose.Node {
	k.left--
	return &compose.Node{Kind: compose.Scalar, Text: text, Tag: at.Tag, File: at.File, Line: at.Line}
}

// value keeps a part of which all has one form.
func (k *composeKeeper) value(out, n *compose.Node, path []string, form composeForm) *compose.Node {
	if n.Kind == compose.Nothing || k.left < 0 {
		return out
	}
	last := path[len(path)-1]
	switch {
	case form == asFirst:
		words := strings.Fields(n.Text)
		if n.Kind == compose.List && len(n.Items) > 0 {
			words = []string{n.Items[0].Text}
		}
		out.Kind, out.Items = compose.List, nil
		if len(words) > 0 {
			w := "CMD-SHELL"
			if slices.Contains([]string{"NONE", "CMD", "CMD-SHELL"}, words[0]) {
				w = words[0]
			}
			out.Items = append(out.Items, k.leaf(n, w))
		}
	case form == asWords:
		out.Kind, out.Text = compose.List, ""
		for _, w := range composeWords(n) {
			out.Items = append(out.Items, k.leaf(&compose.Node{File: n.File, Line: w.line}, w.text))
		}
	case n.Kind == compose.Scalar && form == asNames:
		out.Text = valueNotKept
	case n.Kind == compose.Scalar:
		out.Text = keepComposeText(n.Text)
	case n.Kind == compose.List && form == asNames:
		for _, it := range n.Items {
			name, value, has := strings.Cut(it.Text, "=")
			if it.Kind != compose.Scalar {
				continue
			}
			text := keepName(name)
			if has {
				text += "=" + keepComposeValue(last, name, value)
			}
			out.Items = append(out.Items, k.leaf(it, text))
		}
	default:
		for i, it := range n.Items {
			key := strconv.Itoa(i)
			if n.Kind == compose.Map {
				key = n.Keys[i]
			}
			if n.Kind == compose.Map && form == asText && !slices.Contains(composeInner, key) {
				continue
			}
			var kept *compose.Node
			if form == asNames {
				kept = &compose.Node{Kind: it.Kind, Tag: it.Tag, File: it.File, Line: it.Line}
				switch it.Kind {
				case compose.Scalar:
					kept.Text = keepComposeValue(last, key, it.Text)
				case compose.List, compose.Map:
					kept.Kind, kept.Text = compose.Scalar, valueNotKept
				}
				k.left--
			} else {
				kept = k.value(&compose.Node{Kind: it.Kind, Tag: it.Tag, File: it.File, Line: it.Line}, it, append(slices.Clip(path), key), form)
			}
			if k.left < 0 {
				return out
			}
			if n.Kind == compose.Map {
				out.Keys = append(out.Keys, keepName(key))
			}
			out.Items = append(out.Items, kept)
		}
	}
	return out
}

// composeDefault is a variable with what stands for it when it is not set, or
// with what is said then.
var composeDefault = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[-+?])([^{}]*)\}`)

// keepComposeText is a value that rules read: of what stands in it for a
// variable that is a secret nothing is kept.
func keepComposeText(v string) string {
	if len(v) > 500 {
		return "[long text]"
	}
	v = composeDefault.ReplaceAllStringFunc(v, func(m string) string {
		g := composeDefault.FindStringSubmatch(m)
		switch {
		case strings.HasSuffix(g[2], "?"):
			g[3] = ""
		case secretVariable(g[1]) && g[3] != "" && g[3] != valueNotKept:
			g[3] = valueNotKept
		}
		return "${" + g[1] + g[2] + g[3] + "}"
	})
	return maskWords(hideSecrets(v))
}

func secretVariable(name string) bool { return NamesSecret(name) || secretKey([]string{name}) }

var (
	// The variables and labels whose values rules read, and what those may be.
	composeRead    = regexp.MustCompile(`^(?:PISOVEREIGN_(?:ENVIRONMENT|ALLOW_INSECURE_CONFIG)|TRAEFIK_(?:(?:API|ENTRYPOINTS)_\w+|PROVIDERS_DOCKER(?:_EXPOSEDBYDEFAULT)?)|traefik\.enable|traefik\.http\.routers\.[\w-]+\.(?:tls(?:\.certresolver)?|entrypoints))$`)
	composeOrdered = regexp.MustCompile(`^COMPOSE_(?:FILE|PROFILES|PROJECT_NAME|PATH_SEPARATOR)$`)
	composePlain   = regexp.MustCompile(`(?i)^(?:true|false|0|1|yes|no|on|off|production|development|staging|[0-9.]*:[0-9]{1,5}(?:/tcp|/udp)?|[a-z][a-z0-9,_-]{0,30})$`)
	composeSwitch  = regexp.MustCompile(`(?i)^(?:true|false|yes|no|on|off|none|null|enabled?|disabled?|required|optional)$`)
	urlPassword    = regexp.MustCompile(`://[^\s/:@'"]*:([^\s/'"]+)@`)
)

// What is kept of a secret that is part of a text, and of one in an address.
const composeSecretInAddress = secretHead + "in an address]"

// keepComposeValue is what is kept of the value of a variable, a label or an
// argument: for most that it is there, for a secret the note of it. A variable
// that stands for it stays.
func keepComposeValue(what, name, v string) string {
	switch {
	case v == "", v == valueNotKept, secretNote.MatchString(v), isNote(v):
		return v
	case compose.Refers(v):
		return composeDefault.ReplaceAllString(v, "$${$1$2}")
	}
	note := valueNotKept
	switch m := urlPassword.FindStringSubmatch(v); {
	case composeSwitch.MatchString(v) && !composeRead.MatchString(name): // REQUIRE_TOKEN: true
	case secretVariable(name) && what != "labels":
		note = secretOf(name, v)
	case m != nil && !strings.HasPrefix(m[1], "$") && m[1] != Hidden:
		note = composeSecretInAddress
	case composeRead.MatchString(name) && composePlain.MatchString(v):
		note = v
	}
	if g := composeDefault.FindStringSubmatch(v); g != nil && g[0] == v && strings.HasSuffix(g[2], "-") {
		if note = keepComposeValue(what, name, g[3]); note == "" {
			return "${" + g[1] + "}"
		}
		return "${" + g[1] + g[2] + note + "}"
	}
	if strings.HasPrefix(note, secretHead) && strings.Contains(v, "${") {
		return valueNotKept // a part of it stands elsewhere: it is not known what
	}
	return note
}

// secretOf is the note of a secret, "[not kept]" where it only says where one
// is to be found.
func secretOf(name, v string) string {
	if note := noteOf([]string{name}, v); secretNote.MatchString(note) {
		return note
	}
	return valueNotKept
}

var (
	traefikFlag = regexp.MustCompile(`(?i)^--?((?:api|entrypoints|providers|certificatesresolvers|configfile)(?:\.[\w\[\].-]+)?)(?:=(.*))?$`)
	// Those of them whose values rules read: of the others some are passwords.
	traefikRead   = regexp.MustCompile(`(?i)^(?:(?:api|entrypoints)(?:\..+)?|providers\.docker(?:\.exposedbydefault)?)$`)
	secretOptArg  = regexp.MustCompile(`(?i)^(--?[\w-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|api-?key|masterauth|secret-?key|access-?key))(=(.*))?$`)
	wordReference = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	wordAssigned  = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=(.+)$`)
)

// A composeWord is what is kept of a command line.
type composeWord struct {
	text string
	line int
}

// composeWords looks for settings and secrets in a command line.
func composeWords(n *compose.Node) (out []composeWord) {
	items := n.Items
	if n.Kind == compose.Scalar {
		items = []*compose.Node{n}
	}
	option := composeWord{}
	for _, it := range items {
		if it.Kind != compose.Scalar {
			continue
		}
		words := strings.Fields(it.Text)
		if name, value, ok := strings.Cut(it.Text, "="); ok && (value == valueNotKept || secretNote.MatchString(value)) && !strings.ContainsAny(name, " \t") {
			out = append(out, composeWord{keepName(name) + "=" + value, it.Line}) // as it was kept
			continue
		}
		if secretNote.MatchString(it.Text) {
			words = []string{it.Text}
		}
		if option.text != "" && len(words) > 0 {
			words = []string{it.Text} // the whole item is the value
		}
		for _, w := range words {
			w = strings.Trim(w, `"'`)
			kept := ""
			if option.text != "" {
				kept, option = option.text+"="+keepComposeValue("command", "password", w), composeWord{}
			} else if m := traefikFlag.FindStringSubmatch(w); m != nil {
				kept = "--" + keepName(m[1]) + "=" + valueNotKept
				if traefikRead.MatchString(m[1]) {
					kept = "--" + keepName(m[1]) + "=" + plainOr(m[2], strings.Contains(w, "="))
				}
			} else if m := secretOptArg.FindStringSubmatch(w); m != nil && !notSecret.MatchString(m[1]) {
				if m[2] == "" {
					option = composeWord{m[1], it.Line}
					continue
				}
				kept = m[1] + "=" + keepComposeValue("command", "password", m[3])
			} else if m := wordAssigned.FindStringSubmatch(w); m != nil && secretVariable(m[1]) {
				kept = m[1] + "=" + keepComposeValue("command", m[1], m[2])
			} else if m := urlPassword.FindStringSubmatch(w); m != nil && !strings.HasPrefix(m[1], "$") && m[1] != Hidden {
				kept = composeSecretInAddress
			} else if secretNote.MatchString(w) || w == composeSecretInAddress {
				kept = w
			} else if m := wordReference.FindStringSubmatch(w); m != nil {
				kept = "${" + m[1] + "}" // it may stand for any settings
			}
			if kept != "" {
				out = append(out, composeWord{kept, it.Line})
			}
		}
	}
	return out
}

func plainOr(v string, has bool) string {
	switch {
	case !has:
		return "true"
	case composePlain.MatchString(v), v == valueNotKept, v == "":
		return v
	case compose.Refers(v):
		return keepComposeText(v)
	}
	return valueNotKept
}
