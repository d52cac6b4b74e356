package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// sessionTime is the duration_seconds of the deploy role.
const sessionTime = 900 * time.Second

func runs() []step {
	return []step{attaching(), running(), expiring(), masking(), runnerKey()}
}

func attaching() step {
	return step{
		"Attached, and a conflict refused", "Two AWS identities in one environment would be a coin toss, so the second is refused before any run.",
		[]act{
			command{line: `forgecroft workspace attach shop-prod "Deploy role" Google Cloudflare "Shop settings"`},
			command{line: `forgecroft workspace attach shop-prod "Production AWS"`, code: exitConflict, shows: []string{"Deploy role", "Production AWS"}},
			command{
				line:  `forgecroft workspace preview shop-prod`,
				shows: []string{"AWS_SESSION_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDFLARE_API_TOKEN", "TF_VAR_greeting"},
			},
		},
	}
}

func running() step {
	return step{
		"A run", "The credentials are in the environment of that one process; its exit code is passed on.",
		[]act{
			command{
				line:  `forgecroft exec -w shop-prod -- sh -c 'env | cut -d= -f1 | grep -E "^(AWS|GOOGLE|CLOUDFLARE|TF_VAR)_" | sort'`,
				shows: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CLOUDFLARE_API_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN", "TF_VAR_greeting"},
				hides: []string{"GOOGLE_CREDENTIALS"},
			},
			command{line: `forgecroft exec -w shop-prod -- sh -c 'exit 3'`, code: 3},
		},
	}
}

func expiring() step {
	return step{
		"What a run gets expires", "The stored AWS key and the Google key stay in the vault: the run has a session of 15 minutes and a token of an hour.",
		[]act{
			elsewhere{"FAKE AWS has handed out sessions only to whoever sent the external ID, and FAKE Google has handed out tokens.", providersAsked},
			command{
				line: `forgecroft exec -w shop-prod -- sh -c 'echo "key id $AWS_ACCESS_KEY_ID"'`, shows: []string{"key id ASIA"}, hides: []string{accessKeyID},
			},
			command{
				line: `forgecroft env -w shop-prod --json | grep expires_at`,
				keep: map[string]string{"expires_at": `"expires_at": "([^"]+)"`},
			},
			elsewhere{"That is at most a quarter of an hour from now.\n", shortLived},
		},
	}
}

func masking() step {
	return step{
		"Careless output", "With --mask the values do not reach the log of a run, not even encoded.",
		[]act{
			command{line: `forgecroft exec -w shop-prod --mask -- sh -c 'echo "token: $CLOUDFLARE_API_TOKEN"; printf %s "$TF_VAR_greeting" | base64'`, shows: []string{"token: "}, hides: []string{"aGVsbG8g"}},
		},
	}
}

func runnerKey() step {
	return step{
		"A key for CI that can do one thing", "A runner key delivers its workspace and nothing else; revoked, it does not even do that.",
		[]act{
			command{line: `forgecroft key create ci --role runner --workspace shop-prod --expires 720h > ci.key`},
			command{line: `FORGECROFT_API_KEY=$(cat ci.key) forgecroft exec -w shop-prod -- sh -c 'echo "delivered for ${AWS_REGION}"'`, shows: []string{"delivered for eu-central-1"}},
			command{line: `FORGECROFT_API_KEY=$(cat ci.key) forgecroft project create mine`, code: exitDenied},
			command{line: `FORGECROFT_API_KEY=$(cat ci.key) forgecroft credential list`, code: exitDenied},
			command{line: `FORGECROFT_API_KEY=$(cat ci.key) forgecroft audit list`, code: exitDenied},
			command{line: `forgecroft key revoke ci --yes`},
			command{line: `FORGECROFT_API_KEY=$(cat ci.key) forgecroft exec -w shop-prod -- echo never`, code: exitDenied, hides: []string{"never"}},
		},
	}
}

// providersAsked looks at what the fakes have seen: the command line could be wrong about it.
func providersAsked(_ context.Context, s *stage) error {
	var sessions, tokens int
	for _, call := range s.clouds.aws.Calls() {
		if call.Action != "AssumeRole" || call.Params.Get("RoleArn") != deployRole || call.Code != "" {
			continue
		}
		sessions++
		if call.Params.Get("ExternalId") != s.vars["external_id"] {
			return errors.New("the deploy role was handed out without its external ID")
		}
	}
	for _, call := range s.clouds.gcp.Calls() {
		if call.Code == "" && call.Email == serviceEmail {
			tokens++
		}
	}
	if sessions < 2 || tokens < 2 {
		return errors.New("the providers were not asked for this run")
	}
	return nil
}

// shortLived holds the end of a delivery against the role's 900 seconds.
func shortLived(_ context.Context, s *stage) error {
	end, err := time.Parse(time.RFC3339, s.vars["expires_at"])
	if err != nil {
		return err
	}
	if left := time.Until(end); left <= 0 || left > sessionTime {
		return fmt.Errorf("the session ends in %v, want at most %v", left, sessionTime)
	}
	return nil
}

// restart stops the server as an operator would, and starts it on the same data.
func restart(ctx context.Context, s *stage) error {
	if err := s.server.stop(); err != nil {
		return err
	}
	return s.server.start(ctx)
}
