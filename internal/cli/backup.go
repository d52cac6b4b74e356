package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/server"
	"github.com/forgecroft/forgecroft/sdk"
)

// backupCommand takes backups.
func (a *app) backupCommand() *cobra.Command {
	var offline bool
	c := &cobra.Command{
		Use: "backup FILE", Short: "Take a backup of everything into one file, while the server serves (owners only)", Args: cobra.ExactArgs(1),
		Long: "Take a backup of metadata and secrets at one moment into a file that does not exist yet. Secrets stay sealed, and no key is in it: without the\n" +
			"vault's key file, of which you keep a copy elsewhere, the backup gives no secret to anybody, you included. The file is checked before it gets its name.\n\n" +
			"With --offline, work on the data directory of a stopped server.",
		Example: "  forgecroft backup /backups/forgecroft-$(date +%F).tar\n" +
			"  forgecroft backup --offline --data-dir /var/lib/forgecroft --key-file /var/lib/forgecroft-key/vault.key /backups/forgecroft.tar",
		RunE: func(cmd *cobra.Command, args []string) error {
			take := a.backupOnline
			if offline {
				take = func(ctx context.Context, path string) (backup.Manifest, error) {
					config, err := a.serverConfig(cmd)
					if err != nil {
						return backup.Manifest{}, err
					}
					progress, end := a.progress()
					defer end()
					return server.Backup(ctx, config, path, progress, a.Err)
				}
			}
			m, err := take(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(m)
			}
			return a.showManifest(m)
		},
	}
	offlineFlags(c)
	c.Flags().BoolVar(&offline, "offline", false, "work on the data directory of a stopped server")
	return c
}

// backupOnline asks the running server.
func (a *app) backupOnline(ctx context.Context, path string) (backup.Manifest, error) {
	client, err := a.client()
	if err != nil {
		return backup.Manifest{}, err
	}
	progress, end := a.progress()
	defer end()
	return backup.WriteFile(path, func(w io.Writer) error {
		return client.Backup(ctx, &meter{to: w, progress: progress})
	})
}

// meter tells of the bytes that pass.
type meter struct {
	to       io.Writer
	progress backup.Progress
	n        int64
}

// Write implements [io.Writer].
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.to.Write(p)
	if m.n += int64(n); m.progress != nil {
		m.progress("receiving MiB", m.n>>20, 0)
	}
	return n, err
}

// showManifest tells a person what is in a backup.
func (a *app) showManifest(m backup.Manifest) error {
	pairs := []string{
		"taken at", m.TakenAt.Local().Format("2006-01-02 15:04:05 MST"), "by", "forgecroft " + m.Product, "instance", m.InstanceID,
	}
	for _, t := range m.Members {
		if t.Name == "tables/credential_configs.jsonl.gz" {
			pairs = append(pairs, "credential configs", fmt.Sprint(t.Rows))
		}
	}
	for _, o := range m.Organizations {
		pairs = append(pairs, "organization", fmt.Sprintf("%s, %d audit events", o.ID, o.AuditSequence))
	}
	if m.Secrets == backup.SecretsExternal {
		pairs = append(pairs, "secrets", "not inside: they stay in the vault; take a backup of that, after this one")
	}
	for _, k := range m.Keys {
		if k.Records > 0 {
			pairs = append(pairs, "needs key", fmt.Sprintf("%s, for %d secret versions", k.ID, k.Records))
		}
	}
	for _, s := range m.Missing {
		pairs = append(pairs, "lost before", fmt.Sprintf("secrets of credential config %s", s.CredentialConfigID))
	}
	return a.printFields(pairs...)
}

// restoreCommand restores backups.
func (a *app) restoreCommand() *cobra.Command {
	var o server.RestoreOptions
	var trail string
	c := &cobra.Command{
		Use: "restore FILE", Short: "Restore a backup into an empty data directory", Args: cobra.ExactArgs(1),
		Long: "Restore a backup into an empty data directory, or into an empty database or vault where the settings name such. Everything is checked before anything is\n" +
			"touched: every byte of the file, the key, every secret, every audit trail. A restore that was cut off is repeated by the same command; until then no\n" +
			"server starts on its remains.\n\n" +
			"API keys and credentials are as they were when the backup was taken: revoke again what was revoked since. --trail names it, if a newer audit trail was kept.",
		Example: "  forgecroft restore --check --key-file /var/lib/forgecroft-key/vault.key forgecroft.tar\n" +
			"  forgecroft restore --data-dir /var/lib/forgecroft --key-file /var/lib/forgecroft-key/vault.key forgecroft.tar",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := a.serverConfig(cmd)
			if err != nil {
				return err
			}
			later, err := readLater(args[0], trail)
			if err != nil {
				return err
			}
			var end func()
			o.Progress, end = a.progress()
			result, err := server.Restore(cmd.Context(), config, args[0], o, a.Err)
			end()
			if err != nil {
				a.showLost(err)
				return err
			}
			return a.showRestored(restored{result, later}, o.CheckOnly)
		},
	}
	offlineFlags(c)
	c.Flags().BoolVar(&o.CheckOnly, "check", false, "check the backup as a restore would, and touch nothing")
	c.Flags().StringVar(&trail, "trail", "", "a newer audit trail (the output of audit list --limit 0 --json): list what the backup takes back")
	c.Flags().BoolVar(&o.Force, "force", false, "go on although secrets are lost, or the key is: everything else is restored, and what is lost is listed")
	return c
}

// showLost lists the secrets because of which a restore was refused.
func (a *app) showLost(err error) {
	var lost *backup.LostError
	if errors.As(err, &lost) {
		for _, s := range lost.Secrets {
			fmt.Fprintf(a.Err, "LOST  credential config %s, version %d\n", safe(s.CredentialConfigID), s.Version)
		}
	}
}

// restored is what a restore did, and what it takes back.
type restored struct {
	server.Restored
	Since []sdk.AuditEvent `json:"since"`
}

// showRestored tells what was restored.
func (a *app) showRestored(r restored, checkOnly bool) error {
	if a.json {
		return a.printJSON(r)
	}
	if err := a.showManifest(r.Manifest); err != nil {
		return err
	}
	for _, s := range r.Lost {
		fmt.Fprintf(a.Out, "LOST  credential config %s, version %d: store its secrets again\n", safe(s.CredentialConfigID), s.Version)
	}
	a.showSince(r.Since)
	text := "restored"
	if checkOnly {
		text = "good: a restore would succeed"
	}
	_, err := fmt.Fprintln(a.Out, text)
	return err
}

// progressEvery is how often a person sees how far it is.
const progressEvery = 100 * time.Millisecond

// progress shows how far a piece of work is, on one line of the terminal, and nothing where nobody looks. end clears the line.
func (a *app) progress() (show backup.Progress, end func()) {
	f, isFile := a.Err.(*os.File)
	if a.json || !isFile || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	var last time.Time
	show = func(what string, done, total int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			fmt.Fprintf(f, "\r\x1b[K%s", progressText(what, done, total))
		}
	}
	return show, func() { fmt.Fprint(f, "\r\x1b[K") }
}

// progressText is the line: with a bar if the end is known.
func progressText(what string, done, total int64) string {
	if total <= 0 {
		return fmt.Sprintf("%s: %d", what, done)
	}
	const width = 30
	filled := int(min(done, total) * width / total)
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = '-'
		if i < filled {
			bar[i] = '#'
		}
	}
	return fmt.Sprintf("%s: [%s] %d/%d", what, bar, done, total)
}
