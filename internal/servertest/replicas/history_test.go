//go:build unix

package replicas_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/forgecroft/forgecroft/sdk"
)

// Both variables of every credential hold the same value: a delivery in which they differ is one of two versions.
const (
	variable = "TF_VAR_value"
	twin     = "TF_VAR_twin"
)

// patience is how long a client waits for an answer.
const patience = 10 * time.Second

// control is a name that is no secret.
const control = "a project that everybody may know of"

// target is what clients work on, and the model is a register of: a workspace, and a name for credential configs.
type target struct {
	name, workspace string

	config atomic.Pointer[string] // the id of the last one that was created; nil: none was
}

// clients call the replicas until they are told to stop, and keep what they saw.
type clients struct {
	h       *house
	targets []*target
	began   time.Time
	stop    context.CancelFunc
	group   sync.WaitGroup
	done    atomic.Int64 // calls that were answered
	failed  atomic.Int64 // calls that were not, or with 5xx

	lives  atomic.Int64 // that came to their end
	haunts atomic.Int64 // looks at what has ended

	replays replays

	mu      sync.Mutex
	history []porcupine.Operation
}

// mustMakeTargets makes targets, with names that nothing has yet.
func mustMakeTargets(t *testing.T, h *house, n int) []*target {
	t.Helper()
	var all []*target
	for i := range n {
		name := fmt.Sprintf("target %d %s", i, rand.Text())
		w, err := h.owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: name, ProjectID: h.project})
		must(t, err)
		all = append(all, &target{name: name, workspace: w.ID})
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// store stores a value, with the canary in front of it, in both variables.
func (h *house) store(ctx context.Context, client *sdk.Client, config, value string) (sdk.StoredSecrets, error) {
	text, err := json.Marshal(h.canary + value)
	if err != nil {
		return sdk.StoredSecrets{}, err
	}
	return client.StoreSecrets(ctx, config, sdk.StoreSecrets{Data: map[string]json.RawMessage{variable: text, twin: text}})
}

// deliver has a workspace delivered, and returns the value that was stored; empty: nothing is attached.
func (h *house) deliver(ctx context.Context, client *sdk.Client, workspace string) (string, error) {
	env, err := client.Deliver(ctx, workspace, sdk.DeliverRequest{})
	if err != nil || len(env.Env) == 0 {
		return "", err
	}
	value, genuine := strings.CutPrefix(env.Env[variable], h.canary)
	if !genuine || env.Env[variable] != env.Env[twin] {
		return "", broken(fmt.Sprintf("a torn version was delivered: %q and %q", env.Env[variable], env.Env[twin]))
	}
	return value, nil
}

// start fills the targets, and lets n clients call.
func start(t *testing.T, h *house, targets []*target, n int) *clients {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	c := &clients{h: h, targets: targets, began: time.Now(), stop: stop}
	for i := range targets {
		for _, call := range renewal[2:] {
			c.call(t, 0, c.act(i, call, "start"))
		}
	}
	for i, s := range h.strangers {
		c.group.Go(func() { c.strange(ctx, t, s, mathrand.New(mathrand.NewPCG(uint64(i), 2))) })
	}
	for i := range n {
		c.group.Go(func() {
			random := mathrand.New(mathrand.NewPCG(uint64(i), uint64(c.began.UnixNano())))
			for n := 0; ctx.Err() == nil; n++ {
				target := random.IntN(len(targets))
				for _, call := range likely(random.IntN(100)) {
					c.call(t, i, c.act(target, call, fmt.Sprintf("%d of client %d", n, i)))
				}
				if n%8 == 0 {
					c.judge(t, &c.lives, c.live(t, i, n, h.project))
					c.judge(t, &c.haunts, c.haunt(random.IntN))
				}
			}
		})
	}
	return c
}

// renewal puts another config in the place of one.
var renewal = []string{detachAll, deleteConfig, createConfig, storeValue, attachConfig}

// likely chooses what to do by a number below 100: so that mostly a config is there, is attached, and holds something.
func likely(percent int) []string {
	for _, c := range []struct {
		below int
		calls []string
	}{{50, []string{deliverValue}}, {70, []string{storeValue}}, {80, []string{attachConfig}}, {85, []string{createConfig}}, {90, []string{detachAll}}, {95, []string{deleteConfig}}} {
		if percent < c.below {
			return c.calls
		}
	}
	return renewal
}

// act is a call on a target as far as its config is known.
func (c *clients) act(target int, call, value string) act {
	a := act{target: target, call: call}
	if config := c.targets[target].config.Load(); config != nil {
		a.config = *config
	}
	if call == storeValue {
		a.value = value
	}
	return a
}

