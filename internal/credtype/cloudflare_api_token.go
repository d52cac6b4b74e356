package credtype

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider/cloudflare"
)

// The variables that Cloudflare's Terraform provider and wrangler read.
const (
	envCloudflareToken   = "CLOUDFLARE_API_TOKEN"
	envCloudflareAccount = "CLOUDFLARE_ACCOUNT_ID"
)

// cloudflareAPIToken is a token of a user or of an account.
func cloudflareAPIToken(c Config) forgecroft.CredentialType {
	return forgecroft.CredentialType{
		Name:        "cloudflare_api_token",
		Title:       "Cloudflare API token",
		Description: "An API token of a user or of an account. Global API keys are not accepted: they can do everything and cannot be limited.",
		DocsURL:     "https://developers.cloudflare.com/fundamentals/api/get-started/create-token/",
		Fields:      cloudflareFields(),
		Groups:      []string{"cloudflare"},
		Settles:     keysSettle,
		Check:       checkCloudflare,
		Variables: func(fields []string, _ map[string]string) []forgecroft.EffectVariable {
			variables := []forgecroft.EffectVariable{{Name: envCloudflareToken, Secret: true}}
			if stored(fields, "account_id") {
				variables = append(variables, forgecroft.EffectVariable{Name: envCloudflareAccount})
			}
			return variables
		},
		Deliver: deliverCloudflare,
		Verify: func(ctx context.Context, r forgecroft.Resolution) (forgecroft.Verification, error) {
			return verifyCloudflare(ctx, c.Cloudflare, r)
		},
	}
}

func cloudflareFields() []forgecroft.Field {
	return []forgecroft.Field{
		{
			Name: "api_token", Title: "API token", Kind: forgecroft.FieldString, Required: true, Secret: true,
			Example: "cfut_EXAMPLEexampleEXAMPLEexampleEXAMPLE0123400000000", Description: "The token: cfut_… (a user's), cfat_… (an account's), or 40 characters (older ones).",
		},
		{
			Name: "account_id", Title: "Account id", Kind: forgecroft.FieldString, Pattern: `^[0-9a-f]{32}$`, Example: "0123456789abcdef0123456789abcdef",
			Description: "The account's id. Required for the token of an account, since only the account can be asked about it.",
		},
	}
}

// The forms of Cloudflare's secrets.
var (
	cloudflareToken       = regexp.MustCompile(`^cf[ua]t_[A-Za-z0-9]{40}[0-9a-f]{8}$`)
	cloudflareLegacyToken = regexp.MustCompile(`^[A-Za-z0-9_-]{40}$`)
	cloudflareGlobalKey   = regexp.MustCompile(`^(?:cfk_.*|[0-9a-f]{37})$`)
)

// checkCloudflare names what people paste instead of a token.
func checkCloudflare(input map[string]json.RawMessage) (forgecroft.Values, []forgecroft.FieldError) {
	f := decode(cloudflareFields(), input)
	if token, ok := f.checked("api_token"); ok && len(token) >= 7 && strings.EqualFold(token[:7], "bearer ") {
		f.fail("api_token", "invalid_format", "The token begins with \"Bearer \", which is part of the HTTP header. Paste what follows it.")
	}
	f.clean("api_token")
	token, ok := f.checked("api_token")
	switch {
	case !ok:
	case cloudflareGlobalKey.MatchString(token):
		f.fail("api_token", "invalid_format", "This is a Global API Key, which can do everything in the account. Create an API token with the permissions that runs need, and store that.")
	case strings.HasPrefix(token, "cfut_"), strings.HasPrefix(token, "cfat_"):
		if !cloudflareToken.MatchString(token) {
			f.fail("api_token", "invalid_format", "A token that begins with cfut_ or cfat_ has 53 characters: letters and digits, of which the last 8 are hexadecimal. This one does not; it may be cut off.")
		} else if _, given := f.values["account_id"]; token[:5] == "cfat_" && !given && !f.failed("account_id") {
			f.fail("account_id", "required", "The token belongs to an account (cfat_). Add the account's id.")
		}
	case !cloudflareLegacyToken.MatchString(token):
		f.fail("api_token", "invalid_format", "This has not the form of a Cloudflare API token: cfut_ or cfat_ and 48 characters, or 40 characters of letters, digits, _ and -.")
	}
	return f.result()
}

// deliverCloudflare sets the token, and the account if it is stored.
func deliverCloudflare(_ context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
	c := forgecroft.Contribution{Variables: []forgecroft.Variable{
		{Name: envCloudflareToken, Value: r.Values["api_token"], SourceID: r.Config.ID},
	}}
	if account, given := r.Values["account_id"]; given {
		c.Variables = append(c.Variables, forgecroft.Variable{Name: envCloudflareAccount, Value: account, SourceID: r.Config.ID})
	}
	return c, nil
}

// soon is how long before its end a token deserves a warning.
const soon = 14 * 24 * time.Hour

// verifyCloudflare asks Cloudflare whether the token works.
func verifyCloudflare(ctx context.Context, client *cloudflare.Client, r forgecroft.Resolution) (forgecroft.Verification, error) {
	info, err := client.VerifyToken(ctx, plain(r, "api_token"), plain(r, "account_id"))
	if err != nil {
		return outcome(ctx, err)
	}
	result := valid(info.ID)
	result.ExpiresAt = info.ExpiresOn
	if !info.ExpiresOn.IsZero() && info.ExpiresOn.Before(r.Now.Add(soon)) {
		result.Warnings = append(result.Warnings, fmt.Sprintf("The token expires at %s. Store its successor before.", info.ExpiresOn.UTC().Format(time.RFC3339)))
	}
	return result, nil
}
