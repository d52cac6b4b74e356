package host

import "golang.org/x/sys/unix"

// networkFileSystems are those on which SQLite's locks and syncs do not hold
// (sqlite.org/howtocorrupt.html), by the magic number that statfs(2) gives.
var networkFileSystems = map[int64]string{ // magic → name
	0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x5346414f: "AFS", 0x00c36400: "Ceph",
	0x7461636f: "OCFS2", 0x01021997: "9P",
}

// NetworkFileSystem returns the name of the network file system that a path is on, or "".
func NetworkFileSystem(path string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return "", err
	}
	return networkFileSystems[int64(stat.Type)], nil
}

// InMemory reports whether a directory is on a file system that is never written to a disk, but for
// swapping.
func InMemory(directory string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(directory, &fs) == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC)
}

// Harden keeps this process's memory out of core dumps and away from other processes of the same
// user. A child inherits that it leaves no core dump. Failing is no reason not to run.
func Harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	withoutCores()
}
