package broker

import (
	"context"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// PreviewDraft tells what a delivery of the workspace would set if these credential configs were attached, in this order. Nothing is changed; an id that may not be
// attached is refused as by [Broker.UpdateWorkspace], but conflicts are part of the answer. Like [Broker.PreviewEnvironment] it calls no vault and no provider.
func (b *Broker) PreviewDraft(ctx context.Context, call Call, workspaceID string, configIDs []string) (Preview, error) {
	a := act{"environment.preview", forgecroft.PermRead, "workspace", workspaceID}
	return read(ctx, b, call, a, func() (Preview, error) {
		w, err := b.workspace(ctx, b.store, call, workspaceID)
		if err != nil {
			return Preview{}, err
		}
		w.CredentialConfigIDs = configIDs
		if err := w.Validate(); err != nil {
			return Preview{}, err
		}
		return b.draft(ctx, call, w)
	})
}

// draft works out the effects of what a workspace is to have attached.
func (b *Broker) draft(ctx context.Context, call Call, w forgecroft.Workspace) (Preview, error) {
	var p Preview
	var fields []forgecroft.FieldError
	for i, id := range w.CredentialConfigIDs {
		config, err := b.config(ctx, b.store, call, id)
		if err != nil {
			return Preview{}, err
		}
		fields = append(fields, w.CheckAttachable(i, config)...)
		p.Effects = append(p.Effects, b.types.Effect(config))
		if config.SecretVersion == 0 {
			p.Missing = append(p.Missing, forgecroft.Related{Type: "credential_config", ID: config.ID, Name: config.Name})
		}
	}
	p.Unset, p.Conflicts = forgecroft.Unset(p.Effects), forgecroft.Conflicts(p.Effects)
	return p, forgecroft.Invalid(fields)
}
