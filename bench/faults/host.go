package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/core/plan"
	"picket/internal/harden"
	"picket/lab"
)

// hook ends the program, or has the host ended, when it has come to a point: before and after each note of the journal,
// and before each step back. It is read by the program right before it begins.
const hook = `
point() {
	[ "$doing" = "$(cat /root/faults/doing)" ] || return 0
	nth_point=$((nth_point + 1))
	echo "$nth_point" >/root/faults/seen
	[ "$nth_point" = "$(cat /root/faults/at)" ] || return 0
	case $(cat /root/faults/how) in
	kill) kill -9 $$ ;;
	cut) : >/root/faults/reached; sleep 1000 ;;
	link) : >/root/faults/reached; while [ ! -e /root/faults/pulled ]; do sleep 0.05; done ;;
	esac
}
doing=$1 nth_point=0
note() { point; printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>journal && settle journal && point; }
put() { printf '%s\n' "$2" >"$1.part" && settle "$1.part" && mv -f "$1.part" "$1" && settle .; [ "$1" != state ] || point; }
say() { printf '%s\n' "$*" >&2; [ "$side" != back ] || point; }
`

const at = "/var/lib/picket/tx/faults"

// A host is one on which trials are made.
type host struct {
	*lab.Machine
	steps        int
	points       map[string]int // apply, confirm, undo, boot → how many there are
	old          string         // what there is before
	fresh, again string         // what is to be: right after it, and after a start
}

