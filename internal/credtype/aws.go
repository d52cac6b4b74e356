package credtype

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/provider/aws"
)

// The variables that AWS's SDKs, Terraform's providers and its S3 backend read.
const (
	envAccessKeyID     = "AWS_ACCESS_KEY_ID"
	envSecretAccessKey = "AWS_SECRET_ACCESS_KEY"
	envSessionToken    = "AWS_SESSION_TOKEN"
	envRegion          = "AWS_REGION"
	envDefaultRegion   = "AWS_DEFAULT_REGION" // what the AWS CLI and older SDKs read
)

// regionField is the region that runs get.
func regionField() forgecroft.Field {
	return forgecroft.Field{
		Name: "region", Title: "Region", Kind: forgecroft.FieldString, Example: "eu-central-1",
		Description: "The region that runs use unless their code names one. Also the region whose STS endpoint is asked.",
	}
}

// expectedAccountField guards against the keys of another account.
func expectedAccountField() forgecroft.Field {
	return forgecroft.Field{
		Name: "expected_account_id", Title: "Expected account id", Kind: forgecroft.FieldString, Pattern: `^[0-9]{12}$`, Example: "123456789012",
		Description: "The account the credential must belong to. Verification fails if it belongs to another one.",
	}
}

// awsVariables lists what a set of keys sets; region tells whether one is stored.
func awsVariables(session, region bool) []forgecroft.EffectVariable {
	variables := []forgecroft.EffectVariable{{Name: envAccessKeyID}, {Name: envSecretAccessKey, Secret: true}}
	if session {
		variables = append(variables, forgecroft.EffectVariable{Name: envSessionToken, Secret: true})
	}
	if region {
		variables = append(variables, forgecroft.EffectVariable{Name: envRegion}, forgecroft.EffectVariable{Name: envDefaultRegion})
	}
	return variables
}

// awsContribution sets keys, and a region if there is one.
func awsContribution(r forgecroft.Resolution, accessKeyID, secretAccessKey, sessionToken forgecroft.Secret) forgecroft.Contribution {
	var c forgecroft.Contribution
	set := func(name string, value forgecroft.Secret) {
		if !value.IsZero() {
			c.Variables = append(c.Variables, forgecroft.Variable{Name: name, Value: value, SourceID: r.Config.ID})
		}
	}
	set(envAccessKeyID, accessKeyID)
	set(envSecretAccessKey, secretAccessKey)
	set(envSessionToken, sessionToken)
	set(envRegion, r.Values["region"])
	set(envDefaultRegion, r.Values["region"])
	return c
}

// awsKeys unwraps keys for a call to STS.
func awsKeys(accessKeyID, secretAccessKey, sessionToken forgecroft.Secret) aws.Keys {
	return aws.Keys{AccessKeyID: accessKeyID.Reveal(), SecretAccessKey: secretAccessKey.Reveal(), SessionToken: sessionToken.Reveal()}
}

// wrongAccount is the result for a credential that works, but not where it was declared to.
func wrongAccount(identity, actual, expected string) forgecroft.Verification {
	return forgecroft.Verification{
		Conclusive: true, Identity: identity, Error: "wrong_account",
		Detail: fmt.Sprintf("The credential belongs to account %s, but expected_account_id is %s. Store the right credential, or correct expected_account_id.", actual, expected),
	}
}

// accountOfKeyID reads the account from a key id of the newer format: 40 bits that begin at the fifth character, in base 32. Older ids, and
// those of others, carry none: then it is empty. Source: STS GetAccessKeyInfo answers the same.
func accountOfKeyID(id string) string {
	if !amazonKeyID.MatchString(id) || strings.IndexByte("IJ", id[4]) >= 0 {
		return "" // AKIAI and AKIAJ are the older format.
	}
	decoded, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return ""
	}
	bits := binary.BigEndian.Uint64(append([]byte{0, 0}, decoded[:6]...))
	account := (bits & 0x7fffffffff80) >> 7
	if account > 999999999999 {
		return ""
	}
	return fmt.Sprintf("%012d", account)
}

// sessionARN is the form of the identity of a role's session: partition, account, role, session.
var sessionARN = regexp.MustCompile(`^arn:([a-z-]+):sts::([0-9]{12}):assumed-role/([^/]+)/[^/]+$`)

// principalOf turns a verified identity into what a trust policy may name: of a session, the role. A role's path is lost in the identity, but
// trust policies need it; such roles are to be trusted through their config.
func principalOf(identity string) string {
	if m := sessionARN.FindStringSubmatch(identity); m != nil {
		return fmt.Sprintf("arn:%s:iam::%s:role/%s", m[1], m[2], m[3])
	}
	return identity
}

// partitionName is the partition of a region, or aws.
func partitionName(region string) string {
	if name, known := aws.PartitionOfRegion(region); known {
		return name
	}
	return "aws"
}

// stsRegion is the region whose STS endpoint is asked; empty for R2's "auto", where the client takes its default.
func stsRegion(region string) string {
	if aws.ValidRegion(region) {
		return region
	}
	return ""
}

// accountOfARN is the fifth part of an ARN.
func accountOfARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}

// stored reports whether a field is among the stored ones.
func stored(fields []string, name string) bool { return slices.Contains(fields, name) }
