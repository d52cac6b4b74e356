package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// dayLayout is how a browser sends a date (HTML, 2.3.5).
const dayLayout = "2006-01-02"

// AuditView is a part of the trail.
type AuditView struct {
	Rows             []AuditRow
	Action, Object   string
	Since, Until     string // days
	Outcomes, Actors []Option
	Filtered         bool
	Older, Newer     string
	Export           string
	Check            string // where the whole chain is checked, with the filter of the page
	Chain            ChainView
}

func (AuditView) template() string { return "audit" }

// AuditRow is one event.
type AuditRow struct {
	Sequence      int64
	At            time.Time
	Actor, Action string
	By            string // the events of the same actor; empty: there is no API key
	Object        Link
	Outcome       Badge
	Details       string
	Remote        string
}

// ChainView is what is known of the trail's integrity.
type ChainView struct {
	Signed     int64 // the last event that a checkpoint signs; 0: none
	SignedAt   time.Time
	KeyID      string
	Here       Badge // of the events on this page
	CheckedAll bool
	All        Badge // of the whole chain, after it was asked for
}

// audit shows the trail, filtered.
func (c *Console) audit(v *visit) (answer, error) { return c.auditPage(v, nil) }

// auditPage shows the trail; all is the result of a check of the whole chain, if there was one.
func (c *Console) auditPage(v *visit, all *Badge) (answer, error) {
	filter, err := auditFilter(v)
	if err == nil {
		err = filter.Validate()
	}
	if err != nil { // The filter stands there to be mended, with nothing found.
		return v.again(err, func() (Page, error) { return c.auditView(v, filter, broker.Listing[forgecroft.AuditEvent]{}, all) })
	}
	list, err := c.broker.ListAuditEvents(v.Context(), v.call(), filter, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return answer{}, err
	}
	p, err := c.auditView(v, filter, list, all)
	return answer{page: p}, err
}

// auditView shows what a filter has found.
func (c *Console) auditView(v *visit, filter forgecroft.AuditFilter, list broker.Listing[forgecroft.AuditEvent], all *Badge) (Page, error) {
	checkpoints, err := c.broker.ListAuditCheckpoints(v.Context(), v.call())
	if err != nil {
		return Page{}, err
	}
	actors, err := c.actors(v, filter.ActorKeyID)
	if err != nil {
		return Page{}, err
	}
	names, err := c.objectNames(v, list.Items)
	if err != nil {
		return Page{}, err
	}
	view := AuditView{
		Action: v.query("action"), Object: v.query("object"), Since: v.query("since"), Until: v.query("until"), Outcomes: outcomeOptions(filter.Outcome),
		Actors: actors, Filtered: filter != forgecroft.AuditFilter{}, Older: olderAt(v, Root+"audit", list.Next), Newer: newerAt(v, Root+"audit"), Chain: chainView(list.Items, filter == forgecroft.AuditFilter{}, checkpoints.Items),
		Export: exportAddress(v), Check: (&url.URL{Path: Root + "audit/check", RawQuery: v.URL.RawQuery}).String(),
	}
	if all != nil {
		view.Chain.CheckedAll, view.Chain.All = true, *all
	}
	for _, e := range list.Items {
		view.Rows = append(view.Rows, auditRow(names, e))
	}
	return v.page("Audit", "audit", view), nil
}

// auditFilter reads the filter of the address. The end of the range is the end of its day.
func auditFilter(v *visit) (forgecroft.AuditFilter, error) {
	f := forgecroft.AuditFilter{Action: v.query("action"), ObjectID: v.query("object"), Outcome: v.query("outcome"), ActorKeyID: v.query("actor")}
	var fields []forgecroft.FieldError
	for name, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		text := v.query(name)
		if text == "" {
			continue
		}
		day, err := time.Parse(dayLayout, text)
		if err != nil {
			fields = append(fields, forgecroft.FieldError{Field: name, Code: "invalid_date", Message: "A day is written as 2026-11-23."})
		}
		*to = day
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since) {
		fields = append(fields, forgecroft.FieldError{Field: "until", Code: "before_since", Message: "The last day lies before the first."})
	}
	if !f.Until.IsZero() {
		f.Until = f.Until.AddDate(0, 0, 1)
	}
	return f, forgecroft.Invalid(fields)
}

