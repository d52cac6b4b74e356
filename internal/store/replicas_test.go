//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/pgtest"
	"github.com/forgecroft/forgecroft/internal/store"
)

// replicas opens several stores on one new database, with an organization in it.
func replicas(t *testing.T, n int) (url string, stores []*store.Store) {
	t.Helper()
	url = pgtest.New(t)
	for range n {
		stores = append(stores, openPostgres(t, url))
	}
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start})
	})
	return url, stores
}

// eventually polls until a condition holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", within, what)
		}
	}
}

// TestReplicasStartTogether lets many replicas find an empty database at once: one migrates, the others wait (UPG-4).
func TestReplicasStartTogether(t *testing.T) {
	rounds := 1
	if os.Getenv("FORGECROFT_CRASH") == "long" {
		rounds = 100
	}
	for range rounds {
		startTogether(t, pgtest.New(t))
	}
}

// startTogether opens a database eight times at once.
func startTogether(t *testing.T, url string) {
	t.Helper()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := store.OpenPostgres(t.Context(), store.Options{URL: forgecroft.NewSecret(url)})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := queryInt(t, url, "SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version"); got != 0 {
		t.Errorf("%d migrations ran twice", got)
	}
}

// queryInt asks for one number as Forgecroft's role, set to no organization.
func queryInt(t *testing.T, url, text string, before ...string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for _, statement := range before {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.QueryRow(t.Context(), text).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRevocationReachesReplicas revokes a key at one replica that another one knows by heart.
func TestRevocationReachesReplicas(t *testing.T) {
	_, stores := replicas(t, 2)
	key := forgecroft.APIKey{ID: newID(), OrganizationID: org, Name: "ci", Role: forgecroft.RoleRunner, Hash: make([]byte, 32), CreatedAt: start}
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateAPIKey(ctx, key) })
	for range 3 {
		if found, err := stores[1].Authenticate(t.Context(), key.ID); err != nil || !found.RevokedAt.IsZero() {
			t.Fatalf("before: %+v, %v", found, err)
		}
	}
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.RevokeAPIKey(ctx, org, key.ID, start.Add(time.Hour))
	})
	eventually(t, time.Second, "the other replica knows of the revocation", func() bool {
		found, err := stores[1].Authenticate(t.Context(), key.ID)
		return err == nil && !found.RevokedAt.IsZero()
	})
}

// TestDeafReplica cuts off the connection on which a replica hears of changes: nothing is answered from memory then.
func TestDeafReplica(t *testing.T) {
	url, stores := replicas(t, 2)
	for range 5 {
		key := forgecroft.APIKey{ID: newID(), OrganizationID: org, Name: "ci", Role: forgecroft.RoleRunner, Hash: make([]byte, 32), CreatedAt: start}
		update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateAPIKey(ctx, key) })
		if _, err := stores[1].Authenticate(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		queryInt(t, url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')")
		update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error {
			return tx.RevokeAPIKey(ctx, org, key.ID, start.Add(time.Hour))
		})
		eventually(t, 2*time.Second, "the revocation is known", func() bool {
			found, err := stores[1].Authenticate(t.Context(), key.ID)
			return err == nil && !found.RevokedAt.IsZero()
		})
	}
}

// TestFrozenNotices stops the backends that tell replicas of changes, as a network does that drops everything: whoever asks a second after a revocation was acknowledged learns
// of it (CON-9).
func TestFrozenNotices(t *testing.T) {
	url, stores := replicas(t, 2)
	key := forgecroft.APIKey{ID: newID(), OrganizationID: org, Name: "ci", Role: forgecroft.RoleRunner, Hash: make([]byte, 32), CreatedAt: start}
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateAPIKey(ctx, key) })
	eventually(t, 5*time.Second, "the other replica answers from memory", func() bool {
		before := stores[1].Reads()
		_, err := stores[1].Authenticate(t.Context(), key.ID)
		return err == nil && stores[1].Reads() == before
	})
	pids := queryInts(t, url, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')")
	if len(pids) != len(stores) {
		t.Fatalf("%d backends tell of changes, want %d", len(pids), len(stores))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.RevokeAPIKey(ctx, org, key.ID, start.Add(time.Hour))
	})
	due := time.Now().Add(time.Second)
	eventually(t, 10*time.Second, "the revocation is known", func() bool {
		late := time.Now().After(due)
		found, err := stores[1].Authenticate(t.Context(), key.ID)
		if err != nil {
			t.Fatal(err)
		}
		if late && found.RevokedAt.IsZero() {
			t.Fatal("a second after its revocation was acknowledged the key still opens the other replica")
		}
		return !found.RevokedAt.IsZero()
	})
}

