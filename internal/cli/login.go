package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// loginCommand saves a server and a key.
func (a *app) loginCommand() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use: "login [SERVER]", Short: "Save a server's address and an API key for the commands that follow", Args: cobra.MaximumNArgs(1),
		Long: "Asks for an API key without showing it, checks it with the server, and saves both as a profile in\n$XDG_CONFIG_HOME/forgecroft/config.json (mode 0600).",
		Example: "  forgecroft login https://forgecroft.example.com\n" +
			"  forgecroft login --profile staging --api-key-file ~/staging.key\n" +
			"  pass show forgecroft | forgecroft login --api-key-file -",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.readSecret("API key", keyFile)
			if err != nil {
				return err
			}
			address := first(strings.Join(args, ""), a.address(), defaultAddress)
			caCert := first(a.caCert, a.getenv("FORGECROFT_CA_CERT"))
			if caCert != "" {
				if caCert, err = filepath.Abs(caCert); err != nil {
					return err
				}
			}
			client, err := a.connect(address, key, caCert)
			if err != nil {
				return err
			}
			who, err := client.Whoami(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.saveLogin(first(a.profile, "default"), profile{address, key, caCert}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Out, "Logged in to %s as %s (%s of %s).\n", address, safe(who.APIKey.Name), who.Role, safe(who.Organization.Name))
			return err
		},
	}
	c.Flags().StringVar(&keyFile, "api-key-file", "", "read the key from this file instead of asking (-: standard input)")
	return c
}

// saveLogin saves a profile and makes it the current one.
func (a *app) saveLogin(name string, p profile) error {
	known, err := a.loadProfiles()
	if err != nil {
		return err
	}
	known.Current = name
	known.Profiles[name] = p
	return a.saveProfiles(known)
}

// logoutCommand forgets a profile.
func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the saved API key (it stays valid; see: forgecroft key revoke)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			known, err := a.loadProfiles()
			if err != nil {
				return err
			}
			name := first(a.profile, known.Current)
			if name == "" {
				return usage("not logged in: there is nothing to forget")
			}
			if _, found := known.Profiles[name]; !found {
				return usage("there is no profile %q", name)
			}
			delete(known.Profiles, name)
			if known.Current == name {
				known.Current = ""
			}
			return a.saveProfiles(known)
		},
	}
}

// whoamiCommand shows who calls.
func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show the organization, role and scope of the API key", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			who, err := client.Whoami(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(who)
			}
			scope := namesOf(cmd.Context(), client).scope(who.Scope)
			expires := ""
			if who.ExpiresAt != nil {
				expires = when(who.ExpiresAt)
			}
			return a.printFields("server", client.Address(), "organization", who.Organization.Name, "API key", who.APIKey.Name, "role", who.Role,
				"scope", scope, "expires", expires, "server version", who.Version)
		},
	}
}
