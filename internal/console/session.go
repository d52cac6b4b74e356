package console

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The cookies. The prefix __Host- makes a browser refuse them from anyone but this very host over TLS (RFC 6265bis, 4.1.3.2). Browsers take no such
// cookie over plain HTTP, so on loopback without TLS the same cookie goes by the other name, without Secure.
const (
	sessionCookie      = "__Host-forgecroft"
	sessionCookiePlain = "forgecroft-session"
	noticeName         = "__Host-forgecroft-notice"
	noticeNamePlain    = "forgecroft-notice"
)

// secure reports whether the browser reached us over TLS: directly, or through a proxy that ends it. Browsers send Sec-Fetch-Site to nobody but secure
// origins and loopback (Fetch Metadata, 2).
func secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	onThisMachine := host == "localhost" || strings.HasSuffix(host, ".localhost") || (ip != nil && ip.IsLoopback())
	return !onThisMachine && r.Header.Get("Sec-Fetch-Site") != ""
}

// newCookie makes one of our cookies.
func newCookie(r *http.Request, name, plain, value string) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if !secure(r) {
		c.Name, c.Secure = plain, false
	}
	return c
}

// readCookie returns the value of one of our cookies. Over TLS the plain name counts for nothing: another host of the domain could have set it.
func readCookie(r *http.Request, name, plain string) string {
	if !secure(r) {
		name = plain
	}
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// sessionToken is the token of the browser's session, or empty.
func sessionToken(r *http.Request) string { return readCookie(r, sessionCookie, sessionCookiePlain) }

// setSession gives the browser a session. Its end is the server's to know, so the cookie itself lasts as long as the browser runs.
func setSession(r *http.Request, token string) *http.Cookie {
	return newCookie(r, sessionCookie, sessionCookiePlain, token)
}

// dropSession makes the browser forget its session.
func dropSession(r *http.Request) *http.Cookie {
	c := setSession(r, "")
	c.MaxAge = -1
	return c
}

// notices are the sentences that a redirect can leave for the next page. The cookie holds the name, never a text.
var notices = map[string]string{
	"signed-out":        "You are signed out.",
	"created":           "Created.",
	"saved":             "Saved.",
	"deleted":           "Deleted.",
	"secrets-stored":    "The secrets are stored. Verify them now: the provider says at once whether they work.",
	"variables-stored":  "The variables are stored. Nobody can be asked whether they work: the next run that gets them will tell.",
	"pasted-not-stored": "Created, but its secrets could not be stored, so it delivers nothing. Paste them once more.",
	"credential-made":   "Created. Store its secrets now: until then it delivers nothing.",
	"role-made":         "Created. Say now which role it is, and which credential assumes it. The trust policy to paste comes next.",
	"role-stored":       "Stored. The trust policy below comes next, then verify.",
	"attached":          "Saved. The next run gets exactly this environment.",
	"attached-nothing":  "Saved. Nothing is attached, so the next run gets nothing from here.",
	"attached-broken":   "Saved, but the next run fails as things are: see below.",
	"gone-already":      "It is gone already.",
	"key-revoked":       "The key is revoked. Its next request fails, and its sessions are over.",
	"rotation-started":  "A new primary key seals what is stored from now on. The older versions are moved to it in the background.",
	"rotated-already":   "The key has been rotated since that page was opened. It was not rotated once more.",
	"already-signed-in": "You are signed in.",
}

// storedNotice is the name of the notice after secrets of a type were stored.
func storedNotice(t forgecroft.CredentialType) string {
	if t.TrustPolicy != nil {
		return "role-stored"
	}
	if t.AnyNames {
		return "variables-stored"
	}
	return "secrets-stored"
}

// attachedNotice is the name of the notice after the credentials of the workspace in the path were saved: what its next run comes to. If that cannot be told, saved they are.
func (c *Console) attachedNotice(v *visit) string {
	preview, err := c.broker.PreviewEnvironment(v.Context(), v.call(), v.objectID())
	switch {
	case err != nil:
		return "saved"
	case len(preview.Conflicts)+len(preview.Missing) > 0:
		return "attached-broken"
	case len(preview.Effects) == 0:
		return "attached-nothing"
	}
	return "attached"
}

// noticeCookie carries the name of a notice over a redirect.
func noticeCookie(r *http.Request, name string, seconds int) *http.Cookie {
	c := newCookie(r, noticeName, noticeNamePlain, name)
	c.MaxAge = seconds
	return c
}

// takeNotice returns what the last redirect left, and makes the browser forget it.
func takeNotice(v *visit) string {
	name := readCookie(v.Request, noticeName, noticeNamePlain)
	if name == "" {
		return ""
	}
	http.SetCookie(v.exchange, noticeCookie(v.Request, "", -1))
	return notices[name]
}

// SignInView is the page for who is not signed in.
type SignInView struct {
	Next   string // where to go afterwards: a path of ours
	SignOn string // the name of the identity provider; empty: there is none
	Href   string // where single sign-on begins
}

func (SignInView) template() string { return "signin" }

// ownPath returns a path if it leads into the console, and the home page instead of anything else.
func ownPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(text, "\\\r\n\t") {
		return Root
	}
	if clean := path.Clean(u.Path); !strings.HasPrefix(u.Path, Root) || (clean != u.Path && clean+"/" != u.Path) {
		return Root
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// askToSignIn answers a request without a session with the form. It leads back to where the person was, with the draft of a workspace if that was sent.
func (c *Console) askToSignIn(v *visit) {
	v.who.KeyID = ""
	p := v.page("Sign in", "", c.signInView(v.backAddress()))
	if v.Method == http.MethodPost {
		p.Problem = &Problem{Title: "Your session has ended", Detail: "What you sent was not saved."}
	}
	if v.Method == http.MethodGet && v.Request.Header.Get("HX-Request") == "" { // Whoever ended their own session is told so; htmx throws this page away and asks again.
		p.Notice = takeNotice(v)
	}
	c.send(v, http.StatusUnauthorized, p)
}

// backAddress is the address at which the person was.
func (v *visit) backAddress() string {
	if v.Method == http.MethodGet {
		return ownPath(v.URL.RequestURI())
	}
	if v.home == "" {
		return Root
	}
	back := url.URL{Path: v.home}
	if strings.HasPrefix(v.Header.Get("Content-Type"), "application/x-www-form-urlencoded") && readForm(v, 0) == nil && v.PostForm.Has("ids") {
		back.RawQuery = url.Values{"ids": {v.line("ids")}, "revision": {v.line("revision")}}.Encode()
	}
	return ownPath(back.String())
}

// signInView offers the ways in.
func (c *Console) signInView(next string) SignInView {
	view := SignInView{Next: next}
	if c.signOn != nil {
		view.SignOn, view.Href = c.signOn.Name(), signOnPath+"?"+url.Values{"next": {next}}.Encode()
	}
	return view
}

// signInPage shows the form, or goes on if there is nothing to do.
func (c *Console) signInPage(v *visit) (answer, error) {
	next := ownPath(v.query("next"))
	if _, err := c.broker.Session(v.Context(), sessionToken(v.Request)); err == nil {
		return to(next, "already-signed-in")
	}
	return show(v.page("Sign in", "", c.signInView(next)))
}

// signIn exchanges an API key for a session.
func (c *Console) signIn(v *visit) (answer, error) {
	key, next := v.line("api_key"), ownPath(v.field("next"))
	form := func() (Page, error) { return v.page("Sign in", "", c.signInView(next)), nil }
	suspects := []string{"address " + remoteHost(v.Request)}
	if id, _, found := strings.Cut(strings.TrimPrefix(key, keyMark), "_"); found && len(id) == 32 {
		suspects = append(suspects, "key "+id)
	}
	if err := c.failures.check(suspects...); err != nil {
		return v.again(err, form)
	}
	token, err := c.broker.SignIn(v.Context(), v.call(), key, sessionToken(v.Request))
	if errors.Is(err, forgecroft.KindUnauthenticated) {
		c.failures.failed(suspects...)
		v.problem = &Problem{Title: "This key does not open the console", Detail: "It may be mistyped, revoked or expired. Keys begin with fc_live_."}
		p, err := form()
		return answer{status: http.StatusUnauthorized, page: p}, err
	}
	if err != nil {
		return v.again(err, form)
	}
	return answer{location: next, cookies: []*http.Cookie{setSession(v.Request, token.Reveal())}}, nil
}

// signOut ends the session.
func (c *Console) signOut(v *visit) (answer, error) {
	if err := c.broker.SignOut(v.Context(), v.call(), v.who.Session); err != nil {
		return answer{}, err
	}
	return answer{location: Root + "sign-in", notice: "signed-out", cookies: []*http.Cookie{dropSession(v.Request)}}, nil
}

// confirmed checks a dangerous form: the name was typed, and the API key was given within the last five minutes, or is now.
func (c *Console) confirmed(v *visit, name string) error {
	if v.field("confirm") != name {
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: "confirm", Code: "not_confirmed", Message: "Type the name exactly as it stands here."}})
	}
	return c.freshly(v)
}

// freshly wants the API key once more if it was given too long ago.
func (c *Console) freshly(v *visit) error {
	if v.who.Session.Fresh(v.now) {
		return nil
	}
	if v.who.SignedOn {
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: "api_key", Code: "not_fresh", Message: "Sign on once more first: you did so more than five minutes ago."}})
	}
	suspect := "confirm " + v.who.Session.APIKeyID
	if err := c.failures.check(suspect); err != nil {
		return err
	}
	err := c.broker.ConfirmSession(v.Context(), v.call(), v.who.Session, v.line("api_key"))
	if errors.Is(err, forgecroft.KindUnauthenticated) {
		c.failures.failed(suspect)
		return forgecroft.Invalid([]forgecroft.FieldError{{Field: "api_key", Code: "wrong_key", Message: "Give the API key that you signed in with: you gave it more than five minutes ago."}})
	}
	return err
}
