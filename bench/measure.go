package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forgecroft/forgecroft/sdk"
)

// workspace makes a project, n credential configs with secrets, and a workspace with all of them attached. It returns the workspace's id and the
// first config's.
func workspace(s *server, name string, n int) (id, config string, err error) {
	var project sdk.Project
	if err := s.call("POST", "/projects", sdk.CreateProject{Name: name}, &project); err != nil {
		return "", "", err
	}
	var ids []string
	for i := range n {
		var c sdk.CredentialConfig
		create := map[string]string{"name": fmt.Sprintf("%s %d", name, i), "credential_type": "generic_env", "project_id": project.ID}
		data := map[string]string{fmt.Sprintf("TF_VAR_secret_%d", i): strings.Repeat("x", 40)}
		if i == 0 {
			create["credential_type"] = "aws_static"
			data = map[string]string{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "region": "eu-central-1"}
		}
		if err := s.call("POST", "/credential-configs", create, &c); err != nil {
			return "", "", err
		}
		if err := s.call("POST", "/credential-configs/"+c.ID+"/secrets", map[string]any{"data": data}, nil); err != nil {
			return "", "", err
		}
		ids = append(ids, c.ID)
	}
	var w sdk.Workspace
	err = s.call("POST", "/workspaces", sdk.CreateWorkspace{Name: name, ProjectID: project.ID, CredentialConfigIDs: ids}, &w)
	return w.ID, ids[0], err
}

// measureDelivery measures deliveries of two stored credentials, and what more credentials cost.
func measureDelivery(ctx context.Context, o options, t *table) error {
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return err
	}
	defer s.close()
	id, _, err := workspace(s, "two", 2)
	if err != nil {
		return err
	}
	two := newRequest(s, "POST", "/workspaces/"+id+"/environment", "")
	goals := map[int]string{1: "≥ 2,500/s", 8: "≥ 8,000/s", 64: "≥ 16,000/s; p99 ≤ 15 ms"}
	for _, connections := range []int{1, 8, 64} {
		if _, err := load(ctx, s, connections, o.length/5, func(int) request { return two }); err != nil { // warm-up
			return err
		}
		before := s.cpuTime()
		r, err := load(ctx, s, connections, o.length, func(int) request { return two })
		if err != nil {
			return err
		}
		t.add(fmt.Sprintf("delivery, %d connections", connections), goals[connections], "%.0f/s; p50 %s, p99 %s; server's CPU %s each",
			r.rate(), ms(r.percentile(0.5)), ms(r.percentile(0.99)), s.cpuSince(before, r))
	}
	var costs []string
	for _, n := range []int{1, 2, 8, 32} {
		id, _, err := workspace(s, fmt.Sprintf("cost of %d", n), n)
		if err != nil {
			return err
		}
		delivery := newRequest(s, "POST", "/workspaces/"+id+"/environment", "")
		before := s.cpuTime()
		r, err := load(ctx, s, 8, o.length, func(int) request { return delivery })
		if err != nil {
			return err
		}
		costs = append(costs, fmt.Sprintf("%d: %s", n, s.cpuSince(before, r)))
	}
	t.add("CPU per delivery, by credentials attached", "grows with them alone", "%s", strings.Join(costs, ", "))
	return nil
}

// measureStore measures storing secrets, durable in both stores.
func measureStore(ctx context.Context, o options, t *table) error {
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return err
	}
	defer s.close()
	goals := map[int]string{1: "≥ 1,200/s", 64: "≥ 5,000/s"}
	for _, connections := range []int{1, 64} {
		ids, err := configs(s, fmt.Sprintf("store %d", connections), 4*connections)
		if err != nil {
			return err
		}
		requests := make([]request, len(ids))
		for i, id := range ids {
			requests[i] = newRequest(s, "POST", "/credential-configs/"+id+"/secrets", `{"data":{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}}`)
		}
		r, err := load(ctx, s, connections, o.length, func(n int) request { return requests[n%len(requests)] })
		if err != nil {
			return err
		}
		t.add(fmt.Sprintf("storing secrets, %d connections", connections), goals[connections], "%.0f/s; p50 %s, p99 %s", r.rate(), ms(r.percentile(0.5)), ms(r.percentile(0.99)))
	}
	return nil
}

// configs makes n credential configs without secrets, 32 at a time.
func configs(s *server, name string, n int) ([]string, error) {
	ids := make([]string, n)
	err := parallel(n, func(i int) error {
		var c sdk.CredentialConfig
		err := s.call("POST", "/credential-configs", map[string]string{"name": fmt.Sprintf("%s %d", name, i), "credential_type": "aws_static"}, &c)
		ids[i] = c.ID
		return err
	})
	return ids, err
}

