package runner

import (
	"io"
	"sync"

	"github.com/forgecroft/forgecroft/sdk"
)

// NewMasker is what stands between a masked child and its output; where writes end decides what it has to hold back, and a pipe
// would hide that from tests.
func NewMasker(out io.Writer, e sdk.Environment) (write func([]byte) (int, error), flush func() error) {
	m := newMasker(out, &sync.Mutex{}, Command{Env: e}.patterns())
	return m.Write, m.flush
}

// The rules of Windows, which have no effect elsewhere.
var (
	WithExtensions = withExtensions
	CheckBatch     = checkBatch
	Inherit        = inherit
)
