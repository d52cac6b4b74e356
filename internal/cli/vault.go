package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/sdk"
)

// vaultCommand holds the commands about the vault's keys.
func (a *app) vaultCommand() *cobra.Command {
	return group("vault", "The vault's key-encryption keys (owners only)", nil, a.vaultKeys(), a.vaultRotate(), a.vaultRemove(), a.vaultNewKey())
}

// vaultNewKey makes the key for a vault that is not there yet.
func (a *app) vaultNewKey() *cobra.Command {
	return &cobra.Command{
		Use: "new-key FILE", Short: "Make a key file for a new installation, to be given to each replica; asks no server", Args: cobra.ExactArgs(1),
		Long: `Make a new key-encryption key in a file of mode 0600 that does not exist yet. A server that keeps everything in its data directory makes one
itself at its first start; replicas must all be given the same. Keep a copy where you keep such things: without it the secrets are lost.`,
		Example: "  forgecroft vault new-key vault.key\n  kubectl create secret generic forgecroft-vault-key --from-file=vault.key",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := server.NewKey(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.Err, "Made %s. Keep a copy apart from the data.\n", safe(args[0]))
			return err
		},
	}
}

func (a *app) vaultKeys() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: "List the keys of the ring and how many secret versions each seals", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			ring, err := client.VaultKeys(cmd.Context())
			if err != nil || a.json {
				return a.jsonOr(ring, err)
			}
			return a.showRing(ring)
		},
	}
}

// showRing prints a key ring.
func (a *app) showRing(ring sdk.KeyRing) error {
	var rows [][]string
	for _, k := range ring.Keys {
		role := "older"
		if k.Primary {
			role = "primary"
		}
		rows = append(rows, []string{k.ID, role, fmt.Sprint(k.Secrets)})
	}
	return a.printTable([]string{"KEY", "ROLE", "SECRET VERSIONS"}, rows)
}

func (a *app) vaultRotate() *cobra.Command {
	var offline, resume bool
	c := &cobra.Command{
		Use: "rotate-key", Short: "Make a new primary key and move every secret to it, while the server serves", Args: cobra.NoArgs,
		Long: "Make a new primary key. The server writes it into its key file before it is used, then moves every secret version in the background; this\n" +
			"command waits until none is left. A rotation that was cut off goes on by itself. Back the key file up afterwards.\n\nWith --offline, work on the data directory of a stopped server.",
		Example: "  forgecroft vault rotate-key\n  forgecroft vault rotate-key --offline --data-dir /var/lib/forgecroft --key-file /var/lib/forgecroft-key/vault.key",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if offline {
				config, err := a.serverConfig(cmd)
				if err != nil {
					return err
				}
				return server.RotateKey(cmd.Context(), config, resume, a.Out, a.Err)
			}
			if resume {
				return usage("--resume goes with --offline; a running server goes on by itself")
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			return a.rotate(cmd.Context(), client)
		},
	}
	offlineFlags(c)
	c.Flags().BoolVar(&offline, "offline", false, "work on the data directory of a stopped server")
	c.Flags().BoolVar(&resume, "resume", false, "with --offline: make no new key, only move what is left")
	return c
}

// rotate starts a rotation and waits for its end.
func (a *app) rotate(ctx context.Context, client *sdk.Client) error {
	ring, err := client.RotateVaultKey(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		left := int64(0)
		for _, k := range ring.Keys {
			if !k.Primary {
				left += k.Secrets
			}
		}
		if left == 0 {
			break
		}
		fmt.Fprintf(a.Err, "secret versions left: %d\n", left)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no longer watching; the server goes on: %w", ctx.Err())
		}
		if ring, err = client.VaultKeys(ctx); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(ring)
	}
	return a.showRing(ring)
}

func (a *app) vaultRemove() *cobra.Command {
	var yes, offline bool
	c := &cobra.Command{
		Use: "remove-key KEY", Short: "Take a key that seals nothing any more out of the ring; old backups still need it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.confirm(yes, fmt.Sprintf("Key %s will leave the ring; backups from before cannot be opened without a copy of it.", args[0])); err != nil {
				return err
			}
			if offline {
				config, err := a.serverConfig(cmd)
				if err != nil {
					return err
				}
				return server.RemoveKey(cmd.Context(), config, args[0], a.Out, a.Err)
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			return client.RemoveVaultKey(cmd.Context(), args[0])
		},
	}
	offlineFlags(c)
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&offline, "offline", false, "work on the data directory of a stopped server")
	return c
}