// auditRow words an event.
func auditRow(names map[string]forgecroft.Related, e forgecroft.AuditEvent) AuditRow {
	row := AuditRow{Sequence: e.Sequence, At: e.Time, Actor: e.ActorName, Action: e.Action, Remote: e.RemoteAddr, Details: details(e.Details), Outcome: outcomeBadge(e.Outcome)}
	if e.ActorKeyID != "" {
		row.By = Root + "audit?actor=" + e.ActorKeyID
	}
	if e.ObjectID != "" {
		row.Object = linkTo(forgecroft.Related{Type: e.ObjectType, ID: e.ObjectID, Name: nameOf(names, e.ObjectID)})
		if _, found := names[e.ObjectID]; !found { // It is gone, and so is its page.
			row.Object.Href = ""
		}
	}
	return row
}

// objectNames looks up what the objects of events are called now.
func (c *Console) objectNames(v *visit, events []forgecroft.AuditEvent) (map[string]forgecroft.Related, error) {
	var ids []string
	for _, e := range events {
		if e.ObjectID != "" {
			ids = append(ids, e.ObjectID)
		}
	}
	return c.broker.Names(v.Context(), v.call(), ids)
}

// outcomeBadge words the outcome of an act.
func outcomeBadge(outcome string) Badge {
	tone := map[string]string{forgecroft.OutcomeAllowed: "good", forgecroft.OutcomeDenied: "bad"}[outcome]
	if tone == "" {
		tone = "warn"
	}
	return Badge{Tone: tone, Text: outcome}
}

// details words the details of an event: names with their values, and of lists of objects only how many.
func details(text json.RawMessage) string {
	var members map[string]any
	if json.Unmarshal(text, &members) != nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		label := strings.ReplaceAll(name, "_", " ")
		switch value := members[name].(type) {
		case nil:
		case string:
			if value != "" {
				parts = append(parts, label+" "+value)
			}
		case []any:
			parts = append(parts, fmt.Sprintf("%s %d", label, len(value)))
		case float64:
			parts = append(parts, label+" "+strconv.FormatFloat(value, 'f', -1, 64))
		default:
			parts = append(parts, fmt.Sprintf("%s %v", label, value))
		}
	}
	return strings.Join(parts, " · ")
}

// chainView checks the events of a page one by one, and tells what the newest checkpoint signs. all: no filter leaves events out between them.
func chainView(events []forgecroft.AuditEvent, all bool, checkpoints []forgecroft.AuditCheckpoint) ChainView {
	view := ChainView{Here: Badge{Tone: "good", Text: "intact"}}
	if broken := brokenEvent(events, all); broken != 0 {
		view.Here = Badge{Tone: "bad", Text: fmt.Sprintf("event %d is not what was recorded", broken)}
	}
	if len(checkpoints) > 0 {
		view.Signed, view.SignedAt, view.KeyID = checkpoints[0].Sequence, checkpoints[0].Time, checkpoints[0].KeyID
	}
	return view
}

// brokenEvent returns the first event of a page, the newest first, that is not what its hashes say, or 0. Neighbours must hold on to each other as well, and where
// no filter leaves events out, each must be the neighbour of the next.
func brokenEvent(events []forgecroft.AuditEvent, all bool) int64 {
	for i, e := range events {
		if e.Sum() != e.Digest || e.Link() != e.Hash {
			return e.Sequence
		}
		if i == 0 {
			continue
		}
		newer := events[i-1]
		neighbours := newer.Sequence == e.Sequence+1
		if (all && !neighbours) || (neighbours && newer.Previous != e.Hash) {
			return newer.Sequence
		}
	}
	return 0
}

// exportAddress is where what is shown can be had as a file.
func exportAddress(v *visit) string {
	query := v.URL.Query()
	query.Del("after")
	return (&url.URL{Path: Root + "audit/export", RawQuery: query.Encode()}).String()
}

func outcomeOptions(chosen string) []Option {
	return append([]Option{{Label: "Any outcome"}}, options(chosen, forgecroft.OutcomeAllowed, forgecroft.OutcomeDenied, forgecroft.OutcomeFailed)...)
}

// actorsOffered is how many API keys the filter of the trail offers: the newest. The others are in the events that they made.
const actorsOffered = 200

