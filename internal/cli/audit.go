package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/internal/audit"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/sdk"
)

// auditCommand holds the commands about the audit trail.
func (a *app) auditCommand() *cobra.Command {
	return group("audit", "The record of every change, denial and delivery", nil, a.auditList(), a.auditVerify(), a.auditCheckpoint())
}

func (a *app) auditList() *cobra.Command {
	var actor, action, objectID, outcome, since, until string
	var limit int
	c := &cobra.Command{
		Use: "list", Short: "List audit events, the newest first", Aliases: []string{"ls"}, Args: cobra.NoArgs,
		Example: "  forgecroft audit list --action environment.deliver --since \"3 days ago\"\n  forgecroft audit list --object shop-prod --since 2026-11-01\n  forgecroft audit list --outcome denied --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usage("--limit is a number of events; 0: all")
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			book := namesOf(cmd.Context(), client)
			filter, err := auditFilter(book, actor, objectID, since, until)
			if err != nil {
				return err
			}
			maps.Copy(filter, query("action", action, "outcome", outcome))
			events, err := all(cmd.Context(), sdk.ListOptions{Query: filter}, limit, client.AuditEvents)
			if err != nil || a.json {
				return a.jsonOr(events, err)
			}
			var rows [][]string
			for _, e := range events {
				rows = append(rows, []string{fmt.Sprint(e.Sequence), e.Time.Local().Format("2006-01-02 15:04:05"), e.ActorName, e.Action, e.Outcome, book.of(e.ObjectType, e.ObjectID), detail(e.Details)})
			}
			return a.printTable([]string{"#", "TIME", "ACTOR", "ACTION", "OUTCOME", "OBJECT", "DETAILS"}, rows)
		},
	}
	c.Flags().StringVar(&actor, "actor", "", "only by this API key (name or id)")
	c.Flags().StringVar(&action, "action", "", "only this action, or all of a noun with a dot at the end: credential_config.")
	c.Flags().StringVar(&objectID, "object", "", "only about this object (name or id)")
	c.Flags().StringVar(&outcome, "outcome", "", "allowed, denied or failed")
	c.Flags().StringVar(&since, "since", "", "from this time on: \"3 days ago\", 36h, yesterday, 2026-11-01, or RFC 3339")
	c.Flags().StringVar(&until, "until", "", "before this time, in the same forms")
	c.Flags().IntVar(&limit, "limit", 50, "at most so many; 0: all")
	return c
}

// auditFilter turns names and times as people write them into the filters of the API.
func auditFilter(book *names, actor, object, since, until string) (url.Values, error) {
	actorID, err := book.keyID(actor)
	if err != nil {
		return nil, err
	}
	objectID, err := book.objectID(object)
	if err != nil {
		return nil, err
	}
	filter := query("actor", actorID, "object_id", objectID)
	for name, text := range map[string]string{"since": since, "until": until} {
		if text == "" {
			continue
		}
		at, ok := moment(text, time.Now(), true)
		if !ok {
			return nil, usage("--%s %q is no time: write \"3 days ago\", 36h, yesterday, 2026-11-01 or 2026-11-01T12:00:00Z", name, text)
		}
		filter.Set(name, at.Format(time.RFC3339))
	}
	return filter, nil
}

// detail shows the details of an event in one line: names and values, of lists of objects only how many. --json has all of it.
func detail(details map[string]any) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(details)) {
		if value := detailValue(details[name]); value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, " ")
}

func detailValue(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		if strings.ContainsAny(value, " =\"") {
			return strconv.Quote(value)
		}
		return value
	case []any:
		texts := make([]string, len(value))
		for i, item := range value {
			if _, isObject := item.(map[string]any); isObject {
				return strconv.Itoa(len(value))
			}
			texts[i] = fmt.Sprint(item)
		}
		return strings.Join(texts, ",")
	default:
		text, _ := json.Marshal(value) // It came as JSON.
		return string(text)
	}
}

func (a *app) auditCheckpoint() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Sign the end of the trail as it is now, and print it to be kept off the machine", Args: cobra.NoArgs,
		Example: "  forgecroft audit checkpoint > /mnt/elsewhere/forgecroft-$(date +%F).json\n  forgecroft audit verify --checkpoint /mnt/elsewhere/forgecroft-2026-11-23.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			checkpoint, err := client.CreateAuditCheckpoint(cmd.Context())
			return a.jsonOr(checkpoint, err)
		},
	}
}

