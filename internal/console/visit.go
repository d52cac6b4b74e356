package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Limits of what a form may hold.
const (
	maxForm    = 64 << 10
	maxSecrets = 1 << 20 // multipart, with every byte of the largest environment

	formLife = 12 * time.Hour // no session lives longer
)

// visit is one request for a page.
type visit struct {
	*http.Request
	*exchange
	now      time.Time
	who      broker.SignedIn // zero on public pages
	problem  *Problem        // what was wrong with the form, shown above it
	inFlight bool            // the same form is being worked on
	home     string          // the path of the page that the form stands on; empty: it has none of its own
}

// call is what the broker needs to know of the visit.
func (v *visit) call() broker.Call {
	return broker.Call{Principal: v.who.Principal, RequestID: v.id, RemoteAddr: remoteHost(v.Request)}
}

// creates is call for a form that makes something: sent twice, it makes one.
func (v *visit) creates() broker.Call {
	call := v.call()
	call.IdempotencyKey = once(v.field("once"))
	return call
}

// changes is call for a form that was filled in while the object was at a revision.
func (v *visit) changes() broker.Call {
	call := v.call()
	call.IfMatch, _ = strconv.ParseInt(v.field("revision"), 10, 64)
	return call
}

// replaces is both: it makes a version of what the form was made for, once.
func (v *visit) replaces() broker.Call {
	call := v.creates()
	call.IfMatch = v.changes().IfMatch
	return call
}

// filledIn is when the form was shown: sent twice, it asks for the same.
func (v *visit) filledIn() time.Time {
	seconds, err := strconv.ParseInt(v.line("shown"), 10, 64)
	shown := time.Unix(seconds, 0).UTC()
	if err != nil || shown.After(v.now) || v.now.Sub(shown) > formLife {
		return v.now
	}
	return shown
}

// once takes the idempotency key of a form, if it is one of ours.
func once(text string) string {
	if !forgecroft.ValidID(text) {
		return ""
	}
	return text
}

// field is what the form holds under a name, with the line ends that the person typed: browsers send CR LF whatever was there (HTML, 4.10.22.7).
func (v *visit) field(name string) string {
	return strings.ReplaceAll(v.PostFormValue(name), "\r\n", "\n")
}

// line is a field without the white space around it.
func (v *visit) line(name string) string { return strings.TrimSpace(v.field(name)) }

// query is a parameter of the address.
func (v *visit) query(name string) string { return strings.TrimSpace(v.URL.Query().Get(name)) }

// objectID is the id in the path.
func (v *visit) objectID() string { return v.PathValue("id") }

// may reports whether the visitor's role allows something: what a page offers. What it does is checked by the broker.
func (v *visit) may(p forgecroft.Permission) bool { return v.who.Role.Allows(p) }

// mayChange reports whether the visitor may change what lies at a location.
func (v *visit) mayChange(l forgecroft.Location) bool {
	return v.may(forgecroft.PermWrite) && v.who.Reaches(l)
}

// page begins the page of an area.
func (v *visit) page(title, section string, view any) Page {
	return Page{Title: title, Section: section, View: view, Problem: v.problem, Now: v.now, Viewer: v.viewer()}
}

// ask begins the page of a question before something that cannot be undone. Who proved long ago who they are does so once more.
func (v *visit) ask(title, section string, d Danger) Page {
	if !v.who.Session.Fresh(v.now) {
		d.Confirm, d.Again = !v.who.SignedOn, v.signOnAgain()
	}
	return v.page(title, section, d)
}

// signOnAgain is where somebody who came by single sign-on proves once more who they are, to come back to this page; empty for others.
func (v *visit) signOnAgain() string {
	if !v.who.SignedOn {
		return ""
	}
	return signOnPath + "?" + url.Values{"next": {ownPath(v.URL.RequestURI())}, "fresh": {"1"}}.Encode()
}

// viewer is who sees the page.
func (v *visit) viewer() *Viewer {
	if v.who.KeyID == "" {
		return nil
	}
	return &Viewer{
		KeyName: v.who.KeyName, Role: string(v.who.Role), Scope: v.who.Scope.Kind(),
		Reads: v.may(forgecroft.PermRead), Keys: v.may(forgecroft.PermKeys), Audit: v.may(forgecroft.PermAudit) && v.who.Scope.Kind() == forgecroft.ScopeOrganization,
		Writes: v.may(forgecroft.PermWrite), Creates: v.mayCreate(),
	}
}

// answer is what a handler wants the browser to get: a page, or a redirect with a notice.
type answer struct {
	status   int // 0: 200
	page     Page
	location string // a path of our own, or the identity provider's address
	onward   string // a path of our own that the page leads to by itself
	notice   string // the name of one of the notices
	cookies  []*http.Cookie
	download *download
}

// download is a file instead of a page.
type download struct {
	name, contentType string
	write             func(w http.ResponseWriter) error
}

// show answers with a page.
func show(p Page) (answer, error) { return answer{page: p}, nil }

