package openbao

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Since OpenBao 2.5 a standby answers reads itself, from a copy that lags behind the active node: it
// says that nothing is there although it was just stored, and shows what was just destroyed. Worse,
// what it reads decides what it passes on: it refuses a check-and-set by an old version, and answers a
// deletion of what it has not seen yet with success, having done nothing. So all calls go to the
// active node if it can be reached, and what must be the newest state is believed only if the node was
// active all the time.

// soloTerm is how long it is believed that a server has no cluster.
const soloTerm = time.Minute

// awayTerm is how long it is believed that the active node cannot be reached.
const awayTerm = 10 * time.Second

// lagTries and lagPause bound how often a read that finds nothing is repeated, where the active node
// cannot be reached itself; 3 s in all.
const (
	lagTries = 12
	lagPause = 250 * time.Millisecond
)

// leadership is what a node says of the cluster (sys/leader).
type leadership struct {
	HA      bool      `json:"ha_enabled"`
	Self    bool      `json:"is_self"`
	Address string    `json:"leader_address"` // of the active node; empty: there is none
	Since   time.Time `json:"active_time"`    // when the node became active, if it is
}

// active remembers where the active node is. The zero value knows nothing.
type active struct {
	mu    sync.Mutex
	at    *url.URL  // nil: not known
	since time.Time // when it became active
	solo  time.Time // until when the server counts as one without a cluster
	gone  time.Time // until when the active node counts as one that cannot be reached
}

// known is what was found out.
func (a *active) known() (at *url.URL, since, solo time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, a.since, a.solo
}

// note remembers where the active node is; nil forgets it.
func (a *active) note(at *url.URL, since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.since = at, since
}

// alone remembers that there is no cluster.
func (a *active) alone(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.solo = until
}

// away remembers that the active node cannot be reached.
func (a *active) away(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = until
}

// awayUntil is until when that is believed.
func (a *active) awayUntil() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

// leader asks a node who is active; at nil: the node behind the configured address.
func (c *client) leader(ctx context.Context, at *url.URL) (leadership, error) {
	var l leadership
	a, err := c.once(ctx, "", request{method: http.MethodGet, path: "sys/leader", root: true, at: at, whole: true})
	if err != nil {
		return l, err
	}
	if a.status == http.StatusServiceUnavailable || a.status == http.StatusNotImplemented {
		return l, c.refusal(ctx, request{}, a)
	}
	if !a.ok() || decode(a.data, &l) != nil {
		return leadership{}, nil // A proxy may hide this path: then there is no cluster that we could know of.
	}
	return l, nil
}

// address is the active node's, as the cluster tells it. It is held to the rules for redirects: the
// same scheme, and plain HTTP on this machine only. nil: it cannot be used.
func (c *client) address(l leadership) *url.URL {
	at, err := url.Parse(l.Address)
	if err != nil || at.Host == "" || at.Scheme != c.base.Scheme || at.User != nil || (at.Scheme == "http" && !loopback(at.Hostname())) {
		return nil
	}
	return &url.URL{Scheme: at.Scheme, Host: at.Host}
}

// where is the node that calls go to: the active one, as far as it is known and can be reached. nil: the configured address.
func (v *Vault) where(ctx context.Context) (at *url.URL, cluster bool, err error) {
	at, _, solo := v.active.known()
	switch {
	case at != nil:
		return at, true, nil
	case v.now().Before(solo):
		return nil, false, nil
	case v.now().Before(v.active.awayUntil()):
		return nil, true, nil
	}
	return v.discover(ctx)
}

// discover asks who is active, and whether that node can be reached.
func (v *Vault) discover(ctx context.Context) (at *url.URL, cluster bool, err error) {
	l, err := v.client.leader(ctx, nil)
	switch {
	case err != nil:
		return nil, true, failed(ctx, err)
	case !l.HA:
		v.active.alone(v.now().Add(soloTerm))
		return nil, false, nil
	case l.Address == "":
		return nil, true, noActiveNode()
	}
	if at = v.client.address(l); at != nil && !l.Self {
		if l, err = v.client.leader(ctx, at); err != nil {
			at = nil
		}
	}
	if at == nil || !l.Self {
		v.active.away(v.now().Add(awayTerm))
		return nil, true, nil
	}
	v.active.note(at, l.Since)
	return at, true, nil
}

// newest makes a call that reads, and whose answer must be of the newest state. sure reports whether an answer proves itself, even if
// a copy that lags gave it. Where the active node cannot be reached, an answer that is not sure is asked for again until lag cannot
// be the reason.
func (v *Vault) newest(ctx context.Context, r request, sure func(answer) bool) (answer, int, error) {
	for range maxTries {
		at, cluster, err := v.where(ctx)
		switch {
		case err != nil:
			return answer{}, 1, err
		case !cluster:
			return v.call(ctx, r)
		case at == nil:
			return v.patient(ctx, r, sure)
		}
		_, since, _ := v.active.known()
		r.at = at
		a, tries, err := v.call(ctx, r)
		// The node was active all the time if it still is, since the same moment.
		if l, failure := v.client.leader(ctx, at); failure == nil && l.Self && l.Since.Equal(since) {
			return a, tries, err
		}
		r.at = nil
		v.active.note(nil, time.Time{})
	}
	return v.patient(ctx, r, sure)
}

// patient repeats a read until it is sure, or lag cannot be the reason any more. The answer is the last
// one.
func (v *Vault) patient(ctx context.Context, r request, sure func(answer) bool) (a answer, tries int, err error) {
	r.at = nil
	for try := 1; ; try++ {
		a, tries, err = v.call(ctx, r)
		if err != nil || sure(a) || try == lagTries {
			return a, tries, err
		}
		select {
		case <-ctx.Done():
			return a, tries, notInTime(ctx.Err())
		case <-time.After(lagPause):
		}
	}
}

// noActiveNode is the answer of a cluster that has lost its active node, as without a quorum.
func noActiveNode() *forgecroft.Error {
	return unavailable("vault_standby", "The vault has no active node. The cluster may have lost its quorum, or be electing one.", nil)
}

// present and gone are what is sure of a record: a copy that lags shows nothing that was never there,
// and lacks nothing that was not destroyed.
func present(a answer) bool { return a.ok() }
func gone(a answer) bool    { return a.absent() }

// whatever takes any answer: where no answer proves itself, only the active node's is better.
func whatever(answer) bool { return true }
