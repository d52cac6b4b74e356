package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// Integrity checks the whole file: every page and index, that every row names a key of the file, and the key that it is sealed with. Whether
// versions open for their rows in the metadata is for whoever knows those. It reads everything and may take long; damage is
// [forgecroft.KindIntegrity].
func (v *Vault) Integrity(ctx context.Context) error {
	if v.closing.Load() {
		return closed()
	}
	if err := runCheck(ctx, v.read, "PRAGMA integrity_check(1)"); err != nil {
		return v.fault(err)
	}
	var strays int64
	if err := v.read.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&strays); err != nil {
		return fmt.Errorf("checking references: %w", v.fault(err))
	}
	if strays > 0 {
		return damaged(fmt.Errorf("%d rows name a key that the file does not know", strays))
	}
	err := each(ctx, v.read, sqlHeaders, nil, func(row *sql.Rows) error {
		var reference, keyID string
		var header []byte
		if err := row.Scan(&reference, &keyID, &header); err != nil {
			return err
		}
		if id, err := envelope.KeyID(header); err != nil || id != keyID {
			return damaged(fmt.Errorf("the entry %s is not sealed with the key that its row names", reference))
		}
		return nil
	})
	if err != nil {
		return v.fault(err)
	}
	return nil
}

// runCheck runs one of SQLite's checks, which returns "ok" or what is wrong.
func runCheck(ctx context.Context, db *sql.DB, text string) error {
	var first string
	if err := db.QueryRowContext(ctx, text).Scan(&first); err != nil {
		return fmt.Errorf("%s: %w", text, translate(err))
	}
	if first != "ok" {
		return damaged(errors.New(first))
	}
	return nil
}
