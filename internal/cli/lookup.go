package cli

import (
	"context"
	"fmt"
	"net/url"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// uuid is the form of an id.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// byName is the filter for one exact name.
func byName(name string) sdk.ListOptions {
	return sdk.ListOptions{Query: url.Values{"name": {name}}, Limit: 2}
}

// named refuses an empty name, which is mostly a variable of the shell that is not set, and which as a filter would mean every object.
func named(what, argument string) error {
	if argument == "" {
		return usage("the name of the %s is empty: is a variable of the shell not set?", what)
	}
	return nil
}

// find returns the object that an argument names by its id or by its name.
func find[T any](ctx context.Context, what, argument string, get func(context.Context, string) (T, error), list func(context.Context, sdk.ListOptions) (sdk.List[T], error)) (T, error) {
	var none T
	if err := named(what, argument); err != nil {
		return none, err
	}
	if uuid.MatchString(argument) {
		return get(ctx, argument)
	}
	page, err := list(ctx, byName(argument))
	if err != nil {
		return none, err
	}
	switch len(page.Items) {
	case 1:
		return page.Items[0], nil
	case 0:
		return none, &exitError{exitNotFound, fmt.Errorf("there is no %s %q", what, argument)}
	default:
		return none, usage("several %ss are called %q; use the id", what, argument)
	}
}

func findProject(ctx context.Context, c *sdk.Client, name string) (sdk.Project, error) {
	return find(ctx, "project", name, c.Project, c.Projects)
}

func findWorkspace(ctx context.Context, c *sdk.Client, name string) (sdk.Workspace, error) {
	return find(ctx, "workspace", name, c.Workspace, c.Workspaces)
}

// findConfig reads the config itself, because lists leave the trust policy out.
func findConfig(ctx context.Context, c *sdk.Client, name string) (sdk.CredentialConfig, error) {
	found, err := find(ctx, "credential config", name, c.CredentialConfig, c.CredentialConfigs)
	if err != nil || uuid.MatchString(name) {
		return found, err
	}
	return c.CredentialConfig(ctx, found.ID)
}

// configIDs turns names of credential configs into ids, in order.
func configIDs(ctx context.Context, c *sdk.Client, names []string) ([]string, error) {
	ids := make([]string, 0, len(names))
	for _, name := range names {
		if uuid.MatchString(name) {
			ids = append(ids, name)
			continue
		}
		config, err := find(ctx, "credential config", name, c.CredentialConfig, c.CredentialConfigs)
		if err != nil {
			return nil, err
		}
		ids = append(ids, config.ID)
	}
	return ids, nil
}

// completion offers names for an argument or flag.
type completion = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// complete makes a completion of the names in a list. It is silent when the server cannot be asked.
func complete[T any](a *app, list func(*sdk.Client) func(context.Context, sdk.ListOptions) (sdk.List[T], error), name func(T) string) completion {
	return func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		client, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		page, err := list(client)(cmd.Context(), sdk.ListOptions{Query: url.Values{"q": {toComplete}}, Limit: 100})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, item := range page.Items {
			names = append(names, name(item))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// inTurn completes the first argument with one completion and all others with another; nil offers
// nothing.
func inTurn(head, tail completion) completion {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		next := head
		if len(args) > 0 {
			next = tail
		}
		if next == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return next(cmd, args, toComplete)
	}
}

func (a *app) completeProjects() completion {
	return complete(a, func(c *sdk.Client) func(context.Context, sdk.ListOptions) (sdk.List[sdk.Project], error) {
		return c.Projects
	}, func(p sdk.Project) string { return p.Name })
}

func (a *app) completeWorkspaces() completion {
	return complete(a, func(c *sdk.Client) func(context.Context, sdk.ListOptions) (sdk.List[sdk.Workspace], error) {
		return c.Workspaces
	}, func(w sdk.Workspace) string { return w.Name })
}

func (a *app) completeConfigs() completion {
	return complete(a, func(c *sdk.Client) func(context.Context, sdk.ListOptions) (sdk.List[sdk.CredentialConfig], error) {
		return c.CredentialConfigs
	}, func(c sdk.CredentialConfig) string { return c.Name })
}

// all reads a whole list, at most limit items (0: all).
func all[T any](ctx context.Context, o sdk.ListOptions, limit int, page func(context.Context, sdk.ListOptions) (sdk.List[T], error)) ([]T, error) {
	items := []T{}
	o.Limit = 200
	if limit > 0 {
		o.Limit = min(limit, 200)
	}
	for item, err := range sdk.All(ctx, o, page) {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if len(items) == limit {
			break
		}
	}
	return items, nil
}

// query makes filters of the pairs whose value is not empty.
func query(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}
