package runner

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// attributes are the usual ones.
func attributes() *syscall.SysProcAttr { return nil }

// await waits for the child.
func await(child *exec.Cmd) (code int, lost, err error) { return waited(child) }

// exitCode is the child's exit code.
func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// notExecutable reports whether the system does not know how to start a file.
func notExecutable(err error) bool { return errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) }

// tie puts the child into a job object that ends with this process, and what the child starts with
// it: the credentials of a run that lost its wrapper are not used on. untie lets what the child has
// left behind go on. Without a job object the child goes on in any case.
func tie(child *os.Process) (untie func()) {
	nothing := func() {}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nothing
	}
	close := func() { _ = windows.CloseHandle(job) }
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(child.Pid))
	if err != nil {
		close()
		return nothing
	}
	defer windows.CloseHandle(process)
	if limit(job, windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE) != nil || windows.AssignProcessToJobObject(job, process) != nil {
		close()
		return nothing
	}
	return func() {
		if limit(job, 0) == nil {
			close()
		}
	}
}

// limit sets the limits of a job object.
func limit(job windows.Handle, flags uint32) error {
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = flags
	_, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	return err
}
