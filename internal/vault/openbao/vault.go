package openbao

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/cache"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

var _ forgecroft.Vault = (*Vault)(nil)

// trustTerm is how long the cache may stand in for a server that was not heard from: whoever seals the server, or revokes the token, in an emergency stops
// all deliveries within this time.
const trustTerm = 10 * time.Second

// Vault is a place in a key-value engine. It is safe for concurrent use.
type Vault struct {
	client        *client
	session       *session
	mount, prefix string
	logger        *slog.Logger

	// Under an envelope; nil without one.
	keys  KeySource
	ring  *envelope.Ring
	cache *cache.Cache
	now   func() time.Time
	heard atomic.Pointer[time.Time] // when the server last answered with the session's token being good

	ringTurn sync.Mutex   // held by whoever exchanges the keys of the ring
	counted  time.Time    // when it was last looked what the keys seal that are missing here; guarded by ringTurn
	met      sync.Map     // ids of keys that seal something and are missing here
	spare    sync.Map     // ids of keys that were missing at the start, and sealed nothing
	puts     sync.RWMutex // held for reading from sealing to storing, so that a rotation can wait for what older keys seal
	moving   moving

	active  active                    // the cluster's active node
	righted atomic.Pointer[time.Time] // when the policy was last found to allow what is needed
	closing atomic.Bool
	close   sync.Once
}

// Put implements [forgecroft.Vault].
func (v *Vault) Put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	if err := v.usable(ctx, ref); err != nil {
		return err
	}
	err := v.put(ctx, ref, binding, value)
	if isCode(err, "vault_key_retired") {
		err = errors.Join(err, v.adopt(ctx)) // So that the repetition succeeds.
	}
	return err
}

// put stores a value under whatever key is the primary one.
func (v *Vault) put(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding, value forgecroft.Secret) error {
	v.puts.RLock()
	defer v.puts.RUnlock()
	d, err := v.document(binding, value)
	if err != nil {
		return err
	}
	defer clear(d.Value)
	generation := v.generation(ref)
	a, tries, err := v.write(ctx, v.data(ref), 0, d)
	switch {
	case err != nil:
		return fmt.Errorf("storing a secret version: %w", err)
	case a.ok():
	case a.status == http.StatusBadRequest:
		if err := v.settle(ctx, ref, d, tries, a); err != nil {
			return err
		}
	default:
		return fmt.Errorf("storing a secret version: %w", v.client.refusal(ctx, request{secret: true}, a))
	}
	if v.ring == nil {
		return nil
	}
	v.cache.Fill(ref, d.Sealed, generation)
	return v.confirm(ctx, d.Sealed)
}

// confirm makes sure, after a blob was stored, that its key is not being taken out. Another replica that takes a key out says so in the marker first, and looks for what the key seals
// afterwards: so either that replica finds this blob, or we find what it said.
func (v *Vault) confirm(ctx context.Context, sealed []byte) error {
	m, err := v.marker(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys of the vault after storing a secret version: %w", err)
	}
	if id := sealedBy(document{Sealed: sealed}); m.retired(id) {
		return unavailable("vault_key_retired", "The key that the secret version was sealed with was taken out of use at the same moment. Repeat the request.", fmt.Errorf("key %s", id))
	}
	return nil
}

// document makes what is stored for a value: sealed, or marked so that it is known again.
func (v *Vault) document(b forgecroft.Binding, value forgecroft.Secret) (document, error) {
	d := document{Organization: b.OrganizationID, Credential: b.CredentialConfigID, Version: b.Version}
	if v.ring == nil {
		d.Value, d.Write = append([]byte{}, value.Reveal()...), rand.Text()
		return d, nil
	}
	plaintext := []byte(value.Reveal())
	defer clear(plaintext)
	var err error
	if d.Sealed, err = v.ring.Seal(bound(b), plaintext); err != nil {
		return d, fmt.Errorf("sealing a secret version: %w", err)
	}
	return d, nil
}

