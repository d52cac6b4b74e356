package broker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/forgecroft/forgecroft/internal/apikey"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// sessionBytes is how many random bytes the token of a session has, and sessionLength how many characters that makes.
const (
	sessionBytes  = 32
	sessionLength = 43
)

// strangerName is the actor of a failed sign-in: nobody knows who it was.
const strangerName = "unknown"

// errSignedOut is the one answer to every session that is absent, malformed, over, or whose API key is revoked or expired.
var errSignedOut = forgecroft.Errorf(forgecroft.KindUnauthenticated, "signed_out", "The session is over. Sign in again.")

// SignedIn is a session with who it stands for.
type SignedIn struct {
	forgecroft.Principal
	Session  forgecroft.Session
	SignedOn bool // by an identity provider: there is no API key that could be asked for again
}

// sessionHash is how a token is kept.
func sessionHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// SignIn exchanges an API key for a session and returns its token, which is kept nowhere. previous is the token that the browser had until now, or empty:
// its session ends, so that nobody who planted or copied it goes on. Failures are those of [Broker.Authenticate]; one with the id of a
// key that exists leaves a denial in its organization's trail. call says the way the request came; it has no principal yet.
func (b *Broker) SignIn(ctx context.Context, call Call, key, previous string) (forgecroft.Secret, error) {
	known, err := b.Authenticate(ctx, key)
	if err != nil {
		return forgecroft.Secret{}, b.refuseSignIn(ctx, call, key, err)
	}
	call.Principal = known.Principal()
	return b.startSession(ctx, call, previous, beginning{confirmed: b.instant()})
}

// beginning is what is known of a new session.
type beginning struct {
	confirmed time.Time      // when its person last proved who they are
	notes     map[string]any // for the trail
}

// startSession begins a session for the principal of the call.
func (b *Broker) startSession(ctx context.Context, call Call, previous string, begins beginning) (forgecroft.Secret, error) {
	var random [sessionBytes]byte
	if _, err := io.ReadFull(b.random, random[:]); err != nil {
		return forgecroft.Secret{}, fmt.Errorf("making a session: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(random[:])
	now := b.instant()
	s := forgecroft.Session{
		ID: b.newID(), Hash: sessionHash(token), OrganizationID: call.OrganizationID, APIKeyID: call.KeyID, CreatedAt: now, SeenAt: now, ConfirmedAt: begins.confirmed,
	}
	a := act{"session.create", forgecroft.PermSelf, "session", ""}
	_, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, e *entry) (struct{}, error) {
		if err := b.endPrevious(ctx, tx, previous); err != nil {
			return struct{}{}, err
		}
		if err := tx.TouchAPIKey(ctx, call.OrganizationID, call.KeyID, now); err != nil {
			return struct{}{}, err
		}
		e.objectID, e.details = s.ID, begins.notes
		return struct{}{}, tx.CreateSession(ctx, s)
	})
	if err != nil {
		return forgecroft.Secret{}, err
	}
	return forgecroft.NewSecret(token), nil
}

// endPrevious ends the session that a new one takes the place of.
func (b *Broker) endPrevious(ctx context.Context, tx forgecroft.Tx, token string) error {
	if token == "" {
		return nil
	}
	if err := tx.DeleteSession(ctx, sessionHash(token)); err != nil && !errors.Is(err, forgecroft.KindNotFound) {
		return err
	}
	return nil
}

// refuseSignIn records a failed sign-in in the trail of the organization whose key was tried, if there is one.
func (b *Broker) refuseSignIn(ctx context.Context, call Call, key string, refusal error) error {
	parsed, err := apikey.Parse(key)
	if err != nil || !errors.Is(refusal, forgecroft.KindUnauthenticated) {
		return refusal
	}
	known, err := b.store.Authenticate(ctx, parsed.ID)
	if err != nil {
		return refusal
	}
	call.Principal = forgecroft.Principal{OrganizationID: known.OrganizationID, KeyName: strangerName}
	return b.deny(ctx, call, act{"session.create", forgecroft.PermSelf, "api_key", known.ID}, refusal)
}

// Session finds the session behind a token and notes its use. Every failure of the token is the same [forgecroft.KindUnauthenticated]. The record of the
// API key is asked each time: once it is revoked or expired its sessions are over.
func (b *Broker) Session(ctx context.Context, token string) (SignedIn, error) {
	if len(token) != sessionLength {
		return SignedIn{}, errSignedOut
	}
	s, err := b.store.Session(ctx, sessionHash(token))
	if errors.Is(err, forgecroft.KindNotFound) {
		return SignedIn{}, errSignedOut
	}
	if err != nil {
		return SignedIn{}, fmt.Errorf("looking up a session: %w", err)
	}
	now := b.instant()
	if !s.Live(now) {
		return SignedIn{}, errSignedOut
	}
	key, err := b.store.Authenticate(ctx, s.APIKeyID)
	if errors.Is(err, forgecroft.KindNotFound) || (err == nil && (!key.Live(now) || key.OrganizationID != s.OrganizationID)) {
		return SignedIn{}, errSignedOut
	}
	if err != nil {
		return SignedIn{}, fmt.Errorf("looking up the API key of a session: %w", err)
	}
	b.touchSession(ctx, s, now)
	return SignedIn{key.Principal(), s, key.Subject != ""}, nil
}

// touchSession notes the use of a session, once a minute. A database that cannot be written must not keep anybody from reading.
func (b *Broker) touchSession(ctx context.Context, s forgecroft.Session, now time.Time) {
	if now.Sub(s.SeenAt) <= time.Minute {
		return
	}
	err := b.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.TouchSession(ctx, s.Hash, now) })
	if err != nil {
		b.logger.WarnContext(ctx, "noting the use of a session", "error", err)
	}
}

// ConfirmSession takes the API key of a session once more, for a dangerous act. Another key than the session's is refused like a wrong one.
func (b *Broker) ConfirmSession(ctx context.Context, call Call, s forgecroft.Session, key string) error {
	a := act{"session.confirm", forgecroft.PermSelf, "session", s.ID}
	if err := b.authorise(ctx, call, a); err != nil {
		return err
	}
	known, err := b.Authenticate(ctx, key)
	if err == nil && known.ID != s.APIKeyID {
		err = errUnauthenticated
	}
	if errors.Is(err, forgecroft.KindUnauthenticated) {
		return b.deny(ctx, call, a, err)
	}
	if err != nil {
		return err
	}
	_, err = mutate(ctx, b, call, a, func(tx forgecroft.Tx, _ *entry) (struct{}, error) {
		return struct{}{}, tx.ConfirmSession(ctx, s.Hash, b.instant())
	})
	return err
}

// SignOut ends a session. One that has ended already is a success.
func (b *Broker) SignOut(ctx context.Context, call Call, s forgecroft.Session) error {
	a := act{"session.delete", forgecroft.PermSelf, "session", s.ID}
	_, err := mutate(ctx, b, call, a, func(tx forgecroft.Tx, _ *entry) (struct{}, error) {
		err := tx.DeleteSession(ctx, s.Hash)
		if errors.Is(err, forgecroft.KindNotFound) {
			err = nil
		}
		return struct{}{}, err
	})
	return err
}
