// Package fault makes the fakes of this tree misbehave on demand, the way networks, proxies and overloaded providers do.
//
// It is for tests and demonstrations only: no part of the server imports it.
package fault

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Kind is a way to misbehave.
type Kind string

// The faults.
const (
	Throttled        Kind = "throttled"          // the provider's own way of asking for fewer calls
	ServerError      Kind = "server_error"       // 503
	Slow             Kind = "slow"               // no answer until the caller gives up or the fake is released
	Malformed        Kind = "malformed"          // status 200 and the right type, but a body that cannot be parsed
	HTML             Kind = "html"               // status 200 and a captive portal's page
	Truncated        Kind = "truncated"          // fewer bytes than announced
	Oversize         Kind = "oversize"           // a body of 1 MiB
	Redirect         Kind = "redirect"           // to another host
	WrongContentType Kind = "wrong_content_type" // the right body, called text/plain
	Reset            Kind = "reset"              // the connection is cut before the answer
)

// Kinds lists all faults.
func Kinds() []Kind {
	return []Kind{Throttled, ServerError, Slow, Malformed, HTML, Truncated, Oversize, Redirect, WrongContentType, Reset}
}

// Queue says how the next calls go wrong. The zero value lets all succeed. It is safe for concurrent use.
type Queue struct {
	mu       sync.Mutex
	next     []Kind
	released chan struct{}
}

// Next makes the next n calls fail in this way, after those already queued.
func (q *Queue) Next(kind Kind, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = append(q.next, slices.Repeat([]Kind{kind}, n)...)
}

// Release lets calls that are being slow end.
func (q *Queue) Release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.released != nil {
		close(q.released)
		q.released = nil
	}
}

func (q *Queue) take() (Kind, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.released == nil {
		q.released = make(chan struct{})
	}
	if len(q.next) == 0 {
		return "", q.released
	}
	kind := q.next[0]
	q.next = q.next[1:]
	return kind, q.released
}

// Wrap puts a queue of faults in front of a fake. contentType is what the provider calls its answers; throttled answers as the
// provider does when it wants fewer calls.
func Wrap(q *Queue, contentType string, throttled, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, released := q.take()
		switch kind {
		case "":
			next.ServeHTTP(w, r)
		case Throttled:
			throttled.ServeHTTP(w, r)
		case Slow:
			select {
			case <-r.Context().Done():
			case <-released:
			}
			panic(http.ErrAbortHandler)
		case Reset:
			panic(http.ErrAbortHandler) // net/http's word for "cut the connection"
		case WrongContentType:
			next.ServeHTTP(&relabel{w}, r)
		default:
			misbehave(w, kind, contentType)
		}
	})
}

// misbehave writes the answers that do not depend on the fake.
func misbehave(w http.ResponseWriter, kind Kind, contentType string) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	switch kind {
	case ServerError:
		header.Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusServiceUnavailable)
	case Malformed:
		w.Write([]byte("{<not a document"))
	case HTML:
		header.Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte("<!DOCTYPE html><html><body><h1>Welcome to the hotel</h1>Please sign in.</body></html>"))
	case Truncated:
		header.Set("Content-Length", "4096")
		w.Write([]byte("{"))
	case Oversize:
		w.Write([]byte(strings.Repeat(" ", 1<<20)))
	case Redirect:
		header.Set("Location", "https://elsewhere.invalid/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// relabel passes an answer on under another type.
type relabel struct{ http.ResponseWriter }

func (r *relabel) WriteHeader(status int) {
	r.Header().Set("Content-Type", "text/plain")
	r.ResponseWriter.WriteHeader(status)
}

func (r *relabel) Write(p []byte) (int, error) {
	r.Header().Set("Content-Type", "text/plain")
	return r.ResponseWriter.Write(p)
}
