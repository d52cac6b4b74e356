package console

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// SignOn is an identity provider that can say who is there; errors are for the visitor to read.
type SignOn interface {
	// Name is what people know the provider by.
	Name() string
	// Begin returns what the browser keeps to itself, and the address to go to. With fresh the person is to prove once more who they are.
	Begin(ctx context.Context, fresh bool) (kept, address string, err error)
	// Finish proves who has come back with an answer, in the browser that kept its part.
	Finish(ctx context.Context, kept string, answer url.Values) (forgecroft.Person, error)
}

// The places of single sign-on. CallbackPath, below the public address, is what is registered at the provider.
const (
	signOnPath   = Root + "sign-on"
	CallbackPath = signOnPath + "/callback"
)

// The cookie of a sign-on that is on its way. It is Lax where all others are Strict, because the provider sends the browser back to us from its own pages; it opens nothing.
const (
	attemptCookie      = "__Host-forgecroft-sign-on"
	attemptCookiePlain = "forgecroft-sign-on"
	attemptSeconds     = 600
)

// attempt is what the browser keeps of a sign-on that is on its way.
type attempt struct {
	Kept  string `json:"kept"`
	Next  string `json:"next"`
	Fresh bool   `json:"fresh"`
}

// cookie writes an attempt, or makes the browser forget it.
func (a *attempt) cookie(r *http.Request) *http.Cookie {
	c := newCookie(r, attemptCookie, attemptCookiePlain, "")
	c.SameSite, c.MaxAge = http.SameSiteLaxMode, -1
	if a != nil {
		text, _ := json.Marshal(a) // Texts and a flag cannot fail.
		c.Value, c.MaxAge = base64.RawURLEncoding.EncodeToString(text), attemptSeconds
	}
	return c
}

// readAttempt returns what the browser kept; nothing, if that is nothing of ours.
func readAttempt(r *http.Request) (a attempt) {
	text, err := base64.RawURLEncoding.DecodeString(readCookie(r, attemptCookie, attemptCookiePlain))
	if err != nil || json.Unmarshal(text, &a) != nil {
		return attempt{Next: Root}
	}
	a.Next = ownPath(a.Next)
	return a
}

// beginSignOn sends the browser to the identity provider.
func (c *Console) beginSignOn(v *visit) (answer, error) {
	if c.signOn == nil {
		return answer{}, errNoPage
	}
	a := attempt{Next: ownPath(v.query("next")), Fresh: v.query("fresh") != ""}
	var address string
	var err error
	if a.Kept, address, err = c.signOn.Begin(v.Context(), a.Fresh); err != nil {
		return c.notSignedOn(v, a, err)
	}
	return answer{location: address, cookies: []*http.Cookie{a.cookie(v.Request)}}, nil
}

// finishSignOn takes the provider's answer. The session's cookie is Strict, so the next page must be asked for by a page of ours: a redirect would still count as the
// provider's.
func (c *Console) finishSignOn(v *visit) (answer, error) {
	if c.signOn == nil {
		return answer{}, errNoPage
	}
	a := readAttempt(v.Request)
	person, err := c.signOn.Finish(v.Context(), a.Kept, v.URL.Query())
	if err != nil {
		return c.notSignedOn(v, a, err)
	}
	if a.Fresh && v.now.Sub(person.AuthenticatedAt) >= forgecroft.SessionFresh {
		return c.notSignedOn(v, a, errNotFresh)
	}
	token, err := c.broker.SignOn(v.Context(), v.call(), person, sessionToken(v.Request))
	if err != nil {
		return c.notSignedOn(v, a, err)
	}
	var none *attempt
	return answer{
		page: v.page("Signed in", "", OnwardView{Title: "Signed in", Next: a.Next}), onward: a.Next,
		cookies: []*http.Cookie{setSession(v.Request, token.Reveal()), none.cookie(v.Request)},
	}, nil
}

// errNotFresh is the failure of a provider that does not have people prove who they are when they are asked to, or does not say so.
var errNotFresh = forgecroft.Errorf(forgecroft.KindForbidden, "not_fresh",
	"The identity provider did not have you prove once more who you are, or does not say so (auth_time). Acts that cannot be undone need that, or an API key.")

// notSignedOn shows the ways in, with what stood in the way.
func (c *Console) notSignedOn(v *visit, a attempt, err error) (answer, error) {
	f := failureOf(err)
	if f.hidden {
		return answer{}, err
	}
	if f.status >= http.StatusInternalServerError || f.kind == forgecroft.KindUnauthenticated {
		v.err = err // The provider's people have to know why.
	}
	v.problem = problemOf(err)
	var none *attempt
	return answer{status: f.status, page: v.page("Sign in", "", c.signInView(ownPath(a.Next))), cookies: []*http.Cookie{none.cookie(v.Request)}}, nil
}

// OnwardView is the page between another site, such as the identity provider's, and the console.
type OnwardView struct{ Title, Next string }

func (OnwardView) template() string { return "onward" }
