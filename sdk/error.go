package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The sentinels that an [*Error] is by errors.Is, according to its status.
var (
	ErrInvalid         = errors.New("invalid input")                // 400, 413, 415, 422
	ErrUnauthenticated = errors.New("not authenticated")            // 401
	ErrForbidden       = errors.New("forbidden")                    // 403
	ErrNotFound        = errors.New("not found")                    // 404
	ErrConflict        = errors.New("conflict")                     // 409
	ErrStale           = errors.New("changed meanwhile")            // 412
	ErrUnavailable     = errors.New("temporarily not available")    // 429, 503
	ErrStorageFull     = errors.New("the server's storage is full") // 507
	ErrServer          = errors.New("the server failed")            // any other
	ErrNotForgecroft   = errors.New("not an answer of Forgecroft")  // of a proxy, or of another server
)

// Error is a failure that the server reports.
type Error struct {
	Problem
	RetryAfter time.Duration // 0: the server did not say
}

// Error implements error: what happened, then each field.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Title)
	if e.Detail != "" {
		b.Reset()
		b.WriteString(e.Detail)
	}
	for _, f := range e.Errors {
		if f.Message == e.Detail {
			continue
		}
		fmt.Fprintf(&b, "\n  %s: %s", f.Field, f.Message)
	}
	return b.String()
}

// Is makes errors.Is match the sentinel of the status.
func (e *Error) Is(target error) bool { return target == e.sentinel() }

// sentinel is the sentinel of the status.
func (e *Error) sentinel() error {
	if e.Code == codeForeign {
		return ErrNotForgecroft
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return ErrInvalid
	case http.StatusUnauthorized:
		return ErrUnauthenticated
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusConflict:
		return ErrConflict
	case http.StatusPreconditionFailed:
		return ErrStale
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return ErrUnavailable
	case http.StatusInsufficientStorage:
		return ErrStorageFull
	default:
		return ErrServer
	}
}

// UnreachableError says that no whole answer came. Whether a change happened is open.
type UnreachableError struct {
	Address string // host and port
	Err     error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from the server at %s: %v", e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// codeForeign is the code of an answer that is not Forgecroft's.
const codeForeign = "not_forgecroft"

// problem makes an [*Error] of an answer that reports a failure. What is not Forgecroft's problem
// document comes from a proxy or another server: its status says nothing about our objects.
func problem(reply *http.Response, text []byte) error {
	e := &Error{}
	kind, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(text, &e.Problem) != nil || e.Code == "" || !strings.HasPrefix(e.Type, "/docs#") {
		e = foreign(reply, text)
	}
	e.Status = reply.StatusCode
	if seconds, err := strconv.Atoi(reply.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// foreign says that an answer is not Forgecroft's, and what it may be instead.
func foreign(reply *http.Response, text []byte) *Error {
	host := reply.Request.URL.Host
	detail := fmt.Sprintf("%s answered %d, but not as a Forgecroft server does: it may be a proxy, or the address of something else.", host, reply.StatusCode)
	if reply.Request.URL.Scheme == "http" && strings.Contains(string(text), "HTTP request to an HTTPS server") { // as Go's servers and nginx put it
		detail = fmt.Sprintf("%s expects TLS: use https://%s.", host, host)
	}
	return &Error{Problem: Problem{Title: http.StatusText(reply.StatusCode), Status: reply.StatusCode, Code: codeForeign, Detail: detail}}
}
