package console

import (
	"fmt"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// attachedConfigs reads the credentials of workspaces, by id, with their types. Who may not read credentials gets nil.
func (c *Console) attachedConfigs(v *visit, workspaces ...forgecroft.Workspace) (map[string]forgecroft.CredentialConfig, forgecroft.Registry, error) {
	if !v.may(forgecroft.PermRead) {
		return nil, nil, nil
	}
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, w := range workspaces {
		ids = append(ids, w.CredentialConfigIDs...)
	}
	configs, err := c.broker.CredentialConfigsAmong(v.Context(), v.call(), ids)
	return configs, types, err
}

// healthOf sums up the state of a workspace's credentials: the worst state decides.
func healthOf(types forgecroft.Registry, configs map[string]forgecroft.CredentialConfig, w forgecroft.Workspace) Badge {
	if len(w.CredentialConfigIDs) == 0 {
		return Badge{Tone: "plain", Text: "no credentials", Hint: "Its runs get nothing."}
	}
	invalid, empty, unasked := 0, 0, 0
	for _, id := range w.CredentialConfigIDs {
		config := configs[id]
		switch {
		case config.SecretVersion == 0:
			empty++
		case config.VerificationState() == forgecroft.VerifiedInvalid:
			invalid++
		case config.VerificationState() == forgecroft.Unverified && verifiable(types, config):
			unasked++
		}
	}
	switch {
	case invalid > 0:
		return Badge{Tone: "bad", Text: fmt.Sprintf("%d invalid", invalid), Hint: "The provider refused it."}
	case empty > 0:
		return Badge{Tone: "bad", Text: fmt.Sprintf("%d without secrets", empty), Hint: "Runs fail until the secrets are stored."}
	case unasked > 0:
		return Badge{Tone: "plain", Text: fmt.Sprintf("%d not verified", unasked)}
	}
	return Badge{Tone: "good", Text: "healthy", Hint: "Every credential that can be verified is valid."}
}

// workspaceHealth fills in the credentials of a workspace with their states, and its last deliveries.
func (c *Console) workspaceHealth(v *visit, w forgecroft.Workspace, view *WorkspaceView) error {
	view.Reads = true
	configs, types, err := c.attachedConfigs(v, w)
	if err != nil {
		return err
	}
	for _, id := range w.CredentialConfigIDs {
		if config, found := configs[id]; found {
			view.Credentials = append(view.Credentials, credentialRow(types, nil, config))
		}
	}
	past, err := c.broker.ListDeliveries(v.Context(), v.call(), forgecroft.DeliveryFilter{WorkspaceID: w.ID}, broker.PageRequest{Limit: historyShown})
	view.Deliveries = deliveryViews(past.Items)
	return err
}