// call makes a call and notes what came of it.
func (c *clients) call(t *testing.T, client int, a act) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := porcupine.Operation{ClientId: client, Input: a, Call: time.Since(c.began).Nanoseconds()}
	seen, err := c.perform(ctx, a)
	o.Output, o.Return = seen, time.Since(c.began).Nanoseconds()
	switch {
	case seen.verdict == "":
		t.Errorf("%s: an answer that no disturbance explains: %v", a.call, err)
		return
	case seen.verdict != unknown:
		c.done.Add(1)
	default:
		c.failed.Add(1)
		if a.call == deliverValue {
			return // Nothing was seen.
		}
		o.Return = math.MaxInt64
	}
	c.add(o)
}

// add adds to the history.
func (c *clients) add(o porcupine.Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, o)
}

// perform makes a call and tells what a client saw.
func (c *clients) perform(ctx context.Context, a act) (o outcome, err error) {
	switch target := c.targets[a.target]; a.call {
	case createConfig:
		return c.create(ctx, target)
	case storeValue:
		_, err = c.h.store(ctx, c.h.owner, a.config, a.value)
	case attachConfig:
		_, err = c.h.owner.UpdateWorkspace(ctx, target.workspace, 0, sdk.UpdateWorkspace{CredentialConfigIDs: &[]string{a.config}})
	case detachAll:
		_, err = c.h.owner.UpdateWorkspace(ctx, target.workspace, 0, sdk.UpdateWorkspace{CredentialConfigIDs: &[]string{}})
	case deleteConfig:
		err = c.h.owner.DeleteCredentialConfig(ctx, a.config)
	case deliverValue:
		o.value, err = c.h.deliver(ctx, c.h.owner, target.workspace)
	}
	o.verdict = verdictOf(err)
	return o, err
}

// create makes a config, with one Idempotency-Key until there is an answer, which tells the id. That the name is taken is no answer to an attempt
// before: that one may be waiting in a frozen replica.
func (c *clients) create(ctx context.Context, target *target) (outcome, error) {
	ctx = context.WithValue(ctx, idempotencyKey{}, rand.Text())
	for attempt := 0; ; attempt++ {
		made, err := c.h.owner.CreateCredentialConfig(ctx, sdk.CreateCredentialConfig{Name: target.name, CredentialType: "generic_env"})
		switch v := verdictOf(err); {
		case v == done:
			target.config.Store(&made.ID)
			return outcome{verdict: done, config: made.ID}, nil
		case v == unknown && ctx.Err() == nil:
			continue
		case attempt > 0 && v == taken:
			return outcome{verdict: unknown}, err
		default:
			return outcome{verdict: v}, err
		}
	}
}

// judge fails the test if an answer is one that no disturbance explains, and counts what came to its end.
func (c *clients) judge(t *testing.T, counter *atomic.Int64, err error) {
	switch {
	case err == nil:
		counter.Add(1)
	case errors.As(err, new(broken)) || !undecided(err):
		t.Errorf("an answer that no disturbance explains: %v", err)
	default:
		c.failed.Add(1)
	}
}

// await waits until a counter has grown by n: the replicas that are left must serve.
func await(t *testing.T, what string, counter *atomic.Int64, n int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for target := counter.Load() + n; counter.Load() < target; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: nothing happens any more", what)
		}
	}
}

// mustEnd stops the clients and checks what they saw.
func (c *clients) mustEnd(t *testing.T) {
	t.Helper()
	c.stop()
	c.group.Wait()
	c.replays.mustReplay(t)
	t.Logf("%d calls were answered, %d were not; %d lives came to their end, and %d times nothing had come back", c.done.Load(), c.failed.Load(), c.lives.Load(), c.haunts.Load())
	if c.lives.Load() == 0 || c.haunts.Load() == 0 || len(c.h.ended.configs) == 0 || len(c.h.ended.keys) == 0 {
		t.Error("no life came to its end, or nothing ended that could come back")
	}
	if result := porcupine.CheckOperationsTimeout(model, c.history, time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d calls is not that of one server: %s", len(c.history), result)
	}
	for _, s := range c.h.strangers {
		if s.looks.Swap(0) == 0 {
			t.Errorf("a client of %s never had all of its answers", s.name)
		}
	}
	seen := map[string]int{} // call, and what came of it → how often
	for _, o := range c.history {
		seen[o.Input.(act).call+": "+string(o.Output.(outcome).verdict)]++
	}
	t.Logf("the history: %v", seen)
	for _, call := range append(renewal, deliverValue) {
		if seen[call+": "+string(done)] == 0 {
			t.Errorf("the history has no call to %s that was done", call)
		}
	}
}
