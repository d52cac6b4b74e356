package main_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/forgecroft/forgecroft/internal/cli"
	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
	"github.com/forgecroft/forgecroft/internal/servertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"forgecroft": func() { os.Exit(cli.Main(context.Background(), os.Args[1:], cli.System())) },
	})
}

// The secrets that the scripts store. No command but exec and env may show one.
const (
	awsSecret       = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	cloudflareToken = "EXAMPLEtokenEXAMPLEtokenEXAMPLEtokenEXAM"
	envSecret       = "EXAMPLE-generic-secret"
	badSecret       = "bad/EXAMPLE/bad/EXAMPLE/bad/EXAMPLE/badK"
)

// stage is what one script plays on: its own server, and the fakes behind it.
type stage struct {
	server  *servertest.Server
	secrets []string
}

// TestScripts runs the scripts of testdata/script, each against its own server. They see:
//
//	$FORGECROFT_API_URL, $FORGECROFT_API_KEY_FILE  the server, and the owner's key
//	$AWS_KEY_ID, $ROLE_ARN, $ACCOUNT               good for the fakes; the secrets are in $WORK/secrets
//	$REFERENCE                                     docs/cli.md
//
// and the commands of [stage], besides testscript's own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Setup: setUp, RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cli": hides, "reveals": reveals, "json": checkJSON, "keep": keep, "stop": stop, "start": start, "fault": faults, "role": role,
			"overtaken": overtaken, "cut": cut, "foreign": foreign, "fresh": fresh,
		},
	})
}

// stageKey is where a script's [stage] is kept.
type stageKey struct{}

func setUp(env *testscript.Env) error {
	t := env.T().(testing.TB) // Guaranteed by testscript.Run.
	s := &stage{server: servertest.MustStart(t, map[string]string{"log-level": "debug"}), secrets: []string{awsSecret, cloudflareToken, envSecret, badSecret}}
	s.secrets = append(s.secrets, s.server.OwnerKey)
	user := fakeaws.User{Account: "123456789012", Name: "deploy", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: awsSecret}
	s.server.AWS.AddUser(user)
	s.server.Cloudflare.AddToken(fakecloudflare.Token{Value: cloudflareToken, ID: "0123456789abcdef0123456789abcdef"})
	key, err := s.server.GCP.CreateAccount("deploy", "example-project")
	if err != nil {
		return err
	}
	s.secrets = append(s.secrets, strings.SplitN(string(key), `\n`, 4)[2]) // a line of the private key
	env.Values[stageKey{}] = s
	env.Setenv("FORGECROFT_API_URL", s.server.URL)
	env.Setenv("FORGECROFT_API_KEY_FILE", filepath.Join(env.WorkDir, "secrets", "owner.key"))
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("TZ", "UTC")
	env.Setenv("AWS_KEY_ID", user.AccessKeyID)
	env.Setenv("ACCOUNT", user.Account)
	env.Setenv("ROLE_ARN", "arn:aws:iam::123456789012:role/deploy")
	env.Setenv("DATA_DIR", s.server.DataDir)
	reference, err := filepath.Abs("../../docs/cli.md")
	if err != nil {
		return err
	}
	env.Setenv("REFERENCE", reference)
	env.Setenv("DATABASE_URL", s.server.DatabaseURL())
	t.Cleanup(func() { s.mustHide(t, "the server's log", s.server.Log.String()) })
	return writeSecrets(filepath.Join(env.WorkDir, "secrets"), map[string]string{
		"owner.key": s.server.OwnerKey, "gcp.json": string(key), "cloudflare": cloudflareToken + "\n",
		"aws.env":  "access_key_id=" + user.AccessKeyID + "\nsecret_access_key=" + awsSecret + "\nregion=eu-central-1\n",
		"bad.json": `{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "` + badSecret + `"}`,
		"generic":  "# comment\nexport DATADOG_API_KEY='" + envSecret + "'\n\nDATADOG_SITE=\"datadoghq.eu\"\n",
	})
}

// writeSecrets writes files that only their owner may read.
func writeSecrets(dir string, files map[string]string) error {
	err := os.MkdirAll(dir, 0o700)
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return err
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// mustHide fails a test whose output holds a secret.
func (s *stage) mustHide(t testing.TB, where, text string) {
	t.Helper()
	if i := slices.IndexFunc(s.secrets, func(secret string) bool { return strings.Contains(text, secret) }); i >= 0 {
		t.Errorf("%s holds secret %d of the script", where, i)
	}
}

// cli CODE ARG... runs forgecroft, which must end with the code and show no secret.
func hides(ts *testscript.TestScript, neg bool, args []string) {
	reveals(ts, neg, args)
	output := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	if i := slices.IndexFunc(stageOf(ts).secrets, func(secret string) bool { return strings.Contains(output, secret) }); i >= 0 {
		ts.Fatalf("the output holds secret %d of the script", i)
	}
}

// reveals CODE ARG... is cli for what may show secrets.
func reveals(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: cli|reveals CODE ARG...")
	}
	code := 0
	if err := ts.Exec("forgecroft", args[1:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("forgecroft: %v", err)
		}
		code = exit.ExitCode()
	}
	if args[0] != strconv.Itoa(code) {
		ts.Fatalf("forgecroft ended with %d, not %s", code, args[0])
	}
}

