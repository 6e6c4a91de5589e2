package snap

import "time"

// Limits of one walk.
const (
	MaxFound = 10_000
	WalkTime = 20 * time.Second
)

// WalkSkip lists the folders that no walk enters, as patterns: what the kernel
// makes up, and the stores of containers, whose files belong to other systems.
var WalkSkip = []string{
	"/proc", "/sys", "/dev", "/run",
	"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/rancher", "/var/lib/kubelet",
	"/var/lib/lxc", "/var/lib/lxd", "/var/lib/incus", "/var/lib/machines", "/var/lib/flatpak", "/snap", "/var/snap",
	"/home/*/.local/share/containers", "/root/.local/share/containers", "/home/*/.local/share/docker",
}

// WalkSkipFS names the kinds of file systems that no walk enters, by the
// number that statfs gives for them (statfs(2), linux/magic.h): those of other
// machines, which may hang, and those that hold no files.
var WalkSkipFS = map[uint32]string{
	0x6969: "nfs", 0xff534d42: "cifs", 0xfe534d42: "smb2", 0x517b: "smb", 0x564c: "ncp",
	0x65735546: "fuse", 0x01021997: "9p", 0x5346414f: "afs", 0x6b414653: "afs", 0x73757245: "coda",
	0x00c36400: "ceph", 0x013111a8: "ocfs2-dlm", 0x0187: "autofs",
	0x9fa0: "proc", 0x62656572: "sysfs", 0x27e0eb: "cgroup", 0x63677270: "cgroup2", 0x64626720: "debugfs",
	0x74726163: "tracefs", 0x1cd1: "devpts", 0x73636673: "securityfs", 0xcafe4a11: "bpf", 0x6e736673: "nsfs",
	0xde5e81e4: "efivarfs", 0x19800202: "mqueue", 0x62656570: "configfs",
}
