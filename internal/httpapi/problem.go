package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// Kinds of failures that only HTTP knows.
const (
	kindMethod    forgecroft.Kind = "method_not_allowed"
	kindTooLarge  forgecroft.Kind = "too_large"
	kindMediaType forgecroft.Kind = "unsupported_media_type"
	kindInternal  forgecroft.Kind = "internal"
)

// errPanic is the answer of a handler that panicked.
var errPanic = errors.New("a handler panicked")

// problemKind says how a kind of failure looks on the wire.
type problemKind struct {
	kind   forgecroft.Kind
	status int
	title  string
	hidden bool // neither code nor message is shown
}

// problemKinds maps kinds to statuses. The first match wins; what matches nothing is the last line.
var problemKinds = []problemKind{
	{forgecroft.KindIntegrity, http.StatusInternalServerError, "Internal error", true},
	{forgecroft.KindMalformed, http.StatusBadRequest, "Malformed request", false},
	{forgecroft.KindUnauthenticated, http.StatusUnauthorized, "Authentication required", false},
	{forgecroft.KindForbidden, http.StatusForbidden, "Not allowed", false},
	{forgecroft.KindNotFound, http.StatusNotFound, "Not found", false},
	{kindMethod, http.StatusMethodNotAllowed, "Method not allowed", false},
	{forgecroft.KindConflict, http.StatusConflict, "Conflict", false},
	{forgecroft.KindStale, http.StatusPreconditionFailed, "Changed meanwhile", false},
	{kindTooLarge, http.StatusRequestEntityTooLarge, "Too large", false},
	{kindMediaType, http.StatusUnsupportedMediaType, "Unsupported media type", false},
	{forgecroft.KindInvalid, http.StatusUnprocessableEntity, "Invalid input", false},
	{forgecroft.KindUnprocessable, http.StatusUnprocessableEntity, "Cannot be done", false},
	{forgecroft.KindUnavailable, http.StatusServiceUnavailable, "Unavailable", false},
	{forgecroft.KindStorageFull, http.StatusInsufficientStorage, "Storage full", false},
	{kindInternal, http.StatusInternalServerError, "Internal error", true},
}

// kindOf finds the line of a failure.
func kindOf(err error) problemKind {
	for _, k := range problemKinds {
		if errors.Is(err, k.kind) {
			return k
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return kindOf(forgecroft.KindUnavailable)
	}
	return problemKinds[len(problemKinds)-1]
}

// problemOf turns a failure into what the client sees. Only the message, the fields and the related objects of a [forgecroft.Error] are
// shown; they are written for clients. Everything else is an internal error without a word more.
func problemOf(err error) sdk.Problem {
	k := kindOf(err)
	p := sdk.Problem{Type: "/docs#problem-" + string(k.kind), Title: k.title, Status: k.status, Code: string(k.kind)}
	if k.hidden {
		p.Type, p.Code = "/docs#problem-internal", string(kindInternal)
		return p
	}
	var known *forgecroft.Error
	if !errors.As(err, &known) || known.Kind != k.kind {
		return p
	}
	p.Detail = known.Message
	if known.Code != "" {
		p.Code = known.Code
	}
	for _, f := range known.Fields {
		p.Errors = append(p.Errors, sdk.ProblemField{Field: f.Field, Code: f.Code, Message: f.Message})
	}
	p.Related = wireReferences(known.Related)
	return p
}

// retryAfter is the Retry-After of a failure that may pass: what is known, at least one second (RFC 9110 section 10.2.3).
func retryAfter(err error) string {
	wait := time.Second
	var known *forgecroft.Error
	if errors.As(err, &known) && known.RetryAfter > wait {
		wait = known.RetryAfter
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
