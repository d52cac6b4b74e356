package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// NoFollow is no flag on Windows: making a symbolic link needs a privilege there.
const NoFollow = 0

// PrivateUmask does nothing: files inherit the access control list of their directory.
func PrivateUmask() {}

// attributes are those of a new file or directory that only the user of this process can use. What
// is made in such a directory inherits that.
func attributes() (*windows.SecurityAttributes, error) {
	me, err := currentUser()
	if err != nil {
		return nil, err
	}
	// The owner; a list that inherits nothing (P), with full access (FA) for the owner and for what
	// is made below (OICI).
	list := fmt.Sprintf("O:%sD:P(A;OICI;FA;;;%s)", me, me)
	descriptor, err := windows.SecurityDescriptorFromString(list)
	if err != nil {
		return nil, fmt.Errorf("making an access control list: %w", err)
	}
	a := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	a.Length = uint32(unsafe.Sizeof(*a))
	return a, nil
}

// currentUser is the user of this process.
func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("finding the user of this process: %w", err)
	}
	return user.User.Sid, nil
}

func mkdirPrivate(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	private, err := attributes()
	if err != nil {
		return err
	}
	if err := windows.CreateDirectory(name, private); err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

func createPrivate(path string) (*os.File, error) {
	return createFile(path, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, windows.FILE_ATTRIBUTE_NORMAL)
}

// nameless makes a private file which is gone when it is closed; until then it has a name.
func nameless(directory string) (*os.File, error) {
	const flags = windows.FILE_ATTRIBUTE_TEMPORARY | windows.FILE_FLAG_DELETE_ON_CLOSE
	return createFile(tempName(directory, ".forgecroft-*"), windows.FILE_SHARE_DELETE, flags)
}

// createFile makes a private file, which must not exist.
func createFile(path string, share, flags uint32) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	private, err := attributes()
	if err != nil {
		return nil, err
	}
	const access = windows.GENERIC_READ | windows.GENERIC_WRITE
	handle, err := windows.CreateFile(name, access, share, private, windows.CREATE_NEW, flags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// trusted are those who can use every file of the machine anyway.
var trusted = []windows.WELL_KNOWN_SID_TYPE{windows.WinLocalSystemSid, windows.WinBuiltinAdministratorsSid}

// checkPrivate looks for entries that let others in. It ignores the mode, which says nothing about
// users on Windows.
func checkPrivate(path string, info fs.FileInfo, _ fs.FileMode) error {
	me, err := currentUser()
	if err != nil {
		return err
	}
	const what = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, what)
	if err != nil {
		return fmt.Errorf("checking who may use %s: %w", path, err)
	}
	mayUse := func(sid *windows.SID) bool {
		return sid.Equals(me) || slices.ContainsFunc(trusted, sid.IsWellKnown)
	}
	if owner, _, err := descriptor.Owner(); err != nil || !mayUse(owner) {
		return fmt.Errorf("%s belongs to another user; run this as the owner, or take it over: takeown /f \"%s\"", path, path)
	}
	return checkList(path, info, descriptor, mayUse)
}

func checkUnread(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return nil // A pipe has no readers but those who opened it.
	}
	return checkPrivate(path, info, PrivateFile)
}

// checkList looks through an access control list.
func checkList(path string, info fs.FileInfo, descriptor *windows.SECURITY_DESCRIPTOR, mayUse func(*windows.SID) bool) error {
	list, _, err := descriptor.DACL()
	if err != nil || list == nil {
		return fmt.Errorf("%s has no access control list, so others may use it; run: %s", path, restrict(path, info))
	}
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return fmt.Errorf("reading the access control list of %s: %w", path, err)
		}
		switch {
		case entry.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0, entry.Header.AceType == windows.ACCESS_DENIED_ACE_TYPE:
			continue
		case entry.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE:
			return fmt.Errorf("%s has an access control list of an unknown kind; run: %s", path, restrict(path, info))
		}
		if sid := (*windows.SID)(unsafe.Pointer(&entry.SidStart)); !mayUse(sid) {
			return fmt.Errorf("%s may be used by others (%s); run: %s", path, sid, restrict(path, info))
		}
	}
	return nil
}

// restrict is the command that makes a file private.
func restrict(path string, info fs.FileInfo) string {
	below := ""
	if info.IsDir() {
		below = "(OI)(CI)"
	}
	return fmt.Sprintf("icacls \"%s\" /inheritance:r /grant:r \"%%USERNAME%%:%sF\"", path, below)
}

// TryLock locks an open file until it is closed, or returns [ErrLocked].
func TryLock(f *os.File) error {
	err := lock(f, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	return err
}

// Lock waits for the lock of an open file, which ends when the file is closed.
// [errors.ErrUnsupported] where the file system has no locks.
func Lock(f *os.File) error {
	err := lock(f, windows.LOCKFILE_EXCLUSIVE_LOCK)
	if errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_NOT_SUPPORTED) {
		return errors.ErrUnsupported
	}
	return err
}

// lock locks a byte beyond every content: on Windows a lock keeps others from reading, too.
func lock(f *os.File, how uint32) error {
	beyond := &windows.Overlapped{Offset: 1<<32 - 2, OffsetHigh: 1<<31 - 1}
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, beyond)
}

// SyncDirectory does nothing: NTFS writes names to its journal, and Windows cannot sync a
// directory.
func SyncDirectory(path string) error {
	_, err := os.Stat(path)
	return err
}

// FreeSpace is how many bytes this process may still write to the file system of a directory.
func FreeSpace(directory string) (int64, error) {
	name, err := windows.UTF16PtrFromString(directory)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return int64(free), err
}

// NetworkFileSystem returns the name of the network file system that a path is on, or "".
func NetworkFileSystem(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(path) + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "a network drive", nil
	}
	return "", nil
}

// InMemory reports whether a directory is on a file system in memory; Windows has none by itself.
func InMemory(string) bool { return false }

// Harden keeps this process's memory out of the reports that Windows makes of crashes. Failing is
// no reason not to run.
func Harden() {
	windows.SetErrorMode(windows.SEM_FAILCRITICALERRORS | windows.SEM_NOGPFAULTERRORBOX)
	const noHeap = 1 // WER_FAULT_REPORTING_FLAG_NOHEAP
	if set := windows.NewLazySystemDLL("kernel32.dll").NewProc("WerSetFlags"); set.Find() == nil {
		_, _, _ = set.Call(noHeap)
	}
}
