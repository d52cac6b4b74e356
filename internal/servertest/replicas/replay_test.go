package replicas_test

import (
	"context"
	"crypto/rand"
	"reflect"
	"sync"
	"testing"
)

// replays are creations to be repeated, each with its Idempotency-Key, at the end of a history.
type replays struct {
	mu  sync.Mutex
	all []func(ctx context.Context) error
}

// add keeps a creation.
func (r *replays) add(again func(ctx context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, again)
}

// once makes something with an Idempotency-Key, and repeats the request, which most likely comes to another replica: the answer is the same to the letter, now and at the
// end of the history, whatever has become of it meanwhile. The ledger and the model tell whether there is one object.
func once[T any](ctx context.Context, r *replays, create func(ctx context.Context) (T, error)) (T, error) {
	key := rand.Text()
	answer, err := create(context.WithValue(ctx, idempotencyKey{}, key))
	if err != nil {
		return answer, err
	}
	again := func(ctx context.Context) error {
		repeated, err := create(context.WithValue(ctx, idempotencyKey{}, key))
		if err != nil {
			return err
		}
		return expect(reflect.DeepEqual(repeated, answer), "repeated with its Idempotency-Key, a request was answered %+v, and at first %+v", repeated, answer)
	}
	r.add(again)
	return answer, again(ctx)
}

// mustReplay repeats everything once more.
func (r *replays) mustReplay(t *testing.T) {
	t.Helper()
	if len(r.all) == 0 {
		t.Error("nothing was made that could be repeated")
	}
	for _, again := range r.all {
		if err := again(t.Context()); err != nil {
			t.Errorf("at the end: %v", err)
		}
	}
}
