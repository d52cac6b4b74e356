package forgecroft

import "context"

// Reference names one secret version in a vault. We make it, it is immutable and used once: 32 characters of [0-9a-v]
// (base32hex of 20 random bytes), never built from a client's text.
type Reference string

// ReferenceLength is the number of characters of a [Reference].
const ReferenceLength = 32

// Valid reports whether r has the form of a reference.
func (r Reference) Valid() bool {
	if len(r) != ReferenceLength {
		return false
	}
	for i := range len(r) {
		if c := r[i]; (c < '0' || c > '9') && (c < 'a' || c > 'v') {
			return false
		}
	}
	return true
}

// Binding is what a stored secret version belongs to. A vault binds it cryptographically to the ciphertext, so that rows
// swapped in a database are refused instead of opened.
type Binding struct {
	OrganizationID     string // the instance id for [InstanceKeys]
	CredentialConfigID string // "instance-keys" for [InstanceKeys]
	Version            int64
}

// Vault keeps secret versions. Implementations: internal/vault/embedded and internal/vault/openbao; the suite in
// internal/vault/vaulttest states what each must do. All methods are safe for concurrent use and honour ctx.
//
// Errors: [KindUnavailable] when the vault cannot answer (sealed, unreachable, throttled), [KindStorageFull] when
// its disk is full, [KindIntegrity] when stored bytes fail authentication. Any other failure is internal.
type Vault interface {
	// Put stores value under a reference that must not exist yet, durably: when it returns nil the value survives a
	// crash. [KindConflict] if the reference exists, whatever it holds. After any other error the value may or may not be stored.
	Put(ctx context.Context, ref Reference, binding Binding, value Secret) error

	// Get returns what Put stored. [KindNotFound] if the reference is absent, [KindIntegrity] if the binding or the bytes differ.
	Get(ctx context.Context, ref Reference, binding Binding) (Secret, error)

	// Destroy removes the value for good and returns nil only once a read-back finds it absent. An absent reference is a success.
	Destroy(ctx context.Context, ref Reference) error

	// References lists up to limit references after the given one, in ascending order.
	References(ctx context.Context, after Reference, limit int) ([]Reference, error)

	// Check returns nil if the vault can serve now: reachable, unsealed, its keys right.
	Check(ctx context.Context) error
}

// KeyRing is what a vault with key-encryption keys of its own offers beyond [Vault]: the embedded one does, and any vault under an
// envelope. Errors as in [Vault].
type KeyRing interface {
	// Keys lists the keys of the ring with the number of secret versions each one seals.
	Keys(ctx context.Context) ([]RingKey, error)
	// Rotate makes a new primary key, durable in the key source before it is used, and returns its id. A ring whose source cannot
	// be written (an environment variable, a descriptor) is KindUnprocessable with code key_source_read_only. Rewrap does the rest.
	Rotate(ctx context.Context) (string, error)
	// Rewrap moves up to limit secret versions to the primary key and returns how many are left. It may be repeated,
	// interrupted and resumed at will; reads and writes go on meanwhile.
	Rewrap(ctx context.Context, limit int) (left int64, err error)
	// RemoveKey takes a key out of the ring. KindConflict with code key_in_use while it seals anything or is the primary.
	RemoveKey(ctx context.Context, id string) error
}

// RingKey is one key-encryption key of a ring, never the key itself.
type RingKey struct {
	ID      string
	Primary bool
	Secrets int64 // secret versions sealed with it
}

// SealedRecord is a secret version as a vault under an envelope keeps it: sealed with a data key of its own, which a key of the ring wraps. It is worthless
// without that key.
type SealedRecord struct {
	Reference Reference
	Binding   Binding
	Sealed    []byte
}

// SealedVault is what a vault under an envelope offers beyond [Vault]: records that move, into a backup and back, without being opened. Errors as in [Vault].
type SealedVault interface {
	Vault
	// Canaries returns, for each key of the ring, a value that proves the key without giving anything of it away.
	Canaries(ctx context.Context) (map[string][]byte, error)
	// Sealed returns the sealed bytes under a reference, read from where they are durable. [KindNotFound] if the reference is absent.
	Sealed(ctx context.Context, ref Reference) ([]byte, error)
	// PutSealed stores records as they are, durably, all or an unknown part of them if it fails. They must be sealed with keys of the ring and
	// open for their bindings, else it is [KindIntegrity]; one that is there already with the same bytes is a success, with others [KindConflict].
	PutSealed(ctx context.Context, records []SealedRecord) error
}
