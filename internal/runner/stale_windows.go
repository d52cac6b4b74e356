package runner

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/windows"

	"github.com/forgecroft/forgecroft/internal/host"
)

// lockDir locks a directory of this user's until the file is closed or the process has ended. It
// fails if another process has it locked. Windows cannot lock a directory: the lock is a file in it
// that is opened for this process alone.
func lockDir(dir string) (*os.File, error) {
	if err := host.CheckPrivatePath(dir, host.PrivateDir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ".lock")
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const alone = 0 // the share mode
	handle, err := windows.CreateFile(name, windows.GENERIC_WRITE, alone, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// removeLocked lets the lock go, as Windows removes no open file, then removes the directory.
func removeLocked(dir string, lock *os.File) {
	_ = lock.Close()
	_ = os.RemoveAll(dir)
}

// startTime is when a process started. It tells a process from a later one with the same number.
// Empty: no such process can be seen.
func startTime(pid int) string {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(process)
	var code uint32
	const running = 259 // STILL_ACTIVE; the number stays taken while a handle is open
	if err := windows.GetExitCodeProcess(process, &code); err != nil || code != running {
		return ""
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		return ""
	}
	return strconv.FormatInt(created.Nanoseconds(), 10)
}
