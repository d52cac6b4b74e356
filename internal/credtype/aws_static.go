package credtype

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

// awsStatic is an AWS access key, or the key of an S3-compatible store.
func awsStatic(c Config) forgecroft.CredentialType {
	return forgecroft.CredentialType{
		Name:        "aws_static",
		Title:       "AWS access key",
		Description: "An access key of an IAM user, or temporary keys. Keys of S3-compatible stores (Cloudflare R2, MinIO) can be kept and delivered too.",
		DocsURL:     "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
		Fields:      awsStaticFields(),
		Groups:      []string{"aws"},
		Settles:     keysSettle,
		AWSIdentity: true,
		Check:       checkAWSStatic,
		Warn:        warnAWSStatic,
		Variables: func(fields []string, _ map[string]string) []forgecroft.EffectVariable {
			return awsVariables(stored(fields, "session_token"), stored(fields, "region"))
		},
		Deliver: func(_ context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
			return awsContribution(r, r.Values["access_key_id"], r.Values["secret_access_key"], r.Values["session_token"]), nil
		},
		Verify: func(ctx context.Context, r forgecroft.Resolution) (forgecroft.Verification, error) {
			return verifyAWSStatic(ctx, c.AWS, r)
		},
		Principal: principalOfStatic,
	}
}

func awsStaticFields() []forgecroft.Field {
	return []forgecroft.Field{
		{
			Name: "access_key_id", Title: "Access key id", Kind: forgecroft.FieldString, Required: true, Example: "AKIAIOSFODNN7EXAMPLE",
			Description: "The id of the key. Amazon's begin with AKIA (a user's) or ASIA (temporary).",
		},
		{
			Name: "secret_access_key", Title: "Secret access key", Kind: forgecroft.FieldString, Required: true, Secret: true,
			Example: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Description: "The secret of the key.",
		},
		{
			Name: "session_token", Title: "Session token", Kind: forgecroft.FieldString, Secret: true, Multiline: true, Example: "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
			Description: "Belongs to temporary keys (ASIA…), and only to those.",
		},
		regionField(),
		expectedAccountField(),
	}
}

// amazonKeyID is the form of Amazon's own key ids.
var amazonKeyID = regexp.MustCompile(`^(AKIA|ASIA)[A-Z0-9]{16}$`)

// checkAWSStatic refuses only what is surely a mistake: other stores' keys have other shapes.
func checkAWSStatic(input map[string]json.RawMessage) (forgecroft.Values, []forgecroft.FieldError) {
	f := decode(awsStaticFields(), input)
	f.clean("access_key_id", "secret_access_key", "session_token", "region")
	f.checkKeyID()
	f.checkNoSecretID()
	f.checkAmazonSecret()
	if secret, ok := f.checked("secret_access_key"); ok && amazonKeyID.MatchString(secret) {
		f.fail("secret_access_key", "invalid_format", "The field secret_access_key holds an access key id. The two values may be swapped.")
	}
	if region, ok := f.checked("region"); ok && region != "auto" && !aws.ValidRegion(region) {
		f.fail("region", "invalid_value", "The field region is not a region of AWS, such as eu-central-1. For Cloudflare R2 it is auto.")
	}
	return f.result()
}

// amazonSecret matches what AWS gives out as a secret access key. Key ids of other stores are shorter or longer, or hexadecimal.
var (
	amazonSecret = regexp.MustCompile(`^[A-Za-z0-9/+]{40}$`)
	hexadecimal  = regexp.MustCompile(`^[0-9a-f]+$`)
)

// secretLength is how long AWS's secrets are.
const secretLength = 40

// amazonSecretText matches the characters of AWS's secrets, which are base64's.
var amazonSecretText = regexp.MustCompile(`^[A-Za-z0-9/+=]+$`)

// checkAmazonSecret refuses what cannot be the secret of an id of Amazon's, and names the mistake. Other stores' secrets have other
// forms, and are left alone.
func (f *form) checkAmazonSecret() {
	id, ok := f.checked("access_key_id")
	secret, given := f.checked("secret_access_key")
	if !ok || !given || !amazonKeyID.MatchString(id) || amazonSecretText.MatchString(secret) {
		return
	}
	f.fail("secret_access_key", "invalid_format", "The field secret_access_key "+secretMistake(secret))
}

