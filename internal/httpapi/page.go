package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// page is what is served beside the operations of the API: GET, without parameters. Those without a permission are the whole surface that needs no key; they
// tell nothing that the documentation does not.
type page struct {
	id         string // the metrics' label
	path       string
	permission forgecroft.Permission // empty: public
	quiet      bool                  // asked all the time: logged at debug level
	serve      func(x *exchange)

	series *series
}

// pages lists them. The metrics count what every organization does, so they take an API key whose scope is a whole organization; Prometheus sends
// one as authorization credentials. Make a reader key for it.
func (a *api) pages(operations []*operation, document *huma.OpenAPI, registry *prometheus.Registry) []page {
	metrics := exposition(registry)
	asJSON := func() ([]byte, error) { return json.MarshalIndent(document, "", "  ") }
	return []page{
		{id: "healthz", path: "/healthz", quiet: true, serve: func(x *exchange) { x.send(http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n")) }},
		{id: "readyz", path: "/readyz", quiet: true, serve: a.serveReady},
		{id: "openapi.json", path: "/openapi.json", serve: once("application/openapi+json", asJSON)},
		{id: "openapi.yaml", path: "/openapi.yaml", serve: once("application/openapi+yaml", document.YAML)},
		{id: "docs", path: "/docs", serve: newReference(operations, document).serve()},
		{id: "metrics", path: "/metrics", quiet: true, permission: forgecroft.PermRead, serve: func(x *exchange) { metrics.ServeHTTP(x, x.request) }},
	}
}

// once serves a text that never changes. It is written when it is first asked for: a start need not wait for it.
func once(contentType string, write func() ([]byte, error)) func(*exchange) {
	written := sync.OnceValues(write)
	return func(x *exchange) {
		text, err := written()
		if err != nil {
			x.fail(fmt.Errorf("writing a page: %w", err))
			return
		}
		x.send(http.StatusOK, contentType, text)
	}
}

// servePage answers a request for a page. The permission is checked here: the broker knows nothing of pages.
func (a *api) servePage(x *exchange, p page) {
	x.route, x.series, x.quiet = "GET "+p.path, p.series, p.quiet
	if p.permission == "" {
		p.serve(x)
		return
	}
	principal, err := a.authenticate(x)
	if err == nil && (!principal.Role.Allows(p.permission) || principal.Scope.Kind() != forgecroft.ScopeOrganization) {
		err = forgecroft.Errorf(forgecroft.KindForbidden, "forbidden", "This takes an API key that may read the whole organization.")
	}
	if err != nil {
		x.fail(err)
		return
	}
	p.serve(x)
}

// readyTerm is how long an answer of the readiness check stands: probes must not become a load.
const readyTerm = time.Second

// readiness asks the stores at most once per term, however many probes come.
type readiness struct {
	check func(ctx context.Context) error
	now   func() time.Time

	mu    sync.Mutex
	asked time.Time
	last  error
}

// ask returns nil if the stores can serve. The probe that asks must not cancel the answer for the others.
func (r *readiness) ask(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.asked.IsZero() || now.Sub(r.asked) >= readyTerm {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		r.last, r.asked = r.check(ctx), now
	}
	return r.last
}

// serveReady answers 200 or 503.
func (a *api) serveReady(x *exchange) {
	if err := a.ready.ask(x.request.Context()); err != nil {
		x.fail(notReady(err))
		return
	}
	x.send(http.StatusOK, "text/plain; charset=utf-8", []byte("ready\n"))
}

// notReady says in one of our own words which store cannot serve, such as vault_sealed. The particulars, and every other failure, are for the log alone.
func notReady(err error) error {
	reason := &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: "not_ready", Message: "The server cannot serve right now.", Cause: err}
	var known *forgecroft.Error
	if errors.As(err, &known) && known.Kind == forgecroft.KindUnavailable {
		reason.Code, reason.Message, reason.RetryAfter = known.Code, known.Message, known.RetryAfter
	}
	return reason
}
