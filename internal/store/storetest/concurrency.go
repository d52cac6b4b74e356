package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// errRefused is how a test's transaction fails.
var errRefused = errors.New("refused")

func testTransactions(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	err := f.store.Update(ctx, func(tx forgecroft.Tx) error {
		p.Name, p.Revision = "renamed", 2
		if err := tx.UpdateProject(ctx, p); err != nil {
			return err
		}
		got, err := tx.Project(ctx, org, p.ID)
		if err == nil && got.Name != "renamed" {
			t.Errorf("inside the transaction: got %q, want what it has written", got.Name)
		}
		if list, err := tx.Projects(ctx, org, forgecroft.ProjectFilter{Name: "renamed"}, forgecroft.Page{Limit: 5}); err != nil || len(list) != 1 {
			t.Errorf("a list inside the transaction: got %d items and error %v, want 1", len(list), err)
		}
		return errors.Join(err, errRefused)
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("got error %v, want the function's own", err)
	}
	same(t, must(f.store.Project(ctx, org, p.ID))(t).Name, "platform")

	// A conflict inside of fn does not end the transaction, if fn carries on.
	f.update(func(tx forgecroft.Tx) error {
		is(t, tx.CreateProject(ctx, forgecroft.Project{ID: f.id(), OrganizationID: org, Name: "platform", Revision: 1, CreatedAt: start, UpdatedAt: start}), forgecroft.KindConflict)
		p.Name, p.Revision = "after the conflict", 2
		return tx.UpdateProject(ctx, p)
	})
	same(t, must(f.store.Project(ctx, org, p.ID))(t).Name, "after the conflict")

	if err := f.store.Update(ctx, func(forgecroft.Tx) error { panic("EXAMPLE") }); err == nil {
		t.Error("a panic in the function: got no error")
	}
	var kept forgecroft.Tx
	f.update(func(tx forgecroft.Tx) error { kept = tx; return nil })
	if err := kept.DeleteProject(ctx, org, p.ID); err == nil {
		t.Error("a transaction was used after its end: got no error")
	}
	must(0, f.store.Check(ctx))(t)
	f.project("the store still works")
}

// together runs n functions at once.
func together(n int, fn func(i int)) {
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-begin
			fn(i)
		})
	}
	close(begin)
	group.Wait()
}

// testBatches lets updates that fail in every way wait together with updates that succeed.
func testBatches(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.project("taken")
	const n = 200
	results := make([]error, n)
	created := make([]forgecroft.Project, n)
	for i := range n {
		created[i] = forgecroft.Project{ID: f.id(), OrganizationID: org, Name: fmt.Sprint("p", i), Revision: 1, CreatedAt: start, UpdatedAt: start}
	}
	together(n, func(i int) {
		results[i] = f.store.Update(ctx, func(tx forgecroft.Tx) error {
			if err := tx.CreateProject(ctx, created[i]); err != nil {
				return err
			}
			switch i % 4 {
			case 1:
				return errRefused
			case 2:
				panic("EXAMPLE")
			case 3:
				return tx.CreateProject(ctx, forgecroft.Project{ID: f.id(), OrganizationID: org, Name: "taken", Revision: 1, CreatedAt: start, UpdatedAt: start})
			}
			return nil
		})
	})
	for i, err := range results {
		_, reading := f.store.Project(ctx, org, created[i].ID)
		if i%4 == 0 {
			if err != nil || reading != nil {
				t.Errorf("update %d: got %v, reading it back %v, want success", i, err, reading)
			}
			continue
		}
		if err == nil || !errors.Is(reading, forgecroft.KindNotFound) {
			t.Errorf("update %d: got %v, reading it back %v, want failure and nothing kept", i, err, reading)
		}
	}
}

func testLeaving(t *testing.T, f *fixture) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.store.Update(gone, func(forgecroft.Tx) error {
		t.Error("the function ran although its caller had gone")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}

	// While one update runs, the callers of others leave.
	inside, release := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		if err := f.store.Update(t.Context(), func(forgecroft.Tx) error { close(inside); <-release; return nil }); err != nil {
			t.Errorf("the update that was waited for: %v", err)
		}
	})
	<-inside
	waiting, cancel := context.WithCancel(t.Context())
	var ran atomic.Int64
	var left sync.WaitGroup
	for range 10 {
		left.Go(func() {
			if err := f.store.Update(waiting, func(forgecroft.Tx) error { ran.Add(1); return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that left: got %v, want the context's error", err)
			}
		})
	}
	cancel()
	left.Wait()
	close(release)
	group.Wait()
	f.update(func(forgecroft.Tx) error { return nil })
	same(t, ran.Load(), 0)
}

