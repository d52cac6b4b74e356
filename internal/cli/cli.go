// Package cli is the command line: one file per group of commands. It talks to the sdk, like any other client; only the commands that keep a
// server (server, vault with --offline) work on a data directory.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// version is set by the linker.
var version = "dev"

// The exit codes. exec has its child's code instead, once the child runs.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitConflict     = 4
	exitDenied       = 5
	exitInvalid      = 6
	exitInconclusive = 7
	exitUnreachable  = 69 // EX_UNAVAILABLE of sysexits.h
	exitTryAgain     = 75 // EX_TEMPFAIL
)

// exitCodes documents the codes, for help.
const exitCodes = `Exit codes:
    0  done
    1  failed
    2  the command line or the input is wrong
    3  there is no such object
    4  the state forbids it, or somebody else changed it meanwhile
    5  not logged in, or not allowed
    6  credential verify: the provider refuses the credential
    7  credential verify: the provider could not tell
   69  server unreachable, its response was incomplete, or something else answered
   75  the server cannot do it right now; try again
  130  interrupted: Ctrl-C, Ctrl-\ or Ctrl-D at a prompt, Ctrl-C during a request (143: SIGTERM)
exec has the code of the command it runs: 128+n if signal n ended it, 126 or 127 if it cannot be started. If the credentials cannot be had, the
command is not started, and exec has one of the codes above.`

// IO is where a command line reads, writes and looks for its environment.
type IO struct {
	In      *os.File
	Out     io.Writer
	Err     io.Writer
	Environ []string
}

// System is the process's own.
func System() IO { return IO{os.Stdin, os.Stdout, os.Stderr, os.Environ()} }

// app is one run of the command line.
type app struct {
	IO
	profile string // --profile
	apiURL  string // --api-url
	caCert  string // --ca-cert
	json    bool   // --json
}

// exitError ends the command line with a code; a nil err says nothing more.
type exitError struct {
	code int
	err  error
}

// Error implements error.
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// Main runs a command line and returns its exit code.
func Main(ctx context.Context, args []string, stdio IO) int {
	ctx, received, stop := untilSignal(ctx)
	defer stop()
	a := &app{IO: stdio}
	root := a.root()
	root.SetArgs(args)
	a.json = slices.Contains(flagsOf(args), "--json") // A command line that cannot be read is reported as JSON, too.
	root.SetIn(stdio.In)
	root.SetOut(stdio.Out)
	root.SetErr(stdio.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if s := received(); s != nil && errors.Is(err, context.Canceled) {
		err = interrupted(s) // What was under way when the signal came says only that it was cancelled.
	}
	if text := err.Error(); text != "" {
		a.report(err, text)
	}
	return codeOf(err)
}

// report says on standard error what failed: in words, or with --json as one object. A refusal of
// the server is its problem document; every other failure has the members title, detail and code.
func (a *app) report(err error, text string) {
	if !a.json {
		fmt.Fprintln(a.Err, "forgecroft: "+safe(text))
		return
	}
	encoder := json.NewEncoder(a.Err)
	encoder.SetEscapeHTML(false)
	var refused *sdk.Error
	if errors.As(err, &refused) && !errors.Is(err, sdk.ErrNotForgecroft) {
		_ = encoder.Encode(struct {
			sdk.Problem
			ExitCode int `json:"exit_code"`
		}{refused.Problem, codeOf(err)})
		return
	}
	_ = encoder.Encode(struct {
		Title    string `json:"title"`
		Detail   string `json:"detail"`
		Code     string `json:"code"`
		ExitCode int    `json:"exit_code"`
	}{"The command failed", text, "cli", codeOf(err)})
}

// flagsOf are the arguments before "--": what comes after belongs to another command.
func flagsOf(args []string) []string {
	if end := slices.Index(args, "--"); end >= 0 {
		return args[:end]
	}
	return args
}

// untilSignal returns a context that ends at the first interrupt or SIGTERM, and a function that
// tells which of them came, or nil.
func untilSignal(ctx context.Context) (_ context.Context, received func() os.Signal, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var first atomic.Value
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			first.Store(s)
			cancel()
		case <-ctx.Done():
		}
	}()
	received = func() os.Signal {
		s, _ := first.Load().(os.Signal)
		return s
	}
	return ctx, received, func() { signal.Stop(signals); cancel() }
}

// interrupted ends the command line as shells say that a signal did: with 128 and its number.
func interrupted(s os.Signal) error {
	number, _ := s.(syscall.Signal)
	return &exitError{128 + int(number), errors.New("interrupted")}
}

// codeOf maps a failure to its exit code.
func codeOf(err error) int {
	var exit *exitError
	var unreachable *sdk.UnreachableError
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &unreachable), errors.Is(err, sdk.ErrNotForgecroft):
		return exitUnreachable
	case errors.Is(err, sdk.ErrNotFound):
		return exitNotFound
	case errors.Is(err, sdk.ErrConflict), errors.Is(err, sdk.ErrStale):
		return exitConflict
	case errors.Is(err, sdk.ErrUnauthenticated), errors.Is(err, sdk.ErrForbidden):
		return exitDenied
	case errors.Is(err, sdk.ErrUnavailable), errors.Is(err, sdk.ErrStorageFull):
		return exitTryAgain
	case errors.Is(err, sdk.ErrInvalid):
		return exitUsage
	default:
		return exitFailure
	}
}

// root is the whole tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "forgecroft",
		Short: "Cloud credentials for Terraform, OpenTofu and Pulumi runs",
		Long: "Forgecroft keeps cloud credentials, proves them against the provider, and hands them to terraform, tofu or pulumi runs.\n\n" +
			"The server it talks to comes from --api-url and FORGECROFT_API_URL, or from the profile that `forgecroft login` saved;\n" +
			"the key from FORGECROFT_API_KEY, FORGECROFT_API_KEY_FILE or the profile, never from the command line.\n\n" + exitCodes,
		SilenceUsage: true, SilenceErrors: true, Version: version,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.profile, "profile", "", "profile to use (default: the one last logged in with)")
	root.PersistentFlags().StringVar(&a.apiURL, "api-url", "", "the server's address")
	root.PersistentFlags().StringVar(&a.caCert, "ca-cert", "", "file with the CA certificates (PEM) to trust instead of the system's [$FORGECROFT_CA_CERT]")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON as the API returns it; failures too, on standard error")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	_ = root.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	root.AddGroup(&cobra.Group{ID: "use", Title: "Use credentials:"}, &cobra.Group{ID: "keep", Title: "Keep credentials:"}, &cobra.Group{ID: "run", Title: "Run Forgecroft:"})
	add(root, "use", a.execCommand(), a.envCommand())
	add(root, "keep", a.credentialCommand(), a.workspaceCommand(), a.projectCommand(), a.keyCommand(), a.auditCommand(), a.loginCommand(), a.logoutCommand(), a.profileCommand(), a.whoamiCommand())
	add(root, "run", a.serverCommand(), a.vaultCommand(), a.backupCommand(), a.restoreCommand(), a.migrateCommand())
	root.AddCommand(a.versionCommand())
	checkLines(root)
	return root
}

// add puts commands into a group.
func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// group makes a command that only holds others.
func group(use, short string, aliases []string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Aliases: aliases, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q for %q", safe(args[0]), cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
	c.AddCommand(commands...)
	return c
}

// getenv looks a variable up.
func (a *app) getenv(name string) string {
	for _, entry := range a.Environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// versionCommand prints the version.
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if a.json {
			return a.printJSON(map[string]string{"version": version})
		}
		_, err := fmt.Fprintln(a.Out, "forgecroft", version)
		return err
	}}
}