// settle finds out why a write was refused. If it was made more than once, the first one may have succeeded without our knowing; what is stored tells.
func (v *Vault) settle(ctx context.Context, ref forgecroft.Reference, d document, tries int, a answer) error {
	found, err := v.readStored(ctx, ref, true)
	switch {
	case err == nil && tries > 1 && found.same(d):
		return nil
	case err == nil, errors.Is(err, errDeleted), errors.Is(err, forgecroft.KindIntegrity):
		return exists()
	case errors.Is(err, forgecroft.KindNotFound):
		return fmt.Errorf("storing a secret version: %w", v.client.refusal(ctx, request{secret: true}, a))
	default:
		return fmt.Errorf("reading back a secret version whose storing was in doubt: %w", err)
	}
}

// generation is what a blob that is about to be stored or read is filled into the cache with.
func (v *Vault) generation(ref forgecroft.Reference) int64 {
	if v.cache == nil {
		return 0
	}
	_, generation, _ := v.cache.Get(ref)
	return generation
}

// Get implements [forgecroft.Vault].
func (v *Vault) Get(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding) (forgecroft.Secret, error) {
	if err := v.usable(ctx, ref); err != nil {
		return forgecroft.Secret{}, err
	}
	if v.ring == nil {
		return v.getPlain(ctx, ref, binding)
	}
	blob, generation, found := v.cache.Get(ref)
	if !found || v.now().Sub(*v.heard.Load()) > trustTerm {
		var err error
		if blob, err = v.fetch(ctx, ref, generation, false); err != nil {
			return forgecroft.Secret{}, err
		}
	}
	plaintext, err := v.ring.Open(bound(binding), blob)
	var unknown *envelope.UnknownKeyError
	switch {
	case errors.As(err, &unknown):
		if plaintext, err = v.openAnew(ctx, ref, binding); err != nil {
			return forgecroft.Secret{}, err
		}
	case err != nil:
		return forgecroft.Secret{}, unsealable(err)
	}
	defer clear(plaintext)
	return forgecroft.NewSecret(string(plaintext)), nil
}

// getPlain reads what is stored without an envelope.
func (v *Vault) getPlain(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding) (forgecroft.Secret, error) {
	found, err := v.readStored(ctx, ref, false)
	defer clear(found.Value)
	switch {
	case errors.Is(err, errDeleted):
		return forgecroft.Secret{}, forgecroft.NotFound("secret version")
	case err != nil:
		return forgecroft.Secret{}, fmt.Errorf("reading a secret version: %w", err)
	case found.binding() != binding:
		return forgecroft.Secret{}, unsealable(errors.New("it belongs to something else"))
	case found.Value == nil:
		return forgecroft.Secret{}, unsealable(errors.New("it holds no value"))
	}
	return forgecroft.NewSecret(string(found.Value)), nil
}

// fetch reads a blob from the server, and remembers it if nothing has changed since the generation.
func (v *Vault) fetch(ctx context.Context, ref forgecroft.Reference, generation int64, newest bool) ([]byte, error) {
	found, err := v.readStored(ctx, ref, newest)
	switch {
	case errors.Is(err, errDeleted):
		return nil, forgecroft.NotFound("secret version")
	case err != nil:
		return nil, fmt.Errorf("reading a secret version: %w", err)
	}
	v.cache.Fill(ref, found.Sealed, generation)
	return found.Sealed, nil
}

// openAnew opens a secret version whose blob names a key that the ring lacks: the blob may be an old one, from before it was moved to another key,
// or the ring, from before another replica made a new one.
func (v *Vault) openAnew(ctx context.Context, ref forgecroft.Reference, binding forgecroft.Binding) ([]byte, error) {
	blob, err := v.fetch(ctx, ref, -1, true)
	if err != nil {
		return nil, err
	}
	plaintext, err := v.ring.Open(bound(binding), blob)
	var unknown *envelope.UnknownKeyError
	if errors.As(err, &unknown) {
		if err := v.adopt(ctx); err != nil {
			return nil, err
		}
		plaintext, err = v.ring.Open(bound(binding), blob)
	}
	switch {
	case errors.As(err, &unknown):
		return nil, v.unknownKey(ctx, unknown)
	case err != nil:
		return nil, unsealable(err)
	}
	return plaintext, nil
}

