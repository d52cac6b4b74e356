package openbao

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/envelope"
)

// document is what is stored under a reference. What it is bound to stands beside the sealed bytes, which are bound to it cryptographically, so that
// they can be moved to another key without anybody's help.
type document struct {
	Organization string `json:"organization"`
	Credential   string `json:"credential"`
	Version      int64  `json:"version"`
	Sealed       []byte `json:"sealed,omitzero"` // under an envelope: a blob of package envelope
	Value        []byte `json:"value,omitzero"`  // without one: the secret
	Write        string `json:"write,omitempty"` // without one: random, tells whose write it was
}

// stored is a document as it was found.
type stored struct {
	document
	version int // of the engine; 1 unless it was moved to another key
}

// errDeleted says that a version was there, but was deleted or destroyed: not by us.
var errDeleted = errors.New("the secret version was deleted in the vault without its metadata")

// same reports whether two documents stem from one write.
func (d document) same(other document) bool {
	return d.Write == other.Write && slices.Equal(d.Sealed, other.Sealed) && d.binding() == other.binding()
}

// binding is what a document says it belongs to.
func (d document) binding() forgecroft.Binding {
	return forgecroft.Binding{OrganizationID: d.Organization, CredentialConfigID: d.Credential, Version: d.Version}
}

// bound is a binding in the words of package envelope.
func bound(b forgecroft.Binding) envelope.Binding {
	return envelope.Binding{Organization: b.OrganizationID, Credential: b.CredentialConfigID, Version: uint64(b.Version)}
}

// data is the path of a secret version.
func (v *Vault) data(ref forgecroft.Reference) string {
	return v.mount + "/data/" + v.prefix + "/secrets/" + string(ref)
}

// metadata is the path of all that is known of a secret version.
func (v *Vault) metadata(ref forgecroft.Reference) string {
	return v.mount + "/metadata/" + v.prefix + "/secrets/" + string(ref)
}

// read reads the document at a path into a value and returns its version of the engine. An absent one is [forgecroft.KindNotFound]. With newest, it is
// the newest version; without it, a record that never changes is taken from wherever it is found, and only its absence is proved.
func (v *Vault) read(ctx context.Context, path string, newest bool, into any) (version int, err error) {
	r := request{method: http.MethodGet, path: path}
	var a answer
	if !newest {
		a, _, err = v.call(ctx, r)
	}
	if newest || err == nil && !a.ok() {
		a, _, err = v.newest(ctx, r, present)
	}
	switch {
	case err != nil:
		return 0, err
	case a.absent():
		return 0, forgecroft.NotFound("secret version")
	case !a.ok() && (a.status != http.StatusNotFound || len(a.data) == 0):
		return 0, v.client.refusal(ctx, r, a)
	}
	var found struct {
		Data     *rawDocument `json:"data"`
		Metadata struct {
			Version   int    `json:"version"`
			Destroyed bool   `json:"destroyed"`
			Deleted   string `json:"deletion_time"`
		} `json:"metadata"`
	}
	if err := decode(a.data, &found); err != nil {
		return 0, unreachable(err)
	}
	switch {
	case found.Metadata.Version < 1:
		return 0, v.client.refusal(ctx, r, a)
	case !a.ok():
		return found.Metadata.Version, errDeleted
	case found.Data == nil:
		return 0, unreachable(errors.New("the answer holds no data"))
	}
	if err := decode(found.Data.text, into); err != nil {
		return found.Metadata.Version, unsealable(err)
	}
	return found.Metadata.Version, nil
}

// rawDocument is the text of a document.
type rawDocument struct{ text []byte }

// UnmarshalJSON implements [json.Unmarshaler].
func (d *rawDocument) UnmarshalJSON(text []byte) error {
	d.text = slices.Clone(text)
	return nil
}

// readStored reads what is under a reference, see [Vault.read]. One that is there, but was deleted, is [errDeleted].
func (v *Vault) readStored(ctx context.Context, ref forgecroft.Reference, newest bool) (stored, error) {
	var s stored
	var err error
	s.version, err = v.read(ctx, v.data(ref), newest, &s.document)
	return s, err
}

// write writes a document over the version that the caller counts on; 0: there is none. The answer and the number of tries are for the caller to judge.
func (v *Vault) write(ctx context.Context, path string, over int, d any) (answer, int, error) {
	return v.call(ctx, request{
		method: http.MethodPost, path: path, secret: true,
		body: map[string]any{"options": map[string]int{"cas": over}, "data": d},
	})
}
