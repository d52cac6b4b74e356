package gcp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// assertionLife is the longest that Google accepts.
const assertionLife = time.Hour

// Key is what is used of a service account's key file. It prints and logs as redacted.
type Key struct {
	ClientEmail   string `json:"-"`
	PrivateKeyPEM string `json:"-"` // PKCS #8 or PKCS #1, RSA
	PrivateKeyID  string `json:"-"`
	ProjectID     string `json:"-"`
}

// Format implements [fmt.Formatter]: no verb shows the key.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, "gcp.Key(redacted)") }

// LogValue implements [slog.LogValuer].
func (Key) LogValue() slog.Value { return slog.StringValue("redacted") }

// Token is an access token. It prints and logs as redacted.
type Token struct {
	Value   string    `json:"-"`
	Expires time.Time `json:"-"` // UTC
}

// Format implements [fmt.Formatter]: no verb shows the token.
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, "gcp.Token(redacted)") }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue("redacted") }

// errBadKey never quotes the key, nor what a parser said of it.
var errBadKey = errors.New("not an RSA private key in PEM form")

func parsePrivateKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errBadKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errBadKey
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errBadKey
	}
	return key, nil
}

// assertion makes the signed statement of RFC 7523 that Google trades for a token: "I am this account, at this moment".
func assertion(key Key, audience string, scopes []string, now time.Time) (string, error) {
	private, err := parsePrivateKey(key.PrivateKeyPEM)
	if err != nil {
		return "", err
	}
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": key.PrivateKeyID})
	if err != nil {
		return "", fmt.Errorf("encoding assertion header: %w", err)
	}
	claims, err := json.Marshal(map[string]any{
		"iss":   key.ClientEmail,
		"scope": strings.Join(scopes, " "),
		"aud":   audience,
		"iat":   now.Unix(),
		"exp":   now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("encoding assertion claims: %w", err)
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		return "", errBadKey
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
