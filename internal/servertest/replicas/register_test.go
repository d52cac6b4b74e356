//go:build unix

package replicas_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/forgecroft/forgecroft/sdk"
)

// The calls that clients make.
const (
	createConfig = "create" // a credential config of the target's name
	storeValue   = "store"
	attachConfig = "attach"
	detachAll    = "detach"
	deleteConfig = "delete"
	deliverValue = "deliver"
)

// act is one call of a client, as porcupine's input.
type act struct {
	target int
	call   string
	config string // the id of the credential config, to store into, attach or delete
	value  string // to store
}

// verdict is what a call came to.
type verdict string

const (
	done    verdict = "done"
	absent  verdict = "there is no such config"
	taken   verdict = "there is a config of this name"
	inUse   verdict = "the config is attached"
	nothing verdict = "the config that is attached has no secrets"
	unknown verdict = "no answer: it may have happened, or happen yet"
)

// outcome is what a client saw, as porcupine's output.
type outcome struct {
	verdict verdict
	config  string // the id of what was created
	value   string // what was delivered; empty: nothing is attached
}

// register is the model of a target: a workspace, and a name that one credential config after the other has.
type register struct {
	config   string // the id; empty: there is none
	value    string // what was stored last; empty: nothing
	attached bool
}

// do is what one undisturbed server does with a call, and answers.
func (r register) do(a act) (register, outcome) {
	switch a.call {
	case deliverValue:
		switch {
		case !r.attached:
			return r, outcome{verdict: done}
		case r.value == "":
			return r, outcome{verdict: nothing}
		}
		return r, outcome{verdict: done, value: r.value}
	case createConfig:
		if r.config != "" {
			return r, outcome{verdict: taken}
		}
		return register{config: "new"}, outcome{verdict: done, config: "new"}
	case detachAll:
		r.attached = false
		return r, outcome{verdict: done}
	}
	if a.config != r.config {
		return r, outcome{verdict: absent}
	}
	switch {
	case a.call == storeValue:
		r.value = a.value
	case a.call == attachConfig:
		r.attached = true
	case r.attached:
		return r, outcome{verdict: inUse}
	default: // deleteConfig
		r = register{}
	}
	return r, outcome{verdict: done}
}

// step tells whether a client may have seen an outcome, and what is so afterwards.
func step(state, input, output any) (bool, any) {
	seen := output.(outcome)
	next, want := state.(register).do(input.(act))
	if seen.verdict == unknown {
		return true, next // What never happens is as good as what happens at the very end.
	}
	if want.config != "" {
		next.config, want.config = seen.config, seen.config // The server chooses it.
	}
	return seen == want, next
}

// model is what all targets are, each for itself: at first a name that nothing has, and a workspace to which nothing is attached.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, o := range history {
			i := o.Input.(act).target
			parts[i] = append(parts[i], o)
		}
		return slices.Collect(maps.Values(parts))
	},
	Init: func() any { return register{} },
	Step: step,
}

// verdictOf reads a verdict from an error; empty: there is none that explains it.
func verdictOf(err error) verdict {
	var problem *sdk.Error
	switch {
	case err == nil:
		return done
	case errors.As(err, new(broken)):
		return ""
	case undecided(err):
		return unknown
	case !errors.As(err, &problem):
		return ""
	case errors.Is(err, sdk.ErrNotFound), slices.ContainsFunc(problem.Errors, func(f sdk.ProblemField) bool { return f.Code == "not_found" }):
		return absent
	}
	return map[string]verdict{ // the problem's code → what it means
		"name_taken": taken, "credential_in_use": inUse, "secrets_missing": nothing,
		"idempotency_in_flight": unknown, // An attempt before this one, which got no answer, still works.
		"stored_concurrently":   unknown, // Others were faster, again and again.
	}[problem.Code]
}

// TestModel guards the check of histories: it refuses what no single server would answer.
func TestModel(t *testing.T) {
	at := func(call, back int64, a act, o outcome) porcupine.Operation {
		return porcupine.Operation{Input: a, Call: call, Output: o, Return: back}
	}
	const first = "a"
	begun := []porcupine.Operation{
		at(0, 1, act{call: createConfig}, outcome{verdict: done, config: first}), at(2, 3, act{call: storeValue, config: first, value: "start"}, outcome{verdict: done}),
		at(4, 5, act{call: attachConfig, config: first}, outcome{verdict: done}),
	}
	stored := at(10, 11, act{call: storeValue, config: first, value: "v"}, outcome{verdict: done})
	detached := at(12, 13, act{call: detachAll}, outcome{verdict: done})
	deleted := at(14, 15, act{call: deleteConfig, config: first}, outcome{verdict: done})
	silent := at(10, 29, act{call: storeValue, config: first, value: "v"}, outcome{verdict: unknown})
	tests := []struct {
		name    string
		history []porcupine.Operation
		want    bool
	}{
		{"a whole life", []porcupine.Operation{stored, detached, deleted, at(16, 17, act{call: createConfig}, outcome{verdict: done, config: "b"}), at(18, 19, act{call: attachConfig, config: "b"}, outcome{verdict: done})}, true},
		{"an old value", []porcupine.Operation{stored, at(12, 13, act{call: deliverValue}, outcome{verdict: done, value: "start"})}, false},
		{"delivered after it was detached", []porcupine.Operation{stored, detached, at(14, 15, act{call: deliverValue}, outcome{verdict: done, value: "v"})}, false},
		{"deleted while it was attached", []porcupine.Operation{stored, deleted}, false},
		{"stored into what was deleted", []porcupine.Operation{detached, deleted, at(16, 17, act{call: storeValue, config: first, value: "w"}, outcome{verdict: done})}, false},
		{"one name twice", []porcupine.Operation{at(16, 17, act{call: createConfig}, outcome{verdict: done, config: "b"})}, false},
		{"attached, and deleted before", []porcupine.Operation{detached, deleted, at(16, 17, act{call: attachConfig, config: first}, outcome{verdict: done})}, false},
		{"no answer, and it happened", []porcupine.Operation{silent, at(12, 13, act{call: deliverValue}, outcome{verdict: done, value: "v"})}, true},
		{"no answer, and it did not happen", []porcupine.Operation{silent, at(12, 13, act{call: deliverValue}, outcome{verdict: done, value: "start"})}, true},
		{"no answer, and it was undone", []porcupine.Operation{silent, at(12, 13, act{call: deliverValue}, outcome{verdict: done, value: "v"}), at(14, 15, act{call: deliverValue}, outcome{verdict: done, value: "start"})}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := porcupine.CheckOperations(model, slices.Concat(begun, test.history)); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
