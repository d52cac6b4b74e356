package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/internal/runner"
	"github.com/forgecroft/forgecroft/sdk"
)

// delivery are the flags of commands that take a workspace's environment.
type delivery struct{ workspace, runID string }

// flags adds the flags to a command.
func (d *delivery) flags(a *app, c *cobra.Command) {
	c.Flags().StringVarP(&d.workspace, "workspace", "w", "", "the workspace whose credentials to use (name or id) [$FORGECROFT_WORKSPACE]")
	c.Flags().StringVar(&d.runID, "run-id", "", "your own name for the run, for the audit trail [$FORGECROFT_RUN_ID]")
	_ = c.RegisterFlagCompletionFunc("workspace", a.completeWorkspaces())
}

// take takes the environment: whole, or an error.
func (a *app) take(c *cobra.Command, d delivery) (sdk.Environment, error) {
	name := strings.TrimSpace(first(d.workspace, a.getenv("FORGECROFT_WORKSPACE"))) // Files and pipes leave line ends.
	if name == "" {
		return sdk.Environment{}, usage("which workspace? Give --workspace")
	}
	client, err := a.client()
	if err != nil {
		return sdk.Environment{}, err
	}
	id := name
	if !uuid.MatchString(name) {
		w, err := findWorkspace(c.Context(), client, name)
		if err != nil {
			return sdk.Environment{}, err
		}
		id = w.ID
	}
	return client.Deliver(c.Context(), id, sdk.DeliverRequest{RunID: a.runID(first(d.runID, a.getenv("FORGECROFT_RUN_ID")))})
}

// maxRunID is how many characters the name of a run may have.
const maxRunID = 128

// runID makes a name for the audit trail of what a CI system gives, such as the title of a branch. It
// is a label: one that the API does not take is changed, with a notice, and stops no run.
func (a *app) runID(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._:/@-", r)) {
			return r
		}
		return '-'
	}, strings.TrimSpace(text))
	clean = clean[:min(len(clean), maxRunID)]
	if clean != strings.TrimSpace(text) {
		fmt.Fprintf(a.Err, "forgecroft: the run is called %s in the audit trail: a name has at most %d letters, digits and any of . _ : / @ -\n", clean, maxRunID)
	}
	return clean
}

// execCommand runs a command with a workspace's credentials.
func (a *app) execCommand() *cobra.Command {
	var d delivery
	var mask bool
	c := &cobra.Command{
		Use: "exec --workspace WORKSPACE -- COMMAND [ARG...]", Short: "Run a command with the credentials of a workspace",
		Args: cobra.MinimumNArgs(1), DisableFlagsInUseLine: true,
		Long: `Run a command with the credentials of a workspace in its environment, and end with its exit code.

The command is started without a shell. It inherits this environment without rivals of the credentials (AWS_PROFILE beside AWS keys, and so on), and without
Forgecroft's own variables. Key files lie in a private directory in memory where there is one, and are gone afterwards. Signals are passed on.
If the credentials cannot be had whole, the command is not started.

--mask hides the values in the command's output. It is best effort: it knows many ways to write a value, not all, and is no protection against a
command that wants to send them away.`,
		Example: "  forgecroft exec --workspace shop-prod -- terraform plan\n  forgecroft exec -w shop-prod --mask -- tofu apply -auto-approve",
		RunE: func(cmd *cobra.Command, args []string) error {
			runner.Harden()
			env, err := a.take(cmd, d)
			if err != nil {
				return err
			}
			child := runner.Command{Env: env, Argv: args, Environ: a.Environ, Stdin: a.In, Stdout: a.Out, Stderr: a.Err, Mask: mask, Notice: a.Err}
			code, err := child.Run(cmd.Context())
			if err != nil {
				return &exitError{code, err}
			}
			if code != 0 {
				return &exitError{code: code}
			}
			return nil
		},
	}
	c.Flags().SetInterspersed(false)
	d.flags(a, c)
	c.Flags().BoolVar(&mask, "mask", false, "hide the values in the command's output (best effort)")
	return c
}

// envCommand prints a workspace's environment for other tools.
func (a *app) envCommand() *cobra.Command {
	var d delivery
	var format, directory string
	c := &cobra.Command{
		Use: "env --workspace WORKSPACE", Short: "Print the environment of a workspace for other tools", Args: cobra.NoArgs,
		Long: `Print the credentials of a workspace. They are secrets: know where the output goes.

Formats: shell (for eval), dotenv (NAME=value lines), json (one object of names and values; --json prints all that the API delivers), github (a step's environment: writes to the file that $GITHUB_ENV names,
and masks the values in the step's log). A credential that needs a key file needs --files-dir too, or exec.`,
		Example: "  eval \"$(forgecroft env --workspace shop-prod --format shell)\"\n  forgecroft env --workspace shop-prod --format github",
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, known := a.formats(directory)[format]
			if !known {
				return usage("--format is one of shell, dotenv, json, github")
			}
			runner.Harden()
			env, err := a.take(cmd, d)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(env)
			}
			return write(env)
		},
	}
	d.flags(a, c)
	c.Flags().StringVar(&format, "format", "dotenv", "shell, dotenv, json or github")
	c.Flags().StringVar(&directory, "files-dir", "", "directory for key files (mode 0600), made if it is missing; you remove them")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"shell", "dotenv", "json", "github"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// formats are the ways to print an environment.
func (a *app) formats(directory string) map[string]func(sdk.Environment) error {
	return map[string]func(sdk.Environment) error{
		"shell":  func(e sdk.Environment) error { return runner.Shell(a.Out, e, directory) },
		"dotenv": func(e sdk.Environment) error { return runner.Dotenv(a.Out, e, directory) },
		"json":   func(e sdk.Environment) error { return runner.JSON(a.Out, e, directory) },
		"github": func(e sdk.Environment) error { return a.github(e, directory) },
	}
}

// github appends to the file of the step's environment, and masks values in the log.
func (a *app) github(e sdk.Environment, directory string) error {
	path := a.getenv("GITHUB_ENV")
	if path == "" {
		return usage("GITHUB_ENV is not set: --format github is for a step of GitHub Actions")
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening the file that GITHUB_ENV names: %w", err)
	}
	return errors.Join(runner.GitHub(file, a.Out, e, directory), file.Close())
}
