package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// pairRows is how many rows the form of free variables starts with, and maxPairs how many are read.
const (
	pairRows = 4
	maxPairs = forgecroft.MaxFields
)

// SecretsView is the form that stores a new version. Nothing that was stored, or just typed, ever comes back in it.
type SecretsView struct {
	Name, Type, TypeTitle, Description, DocsURL string
	Version                                     int64 // the one that it replaces; 0: none
	Revision                                    int64 // of the config that the form was made for
	Fields                                      []Field
	Pairs                                       []Pair // rows of names and values; empty: the type has fields of its own
	Back                                        string
	Paste                                       string // the page that recognises a pasted text; empty for a type that is none
}

func (SecretsView) template() string { return "secrets" }

// MaxPairs is how many variables a form takes.
func (SecretsView) MaxPairs() int { return maxPairs }

// Pair is one row of a variable. Its value is never there.
type Pair struct {
	Row   int
	Name  string
	Empty bool // it is meant to have no value
}

// secretsForm shows the form of a type.
func (c *Console) secretsForm(v *visit) (answer, error) {
	config, t, err := c.typed(v)
	if err != nil {
		return answer{}, err
	}
	p, err := c.secretsPage(v, config, t)
	return answer{page: p}, err
}

// typed reads a config with its type.
func (c *Console) typed(v *visit) (forgecroft.CredentialConfig, forgecroft.CredentialType, error) {
	config, err := c.broker.GetCredentialConfig(v.Context(), v.call(), v.objectID())
	if err != nil {
		return config, forgecroft.CredentialType{}, err
	}
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return config, forgecroft.CredentialType{}, err
	}
	t, known := types.Lookup(config.Type)
	if !known {
		return config, t, forgecroft.Errorf(forgecroft.KindUnprocessable, "unknown_credential_type", "This server does not know the credential type of %q.", config.Name)
	}
	return config, t, nil
}

// secretsPage makes the form from the declaration of the type.
func (c *Console) secretsPage(v *visit, config forgecroft.CredentialConfig, t forgecroft.CredentialType) (Page, error) {
	view := SecretsView{
		Name: config.Name, Type: t.Name, TypeTitle: t.Title, Description: t.Description, DocsURL: t.DocsURL, Version: config.SecretVersion,
		Back: Root + "credentials/" + config.ID, Revision: config.Revision,
	}
	if t.Source == nil {
		view.Paste = view.Back + "/paste"
	}
	if t.AnyNames {
		view.Pairs = pairs(v, config)
		return v.page("Store secrets", "credentials", view), nil
	}
	for _, field := range t.Fields {
		f, err := c.secretField(v, config, field)
		if err != nil {
			return Page{}, err
		}
		view.Fields = append(view.Fields, f)
	}
	return v.page("Store secrets", "credentials", view), nil
}

// pairs are the rows of the form: the names that were just typed, or those that are stored, and some more.
func pairs(v *visit, config forgecroft.CredentialConfig) []Pair {
	rows := []Pair{}
	if v.problem == nil {
		for _, name := range config.Fields {
			rows = append(rows, Pair{Name: name})
		}
	} else {
		for i := range maxPairs {
			if name := v.line(fmt.Sprintf("name%d", i)); name != "" {
				rows = append(rows, Pair{Name: name, Empty: v.field(fmt.Sprintf("empty%d", i)) != ""})
			}
		}
	}
	rows = append(rows, make([]Pair, min(pairRows, maxPairs-len(rows)))...)
	for i := range rows {
		rows[i].Row = i
	}
	return rows
}

// secretField turns the declaration of a field into an input. Fields that are not secret show what is stored.
func (c *Console) secretField(v *visit, config forgecroft.CredentialConfig, d forgecroft.Field) (Field, error) {
	f := Field{
		Name: "data." + d.Name, Label: d.Title, Help: d.Description, Required: d.Required, Placeholder: d.Example, Kind: "text", Error: v.problem.Of("data." + d.Name),
	}
	switch {
	case d.Kind == forgecroft.FieldConfig:
		f.Kind = "select"
		var err error
		f.Options, err = c.sourceOptions(v, config, d)
		return f, err
	case d.Secret && (d.Multiline || d.Kind == forgecroft.FieldJSON):
		f.Kind = "secret-lines"
	case d.Secret:
		f.Kind, f.Placeholder = "secret", ""
	case len(d.Enum) > 0:
		f.Kind, f.Options = "select", options(chosen(v, config, d), d.Enum...)
	case d.Kind == forgecroft.FieldInteger:
		f.Kind, f.Value = "number", chosen(v, config, d)
	default:
		f.Value = chosen(v, config, d)
	}
	return f, nil
}

// chosen is the value of a field that is no secret: as it was just typed, as it is stored, or the default. What was typed and is refused does not come back: it may be a secret that
// stands in the wrong place.
func chosen(v *visit, config forgecroft.CredentialConfig, d forgecroft.Field) string {
	name := "data." + d.Name
	if v.problem.Of(name) != "" {
		return ""
	}
	if v.problem != nil || v.PostForm.Has(name) {
		return v.line(name)
	}
	if value, stored := config.Public[d.Name]; stored {
		return value
	}
	return d.Default
}

