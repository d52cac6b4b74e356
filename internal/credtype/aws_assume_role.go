package credtype

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

// Durations of a role's session, in seconds.
const (
	minDuration     = 900
	defaultDuration = 3600 // what every role allows
	maxDuration     = 43200
	chainedDuration = 3600 // the most that AWS gives to an identity that is itself a session ("role chaining")
)

// roleARN is the form of a role's ARN, in the partitions of AWS.
const roleARN = `^arn:(aws|aws-cn|aws-us-gov|aws-eusc|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f):iam::[0-9]{12}:role/(?:[\x21-\x7e]+/)?[\w+=,.@-]{1,64}$`

// assumeRole is the type with what it needs to ask AWS.
type assumeRole struct {
	client          *aws.Client
	server          *aws.ServerIdentity // nil: not allowed
	probeExternalID bool
}

// awsAssumeRole is a role that every run gets fresh keys of.
func awsAssumeRole(c Config) forgecroft.CredentialType {
	a := assumeRole{client: c.AWS, server: c.ServerIdentity, probeExternalID: c.VerifyExternalID}
	return forgecroft.CredentialType{
		Name:        "aws_assume_role",
		Title:       "AWS role",
		Description: "A role that is assumed for every run: no AWS secret is stored, and the keys that a run gets expire. The role must trust the source identity, with the external ID that Forgecroft generates.",
		DocsURL:     "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html",
		Fields:      assumeRoleFields(),
		Groups:      []string{"aws"},
		Settles:     policySettle,
		ExternalID:  true,
		ShortLived:  true,
		AWSIdentity: true,
		Check:       checkAssumeRole,
		Variables: func(fields []string, _ map[string]string) []forgecroft.EffectVariable {
			return awsVariables(true, stored(fields, "region"))
		},
		Source:      func(public map[string]string) string { return public["source_credential_config_id"] },
		Deliver:     a.deliver,
		Verify:      a.verify,
		Principal:   func(c forgecroft.CredentialConfig) string { return c.Public["role_arn"] },
		TrustPolicy: trustPolicy,
	}
}

func assumeRoleFields() []forgecroft.Field {
	return []forgecroft.Field{
		{
			Name: "role_arn", Title: "Role ARN", Kind: forgecroft.FieldString, Required: true, Pattern: roleARN, Example: "arn:aws:iam::123456789012:role/forgecroft",
			Description: "The role that runs get keys of.",
		},
		{
			Name: "session_name", Title: "Session name", Kind: forgecroft.FieldString, Pattern: `^[\w+=,.@-]{2,64}$`, Example: "forgecroft",
			Description: "What the names of sessions begin with, as CloudTrail shows them; forgecroft if left out. The delivery id follows, so at most 27 characters of it are used.",
		},
		{
			Name: "duration_seconds", Title: "Duration in seconds", Kind: forgecroft.FieldInteger, Minimum: minDuration, Maximum: maxDuration,
			Default: strconv.Itoa(defaultDuration), Example: "3600",
			Description: "How long the keys live, up to the role's own maximum. AWS gives at most 3600 if the source identity is temporary itself (a role, or temporary keys); a longer duration is then cut to 3600, and verification warns.",
		},
		regionField(),
		{
			Name: "source_credential_config_id", Title: "Source credential", Kind: forgecroft.FieldConfig, Example: "00000000-0000-4000-8000-000000000000",
			Description: "The credential config of an AWS type whose identity assumes the role. Without it, the server's own identity does, if the operator allowed that.",
		},
		expectedAccountField(),
	}
}

// checkAssumeRole adds the rules between fields: one account, one partition, and no external ID of the client's own.
func checkAssumeRole(input map[string]json.RawMessage) (forgecroft.Values, []forgecroft.FieldError) {
	declared := maps.Clone(input)
	delete(declared, "external_id")
	f := decode(assumeRoleFields(), declared)
	if _, given := input["external_id"]; given {
		f.fail("external_id", "not_allowed", "The external ID cannot be chosen: Forgecroft generates one for each credential config, and shows it with the trust policy. One that a client chose would not protect against the confused deputy.")
	}
	f.clean("region")
	role, roleOK := f.checked("role_arn")
	if roleOK && len(role) > 2048 {
		f.fail("role_arn", "too_long", "The ARN of a role has at most 2048 characters.")
	}
	if region, ok := f.checked("region"); ok {
		partition, known := aws.PartitionOfRegion(region)
		ofRole, _ := aws.PartitionOfARN(role)
		switch {
		case !known:
			f.fail("region", "invalid_value", "The field region is not a region of AWS, such as eu-central-1.")
		case roleOK && partition != ofRole:
			f.fail("region", "invalid_value", fmt.Sprintf("The region is of partition %s, but the role's ARN is of %s.", partition, ofRole))
		}
	}
	if account, ok := f.checked("expected_account_id"); ok && roleOK && account != accountOfARN(role) {
		f.fail("expected_account_id", "invalid_value", "The role's ARN names another account than expected_account_id.")
	}
	return f.result()
}

