package forgecroft

import (
	"context"
	"time"
)

// Limits of a session of the web console.
const (
	SessionIdle  = 30 * time.Minute // it ends when it was not used for so long
	SessionTerm  = 12 * time.Hour   // it ends this long after it began, however busy it is
	SessionFresh = 5 * time.Minute  // dangerous acts want the API key to have been given within this time
)

// Session is a browser that is signed in to the web console. It has no rights of its own: it stands for its API key, whose record is asked on every
// request, so that revoking the key ends its sessions at once.
type Session struct {
	ID             string // for the audit trail; it opens nothing
	Hash           []byte // SHA-256 of the cookie's value, which is kept nowhere
	OrganizationID string
	APIKeyID       string
	CreatedAt      time.Time
	SeenAt         time.Time // the last request; exact to a minute
	ConfirmedAt    time.Time // when the API key was last given, or the person last signed on at the provider
}

// Live reports whether the session may be used at now, as far as it is for the session to say.
func (s Session) Live(now time.Time) bool {
	return now.Sub(s.SeenAt) < SessionIdle && now.Sub(s.CreatedAt) < SessionTerm
}

// Fresh reports whether the API key was given lately enough for a dangerous act.
func (s Session) Fresh(now time.Time) bool { return now.Sub(s.ConfirmedAt) < SessionFresh }

// SessionReader reads sessions. They are found by their hash alone: it is unguessable, and says itself which organization it belongs to.
type SessionReader interface {
	Session(ctx context.Context, hash []byte) (Session, error)
}

// SessionWriter writes sessions.
type SessionWriter interface {
	CreateSession(ctx context.Context, s Session) error
	// TouchSession notes a use, if the last one noted is over a minute older. An absent session is no error: it may just have ended.
	TouchSession(ctx context.Context, hash []byte, at time.Time) error
	ConfirmSession(ctx context.Context, hash []byte, at time.Time) error // KindNotFound if absent
	DeleteSession(ctx context.Context, hash []byte) error                // KindNotFound if absent
	// DropSessions removes those that are no longer live at now.
	DropSessions(ctx context.Context, now time.Time) error
}

// Person is who an identity provider says is there.
type Person struct {
	Issuer, Subject string // one person for ever
	Name            string // as the trail shows it
	Groups          []string
	AuthenticatedAt time.Time // when they proved it to the provider; zero: unknown
}
