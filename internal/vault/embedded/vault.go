package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/cache"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

var (
	_ forgecroft.Vault   = (*Vault)(nil)
	_ forgecroft.KeyRing = (*Vault)(nil)
)

// errStaleKey refuses a blob that was sealed just before a rotation and would be stored after it.
var errStaleKey = errors.New("the key ring was rotated meanwhile")

// Vault is an open vault file. It is safe for concurrent use.
type Vault struct {
	keys   KeySource
	ring   *envelope.Ring // its keys are exchanged in the writer's goroutine alone
	logger *slog.Logger
	alarm  *alarm
	cache  *cache.Cache
	writer *writer
	write  *sql.DB // has one connection, which the writer works with
	read   *sql.DB

	statements                             *statements // the writer's
	selectSealed, existsSecret, references *sql.Stmt

	turn   chan struct{} // held by whoever works with the key ring as a whole
	rewrap rewrapState   // guarded by turn

	closing atomic.Bool
	close   sync.Once
}

// prepareReads prepares what the hot path reads.
func (v *Vault) prepareReads(ctx context.Context) error {
	for to, text := range map[**sql.Stmt]string{&v.selectSealed: sqlSelectSealed, &v.existsSecret: sqlExistsSecret, &v.references: sqlReferences} {
		var err error
		if *to, err = v.read.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("preparing a statement: %w", translate(err))
		}
	}
	return nil
}

// Put implements [forgecroft.Vault].
func (v *Vault) Put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	if err := v.usable(ref); err != nil {
		return err
	}
	for {
		err := v.put(ctx, ref, binding, value)
		if !errors.Is(err, errStaleKey) {
			return err
		}
	}
}

// put seals and stores once. The writer lets in only what the primary key of that moment seals: so once a rotation is over, nothing adds
// to what older keys seal.
func (v *Vault) put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	plaintext := []byte(value.Reveal())
	defer clear(plaintext)
	blob, err := v.ring.Seal(bound(binding), plaintext)
	if err != nil {
		return fmt.Errorf("sealing a secret version: %w", err)
	}
	keyID, err := envelope.KeyID(blob)
	if err != nil {
		return fmt.Errorf("sealing a secret version: %w", err)
	}
	return v.writer.do(ctx, &change{
		apply: func(s *statements) (refusal, failure error) {
			if keyID != v.ring.Primary() {
				return errStaleKey, nil
			}
			n, err := s.exec(s.insert, string(ref), binding.OrganizationID, binding.CredentialConfigID, binding.Version, keyID, blob)
			if err == nil && n == 0 {
				return forgecroft.Errorf(forgecroft.KindConflict, "reference_exists", "The vault has something under this reference already."), nil
			}
			return nil, err
		},
		committed: func() { v.cache.Put(ref, blob) },
	})
}

// Get implements [forgecroft.Vault].
func (v *Vault) Get(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding) (forgecroft.Secret, error) {
	if err := v.usable(ref); err != nil {
		return forgecroft.Secret{}, err
	}
	if ctx.Err() != nil {
		return forgecroft.Secret{}, notInTime(ctx.Err())
	}
	blob, generation, found := v.cache.Get(ref)
	if !found {
		var err error
		if blob, err = v.fetch(ctx, ref, generation); err != nil {
			return forgecroft.Secret{}, err
		}
	}
	plaintext, err := v.ring.Open(bound(binding), blob)
	var unknown *envelope.UnknownKeyError
	if errors.As(err, &unknown) {
		// The blob may have been taken before it was moved to another key, and its old key removed since.
		if blob, err = v.fetch(ctx, ref, -1); err != nil {
			return forgecroft.Secret{}, err
		}
		plaintext, err = v.ring.Open(bound(binding), blob)
	}
	if err != nil {
		return forgecroft.Secret{}, unsealable(err)
	}
	defer clear(plaintext)
	return forgecroft.NewSecret(string(plaintext)), nil
}

// fetch reads a blob from the file, and remembers it if nothing has changed since the generation.
func (v *Vault) fetch(ctx context.Context, ref forgecroft.Reference, generation int64) ([]byte, error) {
	var blob []byte
	err := v.selectSealed.QueryRowContext(ctx, string(ref)).Scan(&blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, forgecroft.NotFound("secret version")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a secret version: %w", v.fault(err))
	}
	v.cache.Fill(ref, blob, generation)
	return blob, nil
}

