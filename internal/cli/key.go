package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// keyCommand holds the commands about API keys.
func (a *app) keyCommand() *cobra.Command {
	return group("key", "API keys: who may call, with which role and scope", []string{"keys", "api-key"}, a.keyCreate(), a.keyList(), a.keyRevoke())
}

func (a *app) keyCreate() *cobra.Command {
	var role, project, workspace, expires string
	c := &cobra.Command{
		Use: "create NAME --role ROLE", Short: "Create an API key; it is shown once, on standard output", Args: cobra.ExactArgs(1),
		Long: "Create an API key. Its role is not above your own, and its scope lies within yours.\n\n" +
			"Roles: reader (metadata), runner (delivery for workspaces in scope), member (reader, runner, and create, change, verify, attach, delete),\nadmin (member, API keys, audit), owner (admin, vault keys).",
		Example: "  forgecroft key create ci-shop-prod --role runner --workspace shop-prod --expires 30d\n  forgecroft key create dashboard --role reader --project shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			r := sdk.CreateAPIKey{Name: args[0], Role: role}
			if r.ProjectID, r.WorkspaceID, err = scopeIDs(cmd.Context(), client, project, workspace); err != nil {
				return err
			}
			if r.ExpiresAt, err = expiry(expires, time.Now()); err != nil {
				return err
			}
			k, err := client.CreateAPIKey(cmd.Context(), r)
			if err != nil || a.json {
				return a.jsonOr(k, err)
			}
			fmt.Fprintf(a.Err, "API key %q, role %s. It is not shown again:\n", safe(k.Name), k.Role)
			_, err = fmt.Fprintln(a.Out, k.Key)
			return err
		},
	}
	c.Flags().StringVar(&role, "role", "", "reader, runner, member, admin or owner")
	c.Flags().StringVar(&project, "project", "", "narrow it to a project (name or id)")
	c.Flags().StringVar(&workspace, "workspace", "", "narrow it to a workspace (name or id)")
	c.Flags().StringVar(&expires, "expires", "", "when it ends: 30d, 12h, 2027-01-31, or 2027-01-31T12:00:00Z")
	c.MarkFlagsMutuallyExclusive("project", "workspace")
	_ = c.MarkFlagRequired("role")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"reader", "runner", "member", "admin", "owner"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("project", a.completeProjects())
	_ = c.RegisterFlagCompletionFunc("workspace", a.completeWorkspaces())
	return c
}

// scopeIDs looks up the scope of a new key.
func scopeIDs(ctx context.Context, client *sdk.Client, project, workspace string) (projectID, workspaceID string, err error) {
	if project != "" {
		p, err := findProject(ctx, client, project)
		return p.ID, "", err
	}
	if workspace != "" {
		w, err := findWorkspace(ctx, client, workspace)
		return "", w.ID, err
	}
	return "", "", nil
}

// expiry reads when a key ends; empty is never.
func expiry(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, ok := moment(text, now, false)
	if !ok {
		return nil, usage("--expires %q is no time: write 30d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z", text)
	}
	return &t, nil
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List API keys", Aliases: []string{"ls"}, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			items, err := all(cmd.Context(), sdk.ListOptions{}, 0, client.APIKeys)
			if err != nil || a.json {
				return a.jsonOr(items, err)
			}
			book := namesOf(cmd.Context(), client)
			var rows [][]string
			for _, k := range items {
				state := "live"
				switch {
				case k.RevokedAt != nil:
					state = "revoked"
				case k.ExpiresAt != nil && !time.Now().Before(*k.ExpiresAt):
					state = "expired"
				case k.ExpiresAt != nil:
					state = "until " + when(k.ExpiresAt)
				}
				rows = append(rows, []string{k.Name, k.ID, k.Role, book.scope(k.Scope), state, when(k.LastUsedAt)})
			}
			return a.printTable([]string{"NAME", "ID", "ROLE", "SCOPE", "STATE", "LAST USED"}, rows)
		},
	}
}

func (a *app) keyRevoke() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "revoke KEY", Short: "Revoke an API key (name or id); the next request with it fails", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			id := args[0]
			if !uuid.MatchString(id) {
				if id, err = liveKey(cmd.Context(), client, id); err != nil {
					return err
				}
			}
			if err := a.confirm(yes, fmt.Sprintf("API key %s will be revoked.", args[0])); err != nil {
				return err
			}
			return client.RevokeAPIKey(cmd.Context(), id)
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// liveKey finds the one key of a name that is not revoked.
func liveKey(ctx context.Context, client *sdk.Client, name string) (string, error) {
	if err := named("API key", name); err != nil {
		return "", err
	}
	keys, err := all(ctx, sdk.ListOptions{Query: query("name", name)}, 0, client.APIKeys)
	if err != nil {
		return "", err
	}
	id := ""
	for _, k := range keys {
		if k.RevokedAt != nil {
			continue
		}
		if id != "" {
			return "", usage("several API keys are called %q; use the id", name)
		}
		id = k.ID
	}
	if id == "" {
		return "", &exitError{exitNotFound, fmt.Errorf("there is no live API key %q", name)}
	}
	return id, nil
}
