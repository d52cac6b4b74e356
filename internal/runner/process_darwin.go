package runner

import (
	"os/exec"
	"syscall"
)

// attributes are the usual ones.
func attributes() *syscall.SysProcAttr { return nil }

// await waits for the child.
func await(child *exec.Cmd) (code int, lost, err error) { return waited(child) }