// queryInts asks for numbers.
func queryInts(t *testing.T, url, text string) (numbers []int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	rows, err := c.Query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if numbers, err = pgx.CollectRows(rows, pgx.RowTo[int]); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// TestCommitsAreDurable has a database whose default is to forget the last moments before a crash: the store's own sessions do not (DUR-23).
func TestCommitsAreDurable(t *testing.T) {
	server := pgtest.Shared(t)
	url := server.MustCreate(t)
	database := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	server.MustExec(t, "ALTER DATABASE "+database+" SET synchronous_commit = off")
	if got := queryInt(t, url, "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'"); got != 1 {
		t.Fatal("the default of the database is not what the test wants")
	}
	s := openPostgres(t, url)
	const on = "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'on'"
	err := s.Update(t.Context(), func(tx forgecroft.Tx) error {
		if n, err := store.CountIn(t.Context(), tx, on); err != nil || n != 1 {
			t.Errorf("the writing session: got %d, %v; want synchronous_commit on", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeadlock has somebody else lock rows in the other order: the database breaks off the writer's transaction, which is repeated and succeeds (CON-11).
func TestDeadlock(t *testing.T) {
	url, stores := replicas(t, 1)
	var projects []forgecroft.Project
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error {
		projects = nil
		for i := range 2 {
			p := forgecroft.Project{ID: newID(), OrganizationID: org, Name: fmt.Sprint("p", i), Revision: 1, CreatedAt: start, UpdatedAt: start}
			projects = append(projects, p)
			if err := tx.CreateProject(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	ctx := t.Context()
	outside, err := pgx.Connect(ctx, pgtest.Shared(t).AdminURL(url[strings.LastIndex(url, "/")+1:strings.Index(url, "?")]))
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close(context.Background())
	lockRow := func(p forgecroft.Project) error {
		_, err := outside.Exec(ctx, "SELECT 1 FROM projects WHERE id = $1 FOR UPDATE", p.ID)
		return err
	}
	if _, err := outside.Exec(ctx, "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := outside.Exec(ctx, "SET LOCAL deadlock_timeout = '1min'"); err != nil { // So that the writer is the one who notices.
		t.Fatal(err)
	}
	if err := lockRow(projects[1]); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	tries := 0
	err = stores[0].Update(ctx, func(tx forgecroft.Tx) error {
		tries++
		for i, p := range projects {
			p.Revision, p.Description = 2, "changed"
			if err := tx.UpdateProject(ctx, p); err != nil {
				return err
			}
			if i == 0 && tries == 1 {
				go func() { // It waits for the writer's row, and the writer for its.
					err := lockRow(projects[0])
					_, ending := outside.Exec(ctx, "ROLLBACK")
					second <- errors.Join(err, ending)
				}()
			}
		}
		return nil
	})
	if err := errors.Join(err, <-second); err != nil {
		t.Fatal(err)
	}
	if tries < 2 {
		t.Errorf("there was no deadlock: the transaction ran %d times", tries)
	}
	if p, err := stores[0].Project(ctx, org, projects[1].ID); err != nil || p.Description != "changed" {
		t.Errorf("afterwards: %+v, %v", p, err)
	}
}

// TestLockedFromOutside holds the lock of all writers: an update is refused for now, with a time to come back, and nothing of it is kept.
func TestLockedFromOutside(t *testing.T) {
	url, stores := replicas(t, 1)
	outside, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close(context.Background())
	if _, err := outside.Exec(t.Context(), "SELECT pg_advisory_lock(x'46636674'::int)"); err != nil {
		t.Fatal(err)
	}
	p := forgecroft.Project{ID: newID(), OrganizationID: org, Name: "p", Revision: 1, CreatedAt: start, UpdatedAt: start}
	create := func(tx forgecroft.Tx) error { return tx.CreateProject(t.Context(), p) }
	var refused *forgecroft.Error
	if err := stores[0].Update(t.Context(), create); !errors.As(err, &refused) || refused.Kind != forgecroft.KindUnavailable || refused.RetryAfter <= 0 {
		t.Errorf("while it is held: got %#v, want unavailable with a time to come back", err)
	}
	if _, err := outside.Exec(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	if err := stores[0].Update(t.Context(), create); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestOneChain lets replicas append to one chain at once.
func TestOneChain(t *testing.T) {
	_, stores := replicas(t, 3)
	const each, callers = 40, 4
	var group sync.WaitGroup
	for _, s := range stores {
		for range callers {
			group.Go(func() {
				for range each {
					err := s.Update(t.Context(), func(tx forgecroft.Tx) error {
						e := newEvent()
						return tx.AppendAudit(t.Context(), &e)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	events, err := stores[0].AuditEvents(t.Context(), org, forgecroft.AuditFilter{Ascending: true}, forgecroft.Page{Limit: 10_000})
	if err != nil || len(events) != len(stores)*callers*each {
		t.Fatalf("%d events, %v", len(events), err)
	}
	head := forgecroft.AuditHead{OrganizationID: org}
	for _, e := range events {
		want := e
		if head = head.Next(&want); want.Sequence != e.Sequence || want.Hash != e.Hash {
			t.Fatalf("event %d does not continue the chain", e.Sequence)
		}
	}
}

// TestSecondWall has the store run statements with the mistakes that its first wall, TestTenancy, is there to find: they see nothing of another organization (TEN-1).
func TestSecondWall(t *testing.T) {
	_, stores := replicas(t, 1)
	s := stores[0]
	const other = "0192f3a0-0000-7000-8000-00000000000b"
	mine := forgecroft.Project{ID: newID(), OrganizationID: org, Name: "mine", Revision: 1, CreatedAt: start, UpdatedAt: start}
	theirs := forgecroft.Project{ID: newID(), OrganizationID: other, Name: "theirs", Revision: 1, CreatedAt: start, UpdatedAt: start}
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		return errors.Join(tx.CreateOrganization(ctx, forgecroft.Organization{ID: other, Name: "theirs", CreatedAt: start}), tx.CreateProject(ctx, mine), tx.CreateProject(ctx, theirs))
	})
	tests := []struct {
		name, text string
		args       []any
		want       int64
	}{
		{"no predicate", "SELECT count(*) FROM projects", nil, 0},
		{"by id alone", "SELECT count(*) FROM projects WHERE id = $1", []any{theirs.ID}, 0},
		{"an organization in one branch only", "SELECT (SELECT count(*) FROM projects WHERE organization_id = $1) + (SELECT count(*) FROM projects)", []any{org}, 2},
		{"or instead of and", "SELECT count(*) FROM projects WHERE organization_id = $1 OR id = $2", []any{org, theirs.ID}, 1},
		{"as it should be", "SELECT count(*) FROM projects WHERE organization_id = $1 AND id = $2", []any{other, theirs.ID}, 1},
		{"for all, and saying so", store.AcrossTenants + "SELECT count(*) FROM projects", nil, 2},
		{"after one for all", "SELECT count(*) FROM projects WHERE id = $1", []any{mine.ID}, 0},
	}
	for _, tt := range tests {
		if got, err := s.Count(t.Context(), tt.text, tt.args...); err != nil || got != tt.want {
			t.Errorf("%s: got %d rows and %v, want %d", tt.name, got, err, tt.want)
		}
	}
}

// TestRowLevelSecurity asks the database itself what its policies let through (TEN-1).
func TestRowLevelSecurity(t *testing.T) {
	url, stores := replicas(t, 1)
	const other = "0192f3a0-0000-7000-8000-00000000000b"
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error {
		if err := tx.CreateOrganization(ctx, forgecroft.Organization{ID: other, Name: "theirs", CreatedAt: start}); err != nil {
			return err
		}
		for i, organization := range []string{org, other, other} {
			p := forgecroft.Project{ID: newID(), OrganizationID: organization, Name: fmt.Sprint("p", i), Revision: 1, CreatedAt: start, UpdatedAt: start}
			if err := tx.CreateProject(ctx, p); err != nil {
				return err
			}
			e := newEvent()
			e.OrganizationID = organization
			if err := tx.AppendAudit(ctx, &e); err != nil {
				return err
			}
		}
		return nil
	})
	for set, want := range map[string]int{"": 0, org: 1, other: 2, "*": 3} {
		for _, table := range []string{"projects", "audit_events"} {
			if got := queryInt(t, url, "SELECT count(*) FROM "+table, "SET forgecroft.organization_id = '"+set+"'"); got != want {
				t.Errorf("set to %q: %d rows of %s, want %d", set, got, table, want)
			}
		}
	}
	for _, table := range tenantTables {
		if table == "intents" {
			continue // The vault's, not a tenant's.
		}
		if got := queryInt(t, url, "SELECT count(*) FROM pg_class WHERE relname = '"+table+"' AND relrowsecurity AND relforcerowsecurity"); got != 1 {
			t.Errorf("row-level security is not on for %s", table)
		}
	}
}

// TestStuckReplica stops in the middle of a transaction: the others wait for a moment and go on, and what it had written is undone.
func TestStuckReplica(t *testing.T) {
	_, stores := replicas(t, 2)
	inside, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	p := forgecroft.Project{ID: newID(), OrganizationID: org, Name: "stuck", Revision: 1, CreatedAt: start, UpdatedAt: start}
	go func() {
		ended <- stores[0].Update(context.Background(), func(tx forgecroft.Tx) error {
			err := tx.CreateProject(context.Background(), p)
			close(inside)
			<-goOn
			return err
		})
	}()
	<-inside
	eventually(t, 10*time.Second, "the other replica writes", func() bool {
		err := stores[1].Update(t.Context(), func(tx forgecroft.Tx) error {
			e := newEvent()
			return tx.AppendAudit(t.Context(), &e)
		})
		if err != nil && !errors.Is(err, forgecroft.KindUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	close(goOn)
	if err := <-ended; !errors.Is(err, forgecroft.KindUnavailable) {
		t.Errorf("the stuck transaction: %v", err)
	}
	if _, err := stores[1].Project(t.Context(), org, p.ID); !errors.Is(err, forgecroft.KindNotFound) {
		t.Errorf("what it had written: %v", err)
	}
	update(t, stores[0], func(ctx context.Context, tx forgecroft.Tx) error { return tx.CreateProject(ctx, p) })
}

// TestDatabaseRestarts kills the database as a power cut would, and starts it again under a running store.
func TestDatabaseRestarts(t *testing.T) {
	server := pgtest.MustStart(t, "")
	t.Cleanup(server.Stop)
	s := openPostgres(t, server.MustCreate(t))
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start})
	})
	acknowledged := 0
	create := func() error {
		err := s.Update(t.Context(), func(tx forgecroft.Tx) error {
			return tx.CreateProject(t.Context(), forgecroft.Project{ID: newID(), OrganizationID: org, Name: newID(), Revision: 1, CreatedAt: start, UpdatedAt: start})
		})
		if err == nil {
			acknowledged++
		}
		return err
	}
	for range 3 {
		for range 10 {
			if err := create(); err != nil {
				t.Fatal(err)
			}
		}
		server.Kill()
		if err := create(); !errors.Is(err, forgecroft.KindUnavailable) {
			t.Errorf("writing without a database: %v", err)
		}
		if _, err := s.Projects(t.Context(), org, forgecroft.ProjectFilter{}, forgecroft.Page{Limit: 1}); !errors.Is(err, forgecroft.KindUnavailable) {
			t.Errorf("reading without a database: %v", err)
		}
		if err := s.Check(t.Context()); !errors.Is(err, forgecroft.KindUnavailable) {
			t.Errorf("checking without a database: %v", err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		list, err := s.Projects(t.Context(), org, forgecroft.ProjectFilter{}, forgecroft.Page{Limit: 1000})
		if err != nil || len(list) != acknowledged {
			t.Errorf("%d projects, %v; %d were acknowledged", len(list), err, acknowledged)
		}
	}
}

func TestPostgresIsRefused(t *testing.T) {
	server := pgtest.Shared(t)
	newer := server.MustCreate(t)
	openPostgres(t, newer)
	queryInt(t, newer, "SELECT count(*) FROM goose_db_version", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)")
	set := func(settings string) string {
		forgetful := pgtest.MustStart(t, settings)
		t.Cleanup(forgetful.Stop)
		return forgetful.MustCreate(t)
	}
	server.MustExec(t, "CREATE DATABASE bytes OWNER forgecroft ENCODING 'SQL_ASCII' TEMPLATE template0")
	for name, tt := range map[string]struct{ url, says string }{
		"a newer schema":         {newer, "9999"},
		"no sync":                {set("fsync = off"), "fsync"},
		"torn pages":             {set("full_page_writes = off"), "full_page_writes"},
		"a sync that is retried": {set("data_sync_retry = on"), "data_sync_retry"},
		"another encoding":       {server.URL("forgecroft", "bytes"), "server_encoding"},
		"no such database":       {server.URL("forgecroft", "nowhere"), "nowhere"},
		"nobody listens":         {"postgres://user:EXAMPLEpassword@127.0.0.1:1/x", "127.0.0.1:1"},
		"perhaps without TLS":    {"postgres://user:EXAMPLEpassword@db.example/x", "sslmode=verify-full"},
		"not an address":         {"EXAMPLEpassword", "postgres://"},
		"another database's":     {"mysql://user:EXAMPLEpassword@127.0.0.1/x", "postgres://"},
		"a port that is no port": {"postgres://user:EXAMPLEpassword@127.0.0.1:x/x", "postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.OpenPostgres(t.Context(), store.Options{URL: forgecroft.NewSecret(tt.url)})
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "EXAMPLEpassword") {
				t.Errorf("got %v, want one that says %s", err, tt.says)
			}
		})
	}
}