// sourceOptions offers the credentials that a role can be assumed with.
func (c *Console) sourceOptions(v *visit, config forgecroft.CredentialConfig, d forgecroft.Field) ([]Option, error) {
	types, err := c.broker.ListCredentialTypes(v.Context(), v.call())
	if err != nil {
		return nil, err
	}
	now := chosen(v, config, d)
	known := map[string]forgecroft.CredentialConfig{} // id → config
	for _, t := range types {
		if !t.AWSIdentity {
			continue
		}
		configs, _, err := c.someCredentials(v, homeCredentials, forgecroft.CredentialConfigFilter{Type: t.Name})
		if err != nil {
			return nil, err
		}
		for _, other := range configs {
			known[other.ID] = other
		}
	}
	if now != "" { // What is stored stays chosen, however old it is: or else storing again would change the identity.
		if err := c.alsoKnown(v, []string{now}, known); err != nil {
			return nil, err
		}
		if _, found := known[now]; !found {
			known[now] = forgecroft.CredentialConfig{ID: now, Name: "the one that is stored"}
		}
	}
	choices := []Option{{Label: "The server's own AWS identity, if the operator allows it"}}
	for _, other := range slices.SortedFunc(maps.Values(known), func(a, b forgecroft.CredentialConfig) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) }) {
		if other.ID != config.ID && (other.ID == now || other.ProjectID == "" || other.ProjectID == config.ProjectID) {
			choices = append(choices, Option{other.ID, other.Name + " (" + typeTitle(types, other.Type) + ")", other.ID == now})
		}
	}
	return choices, nil
}

// storeSecrets stores what the form holds as a new version.
func (c *Console) storeSecrets(v *visit) (answer, error) {
	config, t, err := c.typed(v)
	if err != nil {
		return answer{}, err
	}
	data, err := readSecrets(v, t)
	if err == nil {
		_, err = c.broker.StoreSecrets(v.Context(), v.replaces(), config.ID, data)
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return c.secretsPage(v, config, t) })
	}
	return to(Root+"credentials/"+config.ID, storedNotice(t))
}

// readSecrets turns the form into what the API takes: a member for each field that is not empty.
func readSecrets(v *visit, t forgecroft.CredentialType) (map[string]json.RawMessage, error) {
	data := map[string]json.RawMessage{} // field → JSON
	if t.AnyNames {
		wrong, err := readPairs(v, data)
		if err == nil && len(wrong) > 0 { // All that is wrong is said at once.
			_, more := t.Check(data)
			err = forgecroft.Invalid(append(wrong, more...))
		}
		return data, err
	}
	for _, field := range t.Fields {
		text, err := secretText(v, "data."+field.Name, field.Secret)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		data[field.Name] = encoded(field, text)
	}
	return data, nil
}

// encoded is what a field holds as JSON: a number where it is one, or else a text, which the type then judges.
func encoded(field forgecroft.Field, text string) json.RawMessage {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && field.Kind == forgecroft.FieldInteger {
		return json.RawMessage(strconv.FormatInt(n, 10))
	}
	return quoted(text)
}

// readPairs reads the rows of free variables. A name that stands twice is refused: one of its values would be lost. So is one without a value that nobody has called empty: the names of
// what is stored stand in the form, and their values do not.
func readPairs(v *visit, data map[string]json.RawMessage) (wrong []forgecroft.FieldError, err error) {
	for i := range maxPairs {
		name := v.line(fmt.Sprintf("name%d", i))
		value, err := secretText(v, fmt.Sprintf("value%d", i), true)
		if err != nil {
			return nil, err
		}
		if name == "" && value == "" {
			continue
		}
		if _, twice := data[name]; twice {
			wrong = append(wrong, forgecroft.FieldError{Field: "data." + name, Code: "duplicate", Message: "This name stands in two rows."})
		}
		if value == "" && v.field(fmt.Sprintf("empty%d", i)) == "" {
			wrong = append(wrong, forgecroft.FieldError{
				Field: "data." + name, Code: "required",
				Message: "Give its value: what is stored is never shown and not kept. Say that it is empty if it is meant to be, or take the name away.",
			})
		}
		data[name] = quoted(value)
	}
	return wrong, nil
}

// quoted is a text as JSON. Strings always marshal.
func quoted(text string) json.RawMessage {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return encoded
}

// secretText is what stands in a field or, byte for byte, in the file beside it. A browser sends CR LF for every line end of a text area; what the person
// typed or pasted there has LF (HTML, 4.10.11), so LF it is.
func secretText(v *visit, name string, secret bool) (string, error) {
	text, found, err := fileText(v, name+".file")
	switch {
	case err != nil:
		return "", err
	case found && v.line(name) != "":
		return "", forgecroft.Invalid([]forgecroft.FieldError{{Field: name, Code: "given_twice", Message: "There is a text and a file. Clear the text, or choose no file."}})
	case found:
		return text, nil
	case secret:
		return v.field(name), nil
	}
	return v.line(name), nil
}

// fileText is the content of an uploaded file.
func fileText(v *visit, name string) (text string, found bool, err error) {
	if v.MultipartForm == nil || len(v.MultipartForm.File[name]) == 0 || v.MultipartForm.File[name][0].Size == 0 {
		return "", false, nil
	}
	file, err := v.MultipartForm.File[name][0].Open()
	if err != nil {
		return "", false, fmt.Errorf("opening an uploaded file: %w", err)
	}
	content, err := readAll(file)
	if err == nil && !utf8.ValidString(content) {
		err = forgecroft.Invalid([]forgecroft.FieldError{{Field: strings.TrimSuffix(name, ".file"), Code: "invalid_utf8", Message: "The file is no UTF-8 text. Encode it first, as base64 for instance."}})
	}
	return content, true, err
}

// readAll reads an upload, which lies in memory.
func readAll(file multipart.File) (string, error) {
	content, err := io.ReadAll(file)
	return string(content), errors.Join(err, file.Close())
}
