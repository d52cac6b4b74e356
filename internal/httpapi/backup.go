package httpapi

import (
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
)

// tarType is the media type of a backup.
const tarType = "application/x-tar"

// stallTime is how long a client may take for one piece of a streamed answer, however long the whole takes.
const stallTime = 30 * time.Second

// streams makes a handler of a function whose answer is too large to be held in memory.
func streams(fn func(*request) (broker.Archive, error)) handler {
	return handler{nil, reflect.TypeFor[broker.Archive](), func(r *request) (any, error) { return fn(r) }}
}

// streams reports whether the answer is an archive.
func (op *operation) streams() bool { return op.output == reflect.TypeFor[broker.Archive]() }

// takeBackup lifts the server's deadline first: a backup takes as long as it takes.
func (a *api) takeBackup(r *request) (broker.Archive, error) {
	if r.allowed {
		_ = http.NewResponseController(r.writer).SetWriteDeadline(time.Time{}) // Without it the deadline stays as it is.
	}
	return a.broker.Backup(r.Context(), r.call)
}

// stream sends an archive as it is written. What goes wrong from here on shows as an answer that is shorter than it says.
func (x *exchange) stream(archive broker.Archive) {
	h := x.Header()
	h["Content-Type"] = []string{tarType}
	h["Content-Length"] = []string{strconv.FormatInt(archive.Size(), 10)}
	h["Content-Disposition"] = []string{`attachment; filename="forgecroft-backup.tar"`}
	x.WriteHeader(http.StatusOK)
	if _, err := archive.WriteTo(&steady{x, http.NewResponseController(x)}); err != nil {
		x.err = err
	}
	if err := archive.Close(); err != nil && x.err == nil {
		x.err = err
	}
}

// steady gives up on a client that stalls, and only on that.
type steady struct {
	exchange *exchange
	control  *http.ResponseController
}

// Write implements [io.Writer].
func (s *steady) Write(p []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(stallTime)) // Without it the client may stall; the kernel gives up at last.
	return s.exchange.Write(p)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }
