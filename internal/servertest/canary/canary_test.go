// Package canary_test stores secrets that nobody else knows, uses them in every way there is, and then looks for them, in every encoding, wherever they must
// not be: the data directory or the database and the vault, temporary files, the log, metrics, the audit trail, and every answer but a delivery.
package canary_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/cli"
	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/internal/servertest/leak"
	"github.com/forgecroft/forgecroft/sdk"
)

const (
	account     = "123456789012"
	accessKeyID = "AKIAIOSFODNN7EXAMPLE"
	control     = "a name that is no secret"
	roleARN     = "arn:aws:iam::123456789012:role/forgecroft"
)

// house is a server whose words are kept.
type house struct {
	*servertest.Server
	stores  stores
	scanner leak.Scanner
	mu      sync.Mutex
	said    []said            // guarded by mu
	scratch string            // the directory for temporary files
	keys    string            // the vault's key file
	configs map[string]string // name → id
	secrets map[string]string // name → body with its secrets
	keyFile string            // of the service account
	token   string            // of Cloudflare
	secret  string            // of the AWS user
	project string
}

// said is an answer, or what a command printed.
type said struct{ what, text string }

// TestNothingLeaks leads secrets of all five types through their whole life, wherever they are kept.
func TestNothingLeaks(t *testing.T) {
	t.Run("in a data directory", func(t *testing.T) { mustOpen(t, &embedded{}, nil).mustKeepSecrets(t) })
	t.Run("in PostgreSQL and OpenBao", func(t *testing.T) { mustOpen(t, newRemote(t), nil).mustKeepSecrets(t) })
}

// mustKeepSecrets is the life of the secrets.
func (h *house) mustKeepSecrets(t *testing.T) {
	t.Helper()
	h.mustStore(t)
	h.mustStoreSession(t)
	h.mustUse(t)
	h.mustRun(t, "vault", "rotate-key")
	h.mustUse(t)
	h.fail(t)
	h.misuse(t)
	h.replace(t)
	h.mustHideKeys(t)
	h.stores.scanLive(t, &h.scanner)
	h.scanner.CheckTree(t, h.scratch)
	h.delete(t)
	h.mustRun(t, "audit", "verify")
	h.mustRun(t, "audit", "list", "--limit", "0")
	h.mustRun(t, "--json", "audit", "list", "--limit", "0")
	h.mustRun(t, "credential", "list")
	h.mustReadEverything(t)
	h.MustStop(t)

	for _, s := range h.said {
		h.scanner.Check(t, s.what, []byte(s.text))
	}
	if log := h.Log.String(); strings.Count(log, "\n") < 100 {
		t.Errorf("the log has only this: %s", log)
	} else {
		h.scanner.Check(t, "the log", []byte(log))
	}
	if n := h.stores.scanEnded(t, &h.scanner); n < 100<<10 {
		t.Errorf("the stores hold only %d bytes", n)
	}
	h.scanner.CheckTree(t, h.scratch)
	h.checkControl(t)
}

// checkControl looks in the same places for a text that is no secret: it must be there, or the scan looks into the wrong places.
func (h *house) checkControl(t *testing.T) {
	t.Helper()
	var s leak.Scanner
	s.Add("the control", control)
	var answers strings.Builder
	for _, said := range h.said {
		answers.WriteString(said.text)
	}
	if s.Find([]byte(answers.String())) == nil {
		t.Error("the control is in no answer")
	}
	inner := &testing.T{}
	if h.stores.scanEnded(inner, &s); !inner.Failed() {
		t.Error("the control is not in the stores")
	}
}

// TestScanSeesTheVault looks at an OpenBao without the envelope, which is trusted with the secrets themselves: there the scan has to find them, and nowhere else.
func TestScanSeesTheVault(t *testing.T) {
	r := newRemote(t)
	h := mustOpen(t, r, map[string]string{"key-file": "", "vault-envelope": "off"})
	h.mustStore(t)
	h.MustStop(t)
	sent, kept := &testing.T{}, &testing.T{}
	for _, s := range r.sent {
		h.scanner.Check(sent, s.what, []byte(s.text))
	}
	for _, text := range r.vault.Everything("", "secret") {
		h.scanner.Check(kept, "the vault", text)
	}
	if !sent.Failed() || !kept.Failed() {
		t.Errorf("the scan finds secrets in what the vault was sent: %t, in what it holds: %t", sent.Failed(), kept.Failed())
	}
	r.database.Halt()
	h.scanner.CheckTree(t, r.database.DataDir())
	h.scanner.Check(t, "the log", []byte(h.Log.String()))
}

// mustOpen starts a server that logs all it can, with more flags.
func mustOpen(t *testing.T, s stores, more map[string]string) *house {
	t.Helper()
	h := &house{stores: s, scratch: t.TempDir(), keys: filepath.Join(t.TempDir(), "vault.key"), configs: map[string]string{}, secrets: map[string]string{}}
	t.Setenv("TMPDIR", h.scratch)
	t.Setenv("SQLITE_TMPDIR", h.scratch)
	flags := map[string]string{"log-level": "debug", "key-file": h.keys}
	maps.Copy(flags, more)
	h.Server = s.start(t, flags)
	h.scanner.Add("the owner key", h.OwnerKey[len("fc_live_")+33:]) // The public part before it is the key's id.
	return h
}

