package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/credtype"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
	"github.com/forgecroft/forgecroft/internal/provider/cloudflare"
	"github.com/forgecroft/forgecroft/internal/provider/gcp"
	"github.com/forgecroft/forgecroft/internal/store"
	"github.com/forgecroft/forgecroft/internal/vault/embedded"
	"github.com/forgecroft/forgecroft/internal/vault/moving"
)

// The files of the data directory.
const (
	metadataFile = "metadata.db"
	vaultFile    = "vault.db"
	keyFile      = "vault.key"
)

// house is everything that is open while a server, or a maintenance command, works.
type house struct {
	config    Config
	logger    *slog.Logger
	dir       *dataDir
	store     *store.Store
	vault     closingVault
	keyRing   forgecroft.KeyRing // nil: the vault has no keys of its own
	vaultFile *embedded.Vault    // the vault, if it is the embedded one; else nil
	moving    *moving.Vault      // the vault, if secrets are on their way from the embedded one; else nil
	types     forgecroft.Registry
	sts       *aws.Client
	awsSelf   *aws.ServerIdentity // nil: not allowed
	fatal     chan error          // the first storage failure that cannot be survived
}

// openHouse opens the data directory and both stores, the vault first: a wrong key is refused before anything is written.
func openHouse(ctx context.Context, c Config, logger *slog.Logger) (*house, error) {
	h := &house{config: c, logger: logger, fatal: make(chan error, 1)}
	if !c.stateless() {
		var err error
		if h.dir, err = openDataDir(c.DataDir); err != nil {
			return nil, err
		}
	}
	if err := h.openStores(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.openTypes()
	return h, nil
}

// fail notes the first failure that cannot be survived.
func (h *house) fail(err error) {
	select {
	case h.fatal <- err:
	default:
	}
}

// exists reports whether a file is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openTypes makes the credential types with their provider clients. Endpoints come from the operator alone.
func (h *house) openTypes() {
	c := h.config
	h.sts = aws.New(aws.Config{Endpoint: c.STSEndpoint, HTTPClient: outbound(c.STSEndpoint)})
	types := credtype.Config{
		AWS:              h.sts,
		GCP:              gcp.New(gcp.Config{TokenURL: c.GCPTokenURL, HTTPClient: outbound(c.GCPTokenURL)}),
		Cloudflare:       cloudflare.New(cloudflare.Config{BaseURL: c.CloudflareURL, HTTPClient: outbound(c.CloudflareURL)}),
		VerifyExternalID: c.VerifyExternalID,
		Now:              c.FreshnessClock,
	}
	if c.AWSServerIdentity {
		h.awsSelf = aws.NewServerIdentity(aws.ServerIdentityConfig{Client: h.sts, Getenv: c.Getenv})
		types.ServerIdentity = h.awsSelf
	}
	h.types = credtype.Registry(types)
}

// outbound is the HTTP client for a provider: hardened, and free to reach private addresses only where the operator named the endpoint.
func outbound(endpoint *url.URL) *http.Client {
	return provider.NewHTTPClient(provider.Options{AllowPrivate: endpoint != nil})
}

// brokerConfig is what the broker works with.
func (h *house) brokerConfig() broker.Config {
	c := broker.Config{Store: h.store, Vault: h.vault, KeyRing: h.keyRing, Types: h.types, Logger: h.logger, Backup: h.serveBackup, SignOn: h.config.OIDC.Roles}
	if h.config.DatabaseURL.IsZero() {
		c.Replica = "alone"
	}
	if h.awsSelf != nil {
		c.ServerPrincipal = h.serverPrincipal
	}
	return c
}

// serverPrincipal asks AWS who the server is.
func (h *house) serverPrincipal(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	keys, err := h.awsSelf.Keys(ctx)
	if err != nil {
		return "", err
	}
	identity, err := h.sts.CallerIdentity(ctx, keys, h.config.Getenv("AWS_REGION"))
	return identity.ARN, err
}

// Close closes what is open, in the opposite order.
func (h *house) Close() error { return errors.Join(h.closeStores(), h.dir.Close()) }