// actors offers the newest API keys to filter by, and the one that is chosen however old it is.
func (c *Console) actors(v *visit, chosen string) ([]Option, error) {
	choices := []Option{{Label: "Anybody"}}
	found := chosen == ""
	list, _, err := collect(actorsOffered, func(page broker.PageRequest) (broker.Listing[forgecroft.APIKey], error) {
		return c.broker.ListAPIKeys(v.Context(), v.call(), forgecroft.APIKeyFilter{}, page)
	})
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		choices = append(choices, Option{k.ID, k.Name, k.ID == chosen})
		found = found || k.ID == chosen
	}
	if !found {
		names, err := c.broker.Names(v.Context(), v.call(), []string{chosen})
		if err != nil {
			return nil, err
		}
		choices = append(choices, Option{chosen, nameOf(names, chosen), true})
	}
	return choices, nil
}

// exportAudit sends what the filter finds as JSON lines, the oldest first, so that a checker can read it in one go.
func (c *Console) exportAudit(v *visit) (answer, error) {
	filter, err := auditFilter(v)
	if err != nil {
		return answer{}, err
	}
	filter.Ascending = true
	first, err := c.broker.ListAuditEvents(v.Context(), v.call(), filter, broker.PageRequest{Limit: broker.MaxPage})
	if err != nil {
		return answer{}, err
	}
	return answer{download: &download{"forgecroft-audit.jsonl", "application/jsonl", func(w http.ResponseWriter) error {
		return c.writeEvents(v, w, filter, first)
	}}}, nil
}

// writeEvents writes page after page.
func (c *Console) writeEvents(v *visit, w http.ResponseWriter, filter forgecroft.AuditFilter, page broker.Listing[forgecroft.AuditEvent]) error {
	lines := json.NewEncoder(w)
	for {
		for _, e := range page.Items {
			if err := lines.Encode(newExportedEvent(e)); err != nil {
				return nil // The browser has gone.
			}
		}
		if page.Next == "" {
			return nil
		}
		var err error
		page, err = c.broker.ListAuditEvents(v.Context(), v.call(), filter, broker.PageRequest{Cursor: page.Next, Limit: broker.MaxPage})
		if err != nil {
			return fmt.Errorf("exporting the audit trail: %w", err)
		}
	}
}

// exportedEvent is an event as the API writes it.
type exportedEvent struct {
	ID         string          `json:"id"`
	Sequence   int64           `json:"sequence"`
	Time       string          `json:"time"`
	ActorKeyID string          `json:"actor_key_id,omitempty"`
	ActorName  string          `json:"actor_name"`
	Action     string          `json:"action"`
	ObjectType string          `json:"object_type"`
	ObjectID   string          `json:"object_id,omitempty"`
	Outcome    string          `json:"outcome"`
	RequestID  string          `json:"request_id"`
	RemoteAddr string          `json:"remote_addr"`
	Details    json.RawMessage `json:"details"`
	Previous   string          `json:"previous_hash"`
	Hash       string          `json:"hash"`
}

func newExportedEvent(e forgecroft.AuditEvent) exportedEvent {
	return exportedEvent{
		e.ID, e.Sequence, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), e.ActorKeyID, e.ActorName, e.Action, e.ObjectType, e.ObjectID, e.Outcome, e.RequestID,
		e.RemoteAddr, e.Details, fmt.Sprintf("%x", e.Previous), fmt.Sprintf("%x", e.Hash),
	}
}

// checkPatience is how long a check of the chain may take; the CLI has no such limit.
const checkPatience = 15 * time.Second

// backToAudit leads an address that a check without scripts has left back to the trail.
func backToAudit(v *visit) (answer, error) {
	return to((&url.URL{Path: Root + "audit", RawQuery: v.URL.RawQuery}).String(), "")
}

// checkAudit verifies the whole chain, as far as the time allows.
func (c *Console) checkAudit(v *visit) (answer, error) {
	check, err := c.broker.CheckAudit(v.Context(), v.call(), v.now.Add(checkPatience))
	if err != nil {
		return answer{}, err
	}
	badge := checkBadge(check)
	return c.auditPage(v, &badge)
}

// checkBadge words what a check has found.
func checkBadge(check broker.AuditCheck) Badge {
	switch {
	case check.Broken != "":
		return Badge{Tone: "bad", Text: check.Broken, Hint: "forgecroft audit verify checks it on another machine."}
	case !check.Complete:
		return Badge{Tone: "warn", Text: fmt.Sprintf("intact up to event %d, then time ran out", check.Verified), Hint: "forgecroft audit verify checks all of it."}
	}
	return Badge{Tone: "good", Text: fmt.Sprintf("all %d events are intact", check.Verified)}
}