// ready makes a host, and finds out what it is like before and after the plan.
func ready(ctx context.Context) (h *host, err error) {
	if err := lab.Available(); err != nil {
		return nil, err
	}
	m, err := lab.New(ctx, lab.Debian)
	if err != nil {
		return nil, err
	}
	h = &host{Machine: m, steps: len(steps()), points: map[string]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if err := m.Boot(ctx); err != nil {
		return nil, err
	}
	if _, err := h.sh(ctx, plant+"echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/faults; touch ~operator/.sudo_as_admin_successful; mkdir -p /root/faults; cat >/root/faults/hook <<'END'\n"+hook+"END\n"); err != nil {
		return nil, err
	}
	if err := h.attributes(ctx); err != nil {
		return nil, err
	}
	if h.old, err = h.look(ctx); err != nil {
		return nil, err
	}
	for _, what := range []string{"apply", "confirm", "undo", "apply", "boot"} {
		if what == "apply" {
			if err := h.stage(ctx, 2*time.Minute); err != nil {
				return nil, err
			}
		}
		if err := h.set(ctx, what, "none", 0); err != nil {
			return nil, err
		}
		if what == "boot" {
			m.PowerCut()
			if err := m.Boot(ctx); err != nil {
				return nil, err
			}
			if err := h.settled(ctx); err != nil {
				return nil, err
			}
		} else if out, err := h.sh(ctx, "sh "+at+"/tx "+what+" 2>&1"); err != nil {
			return nil, fmt.Errorf("without a fault: %w\n%s", err, out)
		}
		seen, err := h.sh(ctx, "cat /root/faults/seen")
		if err != nil {
			return nil, err
		}
		if h.points[what], err = strconv.Atoi(strings.TrimSpace(seen)); err != nil {
			return nil, err
		}
		switch what {
		case "confirm":
			if h.fresh, err = h.look(ctx); err == nil {
				m.PowerCut()
				if err = m.Boot(ctx); err == nil {
					h.again, err = h.look(ctx)
				}
			}
			if err == nil && (h.fresh == h.old || h.again == h.old) {
				err = errors.New("the plan changes nothing")
			}
		case "undo", "boot":
			var now string
			if now, err = h.look(ctx); err == nil && now != h.old && what == "boot" {
				err = errors.New("without a fault: " + differ(h.old, now))
			}
			// A start has set the kernel's settings anew, which the first undo then gives the values from before the plan.
		}
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

// attributes gives some files extended attributes, which the host has no program for, and starts it anew.
func (h *host) attributes(ctx context.Context) error {
	if err := h.Stop(ctx); err != nil {
		return err
	}
	root, err := h.Root()
	if err != nil {
		return err
	}
	for _, name := range []string{"changed3", "changed4", "full/gone0", "modes/m1"} {
		if err := unix.Lsetxattr(filepath.Join(root, "etc/faults", name), "user.faults", []byte(name), 0); err != nil {
			return fmt.Errorf("an extended attribute of %s: %w", name, err)
		}
	}
	return h.Boot(ctx)
}

// look is all that has to be as before, or as it was to be.
func (h *host) look(ctx context.Context) (string, error) {
	out, err := h.sh(ctx, look)
	if err != nil {
		return "", err
	}
	hashes, err := h.Hashes("/etc/faults")
	if err != nil {
		return "", err
	}
	for _, p := range slices.Sorted(maps.Keys(hashes)) {
		out += p + " " + hashes[p] + "\n"
	}
	return out, nil
}

// stage lays the plan onto the host, with the hook in its program.
func (h *host) stage(ctx context.Context, within time.Duration) error {
	folder, err := plan.Compile(steps())
	if err != nil {
		return err
	}
	folder["within"] = fmt.Appendf(nil, "%d\n", int(within.Seconds()))
	const before = "case ${1:-} in\napply)"
	folder["tx"] = bytes.Replace(folder["tx"], []byte(before), []byte(". /root/faults/hook\n"+before), 1)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(folder)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(folder[name])), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := w.Write(folder[name]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	cmd, err := h.Exec(ctx, "sh", "-ec", "rm -rf "+at+"; mkdir -p "+at+"; tar -C "+at+" -xf -; grep -q faults/hook "+at+"/tx")
	if err != nil {
		return err
	}
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("lay the plan onto the host: %w\n%s", err, out)
	}
	return nil
}

func (h *host) set(ctx context.Context, doing, how string, point int) error {
	_, err := h.sh(ctx, fmt.Sprintf("cd /root/faults; rm -f reached pulled; echo 0 >seen; echo %s >doing; echo %s >how; echo %d >at; sync", doing, how, point))
	return err
}

// try makes one trial, and says how the host ended: old, new or else, and if else, what differs.
func (h *host) try(ctx context.Context, t trial) (end, why string, err error) {
	what, how, _ := strings.Cut(t.kind, "-")
	within := 2 * time.Minute
	if t.kind == "apply-link" {
		within = 3 * time.Second
	}
	if err := h.stage(ctx, within); err != nil {
		return "", "", err
	}
	before := map[string][]string{"confirm": {"apply"}, "undo": {"apply", "confirm"}, "boot": {"apply"}}[what]
	if err := h.set(ctx, "nothing", "none", 0); err != nil {
		return "", "", err
	}
	for _, verb := range before {
		if out, err := h.sh(ctx, "sh "+at+"/tx "+verb+" 2>&1"); err != nil {
			return "", "", fmt.Errorf("%s: %w\n%s", verb, err, out)
		}
	}
	if how == "" {
		how = "kill"
	}
	if err := h.set(ctx, what, how, t.point); err != nil {
		return "", "", err
	}
	started := how == "cut" || what == "boot"
	switch {
	case how == "link":
		if err := h.pulled(ctx, what, t.point); err != nil {
			return "", "", err
		}
	case what == "boot":
		for range 2 { // the second goes through
			h.PowerCut()
			if err := h.Boot(ctx); err != nil {
				return "", "", err
			}
			if err := h.reached(ctx, "kill", t.point); err != nil {
				return "", "", err
			}
			if err := h.set(ctx, "nothing", "none", 0); err != nil {
				return "", "", err
			}
			t.point = 0
		}
	case how == "cut":
		if _, err := h.sh(ctx, "setsid sh "+at+"/tx "+what+" </dev/null >/dev/null 2>&1 &"); err != nil {
			return "", "", err
		}
		if err := h.reached(ctx, how, t.point); err != nil {
			return "", "", err
		}
		h.PowerCut()
		if err := h.Boot(ctx); err != nil {
			return "", "", err
		}
	default:
		_, _ = h.sh(ctx, "sh "+at+"/tx "+what) // killed
		if err := h.reached(ctx, how, t.point); err != nil {
			return "", "", err
		}
	}
	if err := h.set(ctx, "nothing", "none", 0); err != nil {
		return "", "", err
	}
	state, err := h.sh(ctx, "sh "+at+"/tx state")
	if err != nil {
		return "", "", err
	}
	said := ""
	if what == "confirm" && strings.TrimSpace(state) == "confirmed" && !started {
		if _, err := h.sh(ctx, "sh "+at+"/tx confirm"); err != nil {
			return "else", err.Error(), nil
		}
	}
	if how == "kill" && !started && strings.TrimSpace(state) != "confirmed" || what == "undo" && how == "kill" {
		said, err = h.sh(ctx, "sh "+at+"/tx undo 2>&1")
		if err != nil {
			return "else", err.Error() + "\n" + said, nil
		}
	}
	if err := h.settled(ctx); err != nil {
		return "else", err.Error(), nil
	}
	now, err := h.look(ctx)
	if err != nil {
		return "", "", err
	}
	wanted := h.fresh
	if started {
		wanted = h.again
	}
	switch {
	case now == h.old:
		return "old", "", nil
	case h.isNew(now, wanted):
		if what == "apply" {
			return "else", "it was never confirmed, and stayed", nil
		}
		if out, err := h.sh(ctx, "sh "+at+"/tx undo 2>&1"); err != nil {
			return "else", "going back later: " + err.Error() + "\n" + out, nil
		}
		if now, err = h.look(ctx); err != nil {
			return "", "", err
		}
		if now != h.old && !started { // see ready
			return "else", "going back later: " + differ(h.old, now), nil
		}
		return "new", "", nil
	}
	if what != "apply" && strings.TrimSpace(state) == "confirmed" {
		return "else", "confirmed: " + differ(timeless(wanted), timeless(now)), nil
	}
	return "else", differ(h.old, now) + said, nil
}

// pulled has the program run over SSH as Picket does it, and pulls the cable when it has come to its point. It is put
// back in once nothing runs any more.
func (h *host) pulled(ctx context.Context, what string, point int) error {
	script := "sh " + at + "/tx " + what
	if what != "confirm" {
		script = harden.Away(script)
	}
	cmd := h.Command("ssh", append(h.SSHOptions(), "-l", "operator", h.Addr(), "--", "exec sudo -n sh -c '"+script+"'")...)
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, &told
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := h.reached(ctx, "link", point)
	if err == nil {
		err = h.Cable(false)
	}
	if err == nil {
		_, err = h.sh(ctx, ": >/root/faults/pulled; while pgrep -f faults/[t]x >/dev/null; do sleep 0.1; done")
	}
	_ = cmd.Process.Kill()
	<-ended
	if err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, told.Bytes()), h.Cable(true))
	}
	return h.Cable(true)
}

