package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/host"
)

// errFatal marks the failures after which nothing may be acknowledged any more.
var errFatal = errors.New("the vault's file cannot be trusted any more")

// SQLite's primary result codes that mean something to us (sqlite.org/rescode.html), and one extended code.
const (
	sqliteBusy         = 5
	sqliteLocked       = 6
	sqliteReadOnly     = 8
	sqliteInterrupt    = 9
	sqliteIOErr        = 10
	sqliteCorrupt      = 11
	sqliteFull         = 13
	sqliteCantOpen     = 14
	sqliteNotADB       = 26
	sqliteIOErrShmSize = sqliteIOErr | 19<<8 // the index of the log could not grow
)

// translate gives an error of the driver its meaning, by code.
func translate(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return notInTime(err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Code() == sqliteIOErrShmSize {
		return storageFull(err)
	}
	switch e.Code() & 0xff {
	case sqliteFull:
		return storageFull(err)
	case sqliteBusy, sqliteLocked, sqliteInterrupt, sqliteCantOpen:
		return unavailable("vault_busy", "The vault is busy.", err)
	case sqliteIOErr, sqliteReadOnly:
		return unavailable("vault_failed", "The vault cannot use its file.", fmt.Errorf("%w: %w", errFatal, err))
	case sqliteCorrupt, sqliteNotADB:
		return damaged(fmt.Errorf("%w: %w", errFatal, err))
	default:
		return err
	}
}

// unavailable is the answer of a vault that cannot answer.
func unavailable(code, message string, cause error) error {
	return &forgecroft.Error{Kind: forgecroft.KindUnavailable, Code: code, Message: message, Cause: cause, RetryAfter: time.Second}
}

// notInTime is the answer to a caller whose context ended before anything was done.
func notInTime(cause error) error {
	return unavailable("vault_busy", "The vault did not answer in time.", cause)
}

// outcomeUnknown is the answer when nobody can say whether a change was kept.
func outcomeUnknown(cause error) error {
	return unavailable("outcome_unknown", "The vault could not confirm the change: it may or may not have happened.", cause)
}

// closed is the answer of a vault after Close.
func closed() error { return unavailable("vault_closed", "The vault is closed.", nil) }

// storageFull is the answer when the disk is full. It passes when there is space again.
func storageFull(cause error) error {
	return &forgecroft.Error{Kind: forgecroft.KindStorageFull, Code: "storage_full", Message: "The disk of the vault is full.", Cause: cause}
}

// damaged is the refusal of a file that cannot be trusted.
func damaged(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindIntegrity, Code: "vault_damaged", Cause: cause,
		Message: "The vault file is damaged. Restore it, with the metadata database, from a backup.",
	}
}

// unsealable is the answer for a secret version that fails authentication. The cause holds no bytes of it.
func unsealable(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindIntegrity, Code: "secret_damaged", Cause: cause,
		Message: "The stored secret version fails authentication.",
	}
}

// keySourceFailure gives a failure to write the key source its meaning.
func keySourceFailure(err error) error {
	switch {
	case host.IsFull(err):
		return &forgecroft.Error{Kind: forgecroft.KindStorageFull, Code: "storage_full", Message: "The disk of the key file is full.", Cause: err}
	case host.IsReadOnly(err):
		return keySourceReadOnly(err)
	default:
		return err
	}
}

// keySourceReadOnly is the refusal to change keys that live where this process cannot write.
func keySourceReadOnly(cause error) error {
	return &forgecroft.Error{
		Kind: forgecroft.KindUnprocessable, Code: "key_source_read_only", Cause: cause,
		Message: "The server cannot write its key source. Change the keys where they are kept, the new one first, and start the server again.",
	}
}
