package provider_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forgecroft/forgecroft/internal/provider"
)

func TestRetry(t *testing.T) {
	throttled := func(after time.Duration) error { return provider.Throttled(after) }
	tests := []struct {
		name      string
		outcomes  []error
		wantCalls int
		wantSleep []time.Duration
		wantErr   bool
	}{
		{"success at once", []error{nil}, 1, nil, false},
		{"transport, then success", []error{provider.Unclear(provider.CodeUnreachable, ""), nil}, 2, []time.Duration{200 * time.Millisecond}, false},
		{"5xx three times", []error{
			provider.Unclear(provider.CodeProviderError, ""), provider.Unclear(provider.CodeProviderError, ""),
			provider.Unclear(provider.CodeProviderError, ""), nil,
		}, 3, []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}, true},
		{"asked to wait 5 s", []error{throttled(5 * time.Second), nil}, 2, []time.Duration{5 * time.Second}, false},
		{"asked to wait 6 s", []error{throttled(6 * time.Second), nil}, 1, nil, true},
		{"a refusal is final", []error{provider.Refused("invalid_grant", ""), nil}, 1, nil, true},
		{"a strange answer is final", []error{provider.Unclear(provider.CodeProtocol, ""), nil}, 1, nil, true},
		{"a distrusted certificate is final", []error{provider.Unclear(provider.CodeTLS, ""), nil}, 1, nil, true},
		{"a foreign error is final", []error{errors.New("bug"), nil}, 1, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var slept []time.Duration
			retrier := provider.Retrier{
				Sleep:  func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil },
				Jitter: func() float64 { return 0.5 },
			}
			calls := 0
			err := retrier.Do(t.Context(), func(context.Context) error { calls++; return tt.outcomes[calls-1] })
			if calls != tt.wantCalls || (err != nil) != tt.wantErr {
				t.Errorf("Do: %d calls, error %v; want %d calls, error %v", calls, err, tt.wantCalls, tt.wantErr)
			}
			if diff := cmp.Diff(tt.wantSleep, slept); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRetryStaysWithinTheDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	calls := 0
	retrier := provider.Retrier{Sleep: func(context.Context, time.Duration) error { t.Error("slept past the deadline"); return nil }}
	err := retrier.Do(ctx, func(context.Context) error { calls++; return provider.Throttled(4 * time.Second) })
	if calls != 1 || err == nil {
		t.Errorf("Do: %d calls, error %v; want the first error after one call", calls, err)
	}
}

func TestReplyHeaders(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		wait string
		date string

		wantWait time.Duration
		wantSkew bool
	}{
		{"nothing", "", "", 0, false},
		{"seconds", "7", "", 7 * time.Second, false},
		{"date", "Mon, 23 Nov 2026 12:00:09 GMT", "", 9 * time.Second, false},
		{"negative, and a date now", "-1", "Mon, 23 Nov 2026 12:00:00 GMT", 0, false},
		{"a year, and four minutes off", "31536000", "Mon, 23 Nov 2026 12:04:00 GMT", 0, false},
		{"words, and six minutes behind", "soon", "Mon, 23 Nov 2026 11:54:00 GMT", 0, true},
		{"date of the past, and an hour ahead", "Mon, 23 Nov 2026 11:00:09 GMT", "Mon, 23 Nov 2026 13:00:00 GMT", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := provider.Reply{Header: map[string][]string{"Retry-After": {tt.wait}, "Date": {tt.date}}}
			if got := reply.RetryAfter(now); got != tt.wantWait {
				t.Errorf("RetryAfter = %v, want %v", got, tt.wantWait)
			}
			if got := reply.Skewed(now); got != tt.wantSkew {
				t.Errorf("Skewed = %v, want %v", got, tt.wantSkew)
			}
		})
	}
}
