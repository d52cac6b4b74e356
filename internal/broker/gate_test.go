package broker_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// ungated are the exported methods of a broker that no caller stands before, with the reason.
var ungated = map[string]string{ // method → reason
	"Authenticate": "it finds out who calls",
	"SignIn":       "it finds out who calls, and keeps it in a session",
	"Session":      "it finds out who calls, by a session",
}

// TestEveryMethodIsGated calls each exported method without rights: it must deny, and leave a denial in the trail.
func TestEveryMethodIsGated(t *testing.T) {
	w := newWorld(t)
	nobody := w.as("", forgecroft.KeyScope{})
	door := reflect.ValueOf(w.Broker)
	if door.NumMethod() < 25 {
		t.Fatalf("only %d methods found", door.NumMethod())
	}
	for i := range door.NumMethod() {
		method := door.Type().Method(i)
		if ungated[method.Name] != "" {
			continue
		}
		t.Run(method.Name, func(t *testing.T) {
			before := len(w.trail(t))
			results := door.Method(i).Call(arguments(t, method.Type, nobody))
			err, _ := results[len(results)-1].Interface().(error)
			if !errors.Is(err, forgecroft.KindForbidden) {
				t.Fatalf("without rights: got %v, want a denial", err)
			}
			trail := w.trail(t)
			if len(trail) != before+1 || trail[0].Outcome != forgecroft.OutcomeDenied || trail[0].Action == "" {
				t.Errorf("the trail grew by %d, its newest entry is %+v", len(trail)-before, trail[0])
			}
		})
	}
}

// arguments fills in a method's parameters: a context, the caller, an id wherever text is wanted, zero values otherwise.
func arguments(t *testing.T, method reflect.Type, caller broker.Call) []reflect.Value {
	t.Helper()
	var args []reflect.Value
	for i := 1; i < method.NumIn(); i++ { // 0 is the receiver
		switch kind := method.In(i); {
		case kind == reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(t.Context()))
		case kind == reflect.TypeFor[broker.Call]():
			args = append(args, reflect.ValueOf(caller))
		case kind.Kind() == reflect.String:
			args = append(args, reflect.ValueOf("0192f3a0-0000-7000-8000-00000000000a").Convert(kind))
		default:
			args = append(args, reflect.Zero(kind))
		}
	}
	if len(args) < 2 || args[1].Type() != reflect.TypeFor[broker.Call]() {
		t.Fatal("an exported method takes a context and the call")
	}
	return args
}

// TestForeignAndAbsentAreTheSame asks for an object of another project and for one that never was: answers and entries are alike.
func TestForeignAndAbsentAreTheSame(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.mustProject(t, "mine"), w.mustProject(t, "theirs")
	foreign := w.mustConfig(t, "foreign", "plain", theirs.ID)
	workspace := w.mustWorkspace(t, "foreign", theirs.ID)
	caller := w.as(forgecroft.RoleAdmin, forgecroft.KeyScope{ProjectID: mine.ID})
	const absent = "0192f3a0-0000-7000-8000-00000000000a"
	ask := map[string]func(id string) error{
		"get config": func(id string) error { _, err := w.GetCredentialConfig(t.Context(), caller, id); return err },
		"update config": func(id string) error {
			_, err := w.UpdateCredentialConfig(t.Context(), caller, id, forgecroft.CredentialConfigUpdate{})
			return err
		},
		"delete config": func(id string) error { return w.DeleteCredentialConfig(t.Context(), caller, id) },
		"verify":        func(id string) error { _, err := w.Verify(t.Context(), caller, id); return err },
		"store":         func(id string) error { _, err := w.StoreSecrets(t.Context(), caller, id, data("A", "b")); return err },
		"versions":      func(id string) error { _, err := w.ListSecretVersions(t.Context(), caller, id); return err },
		"deliveries":    func(id string) error { _, err := w.ListConfigDeliveries(t.Context(), caller, id, 1); return err },
	}
	askWorkspace := map[string]func(id string) error{
		"get": func(id string) error { _, err := w.GetWorkspace(t.Context(), caller, id); return err },
		"update": func(id string) error {
			_, err := w.UpdateWorkspace(t.Context(), caller, id, forgecroft.WorkspaceUpdate{})
			return err
		},
		"delete":  func(id string) error { return w.DeleteWorkspace(t.Context(), caller, id) },
		"deliver": func(id string) error { _, err := w.Deliver(t.Context(), caller, id, ""); return err },
		"preview": func(id string) error { _, err := w.PreviewEnvironment(t.Context(), caller, id); return err },
	}
	compare := func(name, id string, ask func(string) error) {
		for _, other := range []string{absent, "..", "a/../b", ""} {
			if other == "" {
				continue
			}
			before := len(w.trail(t))
			got, want := ask(id), ask(other)
			if !errors.Is(got, forgecroft.KindNotFound) || got.Error() != want.Error() || codeOf(got) != codeOf(want) {
				t.Errorf("%s: foreign %v, %q %v", name, got, other, want)
			}
			if grown := len(w.trail(t)) - before; grown != 2 {
				t.Errorf("%s: %d entries for two denials", name, grown)
			}
		}
	}
	for name, ask := range ask {
		compare(name, foreign.ID, ask)
	}
	for name, ask := range askWorkspace {
		compare(name+" workspace", workspace.ID, ask)
	}
}
