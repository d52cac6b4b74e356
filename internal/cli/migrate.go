package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/server"
)

// migrateCommand holds the commands that move an installation to larger stores.
func (a *app) migrateCommand() *cobra.Command {
	return group("migrate", "Move a stopped server's data to PostgreSQL, or its secrets to OpenBao", nil, a.migrateDatabase(), a.migrateVault())
}

func (a *app) migrateDatabase() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use: "database", Short: "Move the metadata of a stopped server to PostgreSQL", Args: cobra.NoArgs,
		Long: "Move the metadata of a stopped server from its data directory to an empty PostgreSQL database. All rows, their hashes and the ends of all audit trails are read\n" +
			"back and compared before the file is let go: it stays as metadata.db.moved. Cut off, the command is repeated.\n\n" +
			"Start the server with FORGECROFT_DATABASE_URL afterwards. The secrets stay where they are.",
		Example: "  FORGECROFT_DATABASE_URL=postgres://… forgecroft migrate database --from sqlite:/var/lib/forgecroft --to postgres",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromDirectory(cmd, "sqlite", from); err != nil {
				return err
			}
			config, err := a.serverConfig(cmd)
			if err != nil {
				return err
			}
			if config.DatabaseURL, err = databaseURL("--to", to, config.DatabaseURL); err != nil {
				return err
			}
			return a.move(cmd.Context(), config, server.MigrateDatabase)
		},
	}
	offlineFlags(c)
	c.Flags().StringVar(&from, "from", "sqlite", "where it is: sqlite:DIR, or sqlite for --data-dir")
	c.Flags().StringVar(&to, "to", "postgres", "where it goes: postgres for $FORGECROFT_DATABASE_URL, or an address without a password: postgres://user@host/database?sslmode=verify-full")
	return c
}

func (a *app) migrateVault() *cobra.Command {
	var from, to, fromKeyFile string
	c := &cobra.Command{
		Use: "vault", Short: "Move the secrets of a stopped server to OpenBao or HashiCorp Vault", Args: cobra.NoArgs,
		Long: "Move the secrets of a stopped server from its data directory to OpenBao, with the settings as the server will have them. Every secret is read back before\n" +
			"the file is let go: it stays as vault.db.moved, which you remove when you trust the new place. Cut off, the command is repeated and goes on where it was.\n\n" +
			"Start the server with --vault openbao afterwards.",
		Example: "  forgecroft migrate vault --from embedded:/var/lib/forgecroft --to openbao --key-file /var/lib/forgecroft-key/vault.key --vault-addr https://bao.example.com:8200",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to != "openbao" {
				return usage("--to takes openbao")
			}
			if err := fromDirectory(cmd, "embedded", from); err != nil {
				return err
			}
			if err := cmd.Flags().Set("vault", to); err != nil {
				return err
			}
			config, err := a.serverConfig(cmd)
			if err != nil {
				return err
			}
			return a.move(cmd.Context(), config, func(ctx context.Context, c server.Config, progress backup.Progress, stderr io.Writer) (backup.Moved, error) {
				return server.MigrateVault(ctx, c, fromKeyFile, progress, stderr)
			})
		},
	}
	offlineFlags(c)
	c.Flags().StringVar(&from, "from", "embedded", "where they are: embedded:DIR, or embedded for --data-dir")
	c.Flags().StringVar(&to, "to", "openbao", "where they go: openbao, by its settings")
	c.Flags().StringVar(&fromKeyFile, "from-key-file", "", "key file of the source, if the target seals with other keys, or with none (--vault-envelope=off)")
	return c
}

// fromDirectory takes the data directory out of --from.
func fromDirectory(cmd *cobra.Command, kind, from string) error {
	dir, named := strings.CutPrefix(from, kind+":")
	switch {
	case named && dir != "":
		return cmd.Flags().Set("data-dir", dir)
	case from == kind:
		return nil
	default:
		return usage("--from takes %s:DIR, or %s for --data-dir", kind, kind)
	}
}

// databaseURL is the address that a flag gives, or that of the environment for "postgres". An address
// with a password would be readable for every user of the machine.
func databaseURL(flag, to string, fromEnvironment forgecroft.Secret) (forgecroft.Secret, error) {
	if to == "postgres" {
		if fromEnvironment.IsZero() {
			return fromEnvironment, usage("give the address of the database in FORGECROFT_DATABASE_URL")
		}
		return fromEnvironment, nil
	}
	u, err := url.Parse(to)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return forgecroft.Secret{}, usage("%s takes an address of the form postgres://user@host:5432/database", flag)
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return forgecroft.Secret{}, usage("%s has a password, which other users of this machine can read: give the address in FORGECROFT_DATABASE_URL", flag)
	}
	return forgecroft.NewSecret(to), nil
}

// move runs a move and tells what it did.
func (a *app) move(ctx context.Context, c server.Config, move func(context.Context, server.Config, backup.Progress, io.Writer) (backup.Moved, error)) error {
	progress, end := a.progress()
	moved, err := move(ctx, c, progress, a.Err)
	end()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(moved)
	}
	rows := int64(0)
	for _, n := range moved.Rows {
		rows += n
	}
	pairs := []string{"moved and read back", fmt.Sprintf("%d rows", rows)}
	if moved.Rows == nil {
		pairs[1] = fmt.Sprintf("%d secret versions", moved.Secrets)
	}
	for _, o := range moved.Organizations {
		pairs = append(pairs, "organization", fmt.Sprintf("%s, audit trail equal up to event %d", o.ID, o.AuditSequence))
	}
	for _, s := range moved.Missing {
		pairs = append(pairs, "lost before", fmt.Sprintf("secrets of credential config %s", s.CredentialConfigID))
	}
	return a.printFields(pairs...)
}
