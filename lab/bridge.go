package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The lab's network. The bridge itself is .1 and drops nothing: what is for elsewhere is answered with
// "unreachable" at once, as nothing leaves the lab.
const (
	network   = "192.168.77."
	network6  = "fd77::"
	bridgeIP  = network + "1"
	firstHost = 10
)

// bridge is the switch that a process's hosts are plugged into, in a network namespace of its own, which
// a sleeping process keeps. It answers NTP, so that a host's clock can have a source.
type bridge struct {
	keeper *exec.Cmd
	clock  net.PacketConn
}

func (s *site) openBridge() (*bridge, error) {
	keeper := exec.Command("sleep", "infinity")
	if err := s.start(keeper, syscall.CLONE_NEWNET|syscall.CLONE_NEWPID); err != nil {
		return nil, err
	}
	b := &bridge{keeper: keeper}
	err := run(b.command("sh", "-ec", `
		ip link set lo up
		ip link add lab type bridge
		ip addr add `+bridgeIP+`/24 dev lab
		ip addr add `+network6+`1/64 dev lab nodad
		ip link set lab up
		ip route add unreachable default
		ip -6 route add unreachable default
		echo 1 >/proc/sys/net/ipv4/ip_forward`))
	if err != nil {
		b.close()
		return nil, err
	}
	err = b.within(func() error {
		var err error
		b.clock, err = net.ListenPacket("udp4", net.JoinHostPort(bridgeIP, "123"))
		return err
	})
	if err != nil {
		b.close()
		return nil, err
	}
	go tellTime(b.clock)
	return b, nil
}

// close ends the network; hosts that are still plugged in lose it.
func (b *bridge) close() {
	if b.clock != nil {
		b.clock.Close()
	}
	_ = b.keeper.Process.Kill()
	_ = b.keeper.Wait()
}

// command is a program on this machine, with the bridge as its network.
func (b *bridge) command(name string, args ...string) *exec.Cmd {
	net := fmt.Sprintf("--net=/proc/%d/ns/net", b.keeper.Process.Pid)
	return exec.Command("nsenter", append([]string{net, "--", name}, args...)...)
}

// plug gives the network namespace of pid an eth0 on the bridge, with the address of host n.
func (b *bridge) plug(pid, n int) error {
	port := portName(n)
	if err := run(b.command("sh", "-ec", fmt.Sprintf(`
		ip link del %[1]s 2>/dev/null || true
		ip link add %[1]s type veth peer name eth0 netns %[2]d
		ip link set %[1]s master lab up`, port, pid))); err != nil {
		return err
	}
	return run(exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid), "sh", "-ec", fmt.Sprintf(`
		ip link set lo up
		ip link set eth0 address %[5]s
		ip addr add %[1]s/24 dev eth0
		ip addr add %[2]s/64 dev eth0 nodad
		ip link set eth0 up
		ip route add default via %[3]s
		ip -6 route add default via %[4]s1`, address(n), address6(n), bridgeIP, network6, hardware(n))))
}

// cable takes host n's cable out of the bridge, or puts it back.
func (b *bridge) cable(n int, in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	return run(b.command("ip", "link", "set", portName(n), state))
}

// hardware is the address of host n's card: the same at each start, as that of a real one, so that nobody asks in vain at the
// former.
func hardware(n int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8, n&0xff) }

func portName(n int) string { return fmt.Sprintf("port%d", n) }
func address(n int) string  { return fmt.Sprintf("%s%d", network, firstHost+n) }
func address6(n int) string { return fmt.Sprintf("%s%d", network6, firstHost+n) }

// dial opens a connection from within the bridge's namespace: a socket stays in the namespace that it
// was made in.
func (b *bridge) dial(ctx context.Context, netw, addr string) (net.Conn, error) {
	var conn net.Conn
	err := b.within(func() error {
		var err error
		// No fast fallback: it would make sockets on other threads, in the wrong namespace.
		dialer := net.Dialer{FallbackDelay: -1}
		conn, err = dialer.DialContext(ctx, netw, addr)
		return err
	})
	return conn, err
}

// within runs f on a thread that is in the bridge's namespace. The thread is thrown away afterwards.
func (b *bridge) within(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", b.keeper.Process.Pid))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the lab's network: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}

// run runs cmd and puts what it printed into the error.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
