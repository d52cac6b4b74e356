package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// credentialCommand holds the commands about credential configs.
func (a *app) credentialCommand() *cobra.Command {
	return group("credential", "Credential configs and their secrets", []string{"credentials", "cred"}, a.credentialTypes(), a.credentialCreate(), a.credentialSetSecrets(), a.credentialVerify(),
		a.credentialList(), a.credentialShow(), a.credentialVersions(), a.credentialUpdate(), a.credentialDelete())
}

func (a *app) credentialTypes() *cobra.Command {
	return &cobra.Command{
		Use: "types", Short: "List the credential types with their fields", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			types, err := client.CredentialTypes(cmd.Context())
			if err != nil || a.json {
				return a.jsonOr(types.Items, err)
			}
			var rows [][]string
			for _, t := range types.Items {
				var fields []string
				for _, f := range t.Fields {
					name := f.Name
					if f.Required {
						name += "*"
					}
					fields = append(fields, name)
				}
				if t.AnyNames {
					fields = append(fields, "any NAME=VALUE")
				}
				rows = append(rows, []string{t.Name, t.Title, strings.Join(fields, " ")})
			}
			return a.printTable([]string{"TYPE", "TITLE", "FIELDS (* required)"}, rows)
		},
	}
}

func (a *app) credentialCreate() *cobra.Command {
	var kind, project, description string
	c := &cobra.Command{
		Use: "create NAME --type TYPE", Short: "Create a credential config: metadata only", Args: cobra.ExactArgs(1),
		Example: "  forgecroft credential create \"Production AWS\" --type aws_static --project shop\n  forgecroft credential create Datadog --type generic_env\n" +
			"  forgecroft credential set-secrets \"Production AWS\"     # asks for each field",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			r := sdk.CreateCredentialConfig{Name: args[0], CredentialType: kind, Description: description}
			if project != "" {
				p, err := findProject(cmd.Context(), client, project)
				if err != nil {
					return err
				}
				r.ProjectID = sdk.Some(p.ID)
			}
			config, err := client.CreateCredentialConfig(cmd.Context(), r)
			if err != nil {
				return err
			}
			return a.showConfig(config)
		},
	}
	c.Flags().StringVar(&kind, "type", "", "credential type; see: forgecroft credential types")
	c.Flags().StringVar(&project, "project", "", "only for workspaces of this project (name or id); otherwise for the whole organization")
	c.Flags().StringVar(&description, "description", "", "what it is for")
	_ = c.MarkFlagRequired("type")
	_ = c.RegisterFlagCompletionFunc("type", a.completeTypes)
	_ = c.RegisterFlagCompletionFunc("project", a.completeProjects())
	return c
}

