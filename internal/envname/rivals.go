package envname

import "slices"

// Group is a conflict group: variables that compete for one identity. Two credentials of one group
// conflict, and a run that gets one member must not inherit the others.
type Group struct {
	Name    string
	Members []string
}

// Groups returns the conflict groups.
//
// Sources: the AWS SDKs' credential provider chain; the google provider's precedence list; the
// cloudflare provider's "exactly one of"; the azurerm provider's schema and the credential chain of
// the Azure SDKs. See docs/credential-types.md.
func Groups() []Group { return groups }

var groups = []Group{
	{"aws", []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_EXPIRATION",
	}},
	{"google", []string{
		"GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON",
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", "GOOGLE_BACKEND_CREDENTIALS",
		"GOOGLE_BACKEND_IMPERSONATE_SERVICE_ACCOUNT", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_CONFIG", "GCE_METADATA_HOST",
	}},
	{"cloudflare", []string{
		"CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_USER_SERVICE_KEY", "CF_API_TOKEN", "CF_API_KEY", "CF_API_EMAIL",
	}},
	{"azure", []string{
		"ARM_CLIENT_ID", "ARM_CLIENT_ID_FILE_PATH", "ARM_CLIENT_SECRET", "ARM_CLIENT_SECRET_FILE_PATH", "ARM_CLIENT_CERTIFICATE",
		"ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_OIDC_TOKEN", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_OIDC_REQUEST_URL",
		"ARM_OIDC_REQUEST_TOKEN", "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID", "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID", "ARM_USE_OIDC", "ARM_USE_MSI",
		"ARM_USE_CLI", "ARM_USE_AKS_WORKLOAD_IDENTITY", "ARM_MSI_ENDPOINT", "ARM_MSI_API_VERSION", "ARM_TENANT_ID", "ARM_ACCESS_KEY", "ARM_SAS_TOKEN",
		"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD",
		"AZURE_USERNAME", "AZURE_PASSWORD",
		"AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET",
	}},
}

// GroupOf returns the name of a variable's conflict group, or "".
func GroupOf(variable string) string {
	for _, g := range groups {
		if slices.Contains(g.Members, variable) {
			return g.Name
		}
	}
	return ""
}

// Members returns the variables of a conflict group.
func Members(group string) []string {
	for _, g := range groups {
		if g.Name == group {
			return g.Members
		}
	}
	return nil
}

// pipelineTokens are the tokens that CI systems offer their jobs. The azurerm provider falls back
// to them, so they are rivals of a token that is delivered. A workspace that delivers ARM_USE_OIDC
// without a token wants them.
var (
	azureTokens    = []string{"ARM_OIDC_TOKEN", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_OIDC_REQUEST_URL"}
	pipelineTokens = []string{
		"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN",
	}
)

// Rivals returns the variables that a run must not inherit beside a delivered one.
func Rivals(delivered string) []string {
	rivals := Members(GroupOf(delivered))
	if slices.Contains(azureTokens, delivered) {
		return slices.Concat(rivals, pipelineTokens)
	}
	return rivals
}

// ambient are identities that tools find without a variable. Unsetting does not keep them out: only
// a variable that points at an empty file does. when: one of these is delivered; unless: none of
// those is.
var ambient = []struct{ when, unless, empty []string }{
	{
		// ~/.aws/config and ~/.aws/credentials. A workspace that delivers the name of a profile
		// wants these files.
		when:   []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"},
		unless: []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"},
		empty:  []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"},
	},
	{
		// ~/.config/gcloud/application_default_credentials.json, and the metadata server.
		when:  []string{"GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON"},
		empty: []string{"GOOGLE_APPLICATION_CREDENTIALS"},
	},
}

// MustBeEmpty returns the variables that have to point at an empty file beside the delivered ones,
// so that a file in the home directory does not bring another identity in. They are not among the
// delivered ones.
func MustBeEmpty(delivered func(name string) bool) []string {
	var names []string
	for _, a := range ambient {
		if !slices.ContainsFunc(a.when, delivered) || slices.ContainsFunc(a.unless, delivered) {
			continue
		}
		for _, name := range a.empty {
			if !delivered(name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// emptyHarms are variables that tools do not take for unset when they are empty.
//
// Sources: botocore looks for the profile "" and fails; gcloud takes the current directory for its
// configuration; version 5 of the cloudflare provider sends an empty header (os.LookupEnv in
// cloudflare-go), which Cloudflare refuses.
var emptyHarms = []string{
	"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "CLOUDSDK_CONFIG", "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_USER_SERVICE_KEY",
}

// EmptyIsUnset reports whether tools take an empty value of a variable as they take an unset one.
func EmptyIsUnset(name string) bool { return !slices.Contains(emptyHarms, name) }

// MayUnset reports whether a delivery may ask to unset a variable: any that it could set, and the
// rivals of credentials.
func MayUnset(name string) bool {
	return Valid(name) && (ReservedReason(name) == "" || GroupOf(name) != "")
}
