package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/forgecroft/forgecroft/internal/broker"
	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/paste"
)

// PasteView is the form that takes what somebody has at hand: the credential is recognised in it. What was pasted never comes back, only what it is.
type PasteView struct {
	Title, Lead string
	Fields      []Field // of the credential that is to be made; empty: it exists
	Paste       Field
	Revision    int64      // of the credential, if it exists
	Found       *FoundView // nil: nothing was asked yet
	Submit      string
	Back        string
	BackName    string
}

func (PasteView) template() string { return "paste" }

// FoundView says what a pasted text is.
type FoundView struct {
	Problem string // empty: it was recognised
	Type    string
	Title   string
	Form    string
	Parts   []FoundPart             // what the text says
	Fields  []Field                 // what it does not say and the type has, to fill in beside
	Wrong   []forgecroft.FieldError // what the type says against it, of the parts
}

// FoundPart is one value that was recognised. Only those that are no secret are shown.
type FoundPart struct {
	Name, Value string
	Length      int // of a secret, in characters
}

// found is a pasted text, understood.
type found struct {
	paste.Found
	credentialType forgecroft.CredentialType
	data           map[string]json.RawMessage // field → JSON
}

// readPaste understands what the form holds.
func (c *Console) readPaste(v *visit) (found, error) {
	text, err := secretText(v, "paste", true)
	if err != nil {
		return found{}, err
	}
	f, err := paste.Read(text)
	if err != nil {
		return found{}, wrongPaste(err.Error())
	}
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return found{}, err
	}
	t, known := types.Lookup(f.Type)
	if !known {
		return found{}, wrongPaste("This server has no credential type for this.")
	}
	data := map[string]json.RawMessage{} // field → JSON
	for name, value := range f.Values {
		data[name] = quoted(value)
	}
	return found{f, t, data}, nil
}

// wrongPaste is a mistake in what was pasted.
func wrongPaste(message string) error {
	return forgecroft.Invalid([]forgecroft.FieldError{{Field: "paste", Code: "not_recognised", Message: message}})
}

// complete adds what the text does not say: from the fields that were shown beside it, or else, for a credential that exists, what is stored and no secret, such as a region.
func (f found) complete(v *visit, config forgecroft.CredentialConfig) error {
	for _, field := range f.rest() {
		text, name := config.Public[field.Name], "data."+field.Name
		if f.asked(v) && (v.PostForm.Has(name) || field.Secret) {
			var err error
			if text, err = secretText(v, name, field.Secret); err != nil {
				return err
			}
		}
		if text != "" {
			f.data[field.Name] = encoded(field, text)
		}
	}
	return nil
}

// rest are the fields of the type that the text says nothing about.
func (f found) rest() []forgecroft.Field {
	return slices.DeleteFunc(slices.Clone(f.credentialType.Fields), func(field forgecroft.Field) bool { return f.Values[field.Name] != "" })
}

// asked reports whether the form showed the rest of the fields: it does once it knows the type.
func (f found) asked(v *visit) bool { return v.field("recognised") == f.Type }

// check asks the type whether it can be right.
func (f found) check() error {
	_, wrong := f.credentialType.Check(f.data)
	return forgecroft.Invalid(wrong)
}

// view puts into words what was found, and makes inputs of what was not.
func (c *Console) view(v *visit, f found, config forgecroft.CredentialConfig) (*FoundView, error) {
	view := &FoundView{Type: f.Type, Title: f.credentialType.Title, Form: f.Form}
	_, wrong := f.credentialType.Check(f.data)
	for _, name := range f.Found.Fields() {
		part := FoundPart{Name: name, Length: utf8.RuneCountInString(f.Values[name])}
		if field, known := f.credentialType.Field(name); known {
			part.Name = field.Title
			if !field.Secret && len(wrong) == 0 { // Where something is wrong, a secret may stand in the wrong place.
				part.Value = f.Values[name]
			}
		}
		view.Parts = append(view.Parts, part)
	}
	for _, d := range f.rest() {
		field, err := c.secretField(v, config, d)
		if err != nil {
			return nil, err
		}
		if field.Error = messageOf(wrong, field.Name); d.Secret && !d.Required && field.Error == "" {
			continue // Most have none, such as a session token.
		}
		if field.Error != "" {
			field.Value = "" // It may be a secret in the wrong place.
		}
		view.Fields = append(view.Fields, field)
		wrong = slices.DeleteFunc(wrong, func(e forgecroft.FieldError) bool { return e.Field == field.Name })
	}
	view.Wrong = wrong
	return view, nil
}

// messageOf is what is wrong with one field, or "".
func messageOf(fields []forgecroft.FieldError, name string) string {
	return (&Problem{Fields: fields}).Of(name)
}

// recognise says what the form holds, for the page that is being filled in. config is the credential that gets it, if it exists.
func (c *Console) recognise(v *visit, config forgecroft.CredentialConfig) *FoundView {
	f, err := c.readPaste(v)
	if err == nil {
		err = fits(f, config)
	}
	if err == nil {
		err = f.complete(v, config)
	}
	var view *FoundView
	if err == nil {
		view, err = c.view(v, f, config)
	}
	if err != nil {
		p := problemOf(err)
		if len(p.Fields) > 0 {
			return &FoundView{Problem: p.Fields[0].Message}
		}
		return &FoundView{Problem: p.Detail}
	}
	return view
}