// isNew reports whether it is as it was to be: but for the times of what was written, which differ each time.
func (h *host) isNew(now, wanted string) bool {
	if timeless(now) != timeless(wanted) {
		return false
	}
	is := map[string]bool{}
	for l := range strings.Lines(now) {
		is[l] = true
	}
	was := map[string]bool{}
	for l := range strings.Lines(h.old) {
		was[l] = true
	}
	for l := range strings.Lines(wanted) {
		if was[l] && !is[l] {
			return false
		}
	}
	return true
}

var times = regexp.MustCompile(` \d{9,}\.\d{10}`)

func timeless(list string) string {
	lines := strings.Split(times.ReplaceAllString(list, ""), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// reached waits until the program has come to its point, and fails if it never does.
func (h *host) reached(ctx context.Context, how string, point int) error {
	if point == 0 {
		return nil
	}
	for range 600 {
		out, err := h.sh(ctx, "ls /root/faults/reached 2>/dev/null || cat /root/faults/seen")
		if err != nil {
			return err
		}
		if n, _ := strconv.Atoi(strings.TrimSpace(out)); how != "kill" && strings.Contains(out, "reached") || how == "kill" && n == point {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("it never came to point %d", point)
}

// settled waits until nothing is on its way back.
func (h *host) settled(ctx context.Context) error {
	out := ""
	for range 600 {
		var err error
		if out, err = h.sh(ctx, "cd "+at+"; sh tx state; ls armed 2>/dev/null || true; systemctl list-units --plain --no-legend 'picket-up-*' | head -n 1"); err != nil {
			return err
		}
		if out == "undone\n" || out == "prepared\n" || out == "confirmed\n" {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("it did not settle: %s", out)
}

func (h *host) sh(ctx context.Context, script string) (string, error) {
	cmd, err := h.Exec(ctx, "sh", "-ec", script)
	if err != nil {
		return "", err
	}
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		if told.Len() > 0 {
			err = fmt.Errorf("%w\n%s", err, told.Bytes())
		}
		return string(out), fmt.Errorf("%.60s…: %w", strings.TrimSpace(script), err)
	}
	return string(out), nil
}

// differ lists the lines that only one of two has.
func differ(before, after string) string {
	b, a := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out []string
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "lost "+l)
		}
	}
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "there is "+l)
		}
	}
	return strings.Join(out, "\n  ")
}
