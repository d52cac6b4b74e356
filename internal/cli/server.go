package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/server"
)

// serverFlags adds all settings of the server to a command as flags.
func serverFlags(c *cobra.Command) { settingFlags(c, nil) }

// offlineFlags adds the settings that a command for a stopped server uses: where data and keys are.
// more names others. Environment variables of the rest may stay as the server has them.
func offlineFlags(c *cobra.Command, more ...string) {
	settingFlags(c, func(s server.Setting) bool { return s.Offline() || slices.Contains(more, s.Flag) })
}

// settingFlags adds the settings that are wanted; nil: all.
func settingFlags(c *cobra.Command, wanted func(server.Setting) bool) {
	for _, s := range server.Settings() {
		if s.Flag == "" || wanted != nil && !wanted(s) {
			continue
		}
		usage := fmt.Sprintf("%s [$%s]", s.Usage, s.Env)
		c.Flags().String(s.Flag, s.Default, usage)
		if s.Bool {
			c.Flags().Lookup(s.Flag).NoOptDefVal = "on"
		}
	}
}

// serverConfig reads the settings from the flags that were given and the environment.
func (a *app) serverConfig(c *cobra.Command) (server.Config, error) {
	given := map[string]string{}
	for _, s := range server.Settings() {
		if s.Flag != "" && c.Flags().Lookup(s.Flag) != nil && c.Flags().Changed(s.Flag) {
			given[s.Flag] = c.Flags().Lookup(s.Flag).Value.String()
		}
	}
	if address := given["database-url"]; address != "" {
		if _, err := databaseURL("--database-url", address, forgecroft.Secret{}); err != nil {
			return server.Config{}, err
		}
	}
	config, err := server.LoadConfig(given, a.getenv)
	if err != nil {
		return config, usage("%w", err)
	}
	if keys := a.getenv("FORGECROFT_KEY"); keys != "" {
		if err := hideKeys(keys); err != nil {
			return config, err
		}
	}
	config.Version = version
	return config, nil
}

// serverCommand runs a server, and holds the commands for one that is stopped.
func (a *app) serverCommand() *cobra.Command {
	var login bool
	c := &cobra.Command{
		Use: "server", Short: "Run the server", Args: cobra.NoArgs,
		Long: "Run the server until it is interrupted. The first start makes the data directory, the vault's key, an organization and an owner key.\n\n" +
			"FORGECROFT_KEY holds the vault's key-encryption keys themselves, where --key-file and --key-fd do not fit; the server starts itself again without them in its environment.",
		Example: "  forgecroft server --data-dir ./data --login\n  forgecroft server --data-dir /var/lib/forgecroft --key-file /var/lib/forgecroft-key/vault.key --owner-key-file /root/owner.key",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.serverConfig(cmd)
			if err != nil {
				return err
			}
			if login {
				config.SaveLogin = func(url string, key forgecroft.Secret) error {
					return a.saveLogin(first(a.profile, "default"), profile{URL: url, Key: key.Reveal()})
				}
			}
			return server.Run(cmd.Context(), config, a.Out, a.Err)
		},
	}
	serverFlags(c)
	c.Flags().BoolVar(&login, "login", false, "on the first start, leave the command line on this machine logged in with the owner key")
	c.AddCommand(a.serverFsck(), a.serverRecoverOwner())
	return c
}

func (a *app) serverFsck() *cobra.Command {
	var repair bool
	c := &cobra.Command{
		Use: "fsck", Short: "Check the data of a stopped server: files, metadata against vault, every secret, every audit trail", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.serverConfig(cmd)
			if err != nil {
				return err
			}
			return server.Fsck(cmd.Context(), config, repair, a.Out, a.Err)
		},
	}
	offlineFlags(c)
	c.Flags().BoolVar(&repair, "repair", false, "destroy vault entries that belong to nothing; without it nothing is changed")
	return c
}

func (a *app) serverRecoverOwner() *cobra.Command {
	c := &cobra.Command{
		Use: "recover-owner", Short: "Make another owner key, for a stopped server whose owner keys are lost", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.serverConfig(cmd)
			if err != nil {
				return err
			}
			return server.RecoverOwner(cmd.Context(), config, a.Out, a.Err)
		},
	}
	offlineFlags(c, "owner-key-file")
	return c
}
