package embedded

import (
	"context"
	"fmt"
)

// SetMaxPages bounds the file as a full disk would: a statement that needs more pages fails with SQLITE_FULL.
func (v *Vault) SetMaxPages(ctx context.Context, pages int64) error {
	return v.writer.do(ctx, &change{apply: func(s *statements) (refusal, failure error) {
		var now int64
		return nil, s.conn.QueryRowContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&now)
	}})
}
