package console

import (
	"net/url"
	"time"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// minuteLayout is how a browser sends a date with a time (HTML, 2.3.5). Forms of the console mean UTC.
const minuteLayout = "2006-01-02T15:04"

// DeliveriesView is a part of the deliveries.
type DeliveriesView struct {
	Rows                                    []DeliveryView
	Workspaces, Credentials, Keys, Outcomes []Option
	Key                                     string // the API key that is filtered by, where the viewer may not choose one
	Since, Until                            string // UTC
	Filtered                                bool
	Older, Newer                            string
	Window                                  int // how many of the newest audit events are searched
}

func (DeliveriesView) template() string { return "deliveries" }

// deliveries lists deliveries, filtered.
func (c *Console) deliveries(v *visit) (answer, error) {
	filter, err := deliveryFilter(v)
	if err != nil { // The filter is shown with its problem, and nothing is found.
		return v.again(err, func() (Page, error) { return c.deliveriesPage(v, filter, broker.Listing[broker.PastDelivery]{}) })
	}
	list, err := c.broker.ListDeliveries(v.Context(), v.call(), filter, broker.PageRequest{Cursor: v.query("after"), Limit: listLimit})
	if err != nil {
		return answer{}, err
	}
	p, err := c.deliveriesPage(v, filter, list)
	return answer{page: p}, err
}

// deliveryFilter reads the filter of the address.
func deliveryFilter(v *visit) (forgecroft.DeliveryFilter, error) {
	f := forgecroft.DeliveryFilter{WorkspaceID: v.query("workspace"), CredentialConfigID: v.query("credential"), ActorKeyID: v.query("key"), Outcome: v.query("outcome")}
	var fields []forgecroft.FieldError
	for name, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		text := v.query(name)
		if text == "" {
			continue
		}
		at, err := time.Parse(minuteLayout, text)
		if err != nil {
			fields = append(fields, forgecroft.FieldError{Field: name, Code: "invalid_time", Message: "Write a time as 2026-11-23T15:04, in UTC."})
		}
		*to = at
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		fields = append(fields, forgecroft.FieldError{Field: "until", Code: "invalid_range", Message: "The end must be after the start."})
	}
	return f, forgecroft.Invalid(fields)
}

// minuteOf writes a time as the form takes it. What was no time is not repeated: browsers complain of such a value, and show none.
func minuteOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(minuteLayout)
}

// deliveriesPage shows what a filter has found.
func (c *Console) deliveriesPage(v *visit, f forgecroft.DeliveryFilter, list broker.Listing[broker.PastDelivery]) (Page, error) {
	view := DeliveriesView{
		Rows: deliveryViews(list.Items), Outcomes: outcomeOptions(f.Outcome), Since: minuteOf(f.Since), Until: minuteOf(f.Until),
		Filtered: f != forgecroft.DeliveryFilter{}, Older: older(v, list.Next), Newer: newer(v), Window: broker.DeliveryWindow,
	}
	workspaces, err := c.broker.ListWorkspaces(v.Context(), v.call(), forgecroft.WorkspaceFilter{}, broker.PageRequest{Limit: broker.MaxPage})
	if err != nil {
		return Page{}, err
	}
	credentials, err := c.broker.ListCredentialConfigs(v.Context(), v.call(), forgecroft.CredentialConfigFilter{}, broker.PageRequest{Limit: broker.MaxPage})
	if err != nil {
		return Page{}, err
	}
	names, err := c.broker.Names(v.Context(), v.call(), []string{f.WorkspaceID, f.CredentialConfigID})
	if err != nil {
		return Page{}, err
	}
	workspace := func(w forgecroft.Workspace) (string, string) { return w.ID, w.Name }
	credential := func(c forgecroft.CredentialConfig) (string, string) { return c.ID, c.Name }
	view.Workspaces = namedOptions("All workspaces", workspaces.Items, workspace, names, f.WorkspaceID)
	view.Credentials = namedOptions("All credentials", credentials.Items, credential, names, f.CredentialConfigID)
	view.Key = f.ActorKeyID
	if v.may(forgecroft.PermKeys) {
		view.Key = ""
		if view.Keys, err = c.actors(v, f.ActorKeyID); err != nil {
			return Page{}, err
		}
	}
	return v.page("Deliveries", "deliveries", view), nil
}

// namedOptions offers the newest objects to filter by, and the one that is chosen however old it is.
func namedOptions[T any](any string, items []T, named func(T) (id, name string), names map[string]forgecroft.Related, chosen string) []Option {
	choices := []Option{{Label: any}}
	found := chosen == ""
	for _, item := range items {
		id, name := named(item)
		choices = append(choices, Option{id, name, id == chosen})
		found = found || id == chosen
	}
	if !found {
		choices = append(choices, Option{chosen, nameOf(names, chosen), true})
	}
	return choices
}

// deliveriesAddress lists the deliveries that a filter finds: pairs of a parameter and its value.
func deliveriesAddress(pairs ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	return Root + "deliveries?" + query.Encode()
}
