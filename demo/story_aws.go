package main

import (
	"context"
	"os"

	"github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/fake/fault"
)

func awsSteps() []step {
	return []step{awsKey(), awsUndecided(), awsDeleted(), awsRole(), awsOpenRole()}
}

func awsKey() step {
	return step{
		"AWS: an access key, proven", "A credential is metadata first; its secrets come from standard input or a file, never from the command line.",
		[]act{
			command{line: `forgecroft credential create "Production AWS" --type aws_static --project shop`, shows: []string{"no secrets"}},
			command{
				line:  "forgecroft credential set-secrets \"Production AWS\" --from - <<'END'\naccess_key_id=" + accessKeyID + "\nsecret_access_key=" + secretKey + "\nregion=eu-central-1\nEND",
				shows: []string{"version 1"},
			},
			command{line: `forgecroft credential verify "Production AWS"`, shows: []string{"valid", forgecroftARN}},
		},
	}
}

// stsTries is how often one verification asks a provider that wants fewer calls.
const stsTries = 3

func awsUndecided() step {
	return step{
		"AWS: no answer is not a bad answer", "A provider that cannot be asked says nothing about the key: exit code 7, and the last result stays.",
		[]act{
			at("FAKE AWS: the next calls are throttled.", func(s *stage) { s.clouds.aws.Faults().Next(fault.Throttled, stsTries) }),
			command{line: `forgecroft credential verify "Production AWS"`, code: exitUndecided, shows: []string{"could not tell", "throttled"}},
			command{line: `forgecroft credential show "Production AWS"`, shows: []string{"state           valid", forgecroftARN}},
		},
	}
}

func awsDeleted() step {
	old := aws.User{Account: accountID, Name: "old", AccessKeyID: "AKIAI44QH8DHBEXAMPLE", SecretAccessKey: "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}
	return step{
		"AWS: a key that is gone", "Exit code 6 and the provider's own error.",
		[]act{
			elsewhere{"FAKE AWS: the user \"old\" exists; the key is in old.json.", func(_ context.Context, s *stage) error {
				s.clouds.aws.AddUser(old)
				s.secrets = append(s.secrets, old.SecretAccessKey)
				text := `{"access_key_id": "` + old.AccessKeyID + `", "secret_access_key": "` + old.SecretAccessKey + `"}`
				return os.WriteFile(s.path("work/old.json"), []byte(text), 0o600)
			}},
			command{line: `forgecroft credential create "Old AWS" --type aws_static --project shop`},
			command{line: `forgecroft credential set-secrets "Old AWS" --from old.json`, shows: []string{"version 1"}},
			command{line: `forgecroft credential verify "Old AWS"`, shows: []string{"valid", old.ARN()}},
			at("FAKE AWS: somebody deletes the key.", func(s *stage) { s.clouds.aws.DeleteKey(old.AccessKeyID) }),
			command{line: `forgecroft credential verify "Old AWS"`, code: exitInvalid, shows: []string{"invalid", "InvalidClientTokenId"}},
		},
	}
}

func awsRole() step {
	return step{
		"AWS: a role, so that runs get keys that expire", "Forgecroft makes the external ID and writes the trust policy; no other secret of AWS's is needed. AWS may not know what is new at once, so a refusal is asked about again for some seconds, and proves nothing yet: exit code 7.",
		[]act{
			command{line: `forgecroft credential create "Deploy role" --type aws_assume_role --project shop`},
			command{
				line:  `forgecroft credential set-secrets "Deploy role" --set role_arn=` + deployRole + ` --set duration_seconds=900 --set region=eu-central-1 --set source_credential_config_id="Production AWS"`,
				shows: []string{"version 1"},
			},
			command{
				line: `forgecroft credential show "Deploy role"`, shows: []string{"sts:ExternalId", "sts:AssumeRole"},
				keep: map[string]string{"external_id": `"sts:ExternalId": "([^"]+)"`},
			},
			command{line: `forgecroft credential verify "Deploy role"`, code: exitUndecided, shows: []string{"too_fresh", "AccessDenied"}},
			at("FAKE AWS: the role is made with that trust policy.", func(s *stage) {
				s.clouds.aws.AddRole(aws.Role{ARN: deployRole, Trusted: []string{forgecroftARN}, ExternalID: s.vars["external_id"]})
			}),
			command{line: `forgecroft credential verify "Deploy role"`, shows: []string{"valid", ":assumed-role/deploy/", "external ID enforced  yes"}},
		},
	}
}

func awsOpenRole() step {
	return step{
		"AWS: a role with an open door", "This role does not ask for the external ID; Forgecroft tries, and warns.",
		[]act{
			at("FAKE AWS: another role trusts the user without a condition.", func(s *stage) {
				s.clouds.aws.AddRole(aws.Role{ARN: openRole, Trusted: []string{forgecroftARN}})
			}),
			command{line: `forgecroft credential create "Open role" --type aws_assume_role --project shop`},
			command{line: `forgecroft credential set-secrets "Open role" --set role_arn=` + openRole + ` --set source_credential_config_id="Production AWS"`},
			command{line: `forgecroft credential verify "Open role"`, shows: []string{"valid", "external ID enforced  NO", "warning"}},
		},
	}
}
