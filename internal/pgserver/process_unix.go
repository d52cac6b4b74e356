//go:build unix

package pgserver

import "syscall"

// What [Server.Freeze] and [Server.Thaw] send.
const (
	signalStop     = syscall.SIGSTOP
	signalContinue = syscall.SIGCONT
)

// attributes put a process into a group of its own, with another owner unless that is nil.
func attributes(as *owner) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return a
}

func kill(pid int, signal syscall.Signal) error { return syscall.Kill(pid, signal) }
