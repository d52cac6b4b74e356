//go:build linux

package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/store"
)

// TestFirstFailureIsFinal checks DUR-17: once the file cannot be trusted, nothing is acknowledged any more, and the server is told once.
func TestFirstFailureIsFinal(t *testing.T) {
	path := closedFile(t)
	alarms := make(chan error, 10)
	s, err := store.OpenSQLite(t.Context(), store.Options{Path: path, OnFatal: func(err error) { alarms <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(path, 8192); err != nil { // The disk loses most of the file.
		t.Fatal(err)
	}
	list := func() error {
		_, err := s.CredentialConfigs(t.Context(), org, forgecroft.CredentialConfigFilter{}, forgecroft.Page{Limit: 1000})
		return err
	}
	if err := list(); !errors.Is(err, forgecroft.KindIntegrity) {
		t.Errorf("reading: got %v, want %s", err, forgecroft.KindIntegrity)
	}
	_ = list()
	for range 2 {
		err := s.Update(t.Context(), func(forgecroft.Tx) error { t.Error("a transaction ran after the failure"); return nil })
		if !errors.Is(err, forgecroft.KindUnavailable) {
			t.Errorf("writing: got %v, want %s", err, forgecroft.KindUnavailable)
		}
	}
	if err := s.Check(t.Context()); !errors.Is(err, forgecroft.KindUnavailable) {
		t.Errorf("check: got %v, want %s", err, forgecroft.KindUnavailable)
	}
	if len(alarms) != 1 {
		t.Errorf("got %d alarms, want 1", len(alarms))
	}
}

// TestFullDisk checks DUR-18 on a file system that fills up: writes are refused with the reason, reads go on, and all is well when there is
// space again.
func TestFullDisk(t *testing.T) {
	directory := t.TempDir()
	if err := unix.Mount("tmpfs", directory, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mounting a small file system needs privileges: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(directory, unix.MNT_DETACH) })
	s := open(t, directory)
	update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
		return tx.CreateOrganization(ctx, forgecroft.Organization{ID: org, Name: "ours", CreatedAt: start})
	})
	filler := filepath.Join(directory, "filler")
	for round := range 5 {
		fill(t, filler)
		written, full := 0, error(nil)
		for n := 0; n < 1000 && full == nil; n++ {
			c := newConfig(fmt.Sprint(round, "-", n))
			c.Description = string(bytes.Repeat([]byte("x"), 2000))
			full = s.Update(t.Context(), func(tx forgecroft.Tx) error { return tx.CreateCredentialConfig(t.Context(), c) })
			if full == nil {
				written++
			}
		}
		if !errors.Is(full, forgecroft.KindStorageFull) {
			t.Fatalf("round %d: got %v after %d writes, want %s", round, full, written, forgecroft.KindStorageFull)
		}
		if _, err := s.Organization(t.Context(), org); err != nil {
			t.Errorf("round %d: reading on a full disk: %v", round, err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		update(t, s, func(ctx context.Context, tx forgecroft.Tx) error {
			return tx.CreateCredentialConfig(ctx, newConfig(fmt.Sprint(round, "-after")))
		})
	}
	if err := s.Integrity(t.Context()); err != nil {
		t.Errorf("integrity: %v", err)
	}
}

// fill writes until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}

// TestDeadline checks AUD-2: a caller's deadline holds although the database is stuck.
func TestDeadline(t *testing.T) {
	path := closedFile(t)
	s := open(t, filepath.Dir(path))
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err = s.Update(ctx, func(forgecroft.Tx) error { t.Error("the transaction ran"); return nil })
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the caller waited for %v", took)
	}
	if !errors.Is(err, forgecroft.KindUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %s because of the deadline", err, forgecroft.KindUnavailable)
	}
}