// parallel runs work for 0 to n-1, 32 at a time, and returns the first failure.
func parallel(n int, work func(i int) error) error {
	var next atomic.Int64
	var once sync.Once
	var failure error
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := work(i); err != nil {
					once.Do(func() { failure = err })
					return
				}
			}
		})
	}
	group.Wait()
	return failure
}

// stored makes n credential configs with secrets.
func stored(s *server, name string, n int) ([]string, error) {
	ids, err := configs(s, name, n)
	if err != nil {
		return nil, err
	}
	return ids, parallel(n, func(i int) error {
		data := map[string]string{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
		return s.call("POST", "/credential-configs/"+ids[i]+"/secrets", map[string]any{"data": data}, nil)
	})
}

// measureMemory measures resident memory when idle, and under delivery from many workspaces with many credentials.
func measureMemory(ctx context.Context, o options, t *table) error {
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return err
	}
	defer s.close()
	time.Sleep(time.Second)
	idle, _ := s.memory()
	t.add("memory, idle", "≤ 45 MB", "%.0f MB", idle)
	ids, err := stored(s, "many", o.credentials)
	if err != nil {
		return err
	}
	requests, err := spread(s, ids, 1000)
	if err != nil {
		return err
	}
	if _, err := load(ctx, s, 64, o.length, func(n int) request { return requests[n%len(requests)] }); err != nil {
		return err
	}
	now, peak := s.memory()
	t.add(fmt.Sprintf("memory under load, %d credentials", o.credentials), "≤ 120 MB", "%.0f MB (peak %.0f MB)", now, peak)
	return nil
}

// spread makes n workspaces with one of the configs each and returns a delivery request for each.
func spread(s *server, ids []string, n int) ([]request, error) {
	var project sdk.Project
	if err := s.call("POST", "/projects", sdk.CreateProject{Name: "spread"}, &project); err != nil {
		return nil, err
	}
	requests := make([]request, min(n, len(ids)))
	return requests, parallel(len(requests), func(i int) error {
		var w sdk.Workspace
		err := s.call("POST", "/workspaces", sdk.CreateWorkspace{Name: fmt.Sprintf("spread %d", i), ProjectID: project.ID, CredentialConfigIDs: []string{ids[i]}}, &w)
		requests[i] = newRequest(s, "POST", "/workspaces/"+w.ID+"/environment", "")
		return err
	})
}

// measureStart measures the time until the server is ready: on data it knows, and after a kill with many credentials.
func measureStart(ctx context.Context, o options, t *table) error {
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return err
	}
	defer s.close()
	first, err := restarts(ctx, s, 5)
	if err != nil {
		return err
	}
	t.add("start to ready", "≤ 150 ms", "%s", ms(first))
	if _, err := stored(s, "many", o.credentials); err != nil {
		return err
	}
	full, err := restarts(ctx, s, 5)
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("ready after kill -9, %d credentials", o.credentials), "≤ 2 s", "%s", ms(full))
	return nil
}

// restarts kills and starts the server n times and returns the median time until it was ready.
func restarts(ctx context.Context, s *server, n int) (time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		s.kill()
		var err error
		if times[i], err = s.start(ctx); err != nil {
			return 0, err
		}
	}
	return middle(times), nil
}

// measureExec measures what forgecroft exec adds to running a child directly.
func measureExec(ctx context.Context, o options, t *table) error {
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return err
	}
	defer s.close()
	if _, _, err := workspace(s, "exec", 2); err != nil {
		return err
	}
	environ := append(os.Environ(), "FORGECROFT_API_URL=http://"+s.address, "FORGECROFT_API_KEY="+s.key)
	direct, err := median(25, environ, "/bin/true")
	if err != nil {
		return err
	}
	wrapped, err := median(25, environ, o.binary, "exec", "--workspace", "exec", "--", "/bin/true")
	if err != nil {
		return err
	}
	t.add("forgecroft exec, more than the child alone", "≤ 25 ms (median)", "%s", ms(wrapped-direct))
	return nil
}

// median runs a command n times and returns the median of how long it took.
func median(n int, environ []string, name string, args ...string) (time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		cmd := exec.Command(name, args...)
		cmd.Env = environ
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w: %s", name, err, out)
		}
		times[i] = time.Since(began)
	}
	return middle(times), nil
}

// measureList measures the first page of a long list.
func measureList(ctx context.Context, o options, t *table) error {
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := configs(s, "listed", o.items); err != nil {
		return err
	}
	first := newRequest(s, "GET", "/credential-configs", "")
	r, err := load(ctx, s, 8, o.length, func(int) request { return first })
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("first page of a list of %d", o.items), "p99 ≤ 10 ms", "%.0f/s; p50 %s, p99 %s", r.rate(), ms(r.percentile(0.5)), ms(r.percentile(0.99)))
	return nil
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

// middle is the median.
func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
