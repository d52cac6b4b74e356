package embedded

import (
	"sync"
	"sync/atomic"
)

// alarm is raised by the first failure of the disk or of the file, and never cleared: a second sync may succeed although the first has lost
// the data (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). Only a new start tells what is there.
type alarm struct {
	tell   func(error) // called once; may be nil
	once   sync.Once
	reason atomic.Pointer[error]
}

// raise notes the failure, the first time.
func (a *alarm) raise(err error) {
	a.once.Do(func() {
		a.reason.Store(&err)
		if a.tell != nil {
			a.tell(err)
		}
	})
}

// err is what every write returns once the alarm is raised.
func (a *alarm) err() error {
	if reason := a.reason.Load(); reason != nil {
		return unavailable("vault_failed", "The vault has failed and takes no more changes until the server is started again.", *reason)
	}
	return nil
}
