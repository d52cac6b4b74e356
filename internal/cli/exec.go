package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
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
If a credential is missing, the command is not started. As process 1 of a container, exec also reaps orphaned processes.

Beside AWS credentials, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE point at empty files, so that nothing in ~/.aws is used; beside Google's,
GOOGLE_APPLICATION_CREDENTIALS does, unless it is delivered.

--mask hides secret values in the command's output. The command then writes to a pipe: it has no terminal for its output, so it shows no colors and
no progress bars. Output that background processes write after the command has ended is lost. Masking is best effort: it knows many ways to write
a value, not all, and does not stop a command that sends values elsewhere.`,
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
	c.Flags().BoolVar(&mask, "mask", false, "hide secret values in the command's output, which then goes through a pipe (best effort)")
	return c
}

// format is how the environment is printed.
type format struct{ name, dialect, directory string }

// envCommand prints a workspace's environment for other tools.
func (a *app) envCommand() *cobra.Command {
	var d delivery
	var f format
	c := &cobra.Command{
		Use: "env --workspace WORKSPACE", Short: "Print the environment of a workspace for other tools", Args: cobra.NoArgs,
		Long: `Print the credentials of a workspace. They are secrets: know where the output goes.

Formats:
  shell   commands for eval in a POSIX shell
  dotenv  NAME=value lines. Readers of such files differ: a value that bash, docker and python-dotenv would read differently is refused,
          unless --dialect names the one that will read the file: bash (set -a; . FILE), docker (docker run --env-file), python (python-dotenv)
  json    one object of names and values; --json prints all that the API delivers
  github  the environment of the next steps of a GitHub Actions job: appends to the file that $GITHUB_ENV names, and masks the secret values
          in the log

Variables that would compete with the credentials are unset (shell), or set to the empty value (the others). If an empty value would not do and
the variable is set here or in $GITHUB_ENV, nothing is printed. Beside AWS credentials, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name the
null device, so that nothing in ~/.aws is used; beside Google's, GOOGLE_APPLICATION_CREDENTIALS does, unless it is delivered.

A credential that needs a key file needs --files-dir too, or exec.`,
		Example: "  eval \"$(forgecroft env --workspace shop-prod --format shell)\"\n  forgecroft env --workspace shop-prod --format github\n" +
			"  forgecroft env --workspace shop-prod --format dotenv --dialect docker > run.env",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			runner.Harden()
			env, err := a.take(cmd, d)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(env)
			}
			return a.printEnvironment(env, f)
		},
	}
	d.flags(a, c)
	c.Flags().StringVar(&f.name, "format", "dotenv", strings.Join(formats, ", "))
	c.Flags().StringVar(&f.dialect, "dialect", "common", "with --format dotenv, who will read the file: "+strings.Join(runner.Dialects(), ", "))
	c.Flags().StringVar(&f.directory, "files-dir", "", "directory for key files (mode 0600), made if it is missing; you remove them")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("dialect", cobra.FixedCompletions(runner.Dialects(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// formats are the names of the ways to print an environment.
var formats = []string{"shell", "dotenv", "json", "github"}

// check refuses an unknown format or dialect before anything is delivered.
func (f format) check() error {
	switch {
	case !slices.Contains(formats, f.name):
		return usage("--format is one of %s", strings.Join(formats, ", "))
	case !slices.Contains(runner.Dialects(), f.dialect):
		return usage("--dialect is one of %s", strings.Join(runner.Dialects(), ", "))
	case f.dialect != "common" && f.name != "dotenv":
		return usage("--dialect is for --format dotenv only")
	}
	return nil
}

// printEnvironment prints an environment in a format.
func (a *app) printEnvironment(env sdk.Environment, f format) error {
	out := runner.Output{Env: env, Directory: f.directory, Environ: a.Environ, Notice: a.Err}
	switch f.name {
	case "shell":
		return out.Shell(a.Out)
	case "json":
		return out.JSON(a.Out)
	case "github":
		return a.github(out)
	default:
		return out.Dotenv(a.Out, f.dialect)
	}
}

// github appends to the file of the job's environment, and masks values in the log.
func (a *app) github(out runner.Output) error {
	path := a.getenv("GITHUB_ENV")
	if path == "" {
		return usage("GITHUB_ENV is not set: --format github is for a step of GitHub Actions")
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the file that GITHUB_ENV names: %w", err)
	}
	return errors.Join(out.GitHub(file, a.Out), file.Close())
}
