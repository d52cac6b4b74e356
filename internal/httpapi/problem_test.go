package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/sdk"
)

func TestStatusOfEveryKind(t *testing.T) {
	cases := map[forgecroft.Kind]int{
		forgecroft.KindMalformed: 400, forgecroft.KindInvalid: 422, forgecroft.KindUnauthenticated: 401, forgecroft.KindForbidden: 403,
		forgecroft.KindNotFound: 404, forgecroft.KindConflict: 409, forgecroft.KindStale: 412, forgecroft.KindUnprocessable: 422,
		forgecroft.KindUnavailable: 503, forgecroft.KindStorageFull: 507, forgecroft.KindIntegrity: 500,
	}
	for kind, want := range cases {
		for name, err := range map[string]error{
			"plain": kind, "error": forgecroft.Errorf(kind, "code", "Message."), "wrapped": fmt.Errorf("opening: %w", forgecroft.Errorf(kind, "code", "Message.")),
		} {
			if got := httpapi.ProblemOf(err).Status; got != want {
				t.Errorf("%s %s: got status %d, want %d", kind, name, got, want)
			}
		}
	}
}

func TestProblemShowsWhatIsMeantForClients(t *testing.T) {
	err := fmt.Errorf("storing: %w", &forgecroft.Error{
		Kind: forgecroft.KindConflict, Code: "credential_in_use", Message: "It is in use.", Cause: errors.New("row " + canary),
		Fields:  []forgecroft.FieldError{{Field: "name", Code: "taken", Message: "Taken."}},
		Related: []forgecroft.Related{{Type: "workspace", ID: "1", Name: "prod"}},
	})
	want := sdk.Problem{
		Type: "/docs#problem-conflict", Title: "Conflict", Status: 409, Detail: "It is in use.", Code: "credential_in_use",
		Errors:  []sdk.ProblemField{{Field: "name", Code: "taken", Message: "Taken."}},
		Related: []sdk.Reference{{Type: "workspace", ID: "1", Name: "prod"}},
	}
	if diff := cmp.Diff(want, httpapi.ProblemOf(err)); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

func TestInternalsStayInside(t *testing.T) {
	want := sdk.Problem{Type: "/docs#problem-internal", Title: "Internal error", Status: 500, Code: "internal"}
	for name, err := range map[string]error{
		"plain":     errors.New("dial tcp " + canary),
		"integrity": &forgecroft.Error{Kind: forgecroft.KindIntegrity, Code: "secret_unreadable", Message: "The stored secret " + canary + " is not readable."},
		"panic":     errors.Join(errors.New(canary), context.Canceled),
	} {
		if diff := cmp.Diff(want, httpapi.ProblemOf(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	late := httpapi.ProblemOf(fmt.Errorf("asking %s: %w", canary, context.DeadlineExceeded))
	if late.Status != 503 || strings.Contains(fmt.Sprint(late), canary) {
		t.Errorf("a deadline: got %+v, want a bare 503", late)
	}
}
