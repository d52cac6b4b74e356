package forgecroft

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an [Error] is. Compare with [errors.Is]: a Kind is itself an error.
type Kind string

// The kinds. Any error without one is internal: its text is never shown to a client.
const (
	KindMalformed       Kind = "malformed"           // the request cannot be read: broken JSON, a forged cursor
	KindInvalid         Kind = "invalid"             // input breaks a rule; Fields say which
	KindUnauthenticated Kind = "unauthenticated"     // no valid API key
	KindForbidden       Kind = "forbidden"           // the object is visible, the act is not allowed
	KindNotFound        Kind = "not_found"           // absent, of another organization, or out of scope
	KindConflict        Kind = "conflict"            // the state forbids it
	KindStale           Kind = "precondition_failed" // If-Match names another revision
	KindUnprocessable   Kind = "unprocessable"       // well-formed, but cannot be done: for instance, no secrets are stored
	KindUnavailable     Kind = "unavailable"         // a store, the vault or a provider cannot answer now
	KindStorageFull     Kind = "storage_full"        // the disk is full
	KindIntegrity       Kind = "integrity"           // stored data failed authentication: an alarm, never shown in detail
)

// Error implements error, so that errors.Is(err, KindNotFound) reads well.
func (k Kind) Error() string { return string(k) }

// FieldError names one field of the input and the rule that it breaks. It never holds the value.
type FieldError struct {
	Field   string // as the client wrote it: data.secret_access_key
	Code    string // stable and machine-readable
	Message string // a sentence for a person
}

// Related names an object that stands in the way, such as a workspace that still uses a credential config.
type Related struct {
	Type string // workspace, credential_config, project
	ID   string
	Name string
}

// Named is an object with where it lies.
type Named struct {
	Related
	Location
}

// Error is a failure that a person can act on. Message and Fields are shown to clients, so they hold no secret; Cause is for logs.
type Error struct {
	Kind       Kind
	Code       string // stable and machine-readable, finer than Kind
	Message    string
	Fields     []FieldError
	Related    []Related
	RetryAfter time.Duration // 0: not known
	Cause      error
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Message
	for _, f := range e.Fields {
		text += fmt.Sprintf(" %s: %s", f.Field, f.Message)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause, whose kind does not count: a workspace that cannot be delivered because a secret is not found is not a workspace that
// is not found.
func (e *Error) Unwrap() error {
	if e.Cause == nil {
		return nil
	}
	return cause{e.Cause}
}

// cause is what lies beneath an [Error].
type cause struct{ error }

// Is makes errors.Is find everything in the cause but its [Kind].
func (c cause) Is(target error) bool {
	_, isKind := target.(Kind)
	return !isKind && errors.Is(c.error, target)
}

// As makes errors.As look into the cause.
func (c cause) As(target any) bool { return errors.As(c.error, target) }

// Is makes errors.Is match a [Kind].
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && e.Kind == kind
}

// Errorf makes an [Error] of a kind with a stable code and a message for a person.
func Errorf(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the answer for an object that is absent, of another organization or out of scope: always the same.
func NotFound(noun string) *Error {
	return Errorf(KindNotFound, "not_found", "There is no such %s.", noun)
}

// Invalid collects field errors into one error, or returns nil if there are none.
func Invalid(fields []FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Kind: KindInvalid, Code: "invalid_input", Message: "The input breaks a rule.", Fields: fields}
}
