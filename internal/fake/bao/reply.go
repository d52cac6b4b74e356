package bao

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const contentType = "application/json"

// exchange is one call.
type exchange struct {
	request   *http.Request
	method    string
	path      string
	namespace string
}

// body reads the body of a call, up to the 32 MiB that a listener takes by default.
func (x *exchange) body(into any) reply {
	err := json.NewDecoder(http.MaxBytesReader(nil, x.request.Body, 32<<20)).Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return reply{}
	case errors.As(err, &tooLarge):
		return failure(http.StatusRequestEntityTooLarge, "http: request body too large")
	default:
		return failure(http.StatusBadRequest, "error parsing JSON")
	}
}

// reply is an answer. The zero value is none.
type reply struct {
	status int
	header map[string]string
	body   any // nil: none
}

// write sends the answer. Whoever is gone needs none.
func (r reply) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	for name, value := range r.header {
		header.Set(name, value)
	}
	if r.body == nil {
		w.WriteHeader(r.status)
		return
	}
	header.Set("Content-Type", contentType)
	w.WriteHeader(r.status)
	json.NewEncoder(w).Encode(r.body)
}

// failure is the answer with which everything is refused. Without messages it says that there is nothing.
func failure(status int, messages ...string) reply {
	if messages == nil {
		messages = []string{}
	}
	return reply{status: status, body: map[string]any{"errors": messages}}
}

// nothing is what is found under a path that holds nothing.
func nothing() reply { return failure(http.StatusNotFound) }

// denied is the refusal of a policy.
func denied() reply {
	return failure(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
}

// done is the answer to what was done and has no result.
func done() reply { return reply{status: http.StatusNoContent} }

// success is an answer with data.
func (s *Server) success(status int, data any) reply { return s.envelope(status, data, nil) }

// envelope is what all results come in.
func (s *Server) envelope(status int, data, auth any) reply {
	s.serial++
	return reply{status: status, body: map[string]any{
		"request_id": fmt.Sprintf("00000000-0000-4000-8000-%012d", s.serial), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": data, "wrap_info": nil, "warnings": nil, "auth": auth,
	}}
}

// stamp writes a time as the engine does; the zero time is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// quoted writes a text as Go's %q does, which is how the real server writes paths.
func quoted(text string) string { return strconv.Quote(text) }
