package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/forgecroft/forgecroft/internal/vault/cache"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// defaultCache is the size of the cache of sealed bytes.
const defaultCache = 16 << 20

// Options say how to open a vault.
type Options struct {
	// Path is the vault file. Its directory must exist, with mode 0700; beside it SQLite keeps a log and an index. One process may have it open:
	// whoever owns the directory holds a lock.
	Path string
	// Keys is where the key ring comes from.
	Keys KeySource
	// MustExist refuses a missing file instead of making one: the caller knows that there was a vault.
	MustExist bool
	// CacheBytes bounds the sealed bytes in memory; 0 is 16 MiB.
	CacheBytes int64
	// Logger takes what an operator should know; nil drops it.
	Logger *slog.Logger
	// OnFatal is called once, with the first failure of the disk or of the file. From then on nothing is acknowledged; the server should stop and
	// be started again. It may be nil.
	OnFatal func(error)
}

// Open opens a vault, or makes one where there is none. A missing, wrong or unusable key, a damaged or cut-off file, and files that others may read
// are refused before a single byte is written.
func Open(ctx context.Context, o Options) (*Vault, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	state, err := inspect(o.Path)
	if err != nil {
		return nil, err
	}
	var ring *envelope.Ring
	switch {
	case state.exists:
		ring, err = admit(ctx, o, state)
	case o.MustExist:
		err = fmt.Errorf("the vault file %s is missing: restore it from the backup that the metadata database belongs to", o.Path)
	default:
		ring, err = found(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return start(ctx, o, ring)
}

// found makes a new vault, with the keys of the source if there are any.
func found(ctx context.Context, o Options) (*envelope.Ring, error) {
	ring, err := o.Keys.Load()
	if errors.Is(err, fs.ErrNotExist) {
		if ring, err = envelope.GenerateRing(); err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		err = o.Keys.Create(ring)
	}
	if err != nil {
		return nil, err
	}
	o.Logger.InfoContext(ctx, "making a new vault", "path", o.Path, "key_source", o.Keys.String(), "key_id", ring.Primary())
	return ring, createFile(ctx, o.Path, ring)
}

// admit checks an existing vault and its keys without changing anything.
func admit(ctx context.Context, o Options, state fileState) (*envelope.Ring, error) {
	db, err := connectToLook(o.Path, state.logged)
	if err != nil {
		return nil, err
	}
	stored, err := look(ctx, db, o, state)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	ring, err := o.Keys.Load()
	if err != nil {
		return nil, fmt.Errorf("the vault is sealed with %s: %w", describe(stored), err)
	}
	return ring, checkRing(ring, stored, o.Keys)
}

// look checks the pages of a file as far as is cheap, and reads what it says about its keys.
func look(ctx context.Context, db *sql.DB, o Options, state fileState) ([]storedKey, error) {
	switch {
	case state.size <= alwaysChecked, state.logged && state.size <= checkedAfterUnclean:
		if err := runCheck(ctx, db, "PRAGMA quick_check(1)"); err != nil {
			return nil, err
		}
	case state.logged:
		o.Logger.WarnContext(ctx, "the server was not stopped cleanly and the vault is too large to be checked at start; run forgecroft server fsck when convenient",
			"bytes", state.size)
	}
	return storedKeys(ctx, db)
}

// storedKey is what the vault file knows of a key.
type storedKey struct {
	id     string
	canary []byte
	seals  bool // at least one secret version
}

// storedKeys reads what the file knows of its keys.
func storedKeys(ctx context.Context, db *sql.DB) ([]storedKey, error) {
	var keys []storedKey
	err := each(ctx, db, sqlRingKeys, nil, func(row *sql.Rows) error {
		var k storedKey
		if err := row.Scan(&k.id, &k.canary, &k.seals); err != nil {
			return err
		}
		keys = append(keys, k)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of the vault: %w", translate(err))
	}
	if len(keys) == 0 {
		return nil, damaged(errors.New("the file names no key"))
	}
	return keys, nil
}

// checkRing refuses a ring that is not the vault's: one that lacks a key that seals something, has none that the vault knows, or that does
// not fit a canary. A key that seals nothing may be missing, for it may have been taken out of a source that we cannot write.
func checkRing(ring *envelope.Ring, stored []storedKey, source KeySource) error {
	fits, lacks := false, false
	for _, k := range stored {
		if !ring.Has(k.id) {
			lacks = lacks || k.seals
			continue
		}
		if err := ring.CheckCanary(k.id, k.canary); err != nil {
			return fmt.Errorf("checking %s: %w", source, damaged(err))
		}
		fits = true
	}
	if lacks || !fits {
		return fmt.Errorf("wrong key: the vault is sealed with %s, but %s holds %s; put the right key ring there",
			describe(stored), source, strings.Join(ring.IDs(), ", "))
	}
	return nil
}

// describe names the keys that a vault needs.
func describe(stored []storedKey) string {
	var needed, known []string
	for _, k := range stored {
		known = append(known, k.id)
		if k.seals {
			needed = append(needed, k.id)
		}
	}
	if len(needed) == 0 {
		needed = known
	}
	return "the keys " + strings.Join(needed, ", ")
}

// start opens the connections of a vault that was checked.
func start(ctx context.Context, o Options, ring *envelope.Ring) (_ *Vault, err error) {
	v := &Vault{
		keys: o.Keys, ring: ring, logger: o.Logger, alarm: &alarm{tell: o.OnFatal}, cache: cache.New(o.CacheBytes), turn: make(chan struct{}, 1),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.disconnect())
		}
	}()
	if v.write, err = connect(ctx, o.Path, writerCache, 1, false); err != nil {
		return nil, fmt.Errorf("opening the vault file: %w", err)
	}
	if err := adopt(ctx, v.write, ring); err != nil {
		return nil, fmt.Errorf("noting the keys of the vault: %w", err)
	}
	conn, err := v.write.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the vault file: %w", translate(err))
	}
	if v.statements, err = prepare(ctx, conn); err != nil {
		return nil, err
	}
	if v.read, err = connect(ctx, o.Path, readerCache, readers, true); err != nil {
		return nil, fmt.Errorf("opening the vault file for reading: %w", err)
	}
	if err := v.prepareReads(ctx); err != nil {
		return nil, err
	}
	v.writer = newWriter(v.statements, v.alarm)
	return v, nil
}

