package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// projectCommand holds the commands about projects.
func (a *app) projectCommand() *cobra.Command {
	return group("project", "Projects group workspaces", []string{"projects"}, a.projectCreate(), a.projectList(), a.projectShow(), a.projectUpdate(), a.projectDelete())
}

func (a *app) projectCreate() *cobra.Command {
	var description string
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a project", Args: cobra.ExactArgs(1), Example: "  forgecroft project create shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			p, err := client.CreateProject(cmd.Context(), sdk.CreateProject{Name: args[0], Description: description})
			if err != nil {
				return err
			}
			return a.showProject(p)
		},
	}
	c.Flags().StringVar(&description, "description", "", "what it is for")
	return c
}

// showProject prints one project.
func (a *app) showProject(p sdk.Project) error {
	if a.json {
		return a.printJSON(p)
	}
	return a.printFields("project", p.Name, "id", p.ID, "description", p.Description, "created", when(&p.CreatedAt))
}

func (a *app) projectList() *cobra.Command {
	var search string
	c := &cobra.Command{
		Use: "list", Short: "List projects", Aliases: []string{"ls"}, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			items, err := all(cmd.Context(), sdk.ListOptions{Query: query("q", search)}, 0, client.Projects)
			if err != nil || a.json {
				return a.jsonOr(items, err)
			}
			var rows [][]string
			for _, p := range items {
				rows = append(rows, []string{p.Name, p.ID, when(&p.CreatedAt)})
			}
			return a.printTable([]string{"NAME", "ID", "CREATED"}, rows)
		},
	}
	c.Flags().StringVar(&search, "search", "", "part of the name")
	return c
}

// jsonOr prints a value as JSON unless there is an error.
func (a *app) jsonOr(v any, err error) error {
	if err != nil {
		return err
	}
	return a.printJSON(v)
}

func (a *app) projectShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PROJECT", Short: "Show a project", Args: cobra.ExactArgs(1), ValidArgsFunction: inTurn(a.completeProjects(), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			p, err := findProject(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return a.showProject(p)
		},
	}
}

// changed returns a pointer to a flag's value if the flag was given.
func changed(cmd *cobra.Command, flag string, value *string) *string {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return value
}

func (a *app) projectUpdate() *cobra.Command {
	var name, description string
	c := &cobra.Command{
		Use: "update PROJECT", Short: "Rename or describe a project", Args: cobra.ExactArgs(1), ValidArgsFunction: inTurn(a.completeProjects(), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			p, err := findProject(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			p, err = client.UpdateProject(cmd.Context(), p.ID, p.Revision, sdk.UpdateProject{Name: changed(cmd, "name", &name), Description: changed(cmd, "description", &description)})
			if err != nil {
				return err
			}
			return a.showProject(p)
		},
	}
	c.Flags().StringVar(&name, "name", "", "new name")
	c.Flags().StringVar(&description, "description", "", "new description")
	return c
}

func (a *app) projectDelete() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "delete PROJECT", Short: "Delete an empty project", Args: cobra.ExactArgs(1), ValidArgsFunction: inTurn(a.completeProjects(), nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			p, err := findProject(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			if err := a.confirm(yes, fmt.Sprintf("Project %q will be deleted.", p.Name)); err != nil {
				return err
			}
			return client.DeleteProject(cmd.Context(), p.ID)
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}
