// Package console is the web console at /console/: everything that a person does by hand, in a browser. It calls the broker, never HTTP, and no page of it
// holds a stored secret: forms are write-only, and what comes back are names, versions and verification results.
//
// Pages are rendered on the server and work without JavaScript: a form posts and is answered by a redirect with a notice. htmx only spares whole page
// loads, by taking a part of the very same page (hx-select); so there is one rendering of everything, and no fragment that only a script ever sees.
//
// A page is three things: a view (a plain struct of what it shows), a template of the same name in templates/, and a handler in the file of its
// area, with its line in routes. [Render] turns a [Page] into HTML and needs nothing else, so that pages can be looked at and compared without a server.
package console

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/forgecroft/forgecroft/internal/broker"
)

// Root is where the console lies. Everything it serves is below.
const Root = "/console/"

// Fact is one line of the system page: what the operator set up.
type Fact struct{ Name, Value string }

// Config is what the console works with. Broker and Logger are required.
type Config struct {
	Broker  *broker.Broker
	Logger  *slog.Logger
	Version string           // of the server, shown to those who are signed in
	Facts   []Fact           // about this installation, for the system page: which store, which vault
	SignOn  SignOn           // nil: API keys alone open the console
	Now     func() time.Time // nil: the system's clock
	NewID   func() string    // nil: UUIDs of version 7
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	broker   *broker.Broker
	logger   *slog.Logger
	version  string
	facts    []Fact
	signOn   SignOn
	now      func() time.Time
	newID    func() string
	failures *limiter
	guard    *http.CrossOriginProtection
	mux      *http.ServeMux

	rotating sync.Mutex // held from looking at the key to its rotation
}

// New builds the console. It fails if a template or an asset is broken, which a test finds first.
func New(c Config) (*Console, error) {
	if c.Broker == nil || c.Logger == nil {
		return nil, errors.New("the console needs a broker and a logger")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if _, err := pages(); err != nil {
		return nil, fmt.Errorf("reading the templates: %w", err)
	}
	console := &Console{
		broker: c.Broker, logger: c.Logger, version: c.Version, facts: c.Facts, signOn: c.SignOn, now: c.Now, newID: c.NewID,
		failures: newLimiter(c.Now), guard: http.NewCrossOriginProtection(), mux: http.NewServeMux(),
	}
	console.route()
	return console, nil
}

// Before serves the console's paths and leaves everything else to the API. A browser that opens the bare address is sent to the console.
func (c *Console) Before(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, Root) || r.URL.Path+"/" == Root:
			c.ServeHTTP(w, r)
		case r.URL.Path == "/" && r.Method == http.MethodGet && r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html"):
			secureHeaders(w.Header())
			http.Redirect(w, r, Root, http.StatusSeeOther)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// handler does the work of one page.
type handler func(v *visit) (answer, error)

// route is one line of the table of pages.
type route struct {
	path   string // below [Root], in the grammar of [http.ServeMux]
	get    handler
	post   handler
	form   permit // get shows a form: who may have it; nil: everybody who may read what is on it
	public bool   // needs no session
	upload int64
}

// routes lists all pages. Whether the visitor may is the broker's to say: every handler goes through it. Forms are kept from those whose answer it would refuse.
func (c *Console) routes() []route {
	return []route{
		{path: "{$}", get: c.home},
		{path: "sign-in", get: c.signInPage, post: c.signIn, public: true},
		{path: "sign-out", post: c.signOut},
		{path: "sign-on", get: c.beginSignOn, public: true},
		{path: "sign-on/callback", get: c.finishSignOn, public: true},

		{path: "credentials", get: c.credentials},
		{path: "credentials/new", form: creating, get: c.newCredential, post: c.createCredential},
		{path: "credentials/paste", form: creating, get: c.newFromPaste, post: c.createFromPaste, upload: maxSecrets},
		{path: "credentials/verify", get: backToCredentials, post: c.verifyMany},
		{path: "credentials/{id}", get: c.credential},
		{path: "credentials/{id}/workspaces", form: c.attachingCredential, get: c.configWorkspaces, post: c.attachMany},
		{path: "credentials/{id}/edit", form: c.changingCredential, get: c.editCredential, post: c.updateCredential},
		{path: "credentials/{id}/secrets", form: c.changingCredential, get: c.secretsForm, post: c.storeSecrets, upload: maxSecrets},
		{path: "credentials/{id}/paste", form: c.changingCredential, get: c.pasteForm, post: c.storePaste, upload: maxSecrets},
		{path: "credentials/{id}/verify", post: c.verify},
		{path: "credentials/{id}/delete", form: c.changingCredential, get: c.confirmDeleteCredential, post: c.deleteCredential},

		{path: "workspaces", get: c.workspaces},
		{path: "workspaces/new", form: creating, get: c.newWorkspace, post: c.createWorkspace},
		{path: "workspaces/{id}", get: c.workspace},
		{path: "workspaces/{id}/edit", form: c.changingWorkspace, get: c.editWorkspace, post: c.updateWorkspace},
		{path: "workspaces/{id}/attach", form: c.changingWorkspace, get: c.draft, post: c.attach},
		{path: "workspaces/{id}/delete", form: c.changingWorkspace, get: c.confirmDeleteWorkspace, post: c.deleteWorkspace},

		{path: "deliveries", get: c.deliveries},

		{path: "projects", get: c.projects},
		{path: "projects/new", form: creatingProjects, get: c.newProject, post: c.createProject},
		{path: "projects/{id}", get: c.project},
		{path: "projects/{id}/edit", form: c.changingProject, get: c.editProject, post: c.updateProject},
		{path: "projects/{id}/delete", form: c.changingProject, get: c.confirmDeleteProject, post: c.deleteProject},

		{path: "keys", get: c.keys},
		{path: "keys/new", get: c.newKey, post: c.createKey},
		{path: "keys/{id}/revoke", form: c.revokingKey, get: c.confirmRevokeKey, post: c.revokeKey},

		{path: "audit", get: c.audit},
		{path: "audit/export", get: c.exportAudit},
		{path: "audit/check", get: backToAudit, post: c.checkAudit},

		{path: "system", get: c.system},
		{path: "system/rotate", get: c.confirmRotate, post: c.rotate},
	}
}

// route fills the mux. Patterns name no methods, so that it answers nothing by itself.
func (c *Console) route() {
	for _, r := range c.routes() {
		c.mux.HandleFunc(Root+r.path, func(w http.ResponseWriter, request *http.Request) { c.serve(w.(*exchange), request, r) })
	}
	c.mux.HandleFunc(Root+"static/{name}", func(w http.ResponseWriter, r *http.Request) { c.static(w.(*exchange), r) })
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.serve(w.(*exchange), r, route{public: true}) })
}
