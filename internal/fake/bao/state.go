package bao

import (
	"net/http"
	"strconv"
)

// health answers for the state. It needs no token, and no namespace.
func (s *Server) health(x *exchange) reply {
	if x.namespace != "" {
		return failure(http.StatusBadRequest, "operation unavailable in namespaces")
	}
	return s.healthOf(s.state)
}

// healthOf is the answer of a node in a state.
func (s *Server) healthOf(state State) reply {
	status := map[State]int{
		Active: http.StatusOK, RateLimited: http.StatusOK, Sealed: http.StatusServiceUnavailable, Uninitialised: http.StatusNotImplemented,
		Standby: http.StatusTooManyRequests, RecoverySecondary: 472, PerformanceStandby: 473,
	}[state]
	return reply{status: status, body: map[string]any{
		"initialized": state != Uninitialised, "sealed": state == Sealed || state == Uninitialised,
		"standby": state == Standby || state == PerformanceStandby, "performance_standby": state == PerformanceStandby,
		"replication_performance_mode": "disabled", "replication_dr_mode": map[bool]string{true: "secondary", false: "disabled"}[state == RecoverySecondary],
		"server_time_utc": s.now().Unix(), "version": "2.5.5",
	}}
}

// refuse answers what a server in a state refuses, whatever is asked.
func (s *Server) refuse(x *exchange) reply {
	switch s.state {
	case Sealed, Uninitialised:
		return failure(http.StatusServiceUnavailable, "Vault is sealed")
	case Standby:
		return failure(http.StatusInternalServerError, "local node not active but active cluster node not found")
	case RecoverySecondary:
		return failure(http.StatusBadRequest, "path disabled in replication DR secondary mode")
	case RateLimited:
		return rateLimited(x.path)
	default:
		return reply{}
	}
}

// rateLimited is the answer of a rate limit quota.
func rateLimited(path string) reply {
	r := failure(http.StatusTooManyRequests, "request path "+quoted(path)+": rate limit quota exceeded")
	r.header = map[string]string{"Retry-After": strconv.Itoa(RetryAfter), "X-Ratelimit-Limit": "1", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": strconv.Itoa(RetryAfter)}
	return r
}

func serveRateLimited(w http.ResponseWriter, path string) { rateLimited(path).write(w) }
