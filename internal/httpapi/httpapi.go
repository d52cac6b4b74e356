package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Limits of a request.
const (
	MaxBody    = 256 << 10 // bytes of a body
	MaxDepth   = 32        // nested JSON objects and arrays
	MaxMembers = 1000      // JSON values in one body

	maxHeader         = 32 << 10 // bytes of all headers
	maxCredentials    = 4 << 10  // bytes of the Authorization header
	maxIdempotencyKey = 255
)

// Config is what the API works with. Broker, Ready and Logger are required.
type Config struct {
	Broker   *broker.Broker
	Ready    func(ctx context.Context) error // nil if the stores can serve
	Overdue  func() time.Duration            // for how long the oldest destruction in the vault has been waiting; nil: there is nobody who knows
	Logger   *slog.Logger
	Version  string               // of the server, shown to authenticated callers
	Registry *prometheus.Registry // nil: a new one
	Now      func() time.Time     // nil: the system's clock
	NewID    func() string        // nil: UUIDs of version 7
}

// api holds what the handlers need.
type api struct {
	broker  *broker.Broker
	logger  *slog.Logger
	version string
	now     func() time.Time
	newID   func() string
	metrics *metrics
	ready   *readiness
	guard   *http.CrossOriginProtection
	mux     *http.ServeMux
}

// New builds the handler of the whole API. It fails on an operation without a permission, or with a schema that requests cannot be checked against.
func New(c Config) (http.Handler, error) {
	if c.Broker == nil || c.Ready == nil || c.Logger == nil {
		return nil, errors.New("the API needs a broker, a readiness check and a logger")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if c.Registry == nil {
		c.Registry = newRegistry()
	}
	a := &api{
		broker: c.Broker, logger: c.Logger, version: c.Version, now: c.Now, newID: c.NewID,
		ready: &readiness{check: c.Ready, now: c.Now}, guard: http.NewCrossOriginProtection(), mux: http.NewServeMux(),
	}
	operations := a.operations()
	document, err := describe(operations)
	if err != nil {
		return nil, fmt.Errorf("describing the API: %w", err)
	}
	if err := compile(operations, document); err != nil {
		return nil, err
	}
	pages := a.pages(operations, document, c.Registry)
	a.metrics = newMetrics(c.Registry, operations, pages)
	if c.Overdue != nil {
		c.Registry.MustRegister(overdue(c.Overdue))
	}
	a.route(operations, pages)
	return a, nil
}

// route is the only place that fills the mux: operations, pages, and the answer to everything else. Patterns name no methods, so that the mux answers
// nothing by itself: neither HEAD by GET's handler, nor 404 and 405 as plain text.
func (a *api) route(operations []*operation, pages []page) {
	methods := map[string]map[string]func(*exchange){} // path → method → handler
	add := func(path, method string, handle func(*exchange)) {
		if methods[path] == nil {
			methods[path] = map[string]func(*exchange){}
		}
		methods[path][method] = handle
	}
	for _, op := range operations {
		add(op.path, op.method, func(x *exchange) { a.serve(x, op) })
	}
	for _, p := range pages {
		add(p.path, http.MethodGet, func(x *exchange) { a.servePage(x, p) })
	}
	for path, handlers := range methods {
		a.mux.Handle(path, byMethod(handlers))
	}
	a.mux.Handle("/", byMethod(nil))
}

// byMethod picks the handler of a path by method. Methods are compared byte for byte, and override headers are not looked at.
func byMethod(handlers map[string]func(*exchange)) http.Handler {
	allow := allowed(handlers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange) // ServeHTTP made it.
		x.request = r      // The mux has put the path's values in.
		handle, found := handlers[r.Method]
		switch {
		case found:
			handle(x)
		case len(handlers) == 0:
			x.fail(forgecroft.Errorf(forgecroft.KindNotFound, "no_such_path", "There is no such path. The API's reference is at /docs."))
		default:
			x.Header().Set("Allow", allow)
			x.fail(forgecroft.Errorf(kindMethod, "method_not_allowed", "This path takes %s.", allow))
		}
	})
}
