// Command compose writes what the library behind `docker compose` makes of the
// projects of a folder: internal/core/compose is held to it.
//
//	go run . ../../internal/core/compose/testdata
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// A service is what is compared.
type service struct {
	Image, User, Pid, Ipc, Uts, NetworkMode, UsernsMode, Memory string
	Privileged, ReadOnly                                        bool
	Pids                                                        int64
	CapAdd, CapDrop, SecurityOpt, Devices, Networks             []string
	Command, Health                                             []string
	Environment                                                 []string
	Volumes, Ports                                              []string
}

type project struct {
	Error    bool `json:",omitempty"`
	Name     string
	Services map[string]service
	Internal []string `json:",omitempty"`
}

func main() {
	root, err := filepath.Abs(os.Args[1])
	if err != nil {
		panic(err)
	}
	dirs, err := filepath.Glob(filepath.Join(root, "*", "project"))
	if err != nil || len(dirs) == 0 {
		panic(fmt.Sprint("no project below ", root, err))
	}
	for _, d := range dirs {
		data, err := json.MarshalIndent(load(root, d), "", "  ")
		if err != nil {
			panic(err)
		}
		data = append(bytes.ReplaceAll(data, []byte(filepath.Dir(d)), nil), '\n')
		if err := os.WriteFile(filepath.Join(filepath.Dir(d), "want.json"), data, 0o644); err != nil {
			panic(err)
		}
	}
}

func load(root, dir string) project {
	if err := os.Chdir(dir); err != nil {
		panic(err)
	}
	opts, err := cli.NewProjectOptions(nil, cli.WithWorkingDirectory(dir), cli.WithEnvFiles(), cli.WithDotEnv,
		cli.WithConfigFileEnv, cli.WithDefaultConfigPath, cli.WithDefaultProfiles())
	if err != nil {
		panic(err)
	}
	p, err := opts.LoadProject(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(filepath.Dir(dir)), strings.ReplaceAll(err.Error(), root, ""))
		return project{Error: true}
	}
	out := project{Name: p.Name, Services: map[string]service{}}
	for name, n := range p.Networks {
		if n.Internal {
			out.Internal = append(out.Internal, name)
		}
	}
	slices.Sort(out.Internal)
	for name, s := range p.Services {
		if s.Deploy != nil && s.Deploy.Replicas != nil && *s.Deploy.Replicas == 0 || s.Scale != nil && *s.Scale == 0 {
			continue
		}
		out.Services[name] = of(s)
	}
	return out
}

func of(s types.ServiceConfig) service {
	o := service{Image: s.Image, User: s.User, Pid: s.Pid, Ipc: s.Ipc, Uts: s.Uts, NetworkMode: s.NetworkMode, UsernsMode: s.UserNSMode,
		Privileged: s.Privileged, ReadOnly: s.ReadOnly, Pids: s.PidsLimit, CapAdd: s.CapAdd, CapDrop: s.CapDrop, SecurityOpt: s.SecurityOpt,
		Command: s.Command}
	mem := s.MemLimit
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		if m := s.Deploy.Resources.Limits.MemoryBytes; m != 0 {
			mem = m
		}
		if n := s.Deploy.Resources.Limits.Pids; n != 0 {
			o.Pids = n
		}
	}
	if mem != 0 {
		o.Memory = fmt.Sprint(int64(mem))
	}
	for _, d := range s.Devices {
		o.Devices = append(o.Devices, d.Source)
	}
	if s.NetworkMode == "" {
		for n := range s.Networks {
			o.Networks = append(o.Networks, n)
		}
	}
	if h := s.HealthCheck; h != nil && h.Disable {
		o.Health = []string{"NONE"}
	} else if h != nil && len(h.Test) > 0 {
		o.Health = h.Test[:1]
	}
	for k, v := range s.Environment {
		if v == nil {
			o.Environment = append(o.Environment, k)
		} else {
			o.Environment = append(o.Environment, k+"="+*v)
		}
	}
	for _, v := range s.Volumes {
		prop := ""
		if v.Bind != nil {
			prop = v.Bind.Propagation
		}
		o.Volumes = append(o.Volumes, fmt.Sprintf("%s %s %s %v %s", v.Type, v.Source, v.Target, v.ReadOnly, prop))
	}
	for _, p := range s.Ports {
		o.Ports = append(o.Ports, fmt.Sprintf("%s %s %d %s", p.HostIP, p.Published, p.Target, p.Protocol))
	}
	for _, l := range []*[]string{&o.Networks, &o.Environment, &o.Volumes, &o.Ports} {
		slices.Sort(*l)
	}
	return o
}
