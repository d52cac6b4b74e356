package pgserver

import (
	"errors"
	"syscall"
)

// Windows cannot stop a process from outside; these are never sent, as no server starts there: it
// takes a POSIX shell to watch it.
const (
	signalStop     = syscall.Signal(0)
	signalContinue = syscall.Signal(0)
)

func attributes(*owner) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func kill(int, syscall.Signal) error { return errors.ErrUnsupported }
