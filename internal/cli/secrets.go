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
	yes   bool     // fields may be missing that the version before has
}

// readsInputTwice reports whether more than one value is to come from standard input: the second would be empty.
func (in secretInput) readsInputTwice() bool {
	count := 0
	if in.from == "-" {
		count++
	}
	for _, pair := range in.files {
		if strings.HasSuffix(pair, "=-") {
			count++
		}
	}
	return count > 1
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
		if err := a.confirmLoss(types.Items[at], c, data, in.yes); err != nil {
			return err
		}
		stored, err := client.StoreSecrets(ctx, c.ID, sdk.StoreSecrets{Data: data})
		if err != nil || a.json {
			return a.jsonOr(stored, err)
		}
		for _, warning := range stored.Warnings {
			fmt.Fprintln(a.Err, a.colour(yellow, "warning:"), safe(warning))
		}
		_, err = fmt.Fprintf(a.Out, "Stored version %d of %q: %s\n", stored.SecretVersion, safe(c.Name), strings.Join(stored.Fields, " "))
		return err
	})
	c.Long = `Store the secrets of a credential config. Values never come from the command line, where other users of the machine and the shell's
history would see them: they are asked for without an echo, or read from files or standard input. Only fields that are not secret may
be given by --set.

The new version has the fields that you give and no others. If the version before has more, their names are shown and you are asked; --yes
says so in a script.

--from reads all fields at once: a JSON object, or lines of NAME=VALUE as .env files and shells have them. A value without quotes goes to the end
of the line, or to a # after a blank; in single quotes everything stands for itself; in double quotes \n, \r, \t, \\, \", \$ and \` + "`" + ` are escapes. Values in quotes may go over
several lines. What "forgecroft env" prints as dotenv, shell or json can be read back. --from also takes what people have at hand: accessKeys.csv, a section of
~/.aws/credentials, the JSON of aws iam create-access-key or aws sts, export lines, an answer of Vault, a Google key file; in UTF-8, or UTF-16 with a byte order mark.`
	c.Example = `  forgecroft credential set-secrets "Production AWS"                          # asks
  forgecroft credential set-secrets "Production AWS" --set region=eu-central-1
  forgecroft credential set-secrets GCP --file service_account_key=key.json
  forgecroft credential set-secrets Datadog --from secrets.env
  vault kv get -field=data -format=json kv/aws | forgecroft credential set-secrets "Production AWS" --from -`
	c.Flags().StringArrayVar(&in.set, "set", nil, "field=value, for fields that are not secret; may be repeated")
	c.Flags().StringArrayVar(&in.files, "file", nil, "field=path: read the field from a file, byte for byte but for one line end at the end of a single-line value (-: standard input); may be repeated")
	c.Flags().BoolVarP(&in.yes, "yes", "y", false, "do not ask before storing a version that lacks fields of the one before")
	c.Flags().StringVar(&in.from, "from", "", "read all fields from a file: JSON object or NAME=VALUE lines (-: standard input)")
	return c
}

// confirmLoss asks before fields are lost: a new version replaces the one before, it is not merged
// with it. What the server fills in again by itself is not lost.
func (a *app) confirmLoss(t sdk.CredentialType, c sdk.CredentialConfig, data map[string]json.RawMessage, yes bool) error {
	var lost []string
	for _, name := range c.Fields {
		if _, kept := data[name]; !kept && !filledIn(t, name, c.Values[name]) {
			lost = append(lost, safe(name))
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return a.confirm(yes, fmt.Sprintf("The new version of %q will not have these fields of version %d: %s.", safe(c.Name), c.SecretVersion, strings.Join(lost, " ")))
}

// filledIn reports whether the server gives a field that is left out the value that it has.
func filledIn(t sdk.CredentialType, name, value string) bool {
	return slices.ContainsFunc(t.Fields, func(f sdk.CredentialTypeField) bool {
		return f.Name == name && (f.Derived || f.Default != "" && f.Default == value)
	})
}

// collect gathers the fields from flags, files and questions.
func (a *app) collect(ctx context.Context, client *sdk.Client, t sdk.CredentialType, in secretInput) (map[string]json.RawMessage, error) {
	if in.readsInputTwice() {
		return nil, usage("standard input can be read once: - stands for one field or for all of them")
	}
	data := map[string]json.RawMessage{} // field → value
	if in.from != "" {
		text, err := a.readInput(in.from)
		if err != nil {
			return nil, err
		}
		if data, err = readFields(text, t); err != nil {
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
		if data[name], err = encodeText(name, trimLineEnd(string(text))); err != nil {
			return nil, err
		}
	}
	return data, a.askMissing(t, data, in)
}

// splitPair splits field=value.
func splitPair(pair string) (name, value string, err error) {
	name, value, found := strings.Cut(pair, "=")
	if !found || name == "" {
		return "", "", usage("what --set and --file take has the form field=value") // What was given instead may be a secret.
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
			number, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, usage("%s takes a whole number", name)
			}
			return json.RawMessage(strconv.FormatInt(number, 10)), nil
		case "credential_config_id":
			ids, err := configIDs(ctx, client, []string{value})
			if err != nil {
				return nil, err
			}
			return quote(ids[0]), nil
		}
	}
	return encodeText(name, value)
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
		if value == "" {
			continue
		}
		if data[f.Name], err = encodeText(f.Name, value); err != nil {
			return err
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
	if f.Kind == "json" { // Key files: their lines cannot be typed at a prompt.
		what = "path of the file with the " + f.Name
	}
	if !f.Required {
		what += ", empty if there is none"
	}
	if f.Kind == "json" {
		path, err := a.ask(what)
		if err != nil || path == "" {
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
		if data[name], err = encodeText(name, value); err != nil {
			return err
		}
	}
}
