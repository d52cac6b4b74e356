package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/openbao"
)

// The vaults of --vault.
const (
	vaultEmbedded = "embedded"
	vaultOpenBao  = "openbao"
)

// BaoConfig says where OpenBao or HashiCorp Vault is and how to log in to it. It counts only if that is the vault.
type BaoConfig struct {
	Address, Namespace, CACert string
	Mount, Prefix              string
	Envelope                   bool // seal secrets before they are sent there

	Auth           string // token, token-file, approle or kubernetes; empty: what is given
	AuthMount      string // where approle or kubernetes is mounted; empty: where it usually is
	Token          forgecroft.Secret
	TokenFile      string
	RoleID         string
	SecretIDFile   string
	KubernetesRole string
	JWTFile        string // empty: where Kubernetes puts it
}

// vaultSettings lists the settings of the vault that replicas share. Where a variable that begins with BAO_ is not set, the one that begins with VAULT_
// instead is read.
func vaultSettings() []Setting {
	text := func(member func(*BaoConfig) *string) func(*Config, string) error {
		return setString(func(c *Config) *string { return member(&c.Bao) })
	}
	return []Setting{
		{"vault", "FORGECROFT_VAULT", vaultEmbedded, "where secrets are kept: embedded (in the data directory) or openbao (OpenBao or HashiCorp Vault; the other --vault settings are for that)", false, setVault},
		{"vault-move-from", "FORGECROFT_VAULT_MOVE_FROM", "", "embedded: with --vault openbao, move the secrets of the data directory there while the server works", false, setMoveFrom},
		{"vault-move-from-key-file", "FORGECROFT_VAULT_MOVE_FROM_KEY_FILE", "", "key file of the secrets that are moved, if OpenBao gets them sealed with other keys, or with none (--vault-envelope=off)", false, setString(func(c *Config) *string { return &c.MoveFromKeyFile })},
		{"vault-addr", "BAO_ADDR", "", "address of OpenBao or HashiCorp Vault: https://host:port, or http:// on this machine", false, text(func(b *BaoConfig) *string { return &b.Address })},
		{"vault-namespace", "BAO_NAMESPACE", "", "namespace to work in", false, text(func(b *BaoConfig) *string { return &b.Namespace })},
		{"vault-ca-cert", "BAO_CACERT", "", "file with the CA certificates (PEM) to trust instead of the system's", false, text(func(b *BaoConfig) *string { return &b.CACert })},
		{"vault-mount", "FORGECROFT_VAULT_MOUNT", openbao.DefaultMount, "mount of the key-value engine (version 2)", false, text(func(b *BaoConfig) *string { return &b.Mount })},
		{"vault-prefix", "FORGECROFT_VAULT_PREFIX", openbao.DefaultPrefix, "path below the mount under which everything is kept", false, text(func(b *BaoConfig) *string { return &b.Prefix })},
		{"vault-envelope", "FORGECROFT_VAULT_ENVELOPE", "on", "seal secrets with the vault's key-encryption keys before they are sent; without it OpenBao sees them", true, setBool(func(c *Config) *bool { return &c.Bao.Envelope })},
		{"vault-auth", "FORGECROFT_VAULT_AUTH", "", "how to log in: token, token-file, approle or kubernetes (default: the one whose settings are given)", false, text(func(b *BaoConfig) *string { return &b.Auth })},
		{"vault-auth-mount", "FORGECROFT_VAULT_AUTH_MOUNT", "", "where approle or kubernetes is mounted, if not under its own name", false, text(func(b *BaoConfig) *string { return &b.AuthMount })},
		{"", "BAO_TOKEN", "", "token to log in with", false, func(c *Config, v string) error { c.Bao.Token = forgecroft.NewSecret(v); return nil }},
		{"vault-token-file", "FORGECROFT_VAULT_TOKEN_FILE", "", "file with the token to log in with; it is read again when it changes", false, text(func(b *BaoConfig) *string { return &b.TokenFile })},
		{"vault-role-id", "FORGECROFT_VAULT_ROLE_ID", "", "AppRole: the role id", false, text(func(b *BaoConfig) *string { return &b.RoleID })},
		{"vault-secret-id-file", "FORGECROFT_VAULT_SECRET_ID_FILE", "", "AppRole: file with the secret id", false, text(func(b *BaoConfig) *string { return &b.SecretIDFile })},
		{"vault-kubernetes-role", "FORGECROFT_VAULT_KUBERNETES_ROLE", "", "Kubernetes: the role to log in for with the pod's service account", false, text(func(b *BaoConfig) *string { return &b.KubernetesRole })},
		{"vault-jwt-file", "FORGECROFT_VAULT_JWT_FILE", "", "Kubernetes: file with the service account's token, if not where Kubernetes puts it", false, text(func(b *BaoConfig) *string { return &b.JWTFile })},
	}
}

