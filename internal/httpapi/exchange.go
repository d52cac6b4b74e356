package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// exchange is one request and its answer. It is the ResponseWriter that the mux passes through, so that the steps around a handler and the handler
// share it without a context.
type exchange struct {
	http.ResponseWriter
	request *http.Request
	start   time.Time
	id      string // the request's id
	route   string // method and pattern, once known; never the client's path
	series  *series
	keyID   string
	quiet   bool // a probe: logged at debug level
	status  int
	err     error // what a 5xx was about, for the log
}

// ServeHTTP takes every request through the same steps, in this order:
//
//  1. finish, deferred: whatever happens inside, a panic included, is answered, counted and logged once;
//  2. the request id and the headers that all answers have;
//  3. refusals that need neither a route nor a key: API keys in URLs, other sites' browsers, paths in need of cleaning;
//  4. the mux, which finds the operation;
//  5. the operation's limits, before any cost: size, content type;
//  6. the API key;
//  7. decoding, one call of the broker, encoding.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, request: r, start: a.now(), series: a.metrics.unmatched}
	a.metrics.inFlight.Inc()
	defer a.finish(x)
	a.identify(x)
	if err := a.refuse(r); err != nil {
		x.fail(err)
		return
	}
	a.mux.ServeHTTP(x, r)
}

