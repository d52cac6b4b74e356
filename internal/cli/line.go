package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/forgecroft/forgecroft/internal/server"
)

// checkLines makes every command below c refuse a wrong command line as such, before anything is done.
func checkLines(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage("%w\nUsage: %s", err, cmd.UseLine())
			}
			if err := checkFlags(cmd); err != nil {
				return usage("%w\nUsage: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, child := range c.Commands() {
		checkLines(child)
	}
}

// checkFlags checks what cobra would find later, as a mere failure, and that no flag is empty: --workspace "$UNSET" is to narrow a new key, not to
// leave it as wide as it can be.
func checkFlags(c *cobra.Command) error {
	if err := c.ValidateRequiredFlags(); err != nil {
		return err
	}
	if err := c.ValidateFlagGroups(); err != nil {
		return err
	}
	var err error
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && !mayBeEmpty(f.Name) {
			err = usage("--%s is empty: give it a value, or leave it out", f.Name)
		}
	})
	return err
}

// mayBeEmpty reports whether an empty value of a flag says something: it takes a description away, or a setting's default.
func mayBeEmpty(flag string) bool {
	return flag == "description" || slices.ContainsFunc(server.Settings(), func(s server.Setting) bool { return s.Flag == flag })
}
