package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// maintain opens the stores of a server that is stopped, works, and closes them.
func maintain(ctx context.Context, c Config, stderr io.Writer, work func(h *house) error) error {
	harden()
	if c.DatabaseURL.IsZero() && !exists(c.path(metadataFile)) {
		return fmt.Errorf("%s holds no Forgecroft data; name the server's --data-dir", c.DataDir)
	}
	h, err := openHouse(ctx, c, maintenanceLog(stderr))
	if err != nil {
		return err
	}
	return errors.Join(work(h), h.Close())
}

// maintenanceLog shows a person what should be known beside the result.
func maintenanceLog(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// Fsck checks both database files, compares metadata and vault both ways, opens every secret version, and verifies every audit trail. It
// changes nothing unless repair is set. Findings are an error.
func Fsck(ctx context.Context, c Config, repair bool, stdout, stderr io.Writer) error {
	return maintain(ctx, c, stderr, func(h *house) error {
		if err := h.store.Integrity(ctx); err != nil {
			return fmt.Errorf("the metadata database is damaged: %w", err)
		}
		if h.vaultFile != nil {
			if err := h.vaultFile.Integrity(ctx); err != nil {
				return fmt.Errorf("the vault file is damaged: %w", err)
			}
		}
		report, err := broker.Fsck(ctx, h.brokerConfig(), repair)
		if err != nil {
			return err
		}
		printReport(stdout, report)
		if !report.Clean() && report.Repaired < len(report.Orphans)+len(report.Missing)+len(report.Damaged)+len(report.Audit) {
			return errors.New("the check found damage")
		}
		return nil
	})
}

// printReport tells a person what a check found.
func printReport(w io.Writer, r broker.FsckReport) {
	fmt.Fprintf(w, "secret versions in use:   %d\n", r.Live)
	fmt.Fprintf(w, "entries in the vault:     %d (%d waiting for the sweeper)\n", r.Stored, r.Pending)
	fmt.Fprintf(w, "audit events verified:    %d\n", r.Events)
	for _, m := range r.Missing {
		fmt.Fprintf(w, "MISSING  credential config %s, version %d: its secrets are not in the vault; store them again\n", m.Binding.CredentialConfigID, m.Binding.Version)
	}
	for _, m := range r.Damaged {
		fmt.Fprintf(w, "DAMAGED  credential config %s, version %d: its secrets fail authentication; store them again\n", m.Binding.CredentialConfigID, m.Binding.Version)
	}
	for _, ref := range r.Orphans {
		fmt.Fprintf(w, "ORPHAN   vault entry %s belongs to nothing; --repair destroys it\n", ref)
	}
	for _, trail := range r.Audit {
		fmt.Fprintf(w, "AUDIT    %s\n", trail)
	}
	if r.Repaired > 0 {
		fmt.Fprintf(w, "orphans destroyed:        %d\n", r.Repaired)
	}
	if r.Clean() {
		fmt.Fprintln(w, "clean")
	}
}

// RotateKey makes a new primary key of the vault and moves every secret version to it, for a server that is stopped. Cut off, it
// goes on when it is called again with resume, which makes no new key.
func RotateKey(ctx context.Context, c Config, resume bool, stdout, stderr io.Writer) error {
	return maintain(ctx, c, stderr, func(h *house) error {
		ring, err := h.ring()
		if err != nil {
			return err
		}
		if !resume {
			id, err := ring.Rotate(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "new primary key: %s\n", id)
		}
		for {
			left, err := ring.Rewrap(ctx, 500)
			if err != nil {
				return fmt.Errorf("moving secret versions to the new key (repeat with --resume): %w", err)
			}
			fmt.Fprintf(stdout, "secret versions left: %d\n", left)
			if left == 0 {
				return nil
			}
		}
	})
}

// RemoveKey takes a key that seals nothing any more out of the ring of a server that is stopped.
func RemoveKey(ctx context.Context, c Config, id string, stdout, stderr io.Writer) error {
	return maintain(ctx, c, stderr, func(h *house) error {
		ring, err := h.ring()
		if err != nil {
			return err
		}
		if err := ring.RemoveKey(ctx, id); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "key %s is out of the ring\n", id)
		return nil
	})
}

// RecoverOwner makes another owner key, for an installation whose owner keys are lost. It needs the data directory and its key, and a server
// that is stopped.
func RecoverOwner(ctx context.Context, c Config, stdout, stderr io.Writer) error {
	return maintain(ctx, c, stderr, func(h *house) error {
		err := broker.RecoverOwner(ctx, h.brokerConfig(), func(k broker.OwnerKey) error { return h.publish(stdout, "", k) })
		if err != nil {
			return err
		}
		return h.nameOwnerKey(stdout, func(forgecroft.Secret) bool { return true })
	})
}
