package openbao_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forgecroft/forgecroft/internal/fake/bao"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
	"github.com/forgecroft/forgecroft/internal/vault/vaulttest"
)

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		adjust func(w *world)
		want   string
	}{
		{"no address", func(w *world) { w.options.Address = "" }, "set BAO_ADDR or VAULT_ADDR"},
		{"plain HTTP to elsewhere", func(w *world) { w.options.Address = "http://vault.example:8200" }, "only on this machine"},
		{"plain HTTP to a name like this machine's", func(w *world) { w.options.Address = "http://localhost.example" }, "only on this machine"},
		{"another scheme", func(w *world) { w.options.Address = "ftp://127.0.0.1" }, "must look like https://"},
		{"no host", func(w *world) { w.options.Address = "https://" }, "must look like https://"},
		{"a password in the address", func(w *world) { w.options.Address = "https://u:EXAMPLE@127.0.0.1" }, "scheme, host and port alone"},
		{"a path in the address", func(w *world) { w.options.Address += "/v1" }, "scheme, host and port alone"},
		{"no URL", func(w *world) { w.options.Address = "https://%zz" }, "is not a URL"},
		{"no login", func(w *world) { w.options.Auth = nil }, "no way to log in"},
		{"dots in the prefix", func(w *world) { w.options.Prefix = "a/../b" }, "prefix"},
		{"an empty part", func(w *world) { w.options.Mount = "a//b" }, "mount"},
		{"a query in the namespace", func(w *world) { w.options.Namespace = "a?b" }, "namespace"},
		{"no such namespace", func(w *world) { w.options.Namespace = "nowhere" }, "no such namespace"},
		{"no such mount", func(w *world) { w.options.Mount = "nowhere" }, "denies access"},
		{"no such CA file", func(w *world) { w.options.CACert = "/nowhere" }, "CA certificate"},
		{"no such vault", func(w *world) { w.options.MustExist = true }, "there is no vault under secret/forgecroft"},
		{"sealed", func(w *world) { w.fake.SetState(bao.Sealed) }, "The vault is sealed."},
		{"standby", func(w *world) { w.fake.SetState(bao.Standby) }, "is a standby"},
		{"not initialised", func(w *world) { w.fake.SetState(bao.Uninitialised) }, "not initialised"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.adjust(w)
			v, err := openbao.Open(t.Context(), w.options)
			if err == nil {
				mustClose(t, v)
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "EXAMPLE") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestEnvelopeCannotComeOrGo(t *testing.T) {
	w := newWorld(t)
	mustOpen(t, w.options)
	with := w.options.Keys
	w.options.Keys = nil
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "made with the envelope") {
		t.Errorf("without it: got %v", err)
	}
	w.options.Prefix = "other"
	v := mustOpen(t, w.options)
	if v.KeyRing() != nil {
		t.Error("a vault without an envelope has a key ring")
	}
	w.options.Keys = with
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "made without the envelope") {
		t.Errorf("with it: got %v", err)
	}
}

// TestReplicasStartTogether lets many make the vault at the same moment, with one key source.
func TestReplicasStartTogether(t *testing.T) {
	w := newWorld(t)
	w.options.Keys = &keys{text: newRing(t)}
	vaults := make([]*openbao.Vault, 8)
	var group sync.WaitGroup
	for i := range vaults {
		group.Go(func() {
			var err error
			if vaults[i], err = openbao.Open(t.Context(), w.options); err != nil {
				t.Errorf("Open: %v", err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	ref := vaulttest.MustPut(t, vaults[0], vaulttest.Binding(), "EXAMPLE")
	for _, v := range vaults {
		vaulttest.WantValue(t, v, ref, vaulttest.Binding(), "EXAMPLE")
		mustClose(t, v)
	}
}

// TestReplicasWithKeysOfTheirOwn refuses the one that comes second.
func TestReplicasWithKeysOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	mustOpen(t, w.options)
	w.options.Keys = &keys{text: newRing(t)}
	if _, err := openbao.Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "wrong key") {
		t.Errorf("got %v, want that the key is wrong", err)
	}
}

func TestTLS(t *testing.T) {
	fake := bao.New(nil, rootToken)
	server := httptest.NewTLSServer(fake)
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	o := openbao.Options{Address: server.URL, Auth: openbao.Token(forgecroft.NewSecret(rootToken)), Keys: &keys{}}
	if _, err := openbao.Open(t.Context(), o); codeOf(err) != "vault_unreachable" || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the system's CAs: got %v, want that the certificate is refused", err)
	}
	o.CACert = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(o.CACert, text, 0o600); err != nil {
		t.Fatal(err)
	}
	wantWorks(t, mustOpen(t, o))
	if err := os.WriteFile(o.CACert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openbao.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("with a file that is none: got %v", err)
	}
}

// TestRedirects sends a standby's clients to the active server, and to where no token may go.
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	var to atomic.Pointer[string]
	standby := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		if in.URL.Path == "/v1/sys/health" {
			out.WriteHeader(http.StatusTooManyRequests)
			return
		}
		target := *to.Load()
		if !strings.Contains(target, "?") {
			target += in.URL.RequestURI()
		}
		http.Redirect(out, in, target, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(standby.Close)
	to.Store(&w.server.URL)
	w.options.Address = standby.URL
	w.options.CacheBytes = 1
	v := mustOpen(t, w.options)
	wantWorks(t, v)

	var taken atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { taken.Add(1) }))
	t.Cleanup(thief.Close)
	for _, target := range []string{thief.URL + "/v1/other?", thief.URL + "?", "https" + strings.TrimPrefix(thief.URL, "http") + "/?", "http://vault.example/?", standby.URL} {
		to.Store(&target)
		if err := v.Check(t.Context()); codeOf(err) != "vault_unreachable" && codeOf(err) != "vault_standby" {
			t.Errorf("redirected to %s: got %v, want a refusal", target, err)
		}
	}
	if n := taken.Load(); n > 0 {
		t.Errorf("%d requests went where no token may go", n)
	}
}
