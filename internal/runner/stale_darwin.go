package runner

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// startTime is when a process started. It tells a process from a later one with the same number.
// Empty: no such process can be seen.
func startTime(pid int) string {
	process, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return ""
	}
	at := process.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", at.Sec, at.Usec)
}
