package store

import (
	"sync"
	"sync/atomic"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// alarm is raised by the first failure of the disk or of the file. Nothing clears it: a second sync may succeed although the first has lost
// the data (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020), so only a new start tells what is there.
type alarm struct {
	tell   func(error) // called once
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
	reason := a.reason.Load()
	if reason == nil {
		return nil
	}
	return &forgecroft.Error{
		Kind: forgecroft.KindUnavailable, Code: "store_failed", Cause: *reason,
		Message: "The store has failed and takes no more changes until the server is started again.",
	}
}
