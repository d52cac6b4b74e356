package broker

import (
	"context"
	"errors"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The leases of background work; see also [forgecroft.LeaseBackup].
const (
	leaseSweeper     = "sweeper"
	leaseCheckpoints = "checkpoints"
	leaseRotation    = "rotation"
	leaseKeys        = "keys" // held while the key ring, which replicas may share, is read and written
)

// leaseTerm is how long a replica may be silent before another one takes its work over.
const leaseTerm = time.Minute

// released is when a lease has ended whose work is done. One that ended at any other time was left by a process that died.
var released = time.UnixMicro(0).UTC()

// lease takes the right to do one kind of background work, or renews it. It is [forgecroft.KindConflict] while another replica has it.
func (d deps) lease(ctx context.Context, name string) (held forgecroft.Lease, err error) {
	err = d.store.Update(ctx, func(tx forgecroft.Tx) error {
		now := d.instant()
		held, err = tx.AcquireLease(ctx, name, d.replica, now, now.Add(leaseTerm))
		return err
	})
	return held, err
}

// under runs one transaction of leased work. A replica that slept through its lease while another one took over writes nothing: the fencing number
// is compared in the very transaction.
func (d deps) under(ctx context.Context, held forgecroft.Lease, work func(tx forgecroft.Tx) error) error {
	return d.store.Update(ctx, func(tx forgecroft.Tx) error {
		now := d.instant()
		current, err := tx.AcquireLease(ctx, held.Name, held.Holder, now, now.Add(leaseTerm))
		if err != nil {
			return err
		}
		if current.Fence != held.Fence {
			return forgecroft.Errorf(forgecroft.KindConflict, "lease_lost", "Another replica has taken this work over.")
		}
		return work(tx)
	})
}

// release ends a lease whose work is done.
func (d deps) release(ctx context.Context, held forgecroft.Lease) error {
	return d.store.Update(ctx, func(tx forgecroft.Tx) error {
		_, err := tx.AcquireLease(ctx, held.Name, held.Holder, d.instant(), released)
		return err
	})
}

// leaseOf returns a lease as it stands; the zero value: nobody ever took it.
func (d deps) leaseOf(ctx context.Context, name string) (forgecroft.Lease, error) {
	held, err := d.store.Lease(ctx, name)
	if errors.Is(err, forgecroft.KindNotFound) {
		return forgecroft.Lease{Expires: released}, nil
	}
	return held, err
}
