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

// Hold keeps the writer busy until the returned function is called.
func (v *Vault) Hold(ctx context.Context) (release func()) {
	held, over := make(chan struct{}), make(chan struct{})
	go func() {
		_ = v.writer.do(ctx, &change{apply: func(*statements) (refusal, failure error) {
			close(held)
			<-over
			return nil, nil
		}})
	}()
	<-held
	return func() { close(over) }
}

// Waiting is how many changes wait for the writer.
func (v *Vault) Waiting() int {
	v.writer.mu.Lock()
	defer v.writer.mu.Unlock()
	return len(v.writer.waiting)
}
