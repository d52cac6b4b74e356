package openbao

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// maxTries is how often a call that nobody answered is made. All calls may be repeated: reading and deleting change nothing the second time, and
// writing goes with check-and-set.
const maxTries = 3

// firstPause is how long the second try waits, at most; the third waits four times that.
const firstPause = 50 * time.Millisecond

// call makes a call with the session's token, again if nobody answered. tries is how often the server may have done it. An error is of
// [forgecroft.KindUnavailable]; all other answers, whatever their status, are for the caller to judge.
func (v *Vault) call(ctx context.Context, r request) (a answer, tries int, err error) {
	for replaced := false; ; {
		if ctx.Err() != nil {
			return answer{}, tries, notInTime(ctx.Err())
		}
		token := v.session.current().token
		to := r
		if to.at == nil {
			to.at, _, _ = v.active.known()
		}
		a, err = v.client.once(ctx, token, to)
		tries++
		switch {
		case err != nil:
			if to.at != nil {
				v.active.note(nil, time.Time{}) // The next try takes the configured address.
				r.at = nil
			}
			err = failed(ctx, err)
		case a.status == http.StatusForbidden && !replaced:
			tries-- // The server did nothing.
			another, err := v.session.replace(ctx, token)
			if err != nil {
				return a, tries, err
			}
			if !another {
				return a, tries, v.client.refusal(ctx, r, a)
			}
			replaced = true
			continue
		case a.status == http.StatusForbidden, a.status == http.StatusTooManyRequests:
			return a, tries, v.client.refusal(ctx, r, a)
		case a.status < 500 && a.status != http.StatusPreconditionFailed:
			if a.ok() || a.absent() {
				now := v.now()
				v.heard.Store(&now)
			}
			return a, tries, nil
		}
		if ctx.Err() == nil && tries < maxTries && v.wait(ctx, tries) {
			continue
		}
		if err == nil {
			err = v.client.refusal(ctx, r, a)
		}
		return a, tries, err
	}
}

// wait pauses before another try. The pauses differ, so that many callers do not come back at the same moment.
func (v *Vault) wait(ctx context.Context, tries int) bool {
	longest := firstPause << (2 * (tries - 1))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(longest/2 + rand.N(longest/2)):
		return true
	}
}

// decode reads what a server answered.
func decode(data json.RawMessage, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the vault's answer cannot be read: %w", err)
	}
	return nil
}
