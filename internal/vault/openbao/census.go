package openbao

import (
	"context"
	"errors"
	"sync"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// How a walk over all secret versions reads them.
const (
	censusPage    = 1000
	censusReaders = 8
)

// census reads every secret version and counts how many each key seals. What has no key that can be told is counted under "". visit, if it is set, is
// called with each one, from several goroutines. What is destroyed meanwhile is left out.
func (v *Vault) census(ctx context.Context, visit func(ref forgecroft.Reference, found stored, keyID string) error) (map[string]int64, error) {
	counts := map[string]int64{} // key id → secret versions
	var mu sync.Mutex
	for after := forgecroft.Reference(""); ; {
		page, err := v.References(ctx, after, censusPage)
		if err != nil {
			return nil, err
		}
		err = inParallel(page, censusReaders, func(ref forgecroft.Reference) error {
			found, err := v.readStored(ctx, ref, false) // An older copy names an older key, so the count errs on the safe side.
			if errors.Is(err, forgecroft.KindNotFound) || errors.Is(err, errDeleted) {
				return nil
			}
			if err != nil && !errors.Is(err, forgecroft.KindIntegrity) {
				return err
			}
			keyID := sealedBy(found.document)
			mu.Lock()
			counts[keyID]++
			mu.Unlock()
			if visit == nil {
				return nil
			}
			return visit(ref, found, keyID)
		})
		if err != nil {
			return nil, err
		}
		if len(page) < censusPage {
			return counts, nil
		}
		after = page[len(page)-1]
	}
}

// inParallel does something with each reference, a few at a time, and returns the first failure. After one it begins nothing new.
func inParallel(refs []forgecroft.Reference, workers int, do func(forgecroft.Reference) error) error {
	var mu sync.Mutex
	var first error
	next := 0
	take := func() (forgecroft.Reference, bool) {
		mu.Lock()
		defer mu.Unlock()
		if first != nil || next == len(refs) {
			return "", false
		}
		next++
		return refs[next-1], true
	}
	var group sync.WaitGroup
	for range min(workers, len(refs)) {
		group.Go(func() {
			for ref, more := take(); more; ref, more = take() {
				if err := do(ref); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return first
}
