package paste

import (
	"regexp"
	"strings"
)

var (
	bearer          = regexp.MustCompile(`Bearer\s+([A-Za-z0-9_-]{20,})`)
	cloudflare      = regexp.MustCompile(`^(?:cf[ua]t_[A-Za-z0-9]+|[A-Za-z0-9_-]{40})$`)
	cloudflareOwn   = regexp.MustCompile(`^(?:cfk_\S*|[0-9a-f]{37})$`) // Global API Keys, new and old
	cloudflareOwner = regexp.MustCompile(`accounts/([0-9a-f]{32})/`)
)

// readCommand reads the curl command with which Cloudflare shows a new token.
func readCommand(text string) (Found, bool, error) {
	m := bearer.FindStringSubmatch(text)
	if m == nil || (!strings.Contains(text, "api.cloudflare.com") && !strings.HasPrefix(strings.ToLower(text), "bearer ") && !strings.HasPrefix(strings.ToLower(text), "authorization:")) {
		return Found{}, false, nil
	}
	f := Found{CloudflareToken, "a request to Cloudflare", map[string]string{"api_token": m[1]}}
	if account := cloudflareOwner.FindStringSubmatch(text); account != nil {
		f.put("account_id", account[1])
	}
	return f, true, nil
}

// readToken reads a single word. Forty letters and digits are taken for a token of Cloudflare; what else has forty characters, for the secret of
// an AWS key, is told apart by the characters that only it can have.
func readToken(text string) (Found, bool, error) {
	text = strings.Trim(text, `"'`)
	switch {
	case cloudflareOwn.MatchString(text):
		return Found{}, false, Error("This is a Global API Key of Cloudflare, which can do everything in the account. Create an API token with the permissions that runs need, and paste that.")
	case cloudflare.MatchString(text):
		return Found{CloudflareToken, "a Cloudflare API token", map[string]string{"api_token": text}}, true, nil
	}
	return Found{}, false, nil
}
