package host

import "golang.org/x/sys/unix"

// NetworkFileSystem returns the name of the network file system that a path is on, or "".
func NetworkFileSystem(path string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return "", err
	}
	if stat.Flags&unix.MNT_LOCAL != 0 {
		return "", nil
	}
	return unix.ByteSliceToString(stat.Fstypename[:]), nil
}

// InMemory reports whether a directory is on a file system in memory; macOS has none by itself.
func InMemory(string) bool { return false }

// Harden keeps this process's memory out of core dumps, and debuggers away from it. A child
// inherits that it leaves no core dump. Failing is no reason not to run.
func Harden() {
	_ = unix.PtraceDenyAttach()
	withoutCores()
}
