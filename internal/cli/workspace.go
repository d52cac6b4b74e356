package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// workspaceCommand holds the commands about workspaces.
func (a *app) workspaceCommand() *cobra.Command {
	return group("workspace", "Workspaces and the credentials attached to them", []string{"workspaces", "ws"}, a.workspaceCreate(), a.workspaceList(), a.workspaceShow(), a.workspaceAttach(),
		a.workspaceDetach(), a.workspaceSet(), a.workspacePreview(), a.workspaceUpdate(), a.workspaceDelete())
}

func (a *app) workspaceCreate() *cobra.Command {
	var project, description string
	var credentials []string
	c := &cobra.Command{
		Use: "create NAME --project PROJECT", Short: "Create a workspace", Args: cobra.ExactArgs(1),
		Example: "  forgecroft workspace create shop-prod --project shop\n  forgecroft workspace create shop-test --project shop --credential \"Test AWS\" --credential Cloudflare",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			p, err := findProject(cmd.Context(), client, project)
			if err != nil {
				return err
			}
			ids, err := configIDs(cmd.Context(), client, credentials)
			if err != nil {
				return err
			}
			w, err := client.CreateWorkspace(cmd.Context(), sdk.CreateWorkspace{Name: args[0], Description: description, ProjectID: p.ID, CredentialConfigIDs: ids})
			if err != nil {
				return err
			}
			return a.showWorkspace(cmd.Context(), client, w)
		},
	}
	c.Flags().StringVar(&project, "project", "", "the project it belongs to (name or id)")
	c.Flags().StringVar(&description, "description", "", "what it is for")
	c.Flags().StringArrayVar(&credentials, "credential", nil, "credential config to attach (name or id); may be repeated, the order counts")
	_ = c.MarkFlagRequired("project")
	_ = c.RegisterFlagCompletionFunc("project", a.completeProjects())
	_ = c.RegisterFlagCompletionFunc("credential", a.completeConfigs())
	return c
}

// showWorkspace prints one workspace with the names of its credentials.
func (a *app) showWorkspace(ctx context.Context, client *sdk.Client, w sdk.Workspace) error {
	if a.json {
		return a.printJSON(w)
	}
	book := namesOf(ctx, client)
	return a.printFields("workspace", w.Name, "id", w.ID, "project", book.of(kindProject, w.ProjectID), "description", w.Description,
		"credentials", strings.Join(book.list(kindConfig, w.CredentialConfigIDs), "\n"),
		"last delivered", when(w.LastDeliveredAt))
}

func (a *app) workspaceList() *cobra.Command {
	var search, project, credential string
	c := &cobra.Command{
		Use: "list", Short: "List workspaces", Aliases: []string{"ls"}, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			filter := query("q", search)
			if project != "" {
				p, err := findProject(cmd.Context(), client, project)
				if err != nil {
					return err
				}
				filter.Set("project_id", p.ID)
			}
			if credential != "" {
				c, err := findConfig(cmd.Context(), client, credential)
				if err != nil {
					return err
				}
				filter.Set("credential_config_id", c.ID)
			}
			items, err := all(cmd.Context(), sdk.ListOptions{Query: filter}, 0, client.Workspaces)
			if err != nil || a.json {
				return a.jsonOr(items, err)
			}
			book := namesOf(cmd.Context(), client)
			var rows [][]string
			for _, w := range items {
				rows = append(rows, []string{w.Name, w.ID, book.of(kindProject, w.ProjectID), fmt.Sprint(len(w.CredentialConfigIDs)), when(w.LastDeliveredAt)})
			}
			return a.printTable([]string{"NAME", "ID", "PROJECT", "CREDENTIALS", "LAST DELIVERED"}, rows)
		},
	}
	c.Flags().StringVar(&search, "search", "", "part of the name")
	c.Flags().StringVar(&project, "project", "", "only those of this project (name or id)")
	c.Flags().StringVar(&credential, "credential", "", "only those with this credential config (name or id)")
	_ = c.RegisterFlagCompletionFunc("project", a.completeProjects())
	_ = c.RegisterFlagCompletionFunc("credential", a.completeConfigs())
	return c
}

// onWorkspace makes a command that does something to one workspace.
func (a *app) onWorkspace(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, client *sdk.Client, w sdk.Workspace, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args, ValidArgsFunction: inTurn(a.completeWorkspaces(), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			w, err := findWorkspace(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return run(cmd.Context(), client, w, args[1:])
		},
	}
}

func (a *app) workspaceShow() *cobra.Command {
	return a.onWorkspace("show WORKSPACE", "Show a workspace", cobra.ExactArgs(1), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, _ []string) error {
		return a.showWorkspace(ctx, client, w)
	})
}

// replaceCredentials replaces the whole list, unless someone else has changed the workspace since it was read.
func (a *app) replaceCredentials(ctx context.Context, client *sdk.Client, w sdk.Workspace, ids []string) error {
	w, err := client.UpdateWorkspace(ctx, w.ID, w.Revision, sdk.UpdateWorkspace{CredentialConfigIDs: &ids})
	if err != nil {
		return err
	}
	return a.showWorkspace(ctx, client, w)
}

