//go:build unix

package operator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/sdk"
)

// TestStopUnderLoad stops the server while requests are in flight: whatever was acknowledged is there afterwards (DUR-22), and after a kill too.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			s := p.mustStart(t, nil)
			n := s.mustFill(t)
			const writers, enough = 8, 200
			var acknowledged atomic.Int64
			var group sync.WaitGroup
			for w := range writers {
				group.Go(func() {
					for i := 0; ; i++ {
						name := fmt.Sprintf("p %d %d", w, i)
						if _, err := s.client.CreateProject(t.Context(), sdk.CreateProject{Name: name}); err != nil {
							return // The server has gone.
						}
						acknowledged.Add(1)
					}
				})
			}
			for acknowledged.Load() < enough { // Every one of these is a durable write: this yields.
				if s.status(t, "/healthz") != http.StatusOK {
					t.Error("not healthy")
				}
			}
			code := s.Stop(signal)
			group.Wait()
			if signal != syscall.SIGKILL && code != 0 {
				t.Errorf("stopping ended with %d:\n%s", code, &s.Log)
			}
			again := p.mustStart(t, nil)
			if got, want := again.count(t), acknowledged.Load()+1; got < want || got > want+writers {
				t.Errorf("%d projects after %d were acknowledged by %d writers", got, want, writers)
			}
			again.mustDeliver(t, n, value)
		})
	}
}

// count counts the projects.
func (s *server) count(t *testing.T) int64 {
	t.Helper()
	var all int64
	for cursor := ""; ; {
		page, err := s.client.Projects(t.Context(), sdk.ListOptions{Limit: 200, Cursor: cursor})
		must(t, page, err)
		all += int64(len(page.Items))
		if page.NextCursor == nil {
			return all
		}
		cursor = *page.NextCursor
	}
}

// TestStopDrains stops the server while AWS takes its time over a delivery: it is answered whole, and new connections are not taken.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	aws := fakeaws.New(nil)
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-goOn
		aws.ServeHTTP(w, r)
	}))
	t.Cleanup(sts.Close)
	const keyID, secret, role = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "arn:aws:iam::123456789012:role/deploy"
	aws.AddUser(fakeaws.User{Account: "123456789012", Name: "ci", AccessKeyID: keyID, SecretAccessKey: secret})
	aws.AddRole(fakeaws.Role{ARN: role, Trusted: []string{"123456789012"}, MaxSession: time.Hour})
	p := newPlace(t)
	s := p.mustStart(t, nil, "--aws-sts-endpoint", sts.URL)
	source := s.mustConfig(t, "source", "aws_static", map[string]any{"access_key_id": keyID, "secret_access_key": secret})
	assumed := s.mustConfig(t, "role", "aws_assume_role", map[string]any{"role_arn": role, "source_credential_config_id": source})
	n := s.mustFill(t)
	workspace, err := s.client.UpdateWorkspace(t.Context(), n.workspace, 0, sdk.UpdateWorkspace{CredentialConfigIDs: &[]string{assumed}})
	must(t, workspace, err)

	delivered := make(chan error, 1)
	go func() {
		env, err := s.client.Deliver(t.Context(), n.workspace, sdk.DeliverRequest{})
		if err == nil && env.Env["AWS_SESSION_TOKEN"] == "" {
			err = errors.New("no session")
		}
		delivered <- err
	}()
	<-asked
	if err := s.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for s.reachable() { // The listener closes first.
	}
	close(goOn)
	if err := <-delivered; err != nil {
		t.Errorf("the delivery in flight: %v", err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("the server: %v\n%s", err, &s.Log)
	}
}

// reachable reports whether the server takes connections.
func (s *server) reachable() bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// mustConfig makes a credential config with secrets and returns its id.
func (s *server) mustConfig(t *testing.T, name, kind string, fields map[string]any) string {
	t.Helper()
	c, err := s.client.CreateCredentialConfig(t.Context(), sdk.CreateCredentialConfig{Name: name, CredentialType: kind})
	must(t, c, err)
	data := map[string]json.RawMessage{}
	for name, value := range fields {
		text, err := json.Marshal(value)
		data[name] = must(t, text, err)
	}
	stored, err := s.client.StoreSecrets(t.Context(), c.ID, sdk.StoreSecrets{Data: data})
	must(t, stored, err)
	return c.ID
}
