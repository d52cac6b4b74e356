package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeLayout = "20060102T150405Z"
	// clockTolerance is how far a signature's time may be off at STS.
	clockTolerance = 15 * time.Minute
)

// signature is what an Authorization header says.
type signature struct {
	accessKeyID string
	date        string // YYYYMMDD
	region      string
	service     string
	headers     []string // signed ones, in order
	value       string   // hexadecimal
}

// parseSignature reads the header; false if it is not a complete SigV4 header.
func parseSignature(header string) (signature, bool) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return signature{}, false
	}
	parts := map[string]string{} // :: Credential, SignedHeaders, Signature → value
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || parts["SignedHeaders"] == "" || parts["Signature"] == "" {
		return signature{}, false
	}
	return signature{
		accessKeyID: scope[0], date: scope[1], region: scope[2], service: scope[3],
		headers: strings.Split(parts["SignedHeaders"], ";"), value: parts["Signature"],
	}, true
}

// matches recomputes the signature of a request with a secret.
func (g signature) matches(r *http.Request, body []byte, secret string) bool {
	if !slices.Contains(g.headers, "host") {
		return false
	}
	sum := sha256.Sum256(body)
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), g.canonicalHeaders(r), strings.Join(g.headers, ";"), hex.EncodeToString(sum[:]),
	}, "\n")
	hashed := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{g.date, g.region, g.service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, r.Header.Get("X-Amz-Date"), scope, hex.EncodeToString(hashed[:])}, "\n")
	signing := mac(mac(mac(mac([]byte("AWS4"+secret), g.date), g.region), g.service), "aws4_request")
	return hmac.Equal([]byte(hex.EncodeToString(mac(signing, text))), []byte(g.value))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func canonicalPath(u *url.URL) string {
	if path := u.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

func canonicalQuery(u *url.URL) string {
	return strings.ReplaceAll(u.Query().Encode(), "+", "%20")
}

func (g signature) canonicalHeaders(r *http.Request) string {
	var b strings.Builder
	for _, name := range g.headers {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{r.Header.Get("Content-Length")}
			if values[0] == "" {
				values[0] = itoa(r.ContentLength)
			}
		}
		trimmed := make([]string, len(values))
		for i, value := range values {
			trimmed[i] = strings.Join(strings.Fields(value), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	return b.String()
}