// call is [servertest.Server.MustCall], and keeps the answer.
func (h *house) call(t *testing.T, method, path, body string, headers ...string) servertest.Reply {
	t.Helper()
	reply := h.MustCall(t, h.OwnerKey, method, path, body, headers...)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, said{fmt.Sprintf("the answer of %s %.60s (%d)", method, path, reply.Status), fmt.Sprint(reply.Header) + reply.Body})
	return reply
}

// mustMake creates something and returns its id.
func (h *house) mustMake(t *testing.T, path, body string) string {
	t.Helper()
	reply := h.call(t, "POST", path, body)
	if reply.Status != http.StatusCreated {
		t.Fatalf("POST %s: %d %s", path, reply.Status, reply.Body)
	}
	return member(t, reply.Body, "id")
}

// member is a member of an answer; empty if it is not there.
func member(t *testing.T, body, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatalf("decoding %.100s: %v", body, err)
	}
	text, _ := members[name].(string)
	return text
}

// mustRun runs the command line, and keeps what it prints.
func (h *house) mustRun(t *testing.T, args ...string) {
	t.Helper()
	var out bytes.Buffer
	code := cli.Main(context.Background(), args, cli.IO{
		In: os.Stdin, Out: &out, Err: &out, Environ: []string{"HOME=" + h.scratch, "FORGECROFT_API_URL=" + h.URL, "FORGECROFT_API_KEY=" + h.OwnerKey},
	})
	if code != 0 {
		t.Errorf("forgecroft %v: %d %s", args, code, &out)
	}
	h.said = append(h.said, said{fmt.Sprintf("the output of forgecroft %v", args), out.String()})
}

