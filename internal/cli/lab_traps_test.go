package cli_test

import (
	"encoding/base64"
	"slices"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/lab"
	"picket/lab/planted"
)

// TestTraps plants what looks protected and is not, and takes it away again.
func TestTraps(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	lived(h)
	plantAll(t, h, planted.Rounds)
	t.Run("T14", func(t *testing.T) { nioAccounts(t, h) })
}

// TestTrapsOnEngine does the same on a host with Docker, ufw and Prometheus.
func TestTrapsOnEngine(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Containers)
	h.Sh(planted.EngineReady)
	plantAll(t, h, planted.OnEngine)
}

func plantAll(t *testing.T, h *lab.Host, rounds [][]planted.Trap) {
	t.Helper()
	before := auditOn(t, h)
	for _, round := range rounds {
		for _, tr := range round {
			must(t, before, tr.Control, "pass|not-applicable")
			h.Sh(tr.Plant)
		}
		bad := auditOn(t, h)
		for _, tr := range round {
			t.Run(tr.Name, func(t *testing.T) {
				verdicts := tr.Verdicts
				if verdicts == "" {
					verdicts = "fail|ineffective"
				}
				must(t, bad, tr.Control, verdicts, tr.Texts...)
			})
		}
		for i := range round {
			h.Sh(round[len(round)-1-i].Undo)
		}
		after := auditOn(t, h)
		if slices.ContainsFunc(after.Results, func(r audit.Result) bool {
			return r.Verdict == control.Unknown && result(t, before, r.Control).Verdict != control.Unknown
		}) {
			after = auditOn(t, h) // a command may be cut off on a machine that is busy
		}
		same(t, before, after)
	}
}

// nioAccounts is what nio's own command leaves, T14: a new account beside those that everybody knows. nio itself is not
// to be had any more; its files are.
func nioAccounts(t *testing.T, h *lab.Host) {
	const id, users = "app/nio-users", "/opt/line/etc/users.json"
	const password = "quince-ladder-8114"
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	own := `"amy": {"password": "` + string(hash) + `"}`
	h.Write("/opt/line/nio.conf", 0o640, "[user_defined]\nNIOPORT=8181\n")
	h.Write(users, 0o640, `{"Admin": {"password": "QWRtaW4="}, "User": {"password": "VXNlcg=="}, "Guest": {"password": "R3Vlc3Q="}, `+own+`}`)
	must(t, auditOn(t, h, "--only", id), id, "ineffective", "account Admin", "account User", "account Guest", users)
	h.Write(users, 0o640, `{"amy": {"password": "`+base64.StdEncoding.EncodeToString([]byte(password))+`"}}`)
	must(t, auditOn(t, h, "--only", id), id, "fail", "account amy", "base64")
	h.Write(users, 0o640, `{`+own+`}`)
	must(t, auditOn(t, h, "--only", id), id, "pass")
	h.Remove("/opt/line")
}

// same wants every verdict of a host to be what it was.
func same(t *testing.T, before, after audit.Report) {
	t.Helper()
	for _, was := range before.Results {
		if is := result(t, after, was.Control); is.Verdict != was.Verdict {
			t.Errorf("%s was %s and is %s after the traps were taken away: %s", was.Control, was.Verdict, is.Verdict, is.Reason)
		}
	}
}

// lived makes a host one that has been up for a day: its timers of apt have
// run, which nothing in the lab could serve.
func lived(h *lab.Host) {
	h.Sh(`mkdir -p /var/lib/apt/periodic
		touch /var/lib/apt/lists /var/lib/apt/periodic/update-stamp /var/lib/apt/periodic/update-success-stamp \
			/var/lib/apt/periodic/upgrade-stamp /var/lib/apt/periodic/unattended-upgrades-stamp`)
}

// findings lists the controls that are bad, of these severities.
func findings(r audit.Report, severities ...control.Severity) []string {
	var out []string
	for _, res := range r.Results {
		for _, s := range severities {
			if res.Verdict.Bad() && res.Severity == s {
				out = append(out, res.Control)
			}
		}
	}
	return out
}