// setVault reads which vault is used.
func setVault(c *Config, value string) error {
	if value != vaultEmbedded && value != vaultOpenBao {
		return errors.New("it takes embedded or openbao")
	}
	c.Vault = value
	return nil
}

// setMoveFrom reads where secrets are moved from.
func setMoveFrom(c *Config, value string) error {
	if value != "" && value != vaultEmbedded {
		return errors.New("it takes embedded")
	}
	c.MoveFrom = value
	return nil
}

// lookup reads the variable of a setting, or the one that HashiCorp Vault's own tools read for the same. It returns the name too.
func lookup(env string, getenv func(string) string) (name, value string) {
	if rest, found := strings.CutPrefix(env, "BAO_"); found && getenv(env) == "" {
		if value := getenv("VAULT_" + rest); value != "" {
			return "VAULT_" + rest, value
		}
	}
	return env, getenv(env)
}

// checkVault looks for settings of the vault that do not go together.
func (c *Config) checkVault() error {
	switch {
	case c.MoveFromKeyFile != "" && c.MoveFrom == "":
		return errors.New("--vault-move-from-key-file goes with --vault-move-from")
	case c.MoveFrom != "" && c.Vault != vaultOpenBao:
		return errors.New("--vault-move-from goes with --vault openbao, where the secrets move to")
	case c.Vault != vaultOpenBao:
		return nil
	}
	if !c.Bao.Envelope && (c.KeyFile != "" || c.KeyFD != "" || !c.KeyText.IsZero()) {
		return errors.New("key-encryption keys are of no use with --vault-envelope=off")
	}
	_, err := c.Bao.login()
	return err
}

// login is the way to log in, of which exactly one must be given.
func (b *BaoConfig) login() (openbao.Auth, error) {
	ways := []struct {
		name  string
		given bool
		auth  openbao.Auth
	}{
		{"token", !b.Token.IsZero(), openbao.Token(b.Token)},
		{"token-file", b.TokenFile != "", openbao.TokenFile(b.TokenFile)},
		{"approle", b.RoleID != "" || b.SecretIDFile != "", openbao.AppRole(b.AuthMount, b.RoleID, b.SecretIDFile)},
		{"kubernetes", b.KubernetesRole != "", openbao.Kubernetes(b.AuthMount, b.KubernetesRole, b.JWTFile)},
	}
	var names []string
	var auth openbao.Auth
	for _, way := range ways {
		if way.given {
			names, auth = append(names, way.name), way.auth
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("say how to log in to the vault: BAO_TOKEN, --vault-token-file, --vault-role-id with --vault-secret-id-file, or --vault-kubernetes-role")
	case len(names) > 1:
		return nil, fmt.Errorf("the settings for the vault are of several ways to log in (%s); give one", strings.Join(names, ", "))
	case b.Auth != "" && !slices.Contains(names, b.Auth):
		return nil, fmt.Errorf("--vault-auth %s does not go with the settings given, which are for %s", b.Auth, names[0])
	case names[0] == "approle" && (b.RoleID == "" || b.SecretIDFile == ""):
		return nil, errors.New("--vault-role-id and --vault-secret-id-file go together")
	}
	return auth, nil
}
