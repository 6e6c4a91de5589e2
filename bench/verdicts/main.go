// Command verdicts shows that a change made for speed changes no verdict: two
// builds of Picket judge the same hosts, running and as an image, and every
// difference is listed.
//
//	go run ./bench/verdicts OLD NEW [ROLE…]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"slices"
	"syscall"

	"picket/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verdicts OLD NEW [ROLE…]")
		os.Exit(2)
	}
	differ := 0
	for _, role := range lab.Roles() {
		if len(os.Args) > 3 && !slices.Contains(os.Args[3:], role.Name) {
			continue
		}
		n, err := compare(ctx, role, os.Args[1], os.Args[2])
		if err != nil {
			fmt.Fprintf(os.Stderr, "error: %s: %v\n", role, err)
			os.Exit(1)
		}
		differ += n
	}
	if differ > 0 {
		fmt.Printf("%d results differ\n", differ)
		os.Exit(1)
	}
}

// result is a control's result; what is not compared is left out.
type result struct {
	Control, Verdict, Reason                    string
	Configured, Effective, Persistent, Explicit *bool
	Evidence                                    []map[string]any
}

func compare(ctx context.Context, role lab.Role, before, after string) (int, error) {
	m, err := lab.New(ctx, role)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	if err := m.Boot(ctx); err != nil {
		return 0, err
	}
	differ, err := pair(role.Name+", running", func(program string) (*exec.Cmd, error) {
		put, err := m.Exec(ctx, "sh", "-c", "cat >/usr/local/bin/picket && chmod 755 /usr/local/bin/picket")
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(program)
		if err != nil {
			return nil, err
		}
		put.Stdin = bytes.NewReader(content)
		if err := put.Run(); err != nil {
			return nil, err
		}
		return m.Exec(ctx, "/usr/local/bin/picket", "audit", "--output", "json")
	}, before, after)
	if err != nil {
		return 0, err
	}
	if err := m.Stop(ctx); err != nil {
		return 0, err
	}
	root, err := m.Root()
	if err != nil {
		return 0, err
	}
	n, err := pair(role.Name+", image", func(program string) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, program, "audit", "image:"+root, "--output", "json"), nil
	}, before, after)
	return differ + n, err
}

// pair judges with both programs and prints what differs.
func pair(what string, command func(program string) (*exec.Cmd, error), before, after string) (int, error) {
	// Asking a host changes it a little: timedatectl leaves its service running for
	// a moment. So the first answer is not compared.
	programs := []string{before, before, after}
	var all [3]map[string]result
	for i, program := range programs {
		cmd, err := command(program)
		if err != nil {
			return 0, err
		}
		if all[i], err = judge(cmd); err != nil {
			return 0, fmt.Errorf("%s: %s: %w", what, program, err)
		}
	}
	was, is := all[1], all[2]
	differ := 0
	for id, was := range was {
		is, ok := is[id]
		if ok && reflect.DeepEqual(was, is) {
			continue
		}
		differ++
		a, _ := json.Marshal(was)
		b, _ := json.Marshal(is)
		fmt.Printf("%s: %s\n  was %s\n  is  %s\n", what, id, a, b)
	}
	fmt.Printf("%s: %d results, %d differ\n", what, len(was), differ)
	return differ, nil
}

func judge(cmd *exec.Cmd) (map[string]result, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 2 || exit.ExitCode() > 3) {
		return nil, err
	}
	var report struct{ Results []result }
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&report); err != nil {
		return nil, err
	}
	all := map[string]result{}
	for _, r := range report.Results {
		all[r.Control] = r
	}
	return all, nil
}
