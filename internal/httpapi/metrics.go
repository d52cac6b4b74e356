package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// metrics counts what the API does. Labels come from the table of operations and from closed lists: never from a client, a name or an id.
type metrics struct {
	inFlight      prometheus.Gauge
	panics        prometheus.Counter
	authFailures  prometheus.Counter
	deliveries    *prometheus.CounterVec
	verifications *prometheus.CounterVec
	unmatched     *series
}

// newRegistry is a registry with the process's own metrics.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// newMetrics registers the metrics and gives every operation and page its series.
func newMetrics(registry *prometheus.Registry, operations []*operation, pages []page) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "forgecroft_http_requests_total", Help: "Requests by operation and status.",
	}, []string{"operation", "status"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "forgecroft_http_request_duration_seconds", Help: "How long requests took, by operation.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"operation"})
	m := &metrics{
		inFlight:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "forgecroft_http_requests_in_flight", Help: "Requests being worked on."}),
		panics:       prometheus.NewCounter(prometheus.CounterOpts{Name: "forgecroft_http_panics_total", Help: "Handlers that panicked."}),
		authFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "forgecroft_authentication_failures_total", Help: "Requests without a valid API key."}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "forgecroft_deliveries_total", Help: "Deliveries by outcome: the kind of failure, or delivered.",
		}, []string{"outcome"}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "forgecroft_verifications_total", Help: "Verifications by outcome: valid, invalid, inconclusive, failed.",
		}, []string{"outcome"}),
	}
	registry.MustRegister(requests, durations, m.inFlight, m.panics, m.authFailures, m.deliveries, m.verifications)
	line := func(name string) *series {
		return &series{requests.MustCurryWith(prometheus.Labels{"operation": name}), durations.WithLabelValues(name)}
	}
	m.unmatched = line("none")
	for _, op := range operations {
		op.series = line(op.id)
	}
	for i := range pages {
		pages[i].series = line(pages[i].id)
	}
	return m
}

// overdue is the metric of destructions in the vault that wait.
func overdue(seconds func() time.Duration) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "forgecroft_vault_oldest_destruction_seconds", Help: "For how long the oldest secret version that must go from the vault has been waiting; 0: none waits.",
	}, func() float64 { return seconds().Seconds() })
}

// series are the metrics of one operation.
type series struct {
	requests *prometheus.CounterVec
	duration prometheus.Observer
}

// observe counts one request.
func (s *series) observe(status int, took time.Duration) {
	s.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	s.duration.Observe(took.Seconds())
}

// delivered counts a delivery.
func (m *metrics) delivered(err error) {
	outcome := "delivered"
	if err != nil {
		outcome = string(kindOf(err).kind)
	}
	m.deliveries.WithLabelValues(outcome).Inc()
}

// verified counts a verification.
func (m *metrics) verified(v forgecroft.Verification, err error) {
	outcome := "inconclusive"
	switch {
	case err != nil:
		outcome = "failed"
	case v.Valid:
		outcome = "valid"
	case v.Conclusive:
		outcome = "invalid"
	}
	m.verifications.WithLabelValues(outcome).Inc()
}

// exposition serves a registry uncompressed.
func exposition(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
}
