package openbao_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

const rootToken = "s.EXAMPLEroot"

// keys is a key source in memory.
type keys struct {
	turn     sync.Mutex // held while the ring is replaced
	mu       sync.Mutex
	text     []byte
	readOnly bool
}

func (k *keys) String() string { return "the key ring of the test" }

func (k *keys) Load() (*envelope.Ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text == nil {
		return nil, fs.ErrNotExist
	}
	return envelope.ParseRing(k.text)
}

func (k *keys) Create(ring *envelope.Ring) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text != nil {
		return fs.ErrExist
	}
	k.text = ring.Format()
	return nil
}

func (k *keys) Update(change func(now *envelope.Ring) (*envelope.Ring, error)) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.readOnly {
		return forgecroft.Errorf(forgecroft.KindUnprocessable, "key_source_read_only", "It cannot be written.")
	}
	now, err := k.Load()
	if err != nil {
		return err
	}
	next, err := change(now)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.text = next.Format()
	return nil
}

// newRing is the text of a new ring.
func newRing(t testing.TB) []byte {
	t.Helper()
	ring, err := envelope.GenerateRing()
	if err != nil {
		t.Fatal(err)
	}
	return ring.Format()
}

// world is a fake server with what it takes to open a vault in it.
type world struct {
	fake    *bao.Server
	server  *httptest.Server
	options openbao.Options
	standby *bao.Node
	closers []func()
	later   atomic.Int64 // how much later the vault's clock is, in nanoseconds
}

// newWorld starts a fake. Vaults in it have an envelope.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{}
	fake := bao.New(nil, rootToken)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		for _, done := range w.closers {
			done()
		}
	})
	t.Cleanup(fake.Faults().Release)
	w.fake, w.server = fake, server
	w.options = openbao.Options{
		Address: server.URL, Auth: openbao.Token(forgecroft.NewSecret(rootToken)), Keys: &keys{},
		Clock: openbao.Clock{Now: func() time.Time { return time.Now().Add(time.Duration(w.later.Load())) }, After: time.After},
	}
	return w
}

// atStandby has the vault reach a standby of the server, whose active node is at an address. Nothing is cached, so that every read asks.
func (w *world) atStandby(active string, lag int) {
	w.standby = w.fake.AddStandby(active, lag)
	node := httptest.NewServer(w.standby)
	w.closers = append(w.closers, node.Close)
	w.options.Address, w.options.CacheBytes = node.URL, 1
}

// advance lets time pass for the vault.
func (w *world) advance(d time.Duration) { w.later.Add(int64(d)) }

// mustOpen opens a vault that is closed when the test ends.
func mustOpen(t testing.TB, o openbao.Options) *openbao.Vault {
	t.Helper()
	v, err := openbao.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { mustClose(t, v) })
	return v
}

func mustClose(t testing.TB, v *openbao.Vault) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// must makes a call of the API as an operator.
func (w *world) must(t testing.TB, method, path string) {
	t.Helper()
	real{w.server.URL, rootToken}.must(t, method, path, nil)
}

// codeOf is the code of an error, or "".
func codeOf(err error) string {
	var e *forgecroft.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// variants are the ways to use a server.
var variants = []struct {
	name   string
	adjust func(w *world)
}{
	{"with the envelope", func(*world) {}},
	{"with hardly any cache", func(w *world) { w.options.CacheBytes = 1 }},
	{"without the envelope", func(w *world) { w.options.Keys = nil }},
	{"lists without pages", func(w *world) { w.fake.ListWithoutPages() }},
	{"in a namespace, elsewhere", func(w *world) {
		w.fake.AddNamespace("team/a")
		w.fake.AddEngine("team/a", "kv/here")
		w.options.Namespace, w.options.Mount, w.options.Prefix = "team/a", "kv/here", "a/b"
	}},
	{"at a standby that lags", func(w *world) { w.atStandby(w.server.URL, 3) }},
	{"at a standby that lags, without the envelope", func(w *world) {
		w.atStandby(w.server.URL, 3)
		w.options.Keys = nil
	}},
	{"with no more rights than the documentation says", func(w *world) {
		w.fake.AddPolicy("", "forgecroft", documentedPolicy())
		w.fake.AddToken("", "s.EXAMPLElimited", bao.Life{}, "forgecroft")
		w.options.Auth = openbao.Token(forgecroft.NewSecret("s.EXAMPLElimited"))
	}},
}

// documentedPolicy is the policy of docs/operations.md.
func documentedPolicy() bao.Policy {
	return bao.Policy{
		"secret/data/forgecroft/*":     {"create", "read", "update"},
		"secret/metadata/forgecroft/*": {"read", "list", "delete"},
		"secret/destroy/forgecroft/*":  {"update"},
		"secret/config":                {"read"},
	}
}

func TestConformance(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant.name, func(t *testing.T) {
			vaulttest.Run(t, func(t *testing.T) vaulttest.Fixture {
				w := newWorld(t)
				variant.adjust(w)
				v := mustOpen(t, w.options)
				return vaulttest.Fixture{
					Vault: v,
					Reopen: func(t *testing.T) forgecroft.Vault {
						mustClose(t, v)
						o := w.options
						o.MustExist = true
						return mustOpen(t, o)
					},
					Break: func(*testing.T) {
						w.fake.SetState(bao.Sealed)
						w.advance(time.Minute) // The cache does not stand in for a sealed server for long.
					},
				}
			})
		})
	}
}

// TestDocumentedPolicy holds the documentation against the policy that the tests work with.
func TestDocumentedPolicy(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for path, capabilities := range documentedPolicy() {
		list, err := json.Marshal(capabilities)
		if err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(regexp.QuoteMeta(`path "`+path+`"`) + ` +\{ capabilities = ` + regexp.QuoteMeta(strings.ReplaceAll(string(list), ",", ", ")) + ` \}`)
		if !want.Match(text) {
			t.Errorf("docs/operations.md does not have %s", want)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, variant := range []struct {
		name string
		size int64
	}{{"from the cache", 0}, {"from the server", 1}} {
		b.Run(variant.name, func(b *testing.B) {
			w := newWorld(b)
			w.options.CacheBytes = variant.size
			v := mustOpen(b, w.options)
			ref := vaulttest.MustPut(b, v, vaulttest.Binding(), string(make([]byte, 300)))
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := v.Get(b.Context(), ref, vaulttest.Binding()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