// Destroy implements [forgecroft.Vault].
func (v *Vault) Destroy(ctx context.Context, ref forgecroft.Reference) error {
	if err := v.usable(ctx, ref); err != nil {
		return err
	}
	if err := v.delete(ctx, ref); err != nil {
		return fmt.Errorf("destroying a secret version: %w", err)
	}
	if v.cache != nil {
		v.cache.Remove(ref)
	}
	r := request{method: http.MethodGet, path: v.metadata(ref)}
	a, _, err := v.newest(ctx, r, gone)
	switch {
	case err != nil:
		return fmt.Errorf("reading back a destroyed secret version: %w", err)
	case a.ok():
		return errors.New("a destroyed secret version is still there")
	case !a.absent():
		return fmt.Errorf("reading back a destroyed secret version: %w", v.client.refusal(ctx, r, a))
	}
	return nil
}

// delete deletes what is under a reference. Where only standbys can be reached, it is done twice: one that has not seen the record yet does
// nothing, and calls that success.
func (v *Vault) delete(ctx context.Context, ref forgecroft.Reference) error {
	at, cluster, err := v.where(ctx)
	if err != nil {
		return err
	}
	times := 1
	if cluster && at == nil {
		times = 2
	}
	for i := range times {
		if i > 0 {
			select {
			case <-ctx.Done():
				return notInTime(ctx.Err())
			case <-time.After(4 * lagPause):
			}
		}
		r := request{method: http.MethodDelete, path: v.metadata(ref)}
		a, _, err := v.call(ctx, r)
		if err == nil && !a.ok() {
			err = v.client.refusal(ctx, r, a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// References implements [forgecroft.Vault]. OpenBao lists in pages; HashiCorp Vault answers with everything, whatever it is asked.
func (v *Vault) References(ctx context.Context, after forgecroft.Reference, limit int) ([]forgecroft.Reference, error) {
	if v.closing.Load() {
		return nil, closed()
	}
	refs := []forgecroft.Reference{}
	for last := string(after); len(refs) < limit; {
		names, err := v.list(ctx, last, limit)
		if err != nil {
			return nil, fmt.Errorf("listing references: %w", err)
		}
		full := len(names) >= limit
		names = slices.DeleteFunc(names, func(name string) bool { return name <= last })
		if len(names) == 0 {
			break
		}
		slices.Sort(names)
		for _, name := range names {
			if ref := forgecroft.Reference(name); ref.Valid() && len(refs) < limit { // Anything else there is not ours.
				refs = append(refs, ref)
			}
		}
		if last = names[len(names)-1]; !full {
			break
		}
	}
	return refs, nil
}

// list lists the names of a page.
func (v *Vault) list(ctx context.Context, after string, limit int) ([]string, error) {
	query := url.Values{"list": {"true"}, "limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	r := request{method: http.MethodGet, path: v.mount + "/metadata/" + v.prefix + "/secrets", query: query, limit: maxList}
	a, _, err := v.newest(ctx, r, whatever)
	switch {
	case err != nil:
		return nil, err
	case a.absent():
		return nil, nil
	case !a.ok():
		return nil, v.client.refusal(ctx, r, a)
	}
	var page struct {
		Keys []string `json:"keys"`
	}
	if err := decode(a.data, &page); err != nil {
		return nil, unreachable(err)
	}
	return page.Keys, nil
}

// usable refuses work after Close and in a context that is over, and references that are none: they are made by us, so it is a mistake in this program.
func (v *Vault) usable(ctx context.Context, ref forgecroft.Reference) error {
	switch {
	case v.closing.Load():
		return closed()
	case ctx.Err() != nil:
		return notInTime(ctx.Err())
	case !ref.Valid():
		return errors.New("the vault was given a malformed reference")
	}
	return nil
}

// Close stops looking after the token, revokes it if it was got by a login, and closes the connections. What comes later is refused.
func (v *Vault) Close() error {
	v.close.Do(func() {
		v.closing.Store(true)
		v.session.close()
		v.client.http.CloseIdleConnections()
	})
	return nil
}
