// Package paste recognises credentials in what people have at hand: the CSV file of the AWS console, a section of ~/.aws/credentials, lines of a shell or of a
// .env file, the answer of an AWS command, a Google key file, a Cloudflare token.
//
// It only finds out what is what: whether the values can be right is the credential type's to say. Pasted text is secret, so no error quotes
// it; the names of profiles and variables are all that is repeated.
package paste

import (
	"maps"
	"slices"
	"strings"
)

// The credential types that a pasted text can be.
const (
	AWSStatic         = "aws_static"
	GCPServiceAccount = "gcp_service_account"
	CloudflareToken   = "cloudflare_api_token"
	GenericEnv        = "generic_env"
)

// Found is what a text holds.
type Found struct {
	Type   string            // one of the credential types
	Form   string            // what the text is, for people: "a CSV file of the AWS console"
	Values map[string]string // field of the type, or variable of a generic_env → value
}

// Fields lists the names of what was found, sorted.
func (f Found) Fields() []string { return slices.Sorted(maps.Keys(f.Values)) }

// Error says what is wrong with a text, in words for the person who pasted it.
type Error string

// Error returns the words.
func (e Error) Error() string { return string(e) }

// What a text can be mistaken for, in the words of more than one reader.
const (
	errEmpty    Error = "Nothing was pasted."
	errNoValues Error = "These are the names of a credential's values without their values."
	errUnknown  Error = "This is nothing that is recognised. It can be an accessKeys.csv, a section of ~/.aws/credentials, lines such as export NAME=value, the JSON of a Google service account key, or a Cloudflare API token."
)

// readers recognise one form each, the most certain first. A reader that does not know a text returns false; an error means that it knows what
// is wrong.
var readers = []func(text string) (Found, bool, error){readJSON, readEncoded, readCSV, readProfile, readLines, readCommand, readToken, readPair}

// Read finds out what a text is. Line ends may be LF or CR LF, and a byte order mark may stand before it. Its error is an [Error].
func Read(text string) (Found, error) {
	text = strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff"))
	if text == "" {
		return Found{}, errEmpty
	}
	for _, read := range readers {
		found, known, err := read(text)
		switch {
		case err != nil:
			return Found{}, err
		case known && len(found.Values) == 0:
			return Found{}, errNoValues
		case known:
			return found, nil
		}
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return Found{}, Error("This is a private key alone. Paste the whole JSON file of the service account key.")
	}
	return Found{}, errUnknown
}