// initialise makes the tables of a new file.
func initialise(ctx context.Context, exec execer, ring *envelope.Ring) error {
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, formatVersion)
	if _, err := exec(ctx, "BEGIN IMMEDIATE;"+schema+marks+"COMMIT;"); err != nil {
		return translate(err)
	}
	return noteKeys(ctx, exec, ring, ring.IDs())
}

// execer runs statements.
type execer func(ctx context.Context, query string, args ...any) (sql.Result, error)

// noteKeys stores the canaries of keys.
func noteKeys(ctx context.Context, exec execer, ring *envelope.Ring, ids []string) error {
	for _, id := range ids {
		canary, err := ring.Canary(id)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, sqlInsertKey, id, canary); err != nil {
			return translate(err)
		}
	}
	return nil
}

// adopt makes the file's keys those of a ring that was admitted: the source is the truth about which keys there are. They differ after a rotation or
// removal that a crash cut off, and after somebody changed the source by hand.
func adopt(ctx context.Context, db *sql.DB, ring *envelope.Ring) error {
	stored, err := storedKeys(ctx, db)
	if err != nil {
		return err
	}
	known := map[string]bool{} // key id → the file has its canary
	for _, k := range stored {
		known[k.id] = true
		if ring.Has(k.id) {
			continue
		}
		if _, err := db.ExecContext(ctx, sqlDeleteKey, k.id); err != nil {
			return translate(err)
		}
	}
	var missing []string
	for _, id := range ring.IDs() {
		if !known[id] {
			missing = append(missing, id)
		}
	}
	return noteKeys(ctx, db.ExecContext, ring, missing)
}