// testAttachAndDelete lets attaching and deleting one config race: exactly one of them wins.
func testAttachAndDelete(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	for i := range 50 {
		c := f.config(fmt.Sprint("c", i), nil)
		w := f.newWorkspace(fmt.Sprint("w", i), p, c)
		results := make([]error, 2)
		together(2, func(side int) {
			results[side] = f.store.Update(ctx, func(tx forgecroft.Tx) error {
				if side == 0 {
					return tx.CreateWorkspace(ctx, w)
				}
				return tx.DeleteCredentialConfig(ctx, org, c.ID)
			})
		})
		_, reading := f.store.CredentialConfig(ctx, org, c.ID)
		attached, deleted := results[0] == nil, results[1] == nil
		switch {
		case attached == deleted:
			t.Fatalf("attach: %v, delete: %v: want exactly one winner", results[0], results[1])
		case attached && (!errors.Is(results[1], forgecroft.KindConflict) || reading != nil):
			t.Fatalf("delete of an attached config: got %v, reading it %v", results[1], reading)
		case deleted && (!errors.Is(results[0], forgecroft.KindNotFound) || reading == nil):
			t.Fatalf("attach of a deleted config: got %v, reading it %v", results[0], reading)
		}
	}
}

func testNameDuel(t *testing.T, f *fixture) {
	ctx := t.Context()
	for i := range 20 {
		var winners atomic.Int64
		together(16, func(int) {
			p := forgecroft.Project{ID: f.id(), OrganizationID: org, Name: fmt.Sprint("name", i), Revision: 1, CreatedAt: start, UpdatedAt: start}
			err := f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.CreateProject(ctx, p) })
			if err == nil {
				winners.Add(1)
			} else if !errors.Is(err, forgecroft.KindConflict) {
				t.Errorf("a loser got %v", err)
			}
		})
		same(t, winners.Load(), 1)
	}
}

func testRevisionDuel(t *testing.T, f *fixture) {
	ctx := t.Context()
	p := f.project("platform")
	for revision := int64(2); revision < 30; revision++ {
		var winner atomic.Value
		together(8, func(i int) {
			mine := p
			mine.Revision, mine.Description = revision, fmt.Sprint(i)
			err := f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.UpdateProject(ctx, mine) })
			if err == nil {
				if before := winner.Swap(mine.Description); before != nil {
					t.Errorf("revision %d: both %v and %d won", revision, before, i)
				}
			} else if !errors.Is(err, forgecroft.KindStale) {
				t.Errorf("a loser got %v", err)
			}
		})
		got := must(f.store.Project(ctx, org, p.ID))(t)
		same(t, got.Revision, revision)
		same[any](t, got.Description, winner.Load())
	}
}

func testLeaseDuel(t *testing.T, f *fixture) {
	ctx := t.Context()
	for round := range 20 {
		now := start.Add(time.Duration(round) * time.Hour)
		var winners atomic.Int64
		together(8, func(i int) {
			err := f.store.Update(ctx, func(tx forgecroft.Tx) error {
				lease, err := tx.AcquireLease(ctx, "sweeper", fmt.Sprint(round, "-", i), now, now.Add(time.Minute))
				if err == nil && lease.Fence != int64(round+1) {
					t.Errorf("round %d: got fence %d", round, lease.Fence)
				}
				return err
			})
			if err == nil {
				winners.Add(1)
			} else if !errors.Is(err, forgecroft.KindConflict) {
				t.Errorf("a loser got %v", err)
			}
		})
		same(t, winners.Load(), 1)
	}
}

func testClosing(t *testing.T, f *fixture) {
	var accepted atomic.Int64
	ctx := t.Context()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := 0; ; n++ {
				p := forgecroft.Project{ID: f.id(), OrganizationID: org, Name: fmt.Sprint(i, "-", n), Revision: 1, CreatedAt: start, UpdatedAt: start}
				err := f.store.Update(ctx, func(tx forgecroft.Tx) error { return tx.CreateProject(ctx, p) })
				if errors.Is(err, forgecroft.KindUnavailable) {
					return
				}
				if err != nil {
					t.Errorf("while closing: %v", err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	for accepted.Load() < 20 {
		f.project(fmt.Sprint("meanwhile", accepted.Load(), f.id()))
	}
	must(0, f.store.Close())(t)
	group.Wait()
	_, err := f.store.Organization(ctx, org)
	is(t, err, forgecroft.KindUnavailable)
	is(t, f.store.Check(ctx), forgecroft.KindUnavailable)
}
