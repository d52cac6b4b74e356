package httpapi

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// operation is one line of the table.
type operation struct {
	id          string // operationId of the OpenAPI document, and the metrics' label
	tag         string // the chapter of the reference
	method      string
	path        string
	permission  forgecroft.Permission
	summary     string
	description string
	example     string   // a body, as JSON
	answers     []string // examples of the answer, as JSON
	status      int      // of success
	query       []parameter
	creates     bool // takes Idempotency-Key
	revises     bool // takes If-Match
	optional    bool // the body may be left out
	digest      bool // the answer carries the hash of its body
	conflicts   bool // may be refused by the state of things: 409
	fails       bool // may be refused although well-formed, without a body to blame: 422
	handler

	rules  *rule // of the body, made by compile
	series *series
}

// handler is a use case with its types: decode, one call of the broker, encode.
type handler struct {
	input  reflect.Type // of the body; nil: it takes none
	output reflect.Type // of the answer; nil: none
	serve  func(r *request) (any, error)
}

// takes makes a handler of a function with a body.
func takes[In, Out any](fn func(*request, In) (Out, error)) handler {
	return handler{reflect.TypeFor[In](), reflect.TypeFor[Out](), func(r *request) (any, error) {
		var in In
		if err := r.decode(&in); err != nil {
			return nil, err
		}
		return fn(r, in)
	}}
}

// gives makes a handler of a function without a body.
func gives[Out any](fn func(*request) (Out, error)) handler {
	return handler{nil, reflect.TypeFor[Out](), func(r *request) (any, error) { return fn(r) }}
}

// does makes a handler of a function without body or answer.
func does(fn func(*request) error) handler {
	return handler{nil, nil, func(r *request) (any, error) { return nil, fn(r) }}
}

// request is what a handler works with.
type request struct {
	*http.Request
	op      *operation
	writer  http.ResponseWriter
	call    broker.Call
	allowed bool // the role has the permission; see [request.decode]
	values  map[string]string
}

// id is the object that the path names, as the client wrote it. The broker checks its grammar before it asks any store.
func (r *request) id() string { return r.PathValue("id") }

// serve answers one request for an operation.
func (a *api) serve(x *exchange, op *operation) {
	x.route, x.series = op.method+" "+op.path, op.series
	body, err := a.perform(x, op)
	if err != nil {
		x.fail(err)
		return
	}
	x.reply(op, body)
}

// perform takes a request to the broker.
func (a *api) perform(x *exchange, op *operation) (any, error) {
	if err := checkBody(op, x.request); err != nil {
		return nil, err
	}
	principal, err := a.authenticate(x)
	if err != nil {
		return nil, err
	}
	r := &request{Request: x.request, op: op, writer: x, allowed: principal.Role.Allows(op.permission)}
	r.call = broker.Call{Principal: principal, RequestID: x.id, RemoteAddr: remoteHost(x.request)}
	if r.allowed {
		if err := r.parse(); err != nil {
			return nil, err
		}
	}
	return op.serve(r)
}

// allowed lists methods for the Allow header.
func allowed(handlers map[string]func(*exchange)) string {
	methods := make([]string, 0, len(handlers))
	for method := range handlers {
		methods = append(methods, method)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
