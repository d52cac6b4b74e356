// Package broker is the one door to the product: the use cases. Every exported method of [Broker] first authorises its caller and
// leaves an audit entry for a mutation, a denial or a delivery, then works. Below the edge the caller is an argument, so forgetting
// it does not compile; gate.go is the only file that appends audit entries.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/forgecroft/forgecroft/internal/audit"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Bounds of the protocols, all of them generous beside what the steps take.
const (
	auditDeadline  = 2 * time.Second  // an audit entry that cannot be written by then releases nothing
	putLease       = 2 * time.Minute  // how long storing secrets may take before the sweeper cleans up after it
	reserveLease   = 10 * time.Minute // how long a reserved reference may wait for its use
	destroyGrace   = time.Minute      // a replaced version outlives the deliveries that began with it
	verifyDeadline = 25 * time.Second // a whole verification: longer than what a type and its sources take at most, see provider.Budget
	deliverTimeout = 20 * time.Second // a whole delivery, provider calls included
	storeAttempts  = 8                // how often storing secrets starts over when another one was faster
)

// Config is what a broker works with. Store, Vault, Types and Logger are required.
type Config struct {
	Store   forgecroft.Store
	Vault   forgecroft.Vault
	Types   forgecroft.Registry
	KeyRing forgecroft.KeyRing // nil: the vault has no keys of its own
	Logger  *slog.Logger

	// ServerPrincipal returns the ARN of the server's own AWS identity, for trust policies of roles without a source. nil: not allowed.
	ServerPrincipal func(ctx context.Context) (string, error)

	// Backup takes a backup of both stores; see [Broker.Backup]. nil: only while the server is stopped.
	Backup func(ctx context.Context) (Archive, error)

	// SignOn are the rules of single sign-on: who gets which role.
	SignOn []SignOnRule

	// Replica tells this process from others on the same store, which take over what it has left when it is silent for a minute. Empty: a new id, so that
	// a process that is started again counts as another one. With a store that takes one process at a time it is a constant: nobody has to be waited for.
	Replica string

	Now    func() time.Time
	NewID  func() string // UUIDs of version 7
	Random io.Reader
}

// deps is a [Config] whose members are out of other packages' reach, so that nobody goes around the door.
type deps struct {
	store           forgecroft.Store
	vault           forgecroft.Vault
	types           forgecroft.Registry
	keyRing         forgecroft.KeyRing
	logger          *slog.Logger
	serverPrincipal func(ctx context.Context) (string, error)
	backup          func(ctx context.Context) (Archive, error)
	signOn          []SignOnRule
	replica         string
	now             func() time.Time
	newID           func() string
	random          io.Reader
}

// deps fills in the clock and the sources of ids and randomness.
func (c Config) deps() deps {
	d := deps{c.Store, c.Vault, c.Types, c.KeyRing, c.Logger, c.ServerPrincipal, c.Backup, c.SignOn, c.Replica, c.Now, c.NewID, c.Random}
	if d.now == nil {
		d.now = time.Now
	}
	if d.newID == nil {
		d.newID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if d.replica == "" {
		d.replica = d.newID()
	}
	if d.random == nil {
		d.random = rand.Reader
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// Broker authorises, audits and does. It is safe for concurrent use.
type Broker struct {
	deps
	mac      []byte        // keys the MACs of cursors and idempotency fingerprints
	signer   *audit.Signer // signs checkpoints
	uses     sync.Map      // API key id → when its use was noted last
	inFlight sync.Map      // idempotency identity → struct{}: requests being worked on
	verifies flights       // verifications in progress
	rotation rotation
	// references whose intents to put are durable already
	references references
}

// Call is one request: who calls, and what the audit trail and the protocol need to know of the way it came.
type Call struct {
	forgecroft.Principal
	RequestID      string
	RemoteAddr     string
	IdempotencyKey string // of calls that create; empty: none
	IfMatch        int64  // the revision an update expects; 0: any
}

// instant is the time of one use case: UTC, cut to microseconds as the stores keep it.
func (d deps) instant() time.Time { return d.now().UTC().Truncate(time.Microsecond) }

// newReference makes the name of a secret version in the vault.
func (d deps) newReference() (forgecroft.Reference, error) {
	var random [20]byte
	if _, err := io.ReadFull(d.random, random[:]); err != nil {
		return "", err
	}
	text := base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:])
	return forgecroft.Reference(strings.ToLower(text)), nil
}
