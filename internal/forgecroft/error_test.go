package forgecroft_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TestKindOfAnErrorIsItsOwn: what went wrong beneath is found, but does not change what the failure is.
func TestKindOfAnErrorIsItsOwn(t *testing.T) {
	beneath := &forgecroft.Error{Kind: forgecroft.KindNotFound, Code: "absent", Cause: fmt.Errorf("asking: %w", context.Canceled)}
	err := error(&forgecroft.Error{Kind: forgecroft.KindUnavailable, Cause: fmt.Errorf("opening the secrets: %w", beneath)})
	for target, want := range map[error]bool{forgecroft.KindUnavailable: true, forgecroft.KindNotFound: false, context.Canceled: true, context.DeadlineExceeded: false} {
		if errors.Is(err, target) != want || errors.Is(fmt.Errorf("delivering: %w", err), target) != want {
			t.Errorf("errors.Is(err, %v) is not %v", target, want)
		}
	}
	var outermost *forgecroft.Error
	if !errors.As(err, &outermost) || outermost.Kind != forgecroft.KindUnavailable {
		t.Errorf("errors.As finds %+v", outermost)
	}
	if errors.Unwrap(&forgecroft.Error{Kind: forgecroft.KindInvalid}) != nil {
		t.Error("an error without a cause has one")
	}
}
