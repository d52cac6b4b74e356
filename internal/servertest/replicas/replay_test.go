//go:build unix

package replicas_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
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

// TestOneKeyAtOnce sends one request, with one Idempotency-Key, to all replicas at the same moment, as a client does that has waited for too long: all are answered the same,
// and one thing was done.
func TestOneKeyAtOnce(t *testing.T) {
	h := newHouse(t, 3)
	for n := range 20 {
		name := fmt.Sprint("config ", n)
		config := atOnce(t, h, func(ctx context.Context, client *sdk.Client) (sdk.CredentialConfig, error) {
			return client.CreateCredentialConfig(ctx, sdk.CreateCredentialConfig{Name: name, CredentialType: "generic_env"})
		})
		atOnce(t, h, func(ctx context.Context, client *sdk.Client) (sdk.StoredSecrets, error) {
			return h.store(ctx, client, config.ID, name)
		})
		atOnce(t, h, func(ctx context.Context, client *sdk.Client) (sdk.Workspace, error) {
			return client.CreateWorkspace(ctx, sdk.CreateWorkspace{Name: name, ProjectID: h.project, CredentialConfigIDs: []string{config.ID}})
		})
		versions, err := h.owner.SecretVersions(t.Context(), config.ID)
		must(t, err)
		if len(versions.Items) != 1 {
			t.Errorf("%d versions were stored", len(versions.Items))
		}
	}
	h.ledger.mustReconcile(t, h.owner)
}

// atOnce makes something at all replicas, and returns the answer that all of them have to give.
func atOnce[T any](t *testing.T, h *house, create func(ctx context.Context, client *sdk.Client) (T, error)) T {
	t.Helper()
	ctx := context.WithValue(t.Context(), idempotencyKey{}, rand.Text())
	answers, errs := make([]T, len(h.replicas)), make([]error, len(h.replicas))
	var group sync.WaitGroup
	for i := range h.replicas {
		client, err := h.ledger.client(h.replica(i).URL, h.ownerKey)
		must(t, err)
		group.Go(func() { answers[i], errs[i] = create(ctx, client) })
	}
	group.Wait()
	first := max(0, slices.Index(errs, nil))
	for i := range answers {
		if errs[i] != nil || !reflect.DeepEqual(answers[i], answers[first]) {
			t.Errorf("replica %d answers %+v (%v), and replica %d %+v", i, answers[i], errs[i], first, answers[first])
		}
	}
	return answers[first]
}