// canary makes a secret for the scanner to look for; the odd characters look different in each encoding.
func (h *house) canary(name string) string {
	text := rand.Text() + rand.Text()
	var b strings.Builder
	for i, odd := range []string{`"`, `\`, "<", ">", "&", "é", "/", "+", " ", "%", "~"} {
		b.WriteString(text[4*i:4*i+4] + odd)
	}
	value := b.String() + text[44:]
	h.scanner.Add(name, value)
	return value
}

// letters makes a canary of so many letters and digits.
func (h *house) letters(name string, n int) string {
	value := (rand.Text() + rand.Text() + rand.Text() + rand.Text())[:n]
	h.scanner.Add(name, value)
	return value
}

// addConfig creates a config and stores its secrets.
func (h *house) addConfig(t *testing.T, name, kind string, data map[string]any) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		t.Fatal(err)
	}
	h.configs[name] = h.mustMake(t, "/credential-configs", fmt.Sprintf(`{"name":%q,"credential_type":%q}`, name, kind))
	h.secrets[name] = string(text)
	h.mustMake(t, "/credential-configs/"+h.configs[name]+"/secrets", h.secrets[name])
}

// mustStore stores secrets of all types, and makes the providers know them.
func (h *house) mustStore(t *testing.T) {
	t.Helper()
	h.secret = h.letters("the AWS secret key", 40)
	h.AWS.AddUser(fakeaws.User{Account: account, Name: "deploy", AccessKeyID: accessKeyID, SecretAccessKey: h.secret})
	h.addConfig(t, "static", "aws_static", map[string]any{"access_key_id": accessKeyID, "secret_access_key": h.secret})
	h.addConfig(t, "role", "aws_assume_role", map[string]any{"role_arn": roleARN, "source_credential_config_id": h.configs["static"]})
	external := member(t, h.call(t, "GET", "/credential-configs/"+h.configs["role"], "").Body, "external_id")
	h.AWS.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{"arn:aws:iam::" + account + ":root"}, ExternalID: external})

	h.project = h.mustMake(t, "/projects", `{"name":"`+control+`"}`)

	keyFile, err := h.GCP.CreateAccount("deploy", "example-project")
	if err != nil {
		t.Fatal(err)
	}
	h.keyFile = string(keyFile)
	private := member(t, h.keyFile, "private_key")
	h.scanner.Add("the private key", private[strings.Index(private, "\n")+100:strings.Index(private, "\n-----END")]) // What all keys begin and end with is no secret.
	if block, _ := pem.Decode([]byte(private)); block != nil {
		h.scanner.Add("the private key's numbers", string(block.Bytes[64:]))
	}
	h.addConfig(t, "token", "gcp_service_account", map[string]any{"service_account_key": h.keyFile})
	h.addConfig(t, "key", "gcp_service_account", map[string]any{"service_account_key": h.keyFile, "delivery": "key"})

	h.token = "cfut_" + h.letters("the Cloudflare token", 40) + "0a1b2c3d"
	h.Cloudflare.AddToken(fakecloudflare.Token{Value: h.token, ID: strings.Repeat("0a", 16)})
	h.addConfig(t, "cloudflare", "cloudflare_api_token", map[string]any{"api_token": h.token})

	variables := map[string]any{}
	for i := range 50 {
		variables[fmt.Sprintf("TF_VAR_v%d", i)] = h.canary(fmt.Sprintf("variable %d", i))
	}
	h.addConfig(t, "variables", "generic_env", variables)

	for _, configs := range [][]string{{"static", "token", "cloudflare", "variables"}, {"key"}, {"role"}} {
		h.mustAttach(t, configs)
	}
}

// mustStoreSession stores a temporary key that AWS really issued, beside those of mustStore.
func (h *house) mustStoreSession(t *testing.T) {
	t.Helper()
	session := h.mustDeliver(t, h.mustAttach(t, []string{"role", "variables"})).Env
	h.addConfig(t, "temporary", "aws_static", map[string]any{
		"access_key_id": session["AWS_ACCESS_KEY_ID"], "secret_access_key": session["AWS_SECRET_ACCESS_KEY"], "session_token": session["AWS_SESSION_TOKEN"],
	})
	h.mustAttach(t, []string{"temporary", "key"})
}

// mustAttach makes a workspace with configs, and returns its id.
func (h *house) mustAttach(t *testing.T, names []string) string {
	t.Helper()
	var ids []string
	for _, name := range names {
		ids = append(ids, `"`+h.configs[name]+`"`)
	}
	return h.mustMake(t, "/workspaces", fmt.Sprintf(`{"name":%q,"project_id":%q,"credential_config_ids":[%s]}`, strings.Join(names, " "), h.project, strings.Join(ids, ",")))
}

// workspaces lists the ids.
func (h *house) workspaces(t *testing.T) []string {
	t.Helper()
	var ids []string
	for w, err := range sdk.All(t.Context(), sdk.ListOptions{}, h.Owner.Workspaces) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, w.ID)
	}
	return ids
}

// mustUse verifies and delivers everything. What providers hand out is a secret, too.
func (h *house) mustUse(t *testing.T) {
	t.Helper()
	for name, id := range h.configs {
		reply := h.call(t, "POST", "/credential-configs/"+id+"/verify", "")
		if can := name != "variables"; reply.Status != http.StatusOK || can && !strings.Contains(reply.Body, `"valid":true`) {
			t.Errorf("verifying %s: %d %s", name, reply.Status, reply.Body)
		}
	}
	for _, id := range h.workspaces(t) {
		h.call(t, "GET", "/workspaces/"+id+"/environment", "")
		h.mustDeliver(t, id)
	}
}

// mustDeliver delivers a workspace's environment, the one answer that holds secrets. What providers issued for it is secret, too.
func (h *house) mustDeliver(t *testing.T, workspace string) sdk.Environment {
	t.Helper()
	reply := h.MustCall(t, h.OwnerKey, "POST", "/workspaces/"+workspace+"/environment", `{"run_id":"pipeline-4711"}`)
	var e sdk.Environment
	if err := json.Unmarshal([]byte(reply.Body), &e); err != nil || reply.Status != http.StatusOK {
		t.Fatalf("delivering: %d %v", reply.Status, err)
	}
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"} {
		if value, set := e.Env[name]; set {
			h.scanner.Add("what was delivered as "+name, value)
		}
	}
	if h.scanner.Find([]byte(reply.Body)) == nil {
		t.Error("the delivery holds no secret: the scanner looks for the wrong thing")
	}
	return e
}

// fail lets the providers refuse the credentials, and then fail in every way.
func (h *house) fail(t *testing.T) {
	t.Helper()
	everything := func(outcome string) {
		var group sync.WaitGroup // The server tries again and waits in between: together that is sooner over.
		defer group.Wait()
		for name, id := range h.configs {
			group.Go(func() {
				if reply := h.call(t, "POST", "/credential-configs/"+id+"/verify", ""); reply.Status >= http.StatusInternalServerError || name == "static" && !strings.Contains(reply.Body, outcome) {
					t.Errorf("verifying %s: %d %s, want %s", name, reply.Status, reply.Body, outcome)
				}
			})
		}
	}
	user := fakeaws.User{Account: account, Name: "deploy", AccessKeyID: accessKeyID, SecretAccessKey: "EXAMPLE"}
	h.AWS.AddUser(user) // Its key has another secret now.
	h.Cloudflare.SetStatus(h.token, fakecloudflare.Disabled)
	h.GCP.SetDisabled(member(t, h.keyFile, "client_email"), true)
	everything(`"valid":false`)
	for _, id := range h.workspaces(t) {
		if reply := h.MustCall(t, h.OwnerKey, "POST", "/workspaces/"+id+"/environment", ""); reply.Status != http.StatusOK {
			h.said = append(h.said, said{"a delivery that failed", reply.Body})
		}
	}
	user.SecretAccessKey = h.secret
	h.AWS.AddUser(user)
	for _, kind := range fault.Kinds() {
		if kind == fault.Slow {
			continue // It takes as long as the server's patience, and says nothing.
		}
		for _, queue := range []*fault.Queue{h.AWS.Faults(), h.GCP.Faults(), h.Cloudflare.Faults()} {
			queue.Next(kind, 3)
		}
		everything("")
	}
}