// fits refuses to store one kind of credential as another. A config without an id does not exist yet: everything fits it.
func fits(f found, config forgecroft.CredentialConfig) error {
	if config.ID == "" || config.Type == f.Type {
		return nil
	}
	return wrongPaste(fmt.Sprintf("This is %s, which makes a credential of the kind %s, and this credential is of another kind. Make a new credential of it.", f.Form, f.credentialType.Title))
}

// newFromPaste is the form that makes a credential of what somebody has.
func (c *Console) newFromPaste(v *visit) (answer, error) {
	p, err := c.newFromPastePage(v, forgecroft.CredentialConfig{ProjectID: v.query("project")})
	return answer{page: p}, err
}

func (c *Console) newFromPastePage(v *visit, config forgecroft.CredentialConfig) (Page, error) {
	fields, err := c.credentialFields(v, config)
	view := PasteView{
		Title: "Paste a credential", Lead: "Its kind is recognised, and its secrets go into the vault at once.",
		Fields: fields, Paste: pasteField(v), Submit: "Create and store", Back: Root + "credentials/new", BackName: "New credential",
	}
	return v.page("Paste a credential", "credentials", view), err
}

// pasteField is the box.
func pasteField(v *visit) Field {
	return Field{
		Name: "paste", Label: "What you have", Kind: "secret-lines", Required: true, Error: v.problem.Of("paste"),
		Help: "An accessKeys.csv or what an AWS command printed, a section of ~/.aws/credentials, lines such as export NAME=value or those of a .env file, the JSON of a Google key, a Cloudflare token.",
	}
}

// createFromPaste makes the credential and stores its secrets, or only says what the form holds.
func (c *Console) createFromPaste(v *visit) (answer, error) {
	config := forgecroft.CredentialConfig{Name: v.line("name"), Description: v.line("description"), ProjectID: v.line("project_id")}
	form := func() (Page, error) { return c.newFromPastePage(v, config) }
	if v.query("look") != "" {
		return c.look(v, forgecroft.CredentialConfig{}, form)
	}
	f, err := c.readPaste(v)
	if err == nil {
		err = f.complete(v, config)
	}
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return v.again(err, form)
	}
	config.Type = f.Type
	created, err := c.broker.CreateCredentialConfig(v.Context(), v.creates(), config)
	if err != nil {
		return v.again(err, form)
	}
	if _, err := c.broker.StoreSecrets(v.Context(), v.stores(), created.ID, f.data); err != nil {
		v.err = err
		return to(Root+"credentials/"+created.ID+"/paste", "pasted-not-stored")
	}
	return to(Root+"credentials/"+created.ID, storedNotice(f.credentialType))
}

// stores is creates for the second thing that a form makes.
func (v *visit) stores() broker.Call {
	call := v.creates()
	if call.IdempotencyKey != "" {
		call.IdempotencyKey += "-secrets"
	}
	return call
}

// look answers with the form and what was recognised.
func (c *Console) look(v *visit, config forgecroft.CredentialConfig, form func() (Page, error)) (answer, error) {
	p, err := form()
	if err != nil {
		return answer{}, err
	}
	view, ok := p.View.(PasteView)
	if ok {
		view.Found = c.recognise(v, config)
		p.View = view
	}
	return show(p)
}

// pasteForm is the form that stores what somebody has as the next version of a credential.
func (c *Console) pasteForm(v *visit) (answer, error) {
	config, _, err := c.typed(v)
	if err != nil {
		return answer{}, err
	}
	return show(c.pastePage(v, config))
}

func (c *Console) pastePage(v *visit, config forgecroft.CredentialConfig) Page {
	lead := "What is stored becomes the credential's only version."
	if len(config.Public) > 0 {
		lead += " What is no secret and not pasted stays, such as a region."
	}
	return v.page("Paste the secrets", "credentials", PasteView{
		Title: "Paste the secrets", Lead: lead, Paste: pasteField(v), Submit: "Store", Back: Root + "credentials/" + config.ID, BackName: config.Name, Revision: config.Revision,
	})
}

// storePaste stores what was pasted, or only says what it is.
func (c *Console) storePaste(v *visit) (answer, error) {
	config, _, err := c.typed(v)
	if err != nil {
		return answer{}, err
	}
	form := func() (Page, error) { return c.pastePage(v, config), nil }
	if v.query("look") != "" {
		return c.look(v, config, form)
	}
	f, err := c.readPaste(v)
	if err == nil {
		err = fits(f, config)
	}
	if err == nil {
		err = f.complete(v, config)
	}
	if err == nil {
		_, err = c.broker.StoreSecrets(v.Context(), v.replaces(), config.ID, f.data)
	}
	if err != nil {
		return v.again(err, form)
	}
	return to(Root+"credentials/"+config.ID, storedNotice(f.credentialType))
}
