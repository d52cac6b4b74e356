package credtype

import (
	"context"
	"encoding/json"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider/gcp"
)

// The variables that Google's Terraform provider and libraries read. Source: the google provider's provider reference.
const (
	envGoogleToken       = "GOOGLE_OAUTH_ACCESS_TOKEN"
	envGoogleCredentials = "GOOGLE_CREDENTIALS"
	envGoogleKeyPath     = "GOOGLE_APPLICATION_CREDENTIALS"
	envGoogleProject     = "GOOGLE_PROJECT"
	envGoogleCloudProj   = "GOOGLE_CLOUD_PROJECT"
)

// The ways a service account is delivered.
const (
	deliverToken = "access_token"
	deliverKey   = "key"
)

// gcpKeyFileName is the name of the private file that a run gets the key in.
const gcpKeyFileName = "gcp-key.json"

// gcpServiceAccount is a service account's key, which runs get a short-lived token of.
func gcpServiceAccount(c Config) forgecroft.CredentialType {
	return forgecroft.CredentialType{
		Name:        "gcp_service_account",
		Title:       "Google service account",
		Description: "A service account's key. Runs get an access token that lives for an hour; the key itself only if delivery says so.",
		DocsURL:     "https://cloud.google.com/iam/docs/keys-create-delete",
		Fields:      gcpFields(),
		Groups:      []string{"google"},
		Settles:     keysSettle,
		ShortLived:  true,
		Check:       checkServiceAccount,
		Variables:   gcpVariables,
		Deliver: func(ctx context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
			return deliverServiceAccount(ctx, c.GCP, r)
		},
		Verify: func(ctx context.Context, r forgecroft.Resolution) (forgecroft.Verification, error) {
			return verifyServiceAccount(ctx, c.GCP, r)
		},
	}
}

func gcpFields() []forgecroft.Field {
	return []forgecroft.Field{
		{
			Name: "service_account_key", Title: "Service account key", Kind: forgecroft.FieldJSON, Required: true, Secret: true, Multiline: true,
			Example:     `{"type":"service_account","project_id":"example-project","private_key_id":"…","private_key":"…EXAMPLE…","client_email":"…"}`,
			Description: "The key file as Google handed it out: as a JSON object, or as a string (base64 too). Its own token_uri is never called.",
		},
		{
			Name: "project", Title: "Project", Kind: forgecroft.FieldString, Derived: true, Pattern: projectIDPattern, Example: "example-project",
			Description: "The project that runs use unless their code names one. The key's own project if left out.",
		},
		{
			Name: "delivery", Title: "Delivery", Kind: forgecroft.FieldString, Enum: []string{deliverToken, deliverKey}, Default: deliverToken, Example: deliverToken,
			Description: "access_token: a token that expires after an hour and cannot be renewed. key: the key itself, for runs that take longer.",
		},
	}
}

// checkServiceAccount makes the key canonical, and fills in the key's own project: it is not secret, and metadata then tells that it is set.
func checkServiceAccount(input map[string]json.RawMessage) (forgecroft.Values, []forgecroft.FieldError) {
	f := decode(gcpFields(), input)
	pasted, ok := f.checked("service_account_key")
	if !ok {
		return f.result()
	}
	key, problem := parseKeyFile(pasted)
	if problem != nil {
		f.fail("service_account_key", problem.code, problem.message)
		return f.result()
	}
	f.values["service_account_key"] = key.encode()
	if _, given := f.values["project"]; !given && key.ProjectID != "" {
		f.values["project"] = key.ProjectID
	}
	return f.result()
}

// gcpVariables lists what each way of delivery sets.
func gcpVariables(fields []string, public map[string]string) []forgecroft.EffectVariable {
	variables := []forgecroft.EffectVariable{{Name: envGoogleToken, Secret: true}}
	if public["delivery"] == deliverKey {
		variables = []forgecroft.EffectVariable{{Name: envGoogleCredentials, Secret: true}, {Name: envGoogleKeyPath, File: true}}
	}
	if stored(fields, "project") {
		variables = append(variables, forgecroft.EffectVariable{Name: envGoogleProject}, forgecroft.EffectVariable{Name: envGoogleCloudProj})
	}
	return variables
}

// deliverServiceAccount gets a token, or hands the key itself out.
func deliverServiceAccount(ctx context.Context, client *gcp.Client, r forgecroft.Resolution) (forgecroft.Contribution, error) {
	var c forgecroft.Contribution
	set := func(name string, value forgecroft.Secret) {
		c.Variables = append(c.Variables, forgecroft.Variable{Name: name, Value: value, SourceID: r.Config.ID})
	}
	if plain(r, "delivery") == deliverKey {
		key := r.Values["service_account_key"]
		set(envGoogleCredentials, key)
		c.Files = []forgecroft.File{{Name: gcpKeyFileName, Content: key, Env: envGoogleKeyPath, SourceID: r.Config.ID}}
	} else {
		key, err := storedKey(r)
		if err != nil {
			return c, err
		}
		token, err := client.AccessToken(ctx, key, gcp.DefaultScopes())
		if err != nil {
			return c, refusal(err)
		}
		set(envGoogleToken, forgecroft.NewSecret(token.Value))
		c.ExpiresAt = token.Expires
	}
	if project, given := r.Values["project"]; given {
		set(envGoogleProject, project)
		set(envGoogleCloudProj, project)
	}
	return c, nil
}

// verifyServiceAccount trades the key for a token and asks whose it is.
func verifyServiceAccount(ctx context.Context, client *gcp.Client, r forgecroft.Resolution) (forgecroft.Verification, error) {
	key, err := storedKey(r)
	if err != nil {
		return outcome(ctx, err)
	}
	email, err := client.Verify(ctx, key)
	if err != nil {
		return outcome(ctx, err)
	}
	return valid(email), nil
}

// storedKey reads the key that Check stored. The rules are applied again: what an older version stored must keep to them too.
func storedKey(r forgecroft.Resolution) (gcp.Key, error) {
	key, problem := parseKeyFile(plain(r, "service_account_key"))
	if problem != nil {
		return gcp.Key{}, &forgecroft.ProviderError{Conclusive: true, Code: problem.code, Detail: "The stored key is not usable. " + problem.message}
	}
	return gcp.Key{ClientEmail: key.ClientEmail, PrivateKeyPEM: key.PrivateKey, PrivateKeyID: key.PrivateKeyID, ProjectID: key.ProjectID}, nil
}
