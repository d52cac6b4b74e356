package hostile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forgecroft/forgecroft/internal/cli"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// secret is a part of every secret that is sent, and must come back from nowhere.
const secret = "EXAMPLEcanary7Qz9Xw"

// Values that every type accepts, with the canary in those that are secret.
const (
	accessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	temporaryKeyID  = "ASIAIOSFODNN7EXAMPLE"
	secretAccessKey = "wJalrXUtnFEMIK7MDENGb" + secret
	roleARN         = "arn:aws:iam::123456789012:role/forgecroft"
	cloudflareToken = "cfut_" + secret + "abcdefghijklmnopqrstu" + "0a1b2c3d"
)

// world is a server with an object of each kind, for hostile requests to name.
type world struct {
	*servertest.Server
	document document
	types    []sdk.CredentialType
	ids      map[string]string // first segment of a path → id of such an object
	configs  map[string]string // credential type → id of a config
	keyFile  string            // of a service account
	keys     string            // the vault's key file
	trap     *trap
	serial   atomic.Int64
}

// trap is a listener that nobody is to call.
type trap struct {
	address string
	calls   atomic.Int64
}

// mustSetTrap listens on loopback.
func mustSetTrap(t *testing.T) *trap {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	tr := &trap{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tr.calls.Add(1)
			_ = conn.Close()
		}
	}()
	return tr
}

// mustMakeWorld starts a server; when the test ends, it must be as sound as before.
func mustMakeWorld(t *testing.T) *world {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "vault.key")
	w := &world{trap: mustSetTrap(t), ids: map[string]string{}, configs: map[string]string{}, keys: keys}
	w.Server = servertest.MustStart(t, map[string]string{"log-level": "debug", "key-file": keys})
	mustDecode(t, w.MustCall(t, "", "GET", "/openapi.json", "").Body, &w.document)
	var types sdk.List[sdk.CredentialType]
	mustDecode(t, w.MustCall(t, w.OwnerKey, "GET", "/credential-types", "").Body, &types)
	w.types = types.Items
	keyFile, err := w.GCP.CreateAccount("deploy", "example-project")
	if err != nil {
		t.Fatal(err)
	}
	w.keyFile = string(keyFile)
	w.mustFill(t)
	heap, routines := heapInUse(), runtime.NumGoroutine()
	t.Cleanup(func() { w.mustBeSound(t, heap, routines) })
	return w
}

// mustFill makes the objects.
func (w *world) mustFill(t *testing.T) {
	t.Helper()
	w.ids["projects"] = w.mustCreate(t, "/projects", `{"name":"target"}`)
	for _, kind := range w.types {
		w.configs[kind.Name] = w.mustCreate(t, "/credential-configs", fmt.Sprintf(`{"name":"target %s","credential_type":%q}`, kind.Name, kind.Name))
	}
	w.ids["credential-configs"] = w.configs["generic_env"]
	w.mustCreate(t, "/credential-configs/"+w.configs["generic_env"]+"/secrets", fmt.Sprintf(`{"data":{"TF_VAR_target":%q}}`, secret))
	w.mustCreate(t, "/credential-configs/"+w.configs["aws_static"]+"/secrets", fmt.Sprintf(`{"data":{"access_key_id":%q,"secret_access_key":%q}}`, accessKeyID, secretAccessKey))
	w.ids["workspaces"] = w.mustCreate(t, "/workspaces", fmt.Sprintf(`{"name":"target","project_id":%q,"credential_config_ids":[%q]}`, w.ids["projects"], w.configs["generic_env"]))
	w.ids["api-keys"] = w.mustCreate(t, "/api-keys", `{"name":"target","role":"reader"}`)
	w.ids["vault"] = "absent"
}

// mustCreate returns the id of what it makes; secrets have none.
func (w *world) mustCreate(t *testing.T, path, body string) string {
	t.Helper()
	reply := w.MustCall(t, w.OwnerKey, "POST", path, body)
	var made struct{ ID string }
	mustDecode(t, reply.Body, &made)
	if reply.Status != 201 {
		t.Fatalf("POST %s: %d %s", path, reply.Status, reply.Body)
	}
	return made.ID
}

// at fills the id into a path of the document.
func (w *world) at(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return strings.Replace(path, "{id}", w.ids[first], 1)
}

// mustBeSound checks what a whole test must leave behind: a server that is ready, holds what it held, said nothing and called nobody. heap and routines are what was in use before.
func (w *world) mustBeSound(t *testing.T, heap uint64, routines int) {
	t.Helper()
	if r := w.MustCall(t, "", "GET", "/readyz", ""); r.Status != 200 {
		t.Errorf("/readyz: %d %s", r.Status, r.Body)
	}
	var out, errs bytes.Buffer
	code := cli.Main(context.Background(), []string{"audit", "verify"}, cli.IO{
		In: os.Stdin, Out: &out, Err: &errs, Environ: []string{"HOME=" + t.TempDir(), "FORGECROFT_API_URL=" + w.URL, "FORGECROFT_API_KEY=" + w.OwnerKey},
	})
	if code != 0 || !strings.Contains(out.String(), "intact") {
		t.Errorf("audit verify: %d %s%s", code, &out, &errs)
	}
	if now := heapInUse(); now > heap+64<<20 {
		t.Errorf("the heap grew from %d to %d MiB", heap>>20, now>>20)
	}
	if now := runtime.NumGoroutine(); now > routines+100 { // Idle connections have some.
		t.Errorf("there were %d goroutines, and there are %d", routines, now)
	}
	w.MustStop(t)
	out.Reset()
	config, err := server.LoadConfig(map[string]string{"data-dir": w.DataDir, "key-file": w.keys}, func(string) string { return "" })
	if err == nil {
		err = server.Fsck(context.Background(), config, false, &out, &errs)
	}
	if err != nil {
		t.Errorf("fsck: %v\n%s%s", err, &out, &errs)
	}
	if n := w.trap.calls.Load(); n > 0 {
		t.Errorf("an address that a client chose was called %d times", n)
	}
	w.checkLog(t)
}

// checkLog wants one JSON object a line, without a secret and without a control character.
func (w *world) checkLog(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(w.Log.String()) {
		var record map[string]any
		switch {
		case json.Unmarshal([]byte(line), &record) != nil:
			t.Errorf("the log has a line that is no record: %.200q", line)
		case strings.Contains(line, secret) || strings.Contains(line, w.OwnerKey):
			t.Errorf("the log holds a secret: %.300q", line)
		case strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x202e }):
			t.Errorf("the log holds control characters: %.300q", line)
		case record["level"] == "ERROR" || record["level"] == "WARN":
			t.Errorf("the log has an alarm: %.1000s", line)
		}
	}
}

// mustHaveAskedNobody checks that storing called no provider.
func (w *world) mustHaveAskedNobody(t *testing.T) {
	t.Helper()
	if a, g, c := w.AWS.Calls(), w.GCP.Calls(), w.Cloudflare.Calls(); len(a)+len(g)+len(c) > 0 {
		t.Errorf("providers were called although nothing was verified: %v %v %v", a, g, c)
	}
}

// heapInUse is what is left after a collection.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mustDecode decodes an answer.
func mustDecode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("decoding %.200s: %v", text, err)
	}
}
