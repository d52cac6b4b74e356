package paste

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// assignment matches the beginning of a line that sets a variable, up to its value. What stands before the name tells whose line it is: a POSIX shell's, fish's,
// that of cmd.exe, PowerShell's, or a .env file's.
var assignment = regexp.MustCompile(`^((?:(?:export|declare -x|typeset -x|set|SET)\s+)?|\$(?i:env):)([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*|^((?:set\s+(?:-[a-zA-Z]+\s+)+)|setx\s+)([A-Za-z_][A-Za-z0-9_]*)[ \t]+`)

// dialect is how a kind of lines writes values.
type dialect struct {
	escape  byte              // what a double quote inside double quotes stands behind
	escapes *strings.Replacer // what has a meaning inside double quotes
	ends    string            // what may end a line without belonging to the value
}

var (
	shell      = dialect{'\\', strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`"), ";"}
	dotenv     = dialect{'\\', strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, `\n`, "\n"), ""}
	powershell = dialect{'`', strings.NewReplacer("``", "`", "`\"", `"`, "`$", `$`, "`n", "\n"), ";"}
)

// dialectOf tells a line's dialect by what stands before the name.
func dialectOf(before string) dialect {
	switch {
	case before == "":
		return dotenv
	case before[0] == '$':
		return powershell
	}
	return shell
}

// readLines reads lines that set variables. Nothing is expanded: what stands there is the value.
func readLines(text string) (Found, bool, error) {
	variables, known, err := variables(text)
	if !known || err != nil {
		return Found{}, false, err
	}
	return named(variables)
}

// variables reads all lines, or reports that one of them sets nothing. A quoted value may go over several lines.
func variables(text string) (set map[string]string, known bool, err error) {
	set = map[string]string{}
	for rest := text; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.EqualFold(trimmed, "rem") || strings.HasPrefix(strings.ToLower(trimmed), "rem ") {
			rest = after
			continue
		}
		m := assignment.FindStringSubmatch(strings.TrimLeft(line, " \t"))
		if m == nil {
			return nil, false, nil
		}
		name := m[2] + m[4]
		value, remaining, err := dialectOf(m[1]+m[3]).value(name, strings.TrimLeft(rest, " \t")[len(m[0]):])
		if err != nil {
			return nil, false, err
		}
		if _, twice := set[name]; twice {
			return nil, false, Error(fmt.Sprintf("The variable %s is set twice. Paste it once.", name))
		}
		set[name], rest = value, remaining
	}
	return set, len(set) > 0, nil
}

// reference matches a value that stands for another one, which only the shell knows.
var reference = regexp.MustCompile("^(?:\\$\\(.*\\)|`.*`|\\$\\{?[A-Za-z_][A-Za-z0-9_:]*\\}?)$")

// value reads what a variable is set to, and returns what follows its line.
func (d dialect) value(name, text string) (value, rest string, err error) {
	if text == "" || (text[0] != '"' && text[0] != '\'') {
		line, rest, _ := strings.Cut(text, "\n")
		value = d.unquoted(line)
		return value, rest, literal(name, value)
	}
	end := d.closing(text)
	if end < 0 {
		return "", "", Error(fmt.Sprintf("The value of %s begins with a quote that never ends. It may be cut off.", name))
	}
	after, rest, _ := strings.Cut(text[end+1:], "\n")
	after = strings.TrimSpace(strings.TrimLeft(after, d.ends+" \t"))
	if after != "" && !strings.HasPrefix(after, "#") {
		return "", "", Error(fmt.Sprintf("Something follows the quoted value of %s on its line. Set one variable in each line.", name))
	}
	value = text[1:end]
	if text[0] == '\'' {
		return value, rest, nil
	}
	return d.escapes.Replace(value), rest, literal(name, value)
}

// literal refuses a value that a shell would look up or compute.
func literal(name, value string) error {
	if reference.MatchString(value) {
		return Error(fmt.Sprintf("The value of %s is what a shell would put there. Paste the value itself.", name))
	}
	return nil
}

