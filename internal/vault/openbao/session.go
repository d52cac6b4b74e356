package openbao

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The pace at which a session looks after its token.
const (
	watchTerm    = 10 * time.Second // between two looks at a token file
	retryTerm    = time.Second      // after the first renewal that failed; it doubles
	maxRetryTerm = 30 * time.Second
	farewell     = 2 * time.Second // for revoking the token at the end
)

// session keeps a token good: it renews it at two thirds of its life, logs in anew when it cannot be renewed further, and takes another one
// when the server refuses it.
type session struct {
	client *client
	auth   Auth
	clock  Clock
	logger *slog.Logger

	turn chan struct{} // held by whoever talks to the server about the token

	mu    sync.Mutex
	lease lease

	stop context.CancelFunc
	done chan struct{}
}

// openSession logs in and starts to look after the token.
func openSession(ctx context.Context, c *client, o Options) (*session, error) {
	s := &session{client: c, auth: o.Auth, clock: o.Clock, logger: o.Logger, turn: make(chan struct{}, 1), done: make(chan struct{})}
	var err error
	if s.lease, err = s.auth.login(ctx, c); err != nil {
		return nil, err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.run(work)
	return s, nil
}

// close ends the work, and revokes a token that nobody else has.
func (s *session) close() {
	s.stop()
	<-s.done
	if last := s.current(); last.own {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		// Failing does no harm: the token expires.
		_, _ = s.client.once(ctx, last.token, request{method: http.MethodPost, path: "auth/token/revoke-self", body: map[string]string{}})
	}
}

// current is the lease as it is now.
func (s *session) current() lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease
}

// take makes a lease the current one.
func (s *session) take(l lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = l
}

// check is nil unless the token has less than a tenth of its life left: it should have been renewed when it had a third.
func (s *session) check() error {
	l := s.current()
	if l.ttl == 0 {
		return nil
	}
	if left := l.expires().Sub(s.clock.Now()); left < l.full/10 {
		return expiring(left)
	}
	return nil
}

// replace finds another token than one that the server has refused. It is false if the token is good, so that a policy must be the reason.
func (s *session) replace(ctx context.Context, refused string) (bool, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return false, notInTime(ctx.Err())
	}
	if s.current().token != refused {
		return true, nil // Somebody else was faster.
	}
	if !s.auth.changed(refused) {
		// A login costs a use of the secret id, so the token must really be dead.
		if _, err := s.client.lookup(ctx, refused); err == nil {
			return false, nil
		} else if !isCode(err, "vault_login_refused") {
			return false, err
		}
	}
	l, err := s.auth.login(ctx, s.client)
	if err != nil {
		return false, err
	}
	s.take(l)
	s.logger.InfoContext(ctx, "the vault refused the token; the server has another one now")
	return l.token != refused, nil
}

// run looks after the token until ctx ends.
func (s *session) run(ctx context.Context) {
	defer close(s.done)
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.clock.After(s.pause(failures)):
		}
		if err := s.tend(ctx); err == nil {
			failures = 0
		} else if ctx.Err() == nil {
			failures++
			s.logger.WarnContext(ctx, "the token for the vault could not be renewed", "error", err, "expires", s.current().expires())
		}
	}
}

// pause is how long nothing is to be done.
func (s *session) pause(failures int) time.Duration {
	l := s.current()
	switch {
	case failures > 0 && l.ttl > 0:
		left := l.expires().Sub(s.clock.Now())
		return max(min(retryTerm<<min(failures-1, 10), maxRetryTerm, left/4), retryTerm)
	case failures > 0:
		return maxRetryTerm
	case l.ttl > 0:
		return min(max(l.since.Add(l.ttl*2/3).Sub(s.clock.Now()), 100*time.Millisecond), watchTerm)
	}
	return watchTerm
}

// tend does what is due: nothing, most of the time.
func (s *session) tend(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l := s.current()
	if s.auth.changed(l.token) {
		return s.logIn(ctx)
	}
	if l.ttl == 0 || s.clock.Now().Before(l.since.Add(l.ttl*2/3)) {
		return nil
	}
	if !l.renewable {
		return s.renewOtherwise(ctx, l)
	}
	renewed, err := s.client.renew(ctx, l)
	if err != nil {
		if !s.auth.repeatable() || (errors.Is(err, forgecroft.KindUnavailable) && !isCode(err, "vault_denied")) {
			return err // A server that is in trouble may renew it later: a login may cost a use of the secret id.
		}
		return s.logIn(ctx)
	}
	s.take(renewed)
	if renewed.expires().Sub(l.expires()) < l.ttl/10 {
		return s.renewOtherwise(ctx, renewed) // It has come to the end of its maximal life.
	}
	return nil
}

// renewOtherwise gets a new token where the old one lives no longer.
func (s *session) renewOtherwise(ctx context.Context, l lease) error {
	if s.auth.repeatable() {
		return s.logIn(ctx)
	}
	return expiring(l.expires().Sub(s.clock.Now()))
}

// logIn gets a new token.
func (s *session) logIn(ctx context.Context) error {
	l, err := s.auth.login(ctx, s.client)
	if err == nil {
		s.take(l)
	}
	return err
}

// isCode reports whether an error has a code.
func isCode(err error, code string) bool {
	var e *forgecroft.Error
	return errors.As(err, &e) && e.Code == code
}
