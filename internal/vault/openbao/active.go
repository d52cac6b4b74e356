package openbao

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Since OpenBao 2.5 a standby answers reads itself, from a copy that lags behind the active node. It
// says that nothing is there although it was just stored, and shows what was just destroyed. So
// whatever rests on the newest state (the absence of a record, the marker, a census, the proof of a
// destruction) is read from the active node. Other nodes, and HashiCorp Vault's standbys, pass writes
// on, so writes need no care.

// soloTerm is how long it is believed that a server has no cluster.
const soloTerm = time.Minute

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

// newest makes a call that reads, and whose answer must be of the newest state. sure reports whether an
// answer needs no proof: another node may have given it as well. Where the active node cannot be
// reached itself, an answer that is not sure is asked for again until lag cannot be the reason.
func (v *Vault) newest(ctx context.Context, r request, sure func(answer) bool) (answer, int, error) {
	for range maxTries {
		at, since, solo := v.active.known()
		if v.now().Before(solo) {
			return v.call(ctx, r)
		}
		if at == nil {
			l, err := v.client.leader(ctx, nil)
			switch {
			case err != nil:
				return answer{}, 1, failed(ctx, err)
			case !l.HA:
				v.active.alone(v.now().Add(soloTerm))
				continue
			case l.Address == "":
				return answer{}, 1, noActiveNode()
			}
			if at, since = v.client.address(l), l.Since; at == nil {
				return v.patient(ctx, r, sure)
			}
			if !l.Self {
				if l, err = v.client.leader(ctx, at); err != nil || !l.Self {
					return v.patient(ctx, r, sure) // It is not reachable from here, or the cluster is about to change.
				}
				since = l.Since
			}
			v.active.note(at, since)
		}
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

// nearby makes a call that reads, at the active node if it is known, without proof that it still is active: what is found there is
// at most as old as an election. A node that does not answer is forgotten, and the configured address asked.
func (v *Vault) nearby(ctx context.Context, r request) (answer, error) {
	if at, _, _ := v.active.known(); at != nil {
		r.at = at
		a, err := v.client.once(ctx, v.session.current().token, r)
		if err == nil && (a.ok() || a.absent()) {
			now := v.now()
			v.heard.Store(&now)
			return a, nil
		}
		r.at = nil
		if err != nil {
			v.active.note(nil, time.Time{})
		}
	}
	a, _, err := v.call(ctx, r)
	return a, err
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