// closing finds the quote that ends a value, or -1.
func (d dialect) closing(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == d.escape && text[0] == '"':
			i++
		case text[i] == text[0]:
			return i
		}
	}
	return -1
}

// unquoted is a value without quotes: a comment after white space is none of it.
func (d dialect) unquoted(line string) string {
	if i := strings.Index(line, " #"); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSpace(strings.TrimRight(strings.TrimSpace(line), d.ends))
}

// Names of variables that tell whose a credential is.
var (
	cloudflareFields = map[string]string{
		"CLOUDFLARE_API_TOKEN": "api_token", "CF_API_TOKEN": "api_token", "CLOUDFLARE_ACCOUNT_ID": "account_id", "CF_ACCOUNT_ID": "account_id",
	}
	googleFields = map[string]string{
		"GOOGLE_CREDENTIALS": "service_account_key", "GOOGLE_APPLICATION_CREDENTIALS": "service_account_key", "GCP_SA_KEY": "service_account_key",
		"GOOGLE_PROJECT": "project", "GOOGLE_CLOUD_PROJECT": "project", "GCLOUD_PROJECT": "project", "CLOUDSDK_CORE_PROJECT": "project",
	}
	globalKeys = []string{"CLOUDFLARE_API_KEY", "CF_API_KEY"}
)

// owner is a provider that variables can belong to.
type owner struct {
	title, credentialType, key string // key is the field that makes it a credential
	fields                     map[string]string
}

var owners = []owner{
	{"AWS", AWSStatic, "access_key_id", awsFields},
	{"Google", GCPServiceAccount, "service_account_key", googleFields},
	{"Cloudflare", CloudflareToken, "api_token", cloudflareFields},
}

// named decides what variables are by their names.
func named(set map[string]string) (Found, bool, error) {
	for _, name := range globalKeys {
		if _, global := set[name]; global {
			return Found{}, false, Error(fmt.Sprintf("%s is a Global API Key, which can do everything in the account. Create an API token with the permissions that runs need, and paste that.", name))
		}
	}
	var whose []owner
	for _, o := range owners {
		if slices.Contains(slices.Collect(maps.Values(o.claims(set))), o.key) {
			whose = append(whose, o)
		}
	}
	switch len(whose) {
	case 0:
		return Found{GenericEnv, "lines that set variables", set}, true, nil
	case 1:
		return whose[0].take(set)
	}
	return Found{}, false, Error(fmt.Sprintf("This holds credentials of %s and of %s. Paste one at a time.", whose[0].title, whose[1].title))
}

// claims maps those of the variables that are an owner's to its fields.
func (o owner) claims(set map[string]string) map[string]string {
	claimed := map[string]string{}
	for name := range set {
		key := name
		if o.credentialType == AWSStatic {
			key = strings.ToLower(name)
		}
		if field, known := o.fields[key]; known {
			claimed[name] = field
		}
	}
	return claimed
}

// take makes the variables an owner's credential. One that is not its own is a mistake: it would be lost.
func (o owner) take(set map[string]string) (Found, bool, error) {
	f := Found{Type: o.credentialType, Form: "variables of " + o.title, Values: map[string]string{}}
	claimed := o.claims(set)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		field, own := claimed[name]
		if !own {
			return Found{}, false, Error(fmt.Sprintf("The variable %s does not belong to a credential of %s. Paste the lines of one, and the others into a credential of environment variables.", name, o.title))
		}
		if before := f.Values[field]; before != "" && before != strings.TrimSpace(set[name]) {
			return Found{}, false, Error(fmt.Sprintf("The variable %s and another one say different things about the same. Paste one of them.", name))
		}
		f.put(field, set[name])
	}
	if key, file := f.Values["service_account_key"], "GOOGLE_APPLICATION_CREDENTIALS"; key != "" && set[file] != "" && !strings.HasPrefix(key, "{") {
		return Found{}, false, Error("GOOGLE_APPLICATION_CREDENTIALS names a file. Paste what the file holds.")
	}
	return f, true, nil
}