// source is the identity that assumes the role.
type source struct {
	keys   aws.Keys
	server bool // it is this server's own
}

// source finds the keys that assume the role. A failure is a [*forgecroft.ProviderError].
func (a assumeRole) source(ctx context.Context, r forgecroft.Resolution) (source, error) {
	if r.Source != nil {
		keys := awsKeys(r.Source.Lookup(envAccessKeyID), r.Source.Lookup(envSecretAccessKey), r.Source.Lookup(envSessionToken))
		if keys.AccessKeyID != "" && keys.SecretAccessKey != "" {
			return source{keys: keys}, nil
		}
	}
	if r.Source != nil || a.server == nil {
		return source{}, &forgecroft.ProviderError{
			Conclusive: true, Code: "no_source_identity",
			Detail: "There is no identity to assume the role with. Set source_credential_config_id; the operator has not allowed the server's own identity.",
		}
	}
	keys, err := a.server.Keys(ctx)
	if err != nil {
		return source{}, refusal(err)
	}
	return source{keys: keys, server: true}, nil
}

// blame makes a refusal of this server's own keys inconclusive: only what STS says of the role speaks about the credential.
func (s source) blame(err error) error {
	var failure *provider.Error
	if !s.server || !errors.As(err, &failure) || failure.Kind != provider.Invalid {
		return err
	}
	switch failure.Code {
	case "AccessDenied", "ValidationError", "invalid_role_arn":
		return err
	}
	return provider.Unclear("server_identity", "AWS refused this server's own identity. Tell whoever runs the server.")
}

// duration is how long a session is asked for, and whether that is less than what is stored.
func (s source) duration(r forgecroft.Resolution) (seconds int, capped bool) {
	seconds, err := strconv.Atoi(plain(r, "duration_seconds"))
	if err != nil {
		seconds = defaultDuration
	}
	if (r.Chained || s.keys.SessionToken != "") && seconds > chainedDuration {
		return chainedDuration, true
	}
	return seconds, false
}

// input is the request for a session of the role, with the external ID.
func (s source) input(r forgecroft.Resolution, seconds int) (aws.AssumeRoleInput, error) {
	if r.Config.ExternalID == "" {
		return aws.AssumeRoleInput{}, fmt.Errorf("credential config %s has no external ID", r.Config.ID)
	}
	return aws.AssumeRoleInput{
		RoleARN: plain(r, "role_arn"), SessionName: sessionName(plain(r, "session_name"), r.DeliveryID),
		ExternalID: r.Config.ExternalID, DurationSeconds: seconds,
	}, nil
}

// maxSessionName is STS's limit of a session name, in characters.
const maxSessionName = 64

// outsideSessionName is what a session name must not hold.
var outsideSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// sessionName ties a session in CloudTrail to a delivery in the audit trail.
func sessionName(prefix, deliveryID string) string {
	if prefix == "" {
		prefix = "forgecroft"
	}
	suffix := "-" + outsideSessionName.ReplaceAllString(deliveryID, "-")
	return prefix[:min(len(prefix), max(0, maxSessionName-len(suffix)))] + suffix
}

// deliver asks for a session of the role.
func (a assumeRole) deliver(ctx context.Context, r forgecroft.Resolution) (forgecroft.Contribution, error) {
	from, err := a.source(ctx, r)
	if err != nil {
		return forgecroft.Contribution{}, err
	}
	seconds, _ := from.duration(r)
	in, err := from.input(r, seconds)
	if err != nil {
		return forgecroft.Contribution{}, err
	}
	session, err := a.client.AssumeRole(ctx, from.keys, stsRegion(plain(r, "region")), in)
	if err != nil {
		return forgecroft.Contribution{}, refusal(from.blame(err))
	}
	c := awsContribution(r, forgecroft.NewSecret(session.Keys.AccessKeyID), forgecroft.NewSecret(session.Keys.SecretAccessKey), forgecroft.NewSecret(session.Keys.SessionToken))
	c.ExpiresAt = session.Expires
	return c, nil
}

// policyDocument is a policy of IAM, its members in the order in which people write them.
type policyDocument struct {
	Version   string
	Statement []policyStatement
}

