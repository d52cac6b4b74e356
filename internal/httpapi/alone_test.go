package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/httpapi"
	"github.com/forgecroft/forgecroft/internal/servertest"
)

// alone is the API without stores: enough for what never reaches the broker.
type alone struct {
	ready func() error
	now   time.Time
	log   servertest.Buffer
}

// get sends one GET.
func (a *alone) get(t *testing.T, paths ...string) []servertest.Reply {
	t.Helper()
	handler, err := httpapi.New(httpapi.Config{
		Broker: &broker.Broker{}, Ready: func(context.Context) error { return a.ready() },
		Logger: slog.New(slog.NewJSONHandler(&a.log, nil)), Now: func() time.Time { return a.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	var replies []servertest.Reply
	for _, path := range paths {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		replies = append(replies, servertest.Reply{Status: w.Code, Header: w.Header(), Body: w.Body.String()})
		a.now = a.now.Add(400 * time.Millisecond)
	}
	return replies
}

func TestPanicIsOneAnswer(t *testing.T) {
	for name, value := range map[string]any{"text": canary, "error": errors.New(canary)} {
		t.Run(name, func(t *testing.T) {
			a := &alone{ready: func() error { panic(value) }}
			replies := a.get(t, "/readyz", "/healthz")
			wantProblem(t, replies[0], 500, "internal")
			if replies[1].Status != 200 {
				t.Errorf("after a panic: got %d", replies[1].Status)
			}
			if log := a.log.String(); !strings.Contains(log, `"msg":"panic"`) || !strings.Contains(log, "alone_test.go") || strings.Contains(log, canary) {
				t.Errorf("got log %s", log)
			}
		})
	}
}

// TestReadinessIsAskedOncePerSecond sends a probe every 400 ms.
func TestReadinessIsAskedOncePerSecond(t *testing.T) {
	asked := 0
	a := &alone{now: time.Unix(0, 0), ready: func() error {
		asked++
		if asked > 1 {
			return errors.New("the vault " + canary)
		}
		return nil
	}}
	replies := a.get(t, "/readyz", "/readyz", "/readyz", "/readyz")
	if asked != 2 || replies[2].Status != 200 {
		t.Errorf("the stores were asked %d times, third probe %d", asked, replies[2].Status)
	}
	wantProblem(t, replies[3], 503, "not_ready")
	if strings.Contains(replies[3].Body, canary) || replies[3].Header.Get("Retry-After") != "1" || !strings.Contains(a.log.String(), canary) {
		t.Errorf("got %s, log %s", replies[3].Body, &a.log)
	}
}

func TestNewRefusesGaps(t *testing.T) {
	if _, err := httpapi.New(httpapi.Config{Broker: &broker.Broker{}}); err == nil {
		t.Error("an API without readiness check and logger is accepted")
	}
}