// Destroy implements [forgecroft.Vault].
func (v *Vault) Destroy(ctx context.Context, ref forgecroft.Reference) error {
	if err := v.usable(ref); err != nil {
		return err
	}
	err := v.writer.do(ctx, &change{
		apply: func(s *statements) (refusal, failure error) {
			_, err := s.exec(s.remove, string(ref))
			return nil, err
		},
		committed: func() { v.cache.Remove(ref) },
		erases:    true,
	})
	if err != nil {
		return err
	}
	var there bool
	if err := v.existsSecret.QueryRowContext(ctx, string(ref)).Scan(&there); err != nil {
		return fmt.Errorf("reading back a destroyed secret version: %w", v.fault(err))
	}
	if there {
		return errors.New("a destroyed secret version is still there")
	}
	return nil
}

// References implements [forgecroft.Vault].
func (v *Vault) References(ctx context.Context, after forgecroft.Reference, limit int) ([]forgecroft.Reference, error) {
	if v.closing.Load() {
		return nil, closed()
	}
	refs := []forgecroft.Reference{}
	rows, err := v.references.QueryContext(ctx, string(after), max(limit, 0)) // SQLite takes a negative limit for none.
	if err != nil {
		return nil, fmt.Errorf("listing references: %w", v.fault(err))
	}
	for rows.Next() {
		var ref forgecroft.Reference
		if err := rows.Scan(&ref); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		refs = append(refs, ref)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("listing references: %w", v.fault(err))
	}
	return refs, nil
}

// Check implements [forgecroft.Vault]. It reads the key source again, and finds out if that would not open the vault at the next start.
func (v *Vault) Check(ctx context.Context) error {
	if v.closing.Load() {
		return closed()
	}
	if err := v.alarm.err(); err != nil {
		return err
	}
	if err := v.takeTurn(ctx); err != nil {
		return err
	}
	defer v.endTurn()
	stored, err := storedKeys(ctx, v.read)
	if err != nil {
		return v.fault(err)
	}
	if err := checkRing(v.ring, stored, v.keys); err != nil {
		return unavailable("vault_key_mismatch", "The key ring in memory does not fit the vault.", err)
	}
	fresh, err := v.keys.Load()
	if err == nil {
		err = checkRing(fresh, stored, v.keys)
	}
	if err != nil {
		return unavailable("vault_key_mismatch", "The key source does not fit the vault: the server would not start again. Put the right key ring there.", err)
	}
	return nil
}

// Close lets running changes finish, carries the log over and closes the file. Afterwards the vault is unavailable.
func (v *Vault) Close() error {
	var err error
	v.close.Do(func() {
		v.closing.Store(true)
		v.writer.close()
		err = v.disconnect()
	})
	return err
}

// disconnect closes the connections, the one that can carry the log over last.
func (v *Vault) disconnect() error {
	var errs []error
	if v.read != nil {
		errs = append(errs, v.read.Close())
	}
	if v.statements != nil {
		errs = append(errs, v.statements.close())
	}
	if v.write != nil {
		errs = append(errs, v.write.Close())
	}
	return errors.Join(errs...)
}

// usable refuses work after Close, and references that are none: they are made by us, so it is a mistake in this program.
func (v *Vault) usable(ref forgecroft.Reference) error {
	if v.closing.Load() {
		return closed()
	}
	if !ref.Valid() {
		return errors.New("the vault was given a malformed reference")
	}
	return nil
}

// fault translates an error of a reading connection, and raises the alarm if it is fatal.
func (v *Vault) fault(err error) error {
	if v.closing.Load() {
		return closed()
	}
	var known *forgecroft.Error
	if !errors.As(err, &known) {
		err = translate(err)
	}
	if errors.Is(err, errFatal) {
		v.alarm.raise(err)
	}
	return err
}

// bound is a binding in the words of package envelope.
func bound(b forgecroft.Binding) envelope.Binding {
	return envelope.Binding{Organization: b.OrganizationID, Credential: b.CredentialConfigID, Version: uint64(b.Version)}
}
