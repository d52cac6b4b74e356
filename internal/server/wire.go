package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
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
)

// The files of the data directory.
const (
	metadataFile = "metadata.db"
	vaultFile    = "vault.db"
	keyFile      = "vault.key"
)

// house is everything that is open while a server, or a maintenance command, works.
type house struct {
	config  Config
	logger  *slog.Logger
	dir     *dataDir
	store   *store.Store
	vault   *embedded.Vault
	types   forgecroft.Registry
	sts     *aws.Client
	awsSelf *aws.ServerIdentity // nil: not allowed
	fatal   chan error          // the first storage failure that cannot be survived
}

// openHouse opens the data directory and both stores, the vault first: a wrong key is refused before anything is written.
func openHouse(ctx context.Context, c Config, logger *slog.Logger) (*house, error) {
	dir, err := openDataDir(c.DataDir)
	if err != nil {
		return nil, err
	}
	h := &house{config: c, logger: logger, dir: dir, fatal: make(chan error, 1)}
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

// openStores opens the vault and the metadata database. Where one of the two is there, the other must be: a half-restored data directory is refused,
// never filled up with something new.
func (h *house) openStores(ctx context.Context) error {
	if err := checkDataFiles(h.config.DataDir); err != nil {
		return err
	}
	hasMetadata, hasVault := exists(h.config.path(metadataFile)), exists(h.config.path(vaultFile))
	if hasMetadata && !hasVault {
		return fmt.Errorf("%s is there, but %s is missing: restore both from the same backup", h.config.path(metadataFile), h.config.path(vaultFile))
	}
	keys, err := h.keySource()
	if err != nil {
		return err
	}
	h.vault, err = embedded.Open(ctx, embedded.Options{
		Path: h.config.path(vaultFile), Keys: keys, MustExist: hasMetadata, Logger: h.logger, OnFatal: h.fail,
	})
	if err != nil {
		return fmt.Errorf("opening the vault: %w", err)
	}
	if !hasMetadata {
		if err := h.checkVaultEmpty(ctx); err != nil {
			return err
		}
	}
	h.store, err = store.OpenSQLite(ctx, store.Options{Path: h.config.path(metadataFile), Logger: h.logger, OnFatal: h.fail})
	if err != nil {
		return fmt.Errorf("opening the metadata database: %w", err)
	}
	return nil
}

// checkVaultEmpty refuses to begin anew beside a vault that holds something. The metadata database is always made before the first secret, so an
// empty vault is what a first start that was cut off leaves.
func (h *house) checkVaultEmpty(ctx context.Context) error {
	references, err := h.vault.References(ctx, "", 1)
	if err != nil {
		return fmt.Errorf("looking into the vault: %w", err)
	}
	if len(references) > 0 {
		return fmt.Errorf("%s holds secrets, but %s is missing: restore both from the same backup", h.config.path(vaultFile), h.config.path(metadataFile))
	}
	return nil
}

// exists reports whether a file is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// keySource is where the vault's key ring comes from.
func (h *house) keySource() (embedded.KeySource, error) {
	switch {
	case !h.config.KeyText.IsZero():
		return embedded.TextKeys(h.config.KeyText.Reveal()), nil
	case h.config.KeyFD != "":
		fd, err := strconv.ParseUint(h.config.KeyFD, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("--key-fd %s: it takes the number of a file descriptor", h.config.KeyFD)
		}
		return embedded.FDKeys(uintptr(fd))
	case h.config.KeyFile != "":
		return embedded.FileKeys(h.config.KeyFile), nil
	default:
		return embedded.FileKeys(h.config.path(keyFile)), nil
	}
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
	c := broker.Config{Store: h.store, Vault: h.vault, KeyRing: h.vault, Types: h.types, Logger: h.logger}
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
func (h *house) Close() error {
	var errs []error
	if h.store != nil {
		errs = append(errs, h.store.Close())
	}
	if h.vault != nil {
		errs = append(errs, h.vault.Close())
	}
	return errors.Join(append(errs, h.dir.Close())...)
}