// percentEncoded matches an escape of a URL.
var percentEncoded = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// secretMistake names what a text is that is no secret of AWS's, as the rest of a sentence. It repeats nothing of it.
func secretMistake(text string) string {
	switch {
	case strings.Trim(text, "*\u2022.xX") == "":
		return "holds a placeholder instead of the secret. Copy the secret itself."
	case percentEncoded.MatchString(text):
		return "is percent-encoded, as in a URL. Store it as AWS showed it."
	case strings.HasPrefix(text, "$"), strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "<"), strings.Contains(text, "://"):
		return "holds a reference to the secret, or a place for it. Store what it stands for."
	case strings.HasSuffix(text, ","), strings.HasSuffix(text, ";"):
		return "ends with a comma or semicolon, which is not part of the secret. Leave it out."
	}
	return "has characters that AWS's secrets never have: they are letters, digits, / and +."
}

// warnAWSStatic names what is odd about values that are stored all the same.
func warnAWSStatic(values forgecroft.Values) []string {
	id, secret := values["access_key_id"].Reveal(), values["secret_access_key"].Reveal()
	if amazonKeyID.MatchString(id) && len(secret) != secretLength {
		return []string{fmt.Sprintf("The secret access key has %d characters; AWS's have %d. It may have been cut off when it was copied.", len(secret), secretLength)}
	}
	return nil
}

// checkNoSecretID refuses a secret in the place of the id: ids are no secret, and are shown.
func (f *form) checkNoSecretID() {
	id, ok := f.checked("access_key_id")
	if !ok {
		return
	}
	likeSecret := amazonSecret.MatchString(id) && !hexadecimal.MatchString(id)
	if secret, given := f.checked("secret_access_key"); likeSecret || (given && id == secret && !amazonKeyID.MatchString(id)) {
		f.fail("access_key_id", "invalid_format", "The field access_key_id holds what looks like a secret access key. The two values may be swapped.")
	}
}

// checkKeyID holds an id that claims to be Amazon's to Amazon's form, and the session token to the kind of the key.
func (f *form) checkKeyID() {
	id, ok := f.checked("access_key_id")
	if !ok {
		return
	}
	user, temporary := strings.HasPrefix(id, "AKIA"), strings.HasPrefix(id, "ASIA")
	if (user || temporary) && !amazonKeyID.MatchString(id) {
		f.fail("access_key_id", "invalid_format", "An access key id that begins with AKIA or ASIA has 20 characters, all upper-case letters and digits (^(AKIA|ASIA)[A-Z0-9]{16}$). This one does not; it may be cut off.")
		return
	}
	_, session := f.values["session_token"]
	switch {
	case temporary && !session && !f.failed("session_token"):
		f.fail("session_token", "required", "A temporary key (ASIA…) only works with its session token.")
	case user && session:
		f.fail("session_token", "not_allowed", "A user's key (AKIA…) has no session token. Leave it out, or store the temporary key (ASIA…) that it belongs to.")
	}
}

// verifyAWSStatic asks STS who the keys belong to.
func verifyAWSStatic(ctx context.Context, client *aws.Client, r forgecroft.Resolution) (forgecroft.Verification, error) {
	keys := awsKeys(r.Values["access_key_id"], r.Values["secret_access_key"], r.Values["session_token"])
	if !amazonKeyID.MatchString(keys.AccessKeyID) && !client.OwnEndpoint() {
		return unclear("not_amazon_key", "This is not a key of Amazon's, so AWS cannot be asked about it. It is stored and delivered all the same."), nil
	}
	identity, err := client.CallerIdentity(ctx, keys, stsRegion(plain(r, "region")))
	if err != nil {
		return outcome(ctx, err)
	}
	if expected := plain(r, "expected_account_id"); expected != "" && expected != identity.Account {
		return wrongAccount(identity.ARN, identity.Account, expected), nil
	}
	result := valid(identity.ARN)
	if strings.HasSuffix(identity.ARN, ":root") {
		result.Warnings = append(result.Warnings, "This is a key of the account's root user, which no policy can limit. Delete it and use an IAM user's key or a role.")
	}
	return result, nil
}

// principalOfStatic is the verified identity of the current version, else the account as far as the metadata tells.
func principalOfStatic(c forgecroft.CredentialConfig) string {
	if v := c.Verification; v != nil && v.Valid && v.SecretVersion == c.SecretVersion && v.Identity != "" {
		return principalOf(v.Identity)
	}
	account := c.Public["expected_account_id"]
	if account == "" {
		account = accountOfKeyID(c.Public["access_key_id"])
	}
	if account == "" {
		return ""
	}
	return fmt.Sprintf("arn:%s:iam::%s:root", partitionName(c.Public["region"]), account)
}
