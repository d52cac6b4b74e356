package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// errUnauthenticated is the same for every reason: no header, several, another scheme, too long. The broker has the same one for a key that is wrong.
var errUnauthenticated = forgecroft.Errorf(forgecroft.KindUnauthenticated, "unauthenticated", "A valid API key is required: Authorization: Bearer fc_live_…")

// errKeyInURL refuses keys where logs and histories keep them.
var errKeyInURL = forgecroft.Errorf(forgecroft.KindMalformed, "key_in_url",
	"An API key does not belong into a URL: it ends up in logs. Send it as Authorization: Bearer fc_live_…, and revoke the one you sent.")

// keyParameters are query parameters under which clients of other APIs send keys.
var keyParameters = []string{"api_key", "apikey", "api-key", "access_token", "key", "token", "authorization", "bearer"}

// keyMark is how every API key begins.
const keyMark = "fc_live_"

// keyInURL refuses an API key in the query or in the user information of the URL; curl and browsers send the latter as Basic.
func keyInURL(r *http.Request) error {
	if r.URL.User != nil {
		return errKeyInURL
	}
	if user, password, ok := r.BasicAuth(); ok && strings.Contains(user+password, keyMark) {
		return errKeyInURL
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	if strings.Contains(r.URL.RawQuery, keyMark) {
		return errKeyInURL
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // What cannot be parsed is refused later; what can be is looked at here.
	for name, values := range query {
		carries := func(text string) bool { return strings.Contains(text, keyMark) }
		if carries(name) || slices.ContainsFunc(values, carries) || slices.Contains(keyParameters, strings.ToLower(name)) {
			return errKeyInURL
		}
	}
	return nil
}

// bearer returns the token of the Authorization header (RFC 6750 section 2.1), or false.
func bearer(r *http.Request) (string, bool) {
	headers := r.Header["Authorization"]
	if len(headers) != 1 || len(headers[0]) > maxCredentials {
		return "", false
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	return token, found && strings.EqualFold(scheme, "Bearer")
}

// authenticate finds out who calls.
func (a *api) authenticate(x *exchange) (forgecroft.Principal, error) {
	token, ok := bearer(x.request)
	if !ok {
		a.metrics.authFailures.Inc()
		return forgecroft.Principal{}, errUnauthenticated
	}
	key, err := a.broker.Authenticate(x.request.Context(), token)
	if err != nil {
		if kindOf(err).kind == forgecroft.KindUnauthenticated {
			a.metrics.authFailures.Inc()
		}
		return forgecroft.Principal{}, err
	}
	x.keyID = key.ID
	return key.Principal(), nil
}