// identify sets the request id and the headers that all answers have. A client's own id is kept if it is short and harmless.
func (a *api) identify(x *exchange) {
	x.id = x.request.Header.Get("X-Request-Id")
	if !plainToken(x.id, 64) {
		x.id = a.newID()
	}
	h := x.Header()
	h["X-Request-Id"] = []string{x.id}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if len(x.request.TransferEncoding) > 0 {
		// net/http drops a Content-Length beside it, unseen. What a proxy may have counted into this body is not to be read as the next request (RFC 9112, 6.3).
		h["Connection"] = []string{"close"}
	}
	if x.request.TLS != nil {
		h["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
}

// plainToken reports whether text is 1 to most characters of [A-Za-z0-9._-].
func plainToken(text string, most int) bool {
	if text == "" || len(text) > most {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// refuse looks for what no operation takes.
func (a *api) refuse(r *http.Request) error {
	if err := keyInURL(r); err != nil {
		return err
	}
	if err := a.guard.Check(r); err != nil {
		return forgecroft.Errorf(forgecroft.KindForbidden, "cross_origin", "Another site's page may not call this API.")
	}
	// The mux would redirect to the cleaned path. An API answers such a path like any other that does not exist.
	if p := r.URL.Path; !strings.HasPrefix(p, "/") || (p != "/" && path.Clean(p) != p) {
		return forgecroft.Errorf(forgecroft.KindNotFound, "no_such_path", "There is no such path. The API's reference is at /docs.")
	}
	return nil
}

// WriteHeader implements [http.ResponseWriter] for pages that write by themselves.
func (x *exchange) WriteHeader(status int) {
	x.status = status
	x.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter]; as in net/http, whoever writes first means 200.
func (x *exchange) Write(text []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(text)
}

// send writes a whole answer at once: nothing goes out before everything is known.
func (x *exchange) send(status int, contentType string, body []byte) {
	h := x.Header()
	if len(body) > 0 {
		h["Content-Type"] = []string{contentType}
	}
	if status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.WriteHeader(status)
	_, _ = x.Write(body) // A client that has gone needs no answer.
}

// encode is how everything is written: map keys in order, so that equal results are equal bytes.
func encode(body any) ([]byte, error) { return json.Marshal(body, json.Deterministic(true)) }

// reply sends a result.
func (x *exchange) reply(op *operation, body any) {
	if op.output == nil {
		x.send(op.status, "", nil)
		return
	}
	if archive, is := body.(broker.Archive); is {
		x.stream(archive)
		return
	}
	text, err := encode(body)
	if err != nil {
		x.fail(err)
		return
	}
	if tag, has := revision(body); has {
		x.Header()["Etag"] = []string{`"` + strconv.FormatInt(tag, 10) + `"`}
	}
	if op.digest {
		sum := sha256.Sum256(text)
		x.Header().Set(sdk.ContentHashHeader, hex.EncodeToString(sum[:]))
	}
	x.send(op.status, "application/json", text)
}

// revision is what the entity tag of a result is made of, if it has one.
func revision(body any) (int64, bool) {
	switch b := body.(type) {
	case sdk.Project:
		return b.Revision, true
	case sdk.Workspace:
		return b.Revision, true
	case sdk.CredentialConfig:
		return b.Revision, true
	default:
		return 0, false
	}
}

// fail sends a problem and keeps what the log should know.
func (x *exchange) fail(err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		x.err = err
	}
	h := x.Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h["Www-Authenticate"] = []string{"Bearer"}
		x.leaveBody()
	case http.StatusRequestEntityTooLarge:
		x.leaveBody()
	case http.StatusServiceUnavailable:
		h["Retry-After"] = []string{retryAfter(err)}
	}
	p.RequestID = x.id
	text, encodeErr := encode(p)
	if encodeErr != nil { // A message with broken text.
		text = []byte(`{"type":"/docs#problem-internal","title":"Internal error","status":500,"code":"internal","request_id":"` + x.id + `"}`)
		p.Status, x.err = http.StatusInternalServerError, encodeErr
	}
	x.send(p.Status, "application/problem+json", text)
}

// leaveBody gives the connection up instead of reading what is left of a body that nobody wants: net/http would wait for it before it answers.
func (x *exchange) leaveBody() {
	if x.request.ContentLength != 0 {
		x.Header()["Connection"] = []string{"close"}
	}
}

// finish counts and logs, after it has answered for a handler that panicked. The stack goes to the log, where arguments are addresses; the panic's value
// does only if it is the runtime's own, because any other may hold input.
func (a *api) finish(x *exchange) {
	if p := recover(); p != nil {
		attrs := []slog.Attr{slog.String("request_id", x.id), slog.String("route", x.route), slog.String("stack", string(debug.Stack()))}
		if err, ok := p.(runtime.Error); ok {
			attrs = append(attrs, slog.String("panic", err.Error()))
		}
		a.metrics.panics.Inc()
		a.logger.LogAttrs(context.WithoutCancel(x.request.Context()), slog.LevelError, "panic", attrs...)
		if x.status == 0 {
			x.fail(errPanic)
		}
	}
	a.metrics.inFlight.Dec()
	took := a.now().Sub(x.start)
	x.series.observe(x.status, took)
	a.log(x, took)
}

// log writes the one line of a request. It holds nothing that a client wrote but a known method: no path, no query, no header.
func (a *api) log(x *exchange, took time.Duration) {
	level := slog.LevelInfo
	ctx := x.request.Context()
	switch {
	case errors.Is(x.err, context.Canceled) && ctx.Err() != nil:
		// The client hung up. That is no alarm, or anybody could raise one.
	case x.quiet && x.status < http.StatusInternalServerError:
		level = slog.LevelDebug
	case x.err != nil:
		level = slog.LevelError
	}
	if !a.logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("request_id", x.id), slog.String("route", x.routeName()), slog.Int("status", x.status),
		slog.Int64("micros", took.Microseconds()), slog.String("remote", remoteHost(x.request)))
	if x.keyID != "" {
		attrs = append(attrs, slog.String("api_key_id", x.keyID))
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	a.logger.LogAttrs(ctx, level, "request", attrs...)
}

// routeName is the matched route, or the method beside a dash.
func (x *exchange) routeName() string {
	if x.route != "" {
		return x.route
	}
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}, x.request.Method) {
		return x.request.Method + " -"
	}
	return "-"
}

// remoteHost is the address of the connection's other end. Forwarding headers are not believed: anybody can send them.
func remoteHost(r *http.Request) string {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return address.Addr().Unmap().String()
}
