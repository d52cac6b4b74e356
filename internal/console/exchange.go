package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// contentPolicy lets a page load only what this server sends: no inline script or style, no frame around it, no form to elsewhere.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// keyMark is how every API key begins.
const keyMark = "fc_live_"

// exchange is one request and its answer: the ResponseWriter that the mux passes through.
type exchange struct {
	http.ResponseWriter
	id     string // the request's id
	route  string // the pattern, never the client's path
	keyID  string
	status int
	err    error // what a 5xx was about, for the log
	cut    bool  // what was sent ends too early: the connection has to, so that nobody takes it for whole
}

// WriteHeader implements [http.ResponseWriter].
func (x *exchange) WriteHeader(status int) {
	x.status = status
	x.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (x *exchange) Write(text []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(text)
}

// secureHeaders sets what every answer of the console has, errors and redirects included.
func secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// ServeHTTP implements [http.Handler]. Whatever happens inside is answered, and logged once.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, id: c.newID()}
	start := c.now()
	defer c.finish(x, r, start)
	secureHeaders(x.Header())
	x.Header().Set("X-Request-Id", x.id)
	if r.TLS != nil {
		x.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	if err := c.refuse(r); err != nil {
		c.fail(&visit{Request: r, exchange: x, now: start}, err)
		return
	}
	if r.URL.Path+"/" == Root {
		http.Redirect(x, r, Root, http.StatusSeeOther)
		return
	}
	c.mux.ServeHTTP(x, r)
}

// refuse looks for what no page takes: API keys where logs and histories keep them, other sites' forms, paths in need of cleaning.
func (c *Console) refuse(r *http.Request) error {
	if strings.Contains(r.URL.RawQuery, keyMark) || strings.Contains(r.URL.Path, keyMark) || r.URL.User != nil {
		return forgecroft.Errorf(forgecroft.KindMalformed, "key_in_url", "An API key does not belong into an address: it ends up in logs. Revoke the one that was there.")
	}
	if err := c.guard.Check(r); err != nil {
		return forgecroft.Errorf(forgecroft.KindForbidden, "cross_origin", "This form was sent by another site's page. Nothing was done.")
	}
	if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
		return errNoPage
	}
	return nil
}

// finish answers for a handler that panicked, writes the one line of the request, which holds nothing that a client wrote, and cuts the connection where that is all that can be said.
func (c *Console) finish(x *exchange, r *http.Request, start time.Time) {
	if p := recover(); p != nil {
		attrs := []slog.Attr{slog.String("request_id", x.id), slog.String("route", x.route), slog.String("stack", string(debug.Stack()))}
		if err, ok := p.(runtime.Error); ok {
			attrs = append(attrs, slog.String("panic", err.Error()))
		}
		c.logger.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelError, "panic", attrs...)
		if x.status == 0 {
			http.Error(x, "Something went wrong on the server. Its log says more.", http.StatusInternalServerError)
		}
	}
	level := slog.LevelInfo
	if x.err != nil && r.Context().Err() == nil {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("route", x.route), slog.Int("status", x.status),
		slog.Int64("micros", c.now().Sub(start).Microseconds()), slog.String("remote", remoteHost(r)),
	}
	if x.keyID != "" {
		attrs = append(attrs, slog.String("api_key_id", x.keyID))
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	c.logger.LogAttrs(r.Context(), level, "console request", attrs...)
	if x.cut {
		panic(http.ErrAbortHandler) // net/http's word for it, which it does not log.
	}
}

// remoteHost is the address of the connection's other end. Forwarding headers are not believed: anybody can send them.
func remoteHost(r *http.Request) string {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return address.Addr().Unmap().String()
}
