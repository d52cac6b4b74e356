package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// gcPercent lets garbage grow to a few times what is live, which is some ten megabytes: a tenth less work per delivery for memory that every machine has.
const gcPercent = 200

// tune fits Go's runtime to this work, once per process. What the operator set by GOGC or GOMAXPROCS stays.
var tune = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// A thread that waits for the disk keeps its processor until the runtime takes it away, which is often later than the disk takes. The one
		// writer of the database waits for the disk most of the time, so it gets a processor of its own.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
})
