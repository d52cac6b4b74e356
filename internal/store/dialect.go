package store

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// dialect is what differs between the databases once a connection is open.
type dialect struct {
	begin     string                   // starts a transaction that will write
	beginRead string                   // starts a transaction that reads one consistent state
	lasting   string                   // lets a reading transaction last for as long as all rows take; empty if nothing ends it
	commit    func(what change) string // keeps a transaction that changed something, and tells the other replicas

	// enter, if set, starts a transaction that will write in place of begin, and returns how many transactions of all replicas have changed something.
	enter func(ctx context.Context, c *conn) (counter int64, err error)

	direct  bool // the ends of a transaction go to the driver as they are, for each may be several statements
	gathers bool // audit events are gathered and written together at the end of a transaction
	aborts  bool // a statement that fails takes its transaction down, or what came since the savepoint

	// scope sets the connection to one organization, for row-level security; empty if the database has none.
	scope string

	// checkpoint carries the write-ahead log over; empty if the database does that by itself.
	checkpoint string

	// positional turns a statement with $n parameters into what the driver is quickest with, and says which arguments it then takes in which
	// order. nil: it takes them as they are.
	positional func(text string) (rewritten string, order []int)

	// translate gives a driver's error its meaning, by code: one of the errors below or a [*forgecroft.Error]. What it does not know it
	// returns as it is.
	translate func(err error) error

	// integrity checks the whole database, which may take long.
	integrity func(ctx context.Context, c *conn) error

	// broken reports whether a connection is lost for good. nil: none ever is.
	broken func(raw driver.Conn) bool
}

// What a constraint says. Only the statement's author knows which rule was broken, so these never leave the package.
var (
	errUnique     = errors.New("a unique constraint is violated")
	errForeignKey = errors.New("a foreign key constraint is violated")
)

// errLost marks the loss of a connection, after which another one may do.
var errLost = errors.New("the connection is lost")

// errAgain marks a transaction that failed because of another one, and may succeed when it is run again.
var errAgain = errors.New("another transaction was in the way")

// errFatal marks a failure after which nobody knows what the disk holds: the first one is final.
var errFatal = errors.New("the database cannot be trusted any more")

// violates reports whether err is the violation of a constraint, which leaves the transaction usable in SQLite.
func violates(err error) bool {
	return errors.Is(err, errUnique) || errors.Is(err, errForeignKey)
}

// nameTaken turns the violation of a unique name into the answer that the contract promises.
func nameTaken(err error, noun, name string) error {
	if !errors.Is(err, errUnique) {
		return err
	}
	return forgecroft.Errorf(forgecroft.KindConflict, "name_taken", "There is a %s named %q already.", noun, name)
}

// missing turns a reference to an absent row into the answer that the contract promises.
func missing(err error, noun string) error {
	if !errors.Is(err, errForeignKey) {
		return err
	}
	return forgecroft.NotFound(noun)
}