func (a *app) auditVerify() *cobra.Command {
	var kept []string
	c := &cobra.Command{
		Use: "verify", Short: "Verify the whole trail on this machine, and name the first bad entry", Args: cobra.NoArgs,
		Long: "Fetches every event and checkpoint and verifies hashes, links and signatures here, without trusting the server. Only a checkpoint that was\nkept elsewhere (--checkpoint) shows that the trail was not cut off or built anew by somebody who has the server's keys and data.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			return a.verifyTrail(cmd.Context(), client, kept)
		},
	}
	c.Flags().StringArrayVar(&kept, "checkpoint", nil, "file with a checkpoint that was kept; may be repeated")
	return c
}

// verifyTrail verifies the caller's organization.
func (a *app) verifyTrail(ctx context.Context, client *sdk.Client, files []string) error {
	who, err := client.Whoami(ctx)
	if err != nil {
		return err
	}
	stored, err := client.AuditCheckpoints(ctx)
	if err != nil {
		return err
	}
	wire := stored.Items
	for _, path := range files {
		var c sdk.AuditCheckpoint
		text, err := a.readInput(path)
		if err != nil {
			return err
		}
		if json.Unmarshal(text, &c) != nil {
			return usage("%s is no checkpoint", path)
		}
		wire = append([]sdk.AuditCheckpoint{c}, wire...) // What was kept is the measure of all others.
	}
	checkpoints, err := verifyCheckpoints(who.Organization.ID, wire)
	if err != nil {
		return err
	}
	v := audit.NewVerifier(who.Organization.ID, checkpoints)
	events := sdk.All(ctx, sdk.ListOptions{Query: query("order", "asc"), Limit: 200}, client.AuditEvents)
	for e, err := range events {
		if err != nil {
			return err
		}
		event, err := auditEvent(e)
		if err == nil {
			err = v.Next(event)
		}
		if err != nil {
			return err
		}
	}
	if err := v.End(); err != nil {
		return err
	}
	head := v.Head()
	if a.json {
		return a.printJSON(map[string]any{"organization_id": head.OrganizationID, "events": head.Sequence, "hash": hex.EncodeToString(head.Hash[:]), "checkpoints": len(checkpoints)})
	}
	_, err = fmt.Fprintf(a.Out, "%s: %d events, %d checkpoints, head %x\n", a.colour(green, "intact"), head.Sequence, len(checkpoints), head.Hash[:8])
	return err
}

// verifyCheckpoints checks signatures, all by the key of the first one.
func verifyCheckpoints(organizationID string, wire []sdk.AuditCheckpoint) ([]forgecroft.AuditCheckpoint, error) {
	var checkpoints []forgecroft.AuditCheckpoint
	var public []byte
	for _, w := range wire {
		c := forgecroft.AuditCheckpoint{OrganizationID: w.OrganizationID, Sequence: w.Sequence, Time: w.Time, KeyID: w.KeyID}
		key, err := base64.StdEncoding.DecodeString(w.PublicKey)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("the checkpoint at event %d has no readable public key", w.Sequence)
		}
		if public == nil {
			public = key
		}
		if c.Signature, err = base64.StdEncoding.DecodeString(w.Signature); err != nil {
			return nil, fmt.Errorf("the checkpoint at event %d has no readable signature", w.Sequence)
		}
		if c.Hash, err = hash(w.Hash); err != nil {
			return nil, err
		}
		if c.OrganizationID != organizationID {
			return nil, fmt.Errorf("the checkpoint at event %d belongs to another organization", w.Sequence)
		}
		if err := audit.VerifyCheckpoint(public, c); err != nil {
			return nil, err
		}
		checkpoints = append(checkpoints, c)
	}
	return checkpoints, nil
}

// hash reads a hash in hexadecimal.
func hash(text string) (sum [32]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(sum) {
		return sum, fmt.Errorf("%.16q is no hash", text)
	}
	copy(sum[:], raw)
	return sum, nil
}

// auditEvent turns an event of the wire into what is verified.
func auditEvent(w sdk.AuditEvent) (forgecroft.AuditEvent, error) {
	e := forgecroft.AuditEvent{
		ID: w.ID, OrganizationID: w.OrganizationID, Sequence: w.Sequence, Time: w.Time, ActorKeyID: w.ActorKeyID, ActorName: w.ActorName, Action: w.Action,
		ObjectType: w.ObjectType, ObjectID: w.ObjectID, Outcome: w.Outcome, RequestID: w.RequestID, RemoteAddr: w.RemoteAddr, Details: forgecroft.AuditDetails(w.Details),
	}
	var err error
	if e.Previous, err = hash(w.PreviousHash); err != nil {
		return e, err
	}
	e.Hash, err = hash(w.Hash)
	return e, err
}
