package forgecroft

import "time"

// The two kinds of [Intent].
const (
	IntentPut     = "put"     // a secret version may be about to appear under the reference
	IntentDestroy = "destroy" // the reference must go
)

// Intent is a promise about the vault that the database remembers, so that a crash between the two leaves nothing behind. An intent to
// put names a reference before the vault sees it; when the version goes live the intent goes. The sweeper finishes
// what is left after NotBefore: it destroys the reference, unless a row points at it.
type Intent struct {
	Reference      Reference
	Kind           string
	OrganizationID string
	NotBefore      time.Time // a put's lease, or the earliest time of a destruction
	CreatedAt      time.Time
	Attempts       int
}

// LeaseBackup is the lease that a backup holds. While it does, nothing is destroyed in the vault: the backup's snapshot may point at it.
const LeaseBackup = "backup"

// Lease is the right to do background work alone. The fencing number grows with every new holder, so that a holder that slept
// through its lease is recognised.
type Lease struct {
	Name    string // sweeper, rotation, checkpoints, backup
	Holder  string
	Fence   int64
	Expires time.Time
}

// IdempotencyRecord is the remembered result of a creating request, so that a repetition gets the same answer.
type IdempotencyRecord struct {
	OrganizationID string
	APIKeyID       string
	Route          string // the operation: records of different operations are independent
	Key            string // the client's Idempotency-Key
	Fingerprint    []byte // a MAC of the request, to notice another body under the same key
	Result         []byte // the result as JSON; metadata only
	CreatedAt      time.Time
}

// Idempotency limits.
const (
	MaxIdempotencyKey = 255            // bytes of the header, visible ASCII
	IdempotencyTTL    = 24 * time.Hour // how long a result is remembered
)
