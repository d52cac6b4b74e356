package cli

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/forgecroft/forgecroft/internal/backup"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// undone reports whether a restore takes back what an event says: something was deleted or revoked, or secrets were stored anew.
func undone(e sdk.AuditEvent) bool {
	return e.Outcome == forgecroft.OutcomeAllowed &&
		(strings.HasSuffix(e.Action, ".delete") || strings.HasSuffix(e.Action, ".revoke") || e.Action == "credential_config.store_secrets")
}

// readLater picks what a backup takes back from a file with what `audit list --limit 0 --json` printed. Without such a file, it is not known.
func readLater(archive, trail string) ([]sdk.AuditEvent, error) {
	if trail == "" {
		return nil, nil
	}
	text, err := os.ReadFile(trail)
	if err != nil {
		return nil, usage("reading the audit trail: %w", err)
	}
	var events []sdk.AuditEvent
	if err := json.Unmarshal(text, &events); err != nil {
		return nil, usage("%s is not what `forgecroft audit list --limit 0 --json` prints: %w", trail, err)
	}
	opened, err := backup.Open(archive)
	if err != nil {
		return nil, err
	}
	if err := opened.Close(); err != nil {
		return nil, err
	}
	return since(opened.Manifest, events)
}

// since picks from a newer trail what a backup takes back, the oldest first. A trail of another installation, or one that has parted from the backup's, is
// refused.
func since(m backup.Manifest, trail []sdk.AuditEvent) ([]sdk.AuditEvent, error) {
	heads := map[string]backup.Organization{} // organization → the end of its trail in the backup
	for _, o := range m.Organizations {
		heads[o.ID] = o
	}
	var later []sdk.AuditEvent
	for _, e := range trail {
		head, known := heads[e.OrganizationID]
		if !known || e.Sequence == head.AuditSequence && e.Hash != hex.EncodeToString(head.AuditHash) {
			return nil, usage("the audit trail is not that of the backup's installation, or has parted from it")
		}
		if e.Sequence > head.AuditSequence && undone(e) {
			later = append(later, e)
		}
	}
	slices.SortFunc(later, func(a, b sdk.AuditEvent) int { return a.Time.Compare(b.Time) })
	return later, nil
}

// showSince lists what a restore takes back.
func (a *app) showSince(later []sdk.AuditEvent) {
	for _, e := range later {
		fmt.Fprintf(a.Out, "SINCE  %s  %s %s, by %s: as it was before\n", e.Time.Local().Format("2006-01-02 15:04"), safe(e.Action), safe(e.ObjectID), safe(e.ActorName))
	}
}
