package console

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Kinds of failures that only HTTP knows.
const (
	kindTooLarge forgecroft.Kind = "too_large"
	kindMethod   forgecroft.Kind = "method_not_allowed"
	kindTooMany  forgecroft.Kind = "too_many"
)

var (
	errNoPage = forgecroft.Errorf(forgecroft.KindNotFound, "no_such_page", "There is no such page.")
	errMethod = forgecroft.Errorf(kindMethod, "method_not_allowed", "This address takes no such request.")
)

// failure says how a kind of failure looks.
type failure struct {
	kind   forgecroft.Kind
	status int
	title  string
	hidden bool // its words are not for people
}

// failures maps kinds to statuses and words. The first match wins; what matches nothing is the last line.
var failures = []failure{
	{forgecroft.KindIntegrity, http.StatusInternalServerError, "Something is wrong with the stored data", true},
	{forgecroft.KindMalformed, http.StatusBadRequest, "The request cannot be read", false},
	{forgecroft.KindUnauthenticated, http.StatusUnauthorized, "Sign in", false},
	{forgecroft.KindForbidden, http.StatusForbidden, "Not allowed", false},
	{forgecroft.KindNotFound, http.StatusNotFound, "Not found", false},
	{kindMethod, http.StatusMethodNotAllowed, "Not like this", false},
	{forgecroft.KindConflict, http.StatusConflict, "This cannot be done as things are", false},
	{forgecroft.KindStale, http.StatusPreconditionFailed, "Somebody was faster", false},
	{kindTooLarge, http.StatusRequestEntityTooLarge, "Too large", false},
	{kindTooMany, http.StatusTooManyRequests, "Too many attempts", false},
	{forgecroft.KindInvalid, http.StatusUnprocessableEntity, "Some fields need another look", false},
	{forgecroft.KindUnprocessable, http.StatusUnprocessableEntity, "This cannot be done", false},
	{forgecroft.KindUnavailable, http.StatusServiceUnavailable, "A part of Forgecroft cannot be reached", false},
	{forgecroft.KindStorageFull, http.StatusInsufficientStorage, "The server's disk is full", false},
	{"internal", http.StatusInternalServerError, "Something went wrong on the server", true},
}

// failureOf finds the line of a failure.
func failureOf(err error) failure {
	for _, f := range failures {
		if errors.Is(err, f.kind) {
			return f
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return failureOf(forgecroft.KindUnavailable)
	}
	return failures[len(failures)-1]
}

// problemOf puts a failure into words. Only what is written for clients is shown.
func problemOf(err error) *Problem {
	f := failureOf(err)
	p := &Problem{Title: f.title}
	var known *forgecroft.Error
	if f.hidden || !errors.As(err, &known) || known.Kind != f.kind {
		p.Detail = "The server's log says more. Nothing of it is shown here on purpose."
		if f.kind == forgecroft.KindUnavailable {
			p.Detail = "The database or the vault does not answer at the moment. Deliveries may be affected as well; try again in a few seconds."
		}
		return p
	}
	p.Detail, p.Fields, p.Related = cmp.Or(ownWords[known.Code], known.Message), known.Fields, linksTo(known.Related)
	return p
}

// ownWords are for failures whose words are about the API, by their code.
var ownWords = map[string]string{
	"stale":                  "It was changed since this page was opened. What stands here now is made for what it is; send it again if it still should be so.",
	"idempotency_key_reused": "This form was sent before with other contents. Send it again to have it count.",
	"idempotency_in_flight":  "The same form is being worked on already. Wait for a moment, then send it again: it counts once.",
	"key_already_shown":      "This form has made an API key already, which was shown once. If you did not see it, revoke that key and make another.",
}

// codeOf is the stable code of a failure, or "".
func codeOf(err error) string {
	var known *forgecroft.Error
	if errors.As(err, &known) {
		return known.Code
	}
	return ""
}

// ProblemView is a page that has nothing to show but what stands in the way.
type ProblemView struct {
	Status    int
	RequestID string
	Back      string
}

func (ProblemView) template() string { return "problem" }

// fail answers with what stands in the way. Who is not signed in is asked to do so, at the address that they wanted.
func (c *Console) fail(v *visit, err error) {
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError {
		v.err = err
	}
	v.sayWhen(err)
	if f.kind == forgecroft.KindUnauthenticated {
		c.askToSignIn(v)
		return
	}
	if f.kind == kindMethod {
		v.exchange.Header().Set("Allow", "GET, HEAD, POST")
	}
	p := v.page(f.title, section(v.URL.Path), ProblemView{Status: f.status, RequestID: v.id, Back: Root})
	p.Problem = problemOf(err)
	c.send(v, f.status, p)
}

// section is the entry of the navigation that an address below [Root] belongs to, if there is one of that name.
func section(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, Root), "/")
	return cmp.Or(name, "home")
}

// again shows a form once more with what was wrong, unless the failure is none that another try could mend.
func (v *visit) again(err error, form func() (Page, error)) (answer, error) {
	f := failureOf(err)
	if f.hidden || f.kind == forgecroft.KindUnauthenticated || f.kind == forgecroft.KindNotFound || f.kind == forgecroft.KindForbidden {
		return answer{}, err
	}
	if f.status >= http.StatusInternalServerError {
		v.err = err
	}
	v.sayWhen(err)
	v.problem, v.inFlight = problemOf(err), codeOf(err) == "idempotency_in_flight"
	p, err := form()
	return answer{status: f.status, page: p}, err
}

// sayWhen sets Retry-After where it is known.
func (v *visit) sayWhen(err error) {
	var known *forgecroft.Error
	if errors.As(err, &known) && known.RetryAfter > 0 {
		v.exchange.Header().Set("Retry-After", retrySeconds(known.RetryAfter))
	}
}

// retrySeconds is the value of Retry-After (RFC 9110, 10.2.3).
func retrySeconds(wait time.Duration) string { return strconv.Itoa(int(math.Ceil(wait.Seconds()))) }