// field finds a member in the JSON of standard output, by a path such as 0.name or scope.kind; "" is all of it.
func field(ts *testscript.TestScript, path string) string {
	var value any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &value); err != nil {
		ts.Fatalf("standard output is no JSON: %v", err)
	}
	for name := range strings.SplitSeq(path, ".") {
		if path == "" {
			break
		}
		switch in := value.(type) {
		case map[string]any:
			value = in[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(in) {
				ts.Fatalf("there is no item %q of %d", name, len(in))
			}
			value = in[i]
		}
	}
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	ts.Check(err)
	return string(text)
}

// json [PATH VALUE]... holds members of standard output, which must be JSON, against values.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args)%2 != 0 {
		ts.Fatalf("usage: json [PATH VALUE]...")
	}
	field(ts, "")
	for pair := range slices.Chunk(args, 2) {
		if got := field(ts, pair[0]); got != pair[1] {
			ts.Fatalf("%s is %s, not %s", pair[0], got, pair[1])
		}
	}
}

// keep NAME [PATH] keeps standard output, or a member of it, in a variable.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case neg || len(args) < 1:
		ts.Fatalf("usage: keep NAME [PATH]")
	case len(args) == 1:
		ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
	default:
		ts.Setenv(args[0], field(ts, args[1]))
	}
}

// stop stops the server.
func stop(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	s.server.MustStop(fatal{ts: ts})
}

// start starts the server again.
func start(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	s.server.MustRun(fatal{ts: ts})
	ts.Setenv("FORGECROFT_API_URL", s.server.URL)
}

// overtaken lets somebody else describe a workspace as "theirs" just before the next change of it arrives.
func overtaken(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts).server
	target, err := url.Parse(s.URL)
	ts.Check(err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var once sync.Once
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			once.Do(func() {
				s.MustCall(fatal{ts: ts}, s.OwnerKey, r.Method, r.URL.Path, `{"description": "theirs"}`, "If-Match", r.Header.Get("If-Match"), "Content-Type", r.Header.Get("Content-Type"))
			})
		}
		proxy.ServeHTTP(w, r)
	}))
	ts.Defer(front.Close)
	ts.Setenv("FORGECROFT_API_URL", front.URL)
}

// fresh on|off makes credentials as new to their providers as they are, or an hour older.
func fresh(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fresh on|off")
	}
	stageOf(ts).server.SetFresh(args[0] == "on")
}

// foreign KIND puts another server in the place of Forgecroft: one with a page for everything, one without the path, one that expects TLS, or one whose certificate
// is of an authority of its own (ca.pem).
func foreign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: foreign page|missing|tls|https")
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>sign in</html>") })
	server := httptest.NewUnstartedServer(page)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	switch args[0] {
	case "page":
		server.Start()
	case "missing":
		server.Config.Handler = http.NotFoundHandler()
		server.Start()
	default:
		server.StartTLS()
		certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), certificate, 0o600))
	}
	ts.Defer(server.Close)
	address := server.URL
	if args[0] == "tls" {
		address = strings.Replace(address, "https", "http", 1)
	}
	ts.Setenv("FORGECROFT_API_URL", address)
}

// cut cuts the answers to deliveries off in the middle, from now on.
func cut(ts *testscript.TestScript, _ bool, _ []string) {
	target, err := url.Parse(stageOf(ts).server.URL)
	ts.Check(err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: log.New(io.Discard, "", 0)}
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == http.MethodPost {
			r.Body = io.NopCloser(io.LimitReader(r.Body, 20))
		}
		return nil
	}
	front := httptest.NewServer(proxy)
	ts.Defer(front.Close)
	ts.Setenv("FORGECROFT_API_URL", front.URL)
}

// fatal lets a script stand for its test.
type fatal struct {
	testing.TB
	ts *testscript.TestScript
}

// Helper implements [testing.TB].
func (f fatal) Helper() {}

// Errorf implements [testing.TB].
func (f fatal) Errorf(format string, args ...any) { f.ts.Fatalf(format, args...) }

// Fatalf implements [testing.TB].
func (f fatal) Fatalf(format string, args ...any) { f.ts.Fatalf(format, args...) }

// fault PROVIDER KIND N makes a provider's next N answers go wrong.
func faults(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fault PROVIDER KIND N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	s := stageOf(ts).server
	queue, known := map[string]*fault.Queue{"aws": s.AWS.Faults(), "gcp": s.GCP.Faults(), "cloudflare": s.Cloudflare.Faults()}[args[0]]
	if kind := fault.Kind(args[1]); !known || !slices.Contains(fault.Kinds(), kind) {
		ts.Fatalf("there is no provider %s or fault %s", args[0], args[1])
	}
	queue.Next(fault.Kind(args[1]), n)
}

// role EXTERNAL_ID makes the role at AWS, which trusts the user with the external ID.
func role(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: role EXTERNAL_ID")
	}
	stageOf(ts).server.AWS.AddRole(fakeaws.Role{ARN: ts.Getenv("ROLE_ARN"), Trusted: []string{ts.Getenv("ACCOUNT")}, ExternalID: args[0], MaxSession: 2 * time.Hour})
}