// changeCredentials adds to the list or takes from it. Unlike a replacement, that makes sense
// whatever the list is by now: if someone else changes the workspace in between, it starts again
// from what they left.
func (a *app) changeCredentials(ctx context.Context, client *sdk.Client, w sdk.Workspace, change func(ids []string) ([]string, error)) error {
	const tries = 5
	for try := 1; ; try++ {
		ids, err := change(slices.Clone(w.CredentialConfigIDs))
		if err != nil {
			return err
		}
		err = a.replaceCredentials(ctx, client, w, ids)
		if !errors.Is(err, sdk.ErrStale) || try == tries {
			return err
		}
		if w, err = client.Workspace(ctx, w.ID); err != nil {
			return err
		}
	}
}

func (a *app) workspaceAttach() *cobra.Command {
	c := a.onWorkspace("attach WORKSPACE CREDENTIAL...", "Attach credential configs after those that are attached", cobra.MinimumNArgs(2), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, names []string) error {
		more, err := configIDs(ctx, client, names)
		if err != nil {
			return err
		}
		return a.changeCredentials(ctx, client, w, func(ids []string) ([]string, error) {
			for _, id := range more {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			return ids, nil
		})
	})
	c.Example = "  forgecroft workspace attach shop-prod \"Production AWS\" Cloudflare"
	c.ValidArgsFunction = inTurn(a.completeWorkspaces(), a.completeConfigs())
	return c
}

func (a *app) workspaceDetach() *cobra.Command {
	c := a.onWorkspace("detach WORKSPACE CREDENTIAL...", "Detach credential configs", cobra.MinimumNArgs(2), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, names []string) error {
		fewer, err := configIDs(ctx, client, names)
		if err != nil {
			return err
		}
		return a.changeCredentials(ctx, client, w, func(ids []string) ([]string, error) {
			before := len(ids)
			ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(fewer, id) })
			if len(ids) == before {
				return nil, &exitError{exitNotFound, fmt.Errorf("none of them is attached to %q", w.Name)}
			}
			return ids, nil
		})
	})
	c.ValidArgsFunction = inTurn(a.completeWorkspaces(), a.completeConfigs())
	return c
}

func (a *app) workspaceSet() *cobra.Command {
	c := a.onWorkspace("set-credentials WORKSPACE [CREDENTIAL...]", "Replace the whole list of attached credential configs; the order counts", cobra.MinimumNArgs(1), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, names []string) error {
		ids, err := configIDs(ctx, client, names)
		if err != nil {
			return err
		}
		return a.replaceCredentials(ctx, client, w, ids)
	})
	c.ValidArgsFunction = inTurn(a.completeWorkspaces(), a.completeConfigs())
	return c
}

func (a *app) workspacePreview() *cobra.Command {
	return a.onWorkspace("preview WORKSPACE", "Show what a run would get: names and origins, no values", cobra.ExactArgs(1), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, _ []string) error {
		p, err := client.PreviewEnvironment(ctx, w.ID)
		if err != nil || a.json {
			return a.jsonOr(p, err)
		}
		var rows [][]string
		for _, v := range p.Variables {
			kind := "plain"
			if v.Secret {
				kind = "secret"
			}
			if v.File {
				kind = "path of a private file"
			}
			rows = append(rows, []string{v.Name, kind, v.CredentialConfigName})
		}
		if err := a.printTable([]string{"VARIABLE", "VALUE", "FROM"}, rows); err != nil {
			return err
		}
		if len(p.Unset) > 0 {
			fmt.Fprintf(a.Out, "\nunset: %s\n", strings.Join(p.Unset, " "))
		}
		for _, m := range p.Missing {
			fmt.Fprintf(a.Out, "\n%s %q has no secrets yet: delivery fails until it has.\n", a.colour(yellow, "missing:"), safe(m.Name))
		}
		for _, conflict := range p.Conflicts {
			fmt.Fprintf(a.Out, "\n%s %q and %q both claim %s: delivery fails.\n", a.colour(red, "conflict:"), safe(conflict.Between[0].Name), safe(conflict.Between[1].Name), conflict.Variable)
		}
		return nil
	})
}

func (a *app) workspaceUpdate() *cobra.Command {
	var name, description string
	var c *cobra.Command
	c = a.onWorkspace("update WORKSPACE", "Rename or describe a workspace", cobra.ExactArgs(1), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, _ []string) error {
		w, err := client.UpdateWorkspace(ctx, w.ID, w.Revision, sdk.UpdateWorkspace{Name: changed(c, "name", &name), Description: changed(c, "description", &description)})
		if err != nil {
			return err
		}
		return a.showWorkspace(ctx, client, w)
	})
	c.Flags().StringVar(&name, "name", "", "new name")
	c.Flags().StringVar(&description, "description", "", "new description")
	return c
}

func (a *app) workspaceDelete() *cobra.Command {
	var yes bool
	c := a.onWorkspace("delete WORKSPACE", "Delete a workspace; its credential configs stay", cobra.ExactArgs(1), func(ctx context.Context, client *sdk.Client, w sdk.Workspace, _ []string) error {
		if err := a.confirm(yes, fmt.Sprintf("Workspace %q will be deleted.", w.Name)); err != nil {
			return err
		}
		return client.DeleteWorkspace(ctx, w.ID)
	})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}
