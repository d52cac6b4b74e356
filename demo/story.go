package main

import (
	"fmt"
	"slices"
)

// story is the whole of it, in order. Later steps build on earlier ones.
func story() []step {
	return slices.Concat(beginning(), awsSteps(), otherProviders(), runs(), ending())
}

func beginning() []step {
	return []step{{
		"A project and a workspace", "A workspace is one root module of Terraform, OpenTofu or Pulumi; a project groups workspaces.",
		[]act{
			command{line: "forgecroft whoami", shows: []string{"{url}", "owner"}},
			command{line: "forgecroft project create shop", shows: []string{"shop"}},
			command{line: "forgecroft workspace create shop-prod --project shop", shows: []string{"shop-prod"}},
		},
	}}
}

func otherProviders() []step {
	return []step{
		{
			"Google: a service account", "The key comes from the file that Google hands out, and verifying it names the account.",
			[]act{
				command{line: `forgecroft credential create Google --type gcp_service_account`, shows: []string{"no secrets"}},
				command{line: `forgecroft credential set-secrets Google --file service_account_key=key.json --set project=` + gcpProject, shows: []string{"version 1"}},
				command{line: `forgecroft credential verify Google`, shows: []string{"valid", serviceEmail}},
			},
		},
		{
			"Cloudflare: active and disabled", "Cloudflare answers \"success\" about a disabled token too; Forgecroft reads on.",
			[]act{
				command{line: `forgecroft credential create Cloudflare --type cloudflare_api_token`},
				command{line: "forgecroft credential set-secrets Cloudflare --from - <<'END'\napi_token=" + goodToken + "\nEND"},
				command{line: `forgecroft credential verify Cloudflare`, shows: []string{"valid", tokenID}},
				at("FAKE Cloudflare: somebody disables the token.", func(s *stage) { s.clouds.cloudflare.SetStatus(goodToken, "disabled") }),
				command{line: `forgecroft credential verify Cloudflare`, code: exitInvalid, shows: []string{"invalid", "disabled"}},
				at("FAKE Cloudflare: and enables it again.", func(s *stage) { s.clouds.cloudflare.SetStatus(goodToken, "active") }),
				command{line: `forgecroft credential verify Cloudflare`, shows: []string{"valid", tokenID}},
			},
		},
		{
			"Anything else that reads variables", "generic_env serves every other provider; there is nobody to ask, and verification says so instead of guessing.",
			[]act{
				command{line: `forgecroft credential create "Shop settings" --type generic_env`},
				command{line: "forgecroft credential set-secrets \"Shop settings\" --from - <<'END'\nTF_VAR_greeting=\"" + greeting + "\"\nEND"},
				command{line: `forgecroft credential verify "Shop settings"`, code: exitUndecided, shows: []string{"could not tell", "not_verifiable"}},
			},
		},
	}
}

func ending() []step {
	return []step{inUse(), record(), rotation(), afterwards()}
}

func inUse() step {
	return step{
		"What is in use stays", "A credential that a workspace has attached cannot be deleted from under it.",
		[]act{
			command{line: `forgecroft credential delete Cloudflare --yes`, code: exitConflict, shows: []string{"shop-prod"}},
			command{line: `forgecroft credential delete "Old AWS" --yes`},
			command{line: `forgecroft credential list`, shows: []string{"Cloudflare"}, hides: []string{"Old AWS"}},
		},
	}
}

func record() step {
	return step{
		"The record", "Every change, denial and delivery is in a chain of hashes that anybody can check; a checkpoint kept elsewhere shows a cut-off end.",
		[]act{
			command{line: `forgecroft audit list --action environment.deliver --limit 1`, shows: []string{"environment.deliver", "shop-prod", "CLOUDFLARE_API_TOKEN"}},
			command{line: `forgecroft audit list --outcome denied`, shows: []string{"project.create", "credential_config.list", "audit_event.list"}},
			command{line: `forgecroft audit checkpoint > checkpoint.json`},
			command{line: `forgecroft audit verify --checkpoint checkpoint.json`, shows: []string{"intact"}},
		},
	}
}

func rotation() step {
	return step{
		"A new key for the vault", "Every secret moves to a new key-encryption key while the server serves.",
		[]act{
			command{line: `forgecroft vault keys`, keep: map[string]string{"old_key": `([0-9a-f]{16})  primary`}},
			command{line: `forgecroft vault rotate-key`, shows: []string{"{old_key}  older    0"}},
			command{
				line:  `forgecroft exec -w shop-prod -- sh -c 'echo "a greeting of ${#TF_VAR_greeting} characters"'`,
				shows: []string{fmt.Sprintf("of %d characters", len(greeting))},
			},
		},
	}
}

func afterwards() step {
	return step{
		"A restart", "Metadata, secrets, verification results and the record are all still there.",
		[]act{
			elsewhere{"The server is stopped and started again.", restart},
			command{line: `forgecroft credential show "Production AWS"`, shows: []string{"state           valid", forgecroftARN}},
			command{line: `forgecroft workspace show shop-prod`, shows: []string{"Deploy role", "Google", "Cloudflare", "Shop settings"}},
			command{line: `forgecroft credential verify Google`, shows: []string{"valid", serviceEmail}},
			command{line: `forgecroft exec -w shop-prod --mask -- sh -c 'echo "the vault says: $TF_VAR_greeting"'`, shows: []string{"the vault says: ***"}},
			command{line: `forgecroft vault keys`, shows: []string{"{old_key}  older    0"}},
			command{line: `forgecroft audit verify --checkpoint checkpoint.json`, shows: []string{"intact"}},
		},
	}
}
