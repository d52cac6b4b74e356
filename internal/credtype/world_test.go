package credtype_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/credtype"
	fakeaws "github.com/forgecroft/forgecroft/internal/fake/aws"
	fakecloudflare "github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	fakegcp "github.com/forgecroft/forgecroft/internal/fake/gcp"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
	"github.com/forgecroft/forgecroft/internal/provider/cloudflare"
	"github.com/forgecroft/forgecroft/internal/provider/gcp"
)

const (
	account    = "123456789012"
	keyID      = "AKIAIOSFODNN7EXAMPLE"
	secretKey  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	roleARN    = "arn:aws:iam::123456789012:role/terraform"
	externalID = "org-EXAMPLE@config-EXAMPLE"
	configID   = "0193a5b0-0000-7000-8000-00000000000c"
	deliveryID = "0193a5b0-0000-7000-8000-00000000000d"
	cfAccount  = "023e105f4ecef8ad9ca31a8372d0c353"
	cfTokenID  = "ed17574386854bf78a67040be0a770b0"
	cfUser     = "cfut_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234501234567"
	cfOwned    = "cfat_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234501234567"
	cfLegacy   = "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE12345"
)

func start() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// world is the registry over the behaving fakes.
type world struct {
	types      forgecroft.Registry
	aws        *fakeaws.Server
	gcp        *fakegcp.Server
	cloudflare *fakecloudflare.Server
}

// newWorld starts the fakes. change adjusts the configuration of the types before they are made.
func newWorld(t *testing.T, change func(*credtype.Config)) *world {
	t.Helper()
	w := &world{aws: fakeaws.New(start), gcp: fakegcp.New(start), cloudflare: fakecloudflare.New(start)}
	w.aws.AddUser(fakeaws.User{Account: account, Name: "ci", AccessKeyID: keyID, SecretAccessKey: secretKey})
	w.aws.AddRole(fakeaws.Role{ARN: roleARN, Trusted: []string{account}, ExternalID: externalID, MaxSession: 12 * time.Hour})
	w.cloudflare.AddToken(fakecloudflare.Token{Value: cfUser, ID: cfTokenID})
	w.cloudflare.AddToken(fakecloudflare.Token{Value: cfOwned, ID: cfTokenID, AccountID: cfAccount})
	noSleep := func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	c := credtype.Config{
		AWS:              aws.New(aws.Config{Endpoint: serve(t, w.aws, ""), Now: start, Sleep: noSleep}),
		GCP:              gcp.New(gcp.Config{TokenURL: serve(t, w.gcp, "/token"), Now: start, Sleep: noSleep}),
		Cloudflare:       cloudflare.New(cloudflare.Config{BaseURL: serve(t, w.cloudflare, ""), Now: start, Sleep: noSleep}),
		VerifyExternalID: true,
	}
	if change != nil {
		change(&c)
	}
	w.types = credtype.Registry(c)
	return w
}

// gcpKey makes the account ci of demo-project, and returns its key file. Making keys is slow, so only tests that need one do.
func (w *world) gcpKey(t *testing.T) string {
	t.Helper()
	key, err := w.gcp.CreateAccount("ci", "demo-project")
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

func serve(t *testing.T, handler http.Handler, path string) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	endpoint, err := provider.ParseEndpoint(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

// mustType returns a type of the registry.
func mustType(t *testing.T, types forgecroft.Registry, name string) forgecroft.CredentialType {
	t.Helper()
	found, ok := types.Lookup(name)
	if !ok {
		t.Fatalf("no type %s", name)
	}
	return found
}

// mustStore checks input as the broker does, and returns what a delivery or verification gets of it.
func mustStore(t *testing.T, ct forgecroft.CredentialType, input map[string]any) forgecroft.Resolution {
	t.Helper()
	values, broken := ct.Check(encode(t, input))
	if len(broken) > 0 {
		t.Fatalf("Check: %v", broken)
	}
	config := forgecroft.CredentialConfig{ID: configID, Type: ct.Name, SecretVersion: 1, Public: ct.Public(values)}
	for name := range values {
		config.Fields = append(config.Fields, name)
	}
	if ct.ExternalID {
		config.ExternalID = externalID
	}
	return forgecroft.Resolution{Config: config, Values: values, DeliveryID: deliveryID, Now: start()}
}

// encode makes what arrives over HTTP.
func encode(t testing.TB, input map[string]any) map[string]json.RawMessage {
	t.Helper()
	fragments := map[string]json.RawMessage{}
	for name, value := range input {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fragments[name] = text
	}
	return fragments
}

// set lists what a contribution sets, in the open.
func set(c forgecroft.Contribution) [][2]string {
	var pairs [][2]string
	for _, v := range c.Variables {
		pairs = append(pairs, [2]string{v.Name, v.Value.Reveal()})
	}
	return pairs
}

// userSource is what a source config with the user's keys delivers.
func userSource() *forgecroft.Contribution {
	return &forgecroft.Contribution{Variables: []forgecroft.Variable{
		{Name: "AWS_ACCESS_KEY_ID", Value: forgecroft.NewSecret(keyID)}, {Name: "AWS_SECRET_ACCESS_KEY", Value: forgecroft.NewSecret(secretKey)},
	}}
}

// failAfter passes n calls on to a fake, then calls fail before each further one.
func failAfter(n int, fail func(), next func() *fakeaws.Server) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if n--; n < 0 {
			fail()
		}
		next().ServeHTTP(rw, r)
	})
}
