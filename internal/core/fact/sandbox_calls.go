package fact

import "strings"

// systemCalls are the groups of systemd 252 that its score looks at, as
// `systemd-analyze syscall-filter` lists them, less the calls that neither a
// PC nor an ARM has.
var systemCalls = map[string][]string{
	"swap":          strings.Fields(`swapoff swapon`),
	"obsolete":      strings.Fields(`_sysctl afs_syscall bdflush break create_module ftime get_kernel_syms getpmsg gtty idle lock mpx prof profil putpmsg query_module security sgetmask ssetmask stime stty sysfs tuxcall ulimit uselib ustat vserver`),
	"clock":         strings.Fields(`adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday`),
	"cpu-emulation": strings.Fields(`modify_ldt vm86 vm86old`),
	"debug":         strings.Fields(`lookup_dcookie perf_event_open pidfd_getfd ptrace`),
	"mount":         strings.Fields(`chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root umount umount2`),
	"module":        strings.Fields(`delete_module finit_module init_module`),
	"raw-io":        strings.Fields(`ioperm iopl`),
	"reboot":        strings.Fields(`kexec_file_load kexec_load reboot`),
	"privileged":    strings.Fields(`_sysctl acct adjtimex bpf capset chown chown32 chroot clock_adjtime clock_adjtime64 clock_settime clock_settime64 delete_module fanotify_init fanotify_mark fchown fchown32 fchownat finit_module init_module ioperm iopl kexec_file_load kexec_load lchown lchown32 nfsservctl open_by_handle_at pivot_root quotactl quotactl_fd reboot setdomainname setfsuid setfsuid32 setgroups setgroups32 sethostname setresuid setresuid32 setreuid setreuid32 settimeofday setuid setuid32 swapoff swapon vhangup`),
	"resources":     strings.Fields(`ioprio_set mbind migrate_pages move_pages nice sched_setaffinity sched_setattr sched_setparam sched_setscheduler set_mempolicy set_mempolicy_home_node setpriority setrlimit`),
}