// to redirects after a form was done.
func to(location, notice string) (answer, error) {
	return answer{location: location, notice: notice}, nil
}

// serve takes a request through the steps around a handler: method, session, form, answer.
func (c *Console) serve(x *exchange, r *http.Request, route route) {
	x.route = r.Method + " " + Root + route.path
	v := &visit{Request: r, exchange: x, now: c.now()}
	work, err := c.prepare(v, route)
	if err == nil {
		var a answer
		if a, err = work(v); err == nil {
			c.reply(v, a)
			return
		}
	}
	c.fail(v, err)
}

// prepare finds the handler and who calls, and reads the form.
func (c *Console) prepare(v *visit, route route) (handler, error) {
	if route.get == nil && route.post == nil {
		return nil, errNoPage
	}
	if route.get != nil {
		v.home = v.URL.Path
	}
	if !route.public {
		if sessionToken(v.Request) == "" && v.Method == http.MethodGet && v.Request.Header.Get("HX-Request") == "" {
			return (*visit).withoutSession, nil
		}
		var err error
		if v.who, err = c.broker.Session(v.Context(), sessionToken(v.Request)); err != nil {
			return nil, err
		}
		v.keyID = v.who.KeyID
	}
	switch {
	case route.get != nil && (v.Method == http.MethodGet || v.Method == http.MethodHead):
		if route.form != nil {
			return route.get, route.form(v)
		}
		return route.get, nil
	case route.post != nil && v.Method == http.MethodPost:
		return route.post, readForm(v, route.upload)
	}
	return nil, errMethod
}

// withoutSession answers a browser that shows no session with the way in. From a link on another site no browser shows it (SameSite=Strict), whether it has one or not: such a request
// goes on to the same address once more, from ours.
func (v *visit) withoutSession() (answer, error) {
	address := ownPath(v.URL.RequestURI())
	if v.Request.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return answer{page: v.page("Forgecroft", "", OnwardView{Title: "One moment", Next: address}), onward: address}, nil
	}
	return to(Root+"sign-in?"+url.Values{"next": {address}}.Encode(), "")
}

// readForm reads a form into memory, never into a file: it may hold secrets.
func readForm(v *visit, upload int64) error {
	limit := max(upload, maxForm)
	v.Body = http.MaxBytesReader(v.exchange, v.Body, limit)
	var err error
	if upload > 0 && strings.HasPrefix(v.Header.Get("Content-Type"), "multipart/form-data") {
		err = v.ParseMultipartForm(limit + 1)
	} else {
		err = v.ParseForm()
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return forgecroft.Errorf(kindTooLarge, "too_large", "The form holds more than %d KiB.", limit>>10)
	case err != nil:
		return forgecroft.Errorf(forgecroft.KindMalformed, "malformed", "The form cannot be read.")
	}
	return nil
}

// reply sends the answer of a handler.
func (c *Console) reply(v *visit, a answer) {
	for _, cookie := range a.cookies {
		http.SetCookie(v.exchange, cookie)
	}
	switch {
	case a.location != "":
		c.redirect(v, a)
	case a.download != nil:
		v.exchange.Header().Set("Content-Type", a.download.contentType)
		v.exchange.Header().Set("Content-Disposition", `attachment; filename="`+a.download.name+`"`)
		v.err = a.download.write(v.exchange)
		v.cut = v.err != nil
	default:
		if a.onward != "" {
			v.exchange.Header().Set("Refresh", "0; url="+a.onward)
		}
		a.page.Notice = takeNotice(v)
		c.send(v, a.status, a.page)
	}
}

// redirect sends the browser on. Where htmx waits for the problems of a form, or for the page with them, it is told to open the page.
func (c *Console) redirect(v *visit, a answer) {
	if a.notice != "" {
		http.SetCookie(v.exchange, noticeCookie(v.Request, a.notice, 60))
	}
	if target := v.Request.Header.Get("HX-Target"); target == "problem" || target == "content" {
		v.exchange.Header().Set("HX-Redirect", a.location)
		v.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(v.exchange, v.Request, a.location, http.StatusSeeOther)
}

// send renders a page whole before the first byte goes out.
func (c *Console) send(v *visit, status int, p Page) {
	if p.Viewer != nil {
		p.Version = c.version
	}
	p.Once = c.newID()
	if v.inFlight { // Sent again, it must be the same form.
		p.Once = once(v.field("once"))
	}
	text, err := Render(p)
	if err != nil {
		v.err = err
		http.Error(v.exchange, "This page could not be written. The server's log says more.", http.StatusInternalServerError)
		return
	}
	if status == 0 {
		status = http.StatusOK
	}
	h := v.exchange.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if compressed, ok := squeeze(v.Request, text); ok {
		h.Set("Content-Encoding", "gzip")
		text = compressed
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	v.WriteHeader(status)
	_, _ = v.exchange.Write(text) // A browser that has gone needs no answer.
}
