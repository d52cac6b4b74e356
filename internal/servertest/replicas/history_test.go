package replicas_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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

// control is a name that is no secret.
const control = "a project that everybody may know of"

// target is a credential config that clients store values into and a workspace that delivers them: a register.
type target struct{ config, workspace, project string }

// act is one call of a client, as porcupine's input: to store a value, or to have it delivered if that is empty.
type act struct {
	target int
	value  string
}

// register is the model: a delivery yields what was stored last.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, o := range history {
			parts[o.Input.(act).target] = append(parts[o.Input.(act).target], o)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() any { return "start" },
	Step: func(state, input, output any) (bool, any) {
		if value := input.(act).value; value != "" {
			return true, value
		}
		return output == state, state
	},
}

// clients call the replicas until they are told to stop, and keep what they saw.
type clients struct {
	h       *house
	targets []target
	began   time.Time
	stop    context.CancelFunc
	group   sync.WaitGroup
	done    atomic.Int64 // calls that were answered
	failed  atomic.Int64 // calls that were not, or with 5xx

	ended  ended
	lives  atomic.Int64 // that came to their end
	haunts atomic.Int64 // looks at what has ended

	mu      sync.Mutex
	history []porcupine.Operation
}

// mustMakeTargets makes registers that hold "start".
func mustMakeTargets(t *testing.T, h *house, n int) []target {
	t.Helper()
	project, err := h.owner.CreateProject(t.Context(), sdk.CreateProject{Name: control})
	must(t, err)
	var all []target
	for i := range n {
		c, err := h.owner.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: fmt.Sprint("c", i), CredentialType: "generic_env"})
		must(t, err)
		must(t, h.store(t.Context(), c.ID, "start"))
		w, err := h.owner.CreateWorkspace(t.Context(), sdk.CreateWorkspace{Name: fmt.Sprint("w", i), ProjectID: project.ID, CredentialConfigIDs: []string{c.ID}})
		must(t, err)
		all = append(all, target{c.ID, w.ID, project.ID})
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
func (h *house) store(ctx context.Context, config, value string) error {
	text, err := json.Marshal(h.canary + value)
	if err != nil {
		return err
	}
	_, err = h.owner.StoreSecrets(ctx, config, sdk.StoreSecrets{Data: map[string]json.RawMessage{variable: text, twin: text}})
	return err
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

// start lets n clients call.
func start(t *testing.T, h *house, targets []target, n int) *clients {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	c := &clients{h: h, targets: targets, began: time.Now(), stop: stop}
	for i := range n {
		c.group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), uint64(c.began.UnixNano())))
			for call := 0; ctx.Err() == nil; call++ {
				c.call(t, i, call, random)
				if call%8 == 0 {
					c.judge(t, &c.lives, c.live(t, i, call, targets[0].project))
					c.judge(t, &c.haunts, c.haunt(random.IntN))
				}
			}
		})
	}
	return c
}

// call makes one random call and notes what came of it.
func (c *clients) call(t *testing.T, client, n int, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a := act{target: random.IntN(len(c.targets))}
	o := porcupine.Operation{ClientId: client, Call: time.Since(c.began).Nanoseconds()}
	var err error
	if random.IntN(10) < 3 {
		a.value = fmt.Sprintf("%d of client %d", n, client)
		err = c.h.store(ctx, c.targets[a.target].config, a.value)
	} else {
		o.Output, err = c.h.deliver(ctx, c.h.owner, c.targets[a.target].workspace)
	}
	o.Input, o.Return = a, time.Since(c.began).Nanoseconds()
	switch {
	case err == nil:
		c.done.Add(1)
	case errors.Is(err, sdk.ErrConflict):
		return // Others stored at the same time, again and again: nothing happened.
	case errors.As(err, new(broken)) || !undecided(err):
		t.Errorf("an answer that no disturbance explains: %v", err)
		return
	default:
		c.failed.Add(1)
		if a.value == "" {
			return // Nothing was seen.
		}
		o.Return = math.MaxInt64 // It may have happened, or happen yet.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, o)
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
	t.Logf("%d calls were answered, %d were not; %d lives came to their end, and %d times nothing had come back", c.done.Load(), c.failed.Load(), c.lives.Load(), c.haunts.Load())
	if c.lives.Load() == 0 || c.haunts.Load() == 0 || len(c.ended.configs) == 0 || len(c.ended.keys) == 0 {
		t.Error("no life came to its end, or nothing ended that could come back")
	}
	if result := porcupine.CheckOperationsTimeout(register, c.history, time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d calls is not that of one server: %s", len(c.history), result)
	}
}
