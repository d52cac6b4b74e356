package openbao

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// maxTokenFile bounds what is read of a file with a token, a secret id or a JWT.
const maxTokenFile = 64 << 10

// serviceAccountFile is where Kubernetes puts the token of a pod's service account.
const serviceAccountFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Auth is a way to log in to a vault: [Token], [TokenFile], [AppRole] or [Kubernetes].
type Auth interface {
	// login gets a token. It asks once: whoever calls it decides about another try.
	login(ctx context.Context, c *client) (lease, error)
	// changed reports, without asking the server, whether login would now get another token than the one given.
	changed(token string) bool
	// repeatable reports whether login can get a new token when the old one has come to its end.
	repeatable() bool
}

// lease is a token and how long it is good.
type lease struct {
	token     string
	since     time.Time     // of the login or last renewal
	ttl       time.Duration // then; 0: it never ends
	full      time.Duration // the longest it ever had
	renewable bool
	own       bool // got by a login of ours, so ours to revoke
}

// expires is when the token ends; the zero time: never.
func (l lease) expires() time.Time {
	if l.ttl == 0 {
		return time.Time{}
	}
	return l.since.Add(l.ttl)
}

// staticToken is a token that was handed over.
type staticToken struct{ token forgecroft.Secret }

// Token logs in with a token, which is renewed as far as its maximal life lets it. It may be one without end.
func Token(token forgecroft.Secret) Auth { return staticToken{token} }

func (a staticToken) login(ctx context.Context, c *client) (lease, error) {
	return c.lookup(ctx, strings.TrimSpace(a.token.Reveal()))
}

func (staticToken) changed(string) bool { return false }
func (staticToken) repeatable() bool    { return false }

// tokenFile is a file that somebody else, such as an agent of the vault, keeps a token in.
type tokenFile struct{ path string }

// TokenFile logs in with the token in a file. The file is read again when its content changes, and when the server refuses the token.
func TokenFile(path string) Auth { return tokenFile{path} }

func (a tokenFile) login(ctx context.Context, c *client) (lease, error) {
	token, err := readLine(a.path)
	if err != nil {
		return lease{}, fmt.Errorf("reading the vault's token file: %w", err)
	}
	return c.lookup(ctx, token)
}

func (a tokenFile) changed(token string) bool {
	now, err := readLine(a.path)
	return err == nil && now != token
}

func (tokenFile) repeatable() bool { return true }

// appRole logs in with a role id and a secret id.
type appRole struct{ mount, roleID, secretIDFile string }

// AppRole logs in with a role id and the secret id in a file, which is read at each login. mount is where the method is mounted; empty: approle.
func AppRole(mount, roleID, secretIDFile string) Auth {
	return appRole{orDefault(mount, "approle"), roleID, secretIDFile}
}

func (a appRole) login(ctx context.Context, c *client) (lease, error) {
	secretID, err := readLine(a.secretIDFile)
	if err != nil {
		return lease{}, fmt.Errorf("reading the AppRole secret id: %w", err)
	}
	return c.logIn(ctx, a.mount, map[string]string{"role_id": a.roleID, "secret_id": secretID})
}

func (appRole) changed(string) bool { return false }
func (appRole) repeatable() bool    { return true }

// kubernetes logs in with the token of a service account.
type kubernetes struct{ mount, role, jwtFile string }

// Kubernetes logs in with the pod's service account, for a role. The token, which Kubernetes replaces from time to time, is read at each login.
// mount is where the method is mounted; empty: kubernetes. jwtFile is the token's file; empty: where Kubernetes puts it.
func Kubernetes(mount, role, jwtFile string) Auth {
	return kubernetes{orDefault(mount, "kubernetes"), role, orDefault(jwtFile, serviceAccountFile)}
}

func (a kubernetes) login(ctx context.Context, c *client) (lease, error) {
	jwt, err := readLine(a.jwtFile)
	if err != nil {
		return lease{}, fmt.Errorf("reading the service account's token: %w", err)
	}
	return c.logIn(ctx, a.mount, map[string]string{"role": a.role, "jwt": jwt})
}

func (kubernetes) changed(string) bool { return false }
func (kubernetes) repeatable() bool    { return true }

// orDefault is the value, or the default if it is empty.
func orDefault(value, standard string) string {
	if value == "" {
		return standard
	}
	return value
}

// readLine reads a short file that holds one line.
func readLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(text))
	if line == "" || len(text) > maxTokenFile || strings.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%s does not hold one line", path)
	}
	return line, nil
}

// logIn asks a login method for a token.
func (c *client) logIn(ctx context.Context, mount string, body map[string]string) (lease, error) {
	r := request{method: http.MethodPost, path: "auth/" + mount + "/login", body: body, secret: true}
	since := c.now()
	a, err := c.once(ctx, "", r)
	switch {
	case err != nil:
		return lease{}, failed(ctx, err)
	case a.status == http.StatusBadRequest, a.status == http.StatusForbidden:
		return lease{}, refusedLogin(said(r, a))
	case !a.ok():
		return lease{}, c.refusal(ctx, r, a)
	case a.auth == nil || a.auth.Token == "":
		return lease{}, unreachable(errors.New("the answer to a login holds no token"))
	}
	ttl := time.Duration(a.auth.Seconds) * time.Second
	return lease{token: a.auth.Token, since: since, ttl: ttl, full: ttl, renewable: a.auth.Renewable, own: true}, nil
}

// lookup asks what a token is good for.
func (c *client) lookup(ctx context.Context, token string) (lease, error) {
	r := request{method: http.MethodGet, path: "auth/token/lookup-self"}
	since := c.now()
	a, err := c.once(ctx, token, r)
	switch {
	case err != nil:
		return lease{}, failed(ctx, err)
	case a.status == http.StatusForbidden:
		return lease{}, refusedLogin(said(r, a))
	case !a.ok():
		return lease{}, c.refusal(ctx, r, a)
	}
	var self struct {
		TTL       int64 `json:"ttl"`
		Full      int64 `json:"creation_ttl"`
		Renewable bool  `json:"renewable"`
	}
	if err := decode(a.data, &self); err != nil {
		return lease{}, unreachable(err)
	}
	ttl := time.Duration(self.TTL) * time.Second
	return lease{token: token, since: since, ttl: ttl, full: max(ttl, time.Duration(self.Full)*time.Second), renewable: self.Renewable}, nil
}

// refusedLogin is the failure of a login that the server turned down.
func refusedLogin(cause error) error {
	return unavailable("vault_login_refused", "The vault refuses the server's token or login.", cause)
}

// renew gives a lease its full time again, as far as the server lets it.
func (c *client) renew(ctx context.Context, old lease) (lease, error) {
	r := request{method: http.MethodPost, path: "auth/token/renew-self", body: map[string]string{}}
	since := c.now()
	a, err := c.once(ctx, old.token, r)
	switch {
	case err != nil:
		return old, failed(ctx, err)
	case !a.ok():
		return old, c.refusal(ctx, r, a)
	case a.auth == nil:
		return old, unreachable(errors.New("the answer to a renewal tells no life"))
	}
	old.since, old.ttl, old.renewable = since, time.Duration(a.auth.Seconds)*time.Second, a.auth.Renewable
	old.full = max(old.full, old.ttl)
	return old, nil
}
