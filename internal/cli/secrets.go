package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forgecroft/forgecroft/sdk"
)

// secretInput says where the fields of a secret version come from.
type secretInput struct {
	set   []string // field=value, of fields that are not secret
	files []string // field=path
	from  string   // a file with all fields; "-": standard input
}

func (a *app) credentialSetSecrets() *cobra.Command {
	var in secretInput
	c := a.onConfig("set-secrets CREDENTIAL", "Store the secrets of a credential config: a new version, whole", func(ctx context.Context, client *sdk.Client, c sdk.CredentialConfig) error {
		types, err := client.CredentialTypes(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(types.Items, func(t sdk.CredentialType) bool { return t.Name == c.CredentialType })
		if at < 0 {
			return fmt.Errorf("the server does not know the type %s", c.CredentialType)
		}
		data, err := a.collect(ctx, client, types.Items[at], in)
		if err != nil {
			return err
		}
		stored, err := client.StoreSecrets(ctx, c.ID, sdk.StoreSecrets{Data: data})
		if err != nil || a.json {
			return a.jsonOr(stored, err)
		}
		_, err = fmt.Fprintf(a.Out, "Stored version %d of %q: %s\n", stored.SecretVersion, safe(c.Name), strings.Join(stored.Fields, " "))
		return err
	})
	c.Long = `Store the secrets of a credential config. Values never come from the command line, where other users of the machine and the shell's
history would see them: they are asked for without an echo, or read from files or standard input. Only fields that are not secret may
be given by --set.

--from reads all fields at once: a JSON object, or lines of NAME=VALUE (a value may stand in single or double quotes; "export " before a
name is skipped).`
	c.Example = `  forgecroft credential set-secrets "Production AWS"                          # asks
  forgecroft credential set-secrets "Production AWS" --set region=eu-central-1
  forgecroft credential set-secrets GCP --file service_account_key=key.json
  forgecroft credential set-secrets Datadog --from secrets.env
  vault kv get -field=data -format=json kv/aws | forgecroft credential set-secrets "Production AWS" --from -`
	c.Flags().StringArrayVar(&in.set, "set", nil, "field=value, for fields that are not secret; may be repeated")
	c.Flags().StringArrayVar(&in.files, "file", nil, "field=path: read the field from a file, byte for byte but for one line end at the end of a single-line value (-: standard input); may be repeated")
	c.Flags().StringVar(&in.from, "from", "", "read all fields from a file: JSON object or NAME=VALUE lines (-: standard input)")
	return c
}

// collect gathers the fields from flags, files and questions.
func (a *app) collect(ctx context.Context, client *sdk.Client, t sdk.CredentialType, in secretInput) (map[string]json.RawMessage, error) {
	data := map[string]json.RawMessage{}
	if in.from != "" {
		text, err := a.readInput(in.from)
		if err != nil {
			return nil, err
		}
		if data, err = parseFields(text); err != nil {
			return nil, usage("%s: %w", in.from, err)
		}
	}
	for _, pair := range in.set {
		name, value, err := splitPair(pair)
		if err != nil {
			return nil, err
		}
		if secretField(t, name) {
			return nil, usage("%s is secret: the command line is no place for it; leave it out to be asked, or use --file %s=PATH", name, name)
		}
		if data[name], err = fieldValue(ctx, client, t, name, value); err != nil {
			return nil, err
		}
	}
	for _, pair := range in.files {
		name, path, err := splitPair(pair)
		if err != nil {
			return nil, err
		}
		text, err := a.readInput(path)
		if err != nil {
			return nil, err
		}
		data[name] = quote(trimLineEnd(string(text)))
	}
	return data, a.askMissing(t, data, in)
}

// splitPair splits field=value.
func splitPair(pair string) (name, value string, err error) {
	name, value, found := strings.Cut(pair, "=")
	if !found || name == "" {
		return "", "", usage("%q is not of the form field=value", name)
	}
	return name, value, nil
}

// secretField reports whether a field must not be given on the command line.
func secretField(t sdk.CredentialType, name string) bool {
	for _, f := range t.Fields {
		if f.Name == name {
			return f.Secret
		}
	}
	return t.AnyNames // The variables of generic_env are all secret.
}

// fieldValue encodes a field's value: a number where one is wanted, an id where a name of a credential config is given.
func fieldValue(ctx context.Context, client *sdk.Client, t sdk.CredentialType, name, value string) (json.RawMessage, error) {
	for _, f := range t.Fields {
		if f.Name != name {
			continue
		}
		switch f.Kind {
		case "integer":
			if _, err := strconv.ParseInt(value, 10, 64); err != nil {
				return nil, usage("%s takes a whole number", name)
			}
			return json.RawMessage(value), nil
		case "credential_config_id":
			ids, err := configIDs(ctx, client, []string{value})
			if err != nil {
				return nil, err
			}
			return quote(ids[0]), nil
		}
	}
	return quote(value), nil
}

// quote makes a JSON string.
func quote(text string) json.RawMessage {
	quoted, _ := json.Marshal(text) // A string always marshals.
	return quoted
}

// trimLineEnd removes the line end that editors put after a single line. Values of several lines keep every byte.
func trimLineEnd(text string) string {
	line := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if strings.Contains(line, "\n") {
		return text
	}
	return line
}

// askMissing asks for what is required and not there, and on a terminal also for what is secret and optional.
func (a *app) askMissing(t sdk.CredentialType, data map[string]json.RawMessage, in secretInput) error {
	given := in.from != "" || len(in.files) > 0
	for _, f := range t.Fields {
		if _, there := data[f.Name]; there || (!f.Required && (given || !a.interactive() || !f.Secret)) {
			continue
		}
		if !a.interactive() {
			return usage("%s is missing, and there is no terminal to ask on; use --file %s=PATH or --from", f.Name, f.Name)
		}
		value, err := a.askField(f)
		if err != nil {
			return err
		}
		if value != "" {
			data[f.Name] = quote(value)
		}
	}
	if !t.AnyNames || len(data) > 0 {
		return nil
	}
	return a.askVariables(data)
}

// askField asks for one field.
func (a *app) askField(f sdk.CredentialTypeField) (string, error) {
	what := f.Name
	if !f.Required {
		what += ", empty if there is none"
	}
	if f.Multiline {
		path, err := a.ask("path of the file with the " + f.Name)
		if err != nil {
			return "", err
		}
		text, err := a.readInput(path)
		return string(text), err
	}
	if f.Secret {
		return a.askSecret(what)
	}
	return a.ask(what)
}

// askVariables asks for variables of any name until an empty one.
func (a *app) askVariables(data map[string]json.RawMessage) error {
	if !a.interactive() {
		return usage("no variables are given, and there is no terminal to ask on; use --from")
	}
	for {
		name, err := a.ask("name of a variable, empty when done")
		if err != nil || name == "" {
			return err
		}
		value, err := a.askSecret(name)
		if err != nil {
			return err
		}
		data[name] = quote(value)
	}
}

// parseFields reads a JSON object or lines of NAME=VALUE. Its failures never repeat a value.
func parseFields(text []byte) (map[string]json.RawMessage, error) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	if strings.HasPrefix(trimmed, "{") {
		var data map[string]json.RawMessage
		if json.Unmarshal([]byte(trimmed), &data) != nil {
			return nil, fmt.Errorf("this begins like a JSON object, but is none")
		}
		return data, nil
	}
	data := map[string]json.RawMessage{}
	for number, line := range strings.Split(strings.ReplaceAll(trimmed, "\r\n", "\n"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !found {
			return nil, fmt.Errorf("line %d is not of the form NAME=VALUE", number+1)
		}
		name = strings.TrimSpace(name)
		if _, twice := data[name]; twice {
			return nil, fmt.Errorf("line %d gives %s a second time", number+1, name)
		}
		data[name] = quote(unquote(strings.TrimSpace(value)))
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	return data, nil
}

// unquote takes a value out of matching quotes.
func unquote(value string) string {
	if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	return value
}
