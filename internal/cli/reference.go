package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"
)

// Reference writes docs/cli.md: every command with its flags and examples, from the commands themselves.
func Reference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# The command line\n\nMade from the commands themselves; `forgecroft COMMAND --help` shows the same. Names may stand wherever an id is asked for.\n\n")
	fmt.Fprintf(&b, "```\n%s\n```\n", exitCodes)
	root := (&app{}).root()
	root.InitDefaultHelpFlag()
	b.WriteString("\n## Flags of every command\n\n```\n" + root.PersistentFlags().FlagUsages() + "```\n")
	describe(&b, root)
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), xdg.DataHome, "$XDG_DATA_HOME"))
	return err
}

// describe writes the commands below parent, each before its own.
func describe(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintf(b, "```\n%s\n```\n", text)
		if c.Runnable() {
			c.InitDefaultHelpFlag()
			fmt.Fprintf(b, "\n```\n%s\n%s```\n", c.UseLine(), c.NonInheritedFlags().FlagUsages())
		}
		if c.Example != "" {
			fmt.Fprintf(b, "\nExamples:\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
		}
		describe(b, c)
	}
}
