package gcp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	contentType = "application/json; charset=UTF-8"
	grantType   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenLife   = 3599 * time.Second
	// clockTolerance is how far an assertion may lie in the future.
	clockTolerance = 5 * time.Minute
)

// oauthError is an error answer of RFC 6749, section 5.2.
type oauthError struct {
	status      int
	code        string
	description string
}

const aboutTime = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. " +
	"Check your iat and exp values in the JWT claim."

// claims are those of an assertion.
type claims struct {
	Issuer   string `json:"iss"`
	Scope    string `json:"scope"`
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.FormValue("grant_type") != grantType {
		s.fail(w, Call{Path: r.URL.Path}, &oauthError{http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: " + r.FormValue("grant_type")})
		return
	}
	stated, owner, failure := s.check(r.FormValue("assertion"))
	call := Call{Path: r.URL.Path, Email: stated.Issuer, Scope: stated.Scope}
	if failure != nil {
		s.fail(w, call, failure)
		return
	}
	random := make([]byte, 48)
	rand.Read(random) // never fails, says crypto/rand
	value := "ya29.EXAMPLE." + base64.RawURLEncoding.EncodeToString(random)
	s.tokens[value] = issued{email: owner.Email, scope: stated.Scope, expires: s.now().Add(tokenLife)}
	s.calls = append(s.calls, call)
	s.write(w, http.StatusOK, map[string]any{
		"access_token": value, "expires_in": int(tokenLife.Seconds()), "token_type": "Bearer",
	})
}

// check verifies an assertion as Google does: the account, the key's signature, the audience, which is Google's own URL wherever the fake
// is reached, and the time. The caller holds the lock.
func (s *Server) check(assertion string) (claims, *account, *oauthError) {
	var stated claims
	var header struct{ Alg, Kid string }
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || !decode(parts[0], &header) || !decode(parts[1], &stated) || header.Alg != "RS256" {
		return claims{}, nil, &oauthError{http.StatusBadRequest, "invalid_grant", "Invalid JWT: Failed to parse."}
	}
	owner, ok := s.accounts[stated.Issuer]
	if !ok {
		return stated, nil, &oauthError{http.StatusBadRequest, "invalid_grant", "Invalid grant: account not found"}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if owner.fresh > 0 {
		owner.fresh--
		return stated, nil, &oauthError{http.StatusBadRequest, "invalid_grant", "Invalid JWT Signature."}
	}
	if err != nil || owner.keyDisabled || header.Kid != owner.KeyID || rsa.VerifyPKCS1v15(owner.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return stated, nil, &oauthError{http.StatusBadRequest, "invalid_grant", "Invalid JWT Signature."}
	}
	if stated.Audience != TokenURL {
		return stated, nil, &oauthError{http.StatusBadRequest, "invalid_grant", "Invalid JWT: Failed audience check. The right audience is " + TokenURL}
	}
	now, iat, exp := s.now(), time.Unix(stated.IssuedAt, 0), time.Unix(stated.Expires, 0)
	if iat.After(now.Add(clockTolerance)) || !exp.After(now) || exp.Sub(iat) > time.Hour {
		return stated, nil, &oauthError{http.StatusBadRequest, "invalid_grant", aboutTime}
	}
	if owner.disabled {
		return stated, nil, &oauthError{http.StatusUnauthorized, "disabled_client", "The OAuth client was disabled."}
	}
	if stated.Scope == "" {
		return stated, nil, &oauthError{http.StatusBadRequest, "invalid_scope", "Invalid OAuth scope or ID token audience provided."}
	}
	return stated, owner, nil
}

// decode reads one part of a JWT.
func decode(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}

func (s *Server) serveTokenInfo(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{Path: r.URL.Path}
	found, ok := s.tokens[r.FormValue("access_token")]
	if !ok || !s.now().Before(found.expires) {
		s.fail(w, call, &oauthError{http.StatusBadRequest, "invalid_token", "Invalid Value"})
		return
	}
	call.Email, call.Scope = found.email, found.scope
	s.calls = append(s.calls, call)
	sum := sha256.Sum256([]byte(found.email))
	info := map[string]any{
		"azp": hex.EncodeToString(sum[:8]), "aud": hex.EncodeToString(sum[:8]), "scope": found.scope,
		"exp": strconv.FormatInt(found.expires.Unix(), 10), "expires_in": strconv.Itoa(int(found.expires.Sub(s.now()).Seconds())),
		"access_type": "online",
	}
	if strings.Contains(found.scope, "userinfo.email") {
		info["email"], info["email_verified"] = found.email, "true"
	}
	s.write(w, http.StatusOK, info)
}

// fail records a call and answers with an error. The caller holds the lock.
func (s *Server) fail(w http.ResponseWriter, call Call, failure *oauthError) {
	call.Code = failure.code
	s.calls = append(s.calls, call)
	s.write(w, failure.status, map[string]any{"error": failure.code, "error_description": failure.description})
}

func (s *Server) write(w http.ResponseWriter, status int, reply map[string]any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(reply) // a reader that is gone needs no answer
}