type policyStatement struct {
	Effect    string
	Principal map[string]string
	Action    string
	Condition struct {
		StringEquals map[string]string
	}
}

// trustPolicy lets principal assume the role, with the external ID only.
func trustPolicy(externalID, principal string) json.RawMessage {
	if principal == "" {
		principal = "arn:aws:iam::ACCOUNT-OF-THE-SOURCE-CREDENTIAL:root"
	}
	statement := policyStatement{Effect: "Allow", Principal: map[string]string{"AWS": principalOf(principal)}, Action: "sts:AssumeRole"}
	statement.Condition.StringEquals = map[string]string{"sts:ExternalId": externalID}
	policy := policyDocument{Version: "2012-10-17", Statement: []policyStatement{statement}}
	document, err := json.MarshalIndent(policy, "", "  ")
	if err != nil { // Strings always marshal.
		panic(err)
	}
	return document
}

// verify assumes the role as a delivery would, asks whose the session is, and tries once without the external ID.
func (a assumeRole) verify(ctx context.Context, r forgecroft.Resolution) (forgecroft.Verification, error) {
	from, err := a.source(ctx, r)
	if err != nil {
		return outcome(ctx, err)
	}
	seconds, capped := from.duration(r)
	if seconds <= defaultDuration { // Every role allows these; beyond, only asking tells whether deliveries will succeed.
		seconds = minDuration
	}
	in, err := from.input(r, seconds)
	if err != nil {
		return forgecroft.Verification{}, err
	}
	region := stsRegion(plain(r, "region"))
	session, err := a.client.AssumeRole(ctx, from.keys, region, in)
	if err != nil {
		return outcome(ctx, from.blame(err))
	}
	result, err := a.identify(ctx, session, region, in.RoleARN)
	if err != nil {
		return outcome(ctx, err)
	}
	if !result.Valid {
		return result, nil
	}
	if capped {
		result.Warnings = append(result.Warnings, "The source identity is temporary itself, for which AWS gives at most 3600 seconds. Deliveries cut duration_seconds to that.")
	}
	if a.probeExternalID {
		a.probe(ctx, from.keys, region, in, &result)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return forgecroft.Verification{}, ctx.Err()
	}
	return result, nil
}

// identify asks whose a session is. Compatible servers can hand out sessions without knowing that question (MinIO): then, at an endpoint of
// the operator's, that the role could be assumed is all the proof there is.
func (a assumeRole) identify(ctx context.Context, session aws.Session, region, role string) (forgecroft.Verification, error) {
	identity, err := a.client.CallerIdentity(ctx, session.Keys, sessionRegion(region, role))
	var failure *provider.Error
	if errors.As(err, &failure) && failure.Code == provider.CodeUnsupported && a.client.OwnEndpoint() {
		result := valid(cmp.Or(session.AssumedRoleARN, role))
		result.Warnings = append(result.Warnings, "The role was assumed, but the configured endpoint does not say whose the session is.")
		return result, nil
	}
	if err != nil {
		return forgecroft.Verification{}, err
	}
	if account := accountOfARN(role); identity.Account != account {
		return wrongAccount(identity.ARN, identity.Account, account), nil
	}
	return valid(identity.ARN), nil
}

// sessionRegion is where the session's own identity is asked: in the role's partition.
func sessionRegion(region, role string) string {
	if region != "" {
		return region
	}
	partition, _ := aws.PartitionOfARN(role)
	return aws.DefaultRegion(partition)
}

// probe assumes the role without the external ID, which must be denied: else whoever knows the role's ARN and is trusted for another
// customer could use it too (the confused deputy).
func (a assumeRole) probe(ctx context.Context, keys aws.Keys, region string, in aws.AssumeRoleInput, result *forgecroft.Verification) {
	in.ExternalID, in.DurationSeconds = "", minDuration
	in.SessionName = "forgecroft-external-id-test" // so that the owner recognises the denial in CloudTrail
	_, err := a.client.AssumeRole(ctx, keys, region, in)
	var failure *provider.Error
	enforced := false
	switch {
	case err == nil:
		result.ExternalIDEnforced = &enforced
		result.Warnings = append(result.Warnings, "The role can be assumed without the external ID. Add the condition on sts:ExternalId of the trust policy shown with the credential.")
	case errors.As(err, &failure) && failure.Kind == provider.Invalid && failure.Code == "AccessDenied":
		enforced = true
		result.ExternalIDEnforced = &enforced
	default:
		code := "provider_error"
		if failure != nil {
			code = failure.Code
		}
		result.Warnings = append(result.Warnings, fmt.Sprintf("Whether the role insists on the external ID could not be tested (%s).", strings.TrimSpace(code)))
	}
}