// completeTypes offers the names of credential types.
func (a *app) completeTypes(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	client, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	types, err := client.CredentialTypes(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, t := range types.Items {
		names = append(names, t.Name+"\t"+t.Title)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// state sums a config's verification up.
func (a *app) state(c sdk.CredentialConfig) string {
	switch {
	case c.SecretVersion == 0:
		return "no secrets"
	case c.VerificationState == "valid":
		return a.colour(green, "valid")
	case c.VerificationState == "invalid":
		return a.colour(red, "invalid")
	default:
		return c.VerificationState
	}
}

// showConfig prints one credential config.
func (a *app) showConfig(c sdk.CredentialConfig) error {
	if a.json {
		return a.printJSON(c)
	}
	var values []string
	for _, name := range slices.Sorted(maps.Keys(c.Values)) {
		values = append(values, name+" = "+c.Values[name])
	}
	verified, version := "", ""
	if v := c.Verification; v != nil {
		verified = fmt.Sprintf("%s (version %d, %s)", first(v.Identity, v.Error), v.SecretVersion, when(&v.CheckedAt))
	}
	if c.SecretVersion > 0 {
		version = fmt.Sprintf("%d, stored %s", c.SecretVersion, when(c.SecretsStoredAt))
	}
	scope := c.Scope
	if c.ProjectID != nil {
		scope += " " + *c.ProjectID
	}
	err := a.printFields("credential", c.Name, "id", c.ID, "type", c.CredentialType, "scope", scope, "description", c.Description, "state", a.state(c), "secret version", version,
		"fields", strings.Join(c.Fields, " "), "values", strings.Join(values, "\n"), "verified", verified, "attached to", strings.Join(c.WorkspaceIDs, "\n"), "last delivered", when(c.LastDeliveredAt),
		"external ID", c.ExternalID)
	if err != nil || len(c.TrustPolicy) == 0 {
		return err
	}
	var policy bytes.Buffer // At the left margin, to be copied.
	if err := json.Indent(&policy, c.TrustPolicy, "", "  "); err != nil {
		return fmt.Errorf("reading the trust policy: %w", err)
	}
	_, err = fmt.Fprintf(a.Out, "\nThe trust policy to paste into the role:\n\n%s\n", safe(policy.String()))
	return err
}

// onConfig makes a command that does something to one credential config.
func (a *app) onConfig(use, short string, run func(ctx context.Context, client *sdk.Client, c sdk.CredentialConfig) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: inTurn(a.completeConfigs(), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			c, err := findConfig(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return run(cmd.Context(), client, c)
		},
	}
}

func (a *app) credentialShow() *cobra.Command {
	return a.onConfig("show CREDENTIAL", "Show a credential config; for aws_assume_role with the trust policy to paste", func(_ context.Context, _ *sdk.Client, c sdk.CredentialConfig) error { return a.showConfig(c) })
}

func (a *app) credentialVerify() *cobra.Command {
	c := a.onConfig("verify CREDENTIAL", "Ask the provider whether the stored secrets are good", func(ctx context.Context, client *sdk.Client, c sdk.CredentialConfig) error {
		v, err := client.Verify(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := a.showVerification(v); err != nil {
			return err
		}
		switch {
		case v.Valid:
			return nil
		case v.Conclusive:
			return &exitError{code: exitInvalid}
		default:
			return &exitError{code: exitInconclusive}
		}
	})
	c.Long = "Ask the provider's own API. Three outcomes: valid (exit code 0), invalid (6), and could not tell (7), which leaves the last result as it is."
	return c
}

// showVerification prints a result.
func (a *app) showVerification(v sdk.Verification) error {
	if a.json {
		return a.printJSON(v)
	}
	result := a.colour(yellow, "could not tell")
	switch {
	case v.Valid:
		result = a.colour(green, "valid")
	case v.Conclusive:
		result = a.colour(red, "invalid")
	}
	enforced := ""
	if v.ExternalIDEnforced != nil {
		enforced = map[bool]string{true: "yes", false: "NO"}[*v.ExternalIDEnforced]
	}
	expires := ""
	if v.ExpiresAt != nil {
		expires = when(v.ExpiresAt)
	}
	// The colour's escape must not go through printFields.
	fmt.Fprintln(a.Out, result)
	return a.printFields("identity", v.Identity, "error", v.Error, "detail", v.Detail, "external ID enforced", enforced, "expires", expires, "warning", strings.Join(v.Warnings, "\n"))
}

func (a *app) credentialList() *cobra.Command {
	var search, kind, project, scope, verification string
	c := &cobra.Command{
		Use: "list", Short: "List credential configs", Aliases: []string{"ls"}, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			filter := query("q", search, "credential_type", kind, "scope", scope, "verification", verification)
			if project != "" {
				p, err := findProject(cmd.Context(), client, project)
				if err != nil {
					return err
				}
				filter.Set("project_id", p.ID)
			}
			items, err := all(cmd.Context(), sdk.ListOptions{Query: filter}, 0, client.CredentialConfigs)
			if err != nil || a.json {
				return a.jsonOr(items, err)
			}
			var rows [][]string
			for _, c := range items {
				state := c.VerificationState
				if c.SecretVersion == 0 {
					state = "no secrets"
				}
				rows = append(rows, []string{c.Name, c.ID, c.CredentialType, c.Scope, state, fmt.Sprint(len(c.WorkspaceIDs)), when(c.LastDeliveredAt)})
			}
			return a.printTable([]string{"NAME", "ID", "TYPE", "SCOPE", "STATE", "WORKSPACES", "LAST DELIVERED"}, rows)
		},
	}
	c.Flags().StringVar(&search, "search", "", "part of the name")
	c.Flags().StringVar(&kind, "type", "", "only this credential type")
	c.Flags().StringVar(&project, "project", "", "only those of this project (name or id)")
	c.Flags().StringVar(&scope, "scope", "", "organization or project")
	c.Flags().StringVar(&verification, "state", "", "valid, invalid or unverified")
	_ = c.RegisterFlagCompletionFunc("type", a.completeTypes)
	_ = c.RegisterFlagCompletionFunc("project", a.completeProjects())
	return c
}

func (a *app) credentialVersions() *cobra.Command {
	return a.onConfig("versions CREDENTIAL", "List the versions of the secrets: who and when, no values", func(ctx context.Context, client *sdk.Client, c sdk.CredentialConfig) error {
		versions, err := client.SecretVersions(ctx, c.ID)
		if err != nil || a.json {
			return a.jsonOr(versions.Items, err)
		}
		var rows [][]string
		for _, v := range versions.Items {
			rows = append(rows, []string{fmt.Sprint(v.SecretVersion), when(&v.CreatedAt), cmp.Or(v.CreatedByName, v.CreatedBy), strings.Join(v.Fields, " ")})
		}
		return a.printTable([]string{"VERSION", "STORED", "BY API KEY", "FIELDS"}, rows)
	})
}

func (a *app) credentialUpdate() *cobra.Command {
	var name, description, project string
	var organization bool
	var c *cobra.Command
	c = a.onConfig("update CREDENTIAL", "Rename, describe or re-scope a credential config", func(ctx context.Context, client *sdk.Client, config sdk.CredentialConfig) error {
		r := sdk.UpdateCredentialConfig{Name: changed(c, "name", &name), Description: changed(c, "description", &description)}
		switch {
		case organization:
			r.ProjectID = sdk.Null[string]()
		case project != "":
			p, err := findProject(ctx, client, project)
			if err != nil {
				return err
			}
			r.ProjectID = sdk.Some(p.ID)
		}
		config, err := client.UpdateCredentialConfig(ctx, config.ID, config.Revision, r)
		if err != nil {
			return err
		}
		return a.showConfig(config)
	})
	c.Flags().StringVar(&name, "name", "", "new name")
	c.Flags().StringVar(&description, "description", "", "new description")
	c.Flags().StringVar(&project, "project", "", "scope it to this project (name or id)")
	c.Flags().BoolVar(&organization, "organization", false, "make it available to the whole organization")
	c.MarkFlagsMutuallyExclusive("project", "organization")
	return c
}

func (a *app) credentialDelete() *cobra.Command {
	var yes bool
	c := a.onConfig("delete CREDENTIAL", "Delete a credential config and destroy its secrets", func(ctx context.Context, client *sdk.Client, c sdk.CredentialConfig) error {
		if err := a.confirm(yes, fmt.Sprintf("Credential config %q and its secrets will be destroyed.", c.Name)); err != nil {
			return err
		}
		return client.DeleteCredentialConfig(ctx, c.ID)
	})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}
