package credtype

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// keyFile is what is kept of a service account's key file: the members that Google writes, in Google's order. Others are dropped, because readers that fold
// the case of member names would take "Token_URI" for token_uri.
type keyFile struct {
	Type              string `json:"type"`
	ProjectID         string `json:"project_id,omitempty"`
	PrivateKeyID      string `json:"private_key_id"`
	PrivateKey        string `json:"private_key"`
	ClientEmail       string `json:"client_email"`
	ClientID          string `json:"client_id,omitempty"`
	AuthURI           string `json:"auth_uri,omitempty"`
	TokenURI          string `json:"token_uri"`
	AuthProviderCerts string `json:"auth_provider_x509_cert_url,omitempty"`
	ClientCerts       string `json:"client_x509_cert_url,omitempty"`
	UniverseDomain    string `json:"universe_domain,omitempty"`
}

// keyProblem is a rule that a key file breaks. Its message never quotes the file.
type keyProblem struct{ code, message string }

// googleTokenURIs lists the token endpoints that Google has written into key files. Any other is a trap: whoever it names would get assertions signed with the key.
func googleTokenURIs() []string {
	return []string{
		"https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token",
	}
}

// The forms of a key file's members.
var (
	keyIDForm        = regexp.MustCompile(`^[0-9a-f]{40}$`)
	clientEmailForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,127}@[a-z0-9][a-z0-9.-]{0,127}\.gserviceaccount\.com$`)
	projectIDPattern = `^(?:[a-z0-9.-]{1,100}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`
	projectIDForm    = regexp.MustCompile(projectIDPattern)
)

// parseKeyFile reads what a person pasted for a key file, repairs what copying breaks, and refuses what is not a service account's key.
func parseKeyFile(pasted string) (keyFile, *keyProblem) {
	object, err := provider.ParseObject([]byte(unwrap(pasted)))
	if err != nil {
		// Tools that print the key, and people who reformat it, leave real line breaks inside the private key.
		object, err = provider.ParseObject([]byte(escapeBreaks(unwrap(pasted))))
	}
	if inner := keyData(object); err == nil && inner != "" {
		object, err = provider.ParseObject([]byte(inner))
	}
	if err != nil {
		return keyFile{}, &keyProblem{"invalid_json", "The key is not one JSON object with distinct members. Paste the whole key file as Google handed it out."}
	}
	if problem := checkKeyType(object); problem != nil {
		return keyFile{}, problem
	}
	var k keyFile
	for name, target := range k.members() {
		if _, given := object[name]; !given {
			continue
		}
		text, ok := object.Text(name)
		if !ok {
			return keyFile{}, &keyProblem{"invalid_format", "The key's member " + name + " is not a string. Paste the key file as Google handed it out."}
		}
		*target = text
	}
	return k, k.check()
}

// keyData is the key file in an answer of Google's IAM API (privateKeyData) or of Vault's (private_key_data), or empty.
func keyData(object provider.Object) string {
	for _, name := range []string{"privateKeyData", "private_key_data"} {
		text, given := object.Text(name)
		if !given {
			continue
		}
		if plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
			return string(plain)
		}
	}
	return ""
}

// escapeBreaks writes line breaks inside the strings of a JSON text as JSON does.
func escapeBreaks(text string) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inside && c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
			c = text[i]
		case c == '"':
			inside = !inside
		case inside && c == '\n':
			b.WriteString(`\n`)
			continue
		case inside && c == '\r':
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// members names where each member of the file is kept.
func (k *keyFile) members() map[string]*string {
	return map[string]*string{ // :: member → its place
		"type": &k.Type, "project_id": &k.ProjectID, "private_key_id": &k.PrivateKeyID, "private_key": &k.PrivateKey, "client_email": &k.ClientEmail,
		"client_id": &k.ClientID, "auth_uri": &k.AuthURI, "token_uri": &k.TokenURI, "auth_provider_x509_cert_url": &k.AuthProviderCerts,
		"client_x509_cert_url": &k.ClientCerts, "universe_domain": &k.UniverseDomain,
	}
}

// checkKeyType accepts service accounts only: the other kinds name URLs or programs that libraries would call.
func checkKeyType(object provider.Object) *keyProblem {
	advice := map[string]string{ // :: type → what to do
		"authorized_user":                  "It is a person's own login (gcloud auth application-default login). Create a service account and a key for it.",
		"external_account":                 "It is a workload identity federation configuration, which holds no key. Create a service account's key.",
		"external_account_authorized_user": "It is a workforce identity login. Create a service account and a key for it.",
		"impersonated_service_account":     "It impersonates a service account with someone's login. Create a key for that service account itself.",
		"gdch_service_account":             "It is for Google Distributed Cloud, which is not supported.",
	}
	name, _ := object.Text("type")
	if name == "service_account" {
		return nil
	}
	if text, known := advice[name]; known {
		return &keyProblem{"wrong_key_type", "The key's type is " + name + ", not service_account. " + text}
	}
	for _, kind := range []string{"installed", "web"} {
		if _, client := object[kind]; client {
			return &keyProblem{"wrong_key_type", "This is the secret of an OAuth client, not a service account's key. Create a service account and a key for it."}
		}
	}
	return &keyProblem{"wrong_key_type", `The key's member type is not "service_account". Paste the key file of a service account.`}
}

// check holds the members to their forms, and makes the private key and the token URI canonical.
func (k *keyFile) check() *keyProblem {
	if k.TokenURI == "" {
		k.TokenURI = googleTokenURIs()[0]
	}
	switch {
	case !slices.Contains(googleTokenURIs(), k.TokenURI):
		return &keyProblem{"token_uri_refused", "The key's token_uri is not Google's. Such a key would send what it signs to somebody else. Download the key file again."}
	case k.UniverseDomain != "" && k.UniverseDomain != "googleapis.com":
		return &keyProblem{"universe_refused", "The key's universe_domain is not googleapis.com, the only one supported."}
	case !clientEmailForm.MatchString(k.ClientEmail):
		return &keyProblem{"invalid_format", "The key's client_email is missing or is not a service account's address (name@project.iam.gserviceaccount.com)."}
	case !keyIDForm.MatchString(k.PrivateKeyID):
		return &keyProblem{"invalid_format", "The key's private_key_id is missing or has not 40 hexadecimal digits."}
	case k.ProjectID != "" && !projectIDForm.MatchString(k.ProjectID):
		return &keyProblem{"invalid_format", "The key's project_id has not the form of a project id."}
	}
	var problem *keyProblem
	k.PrivateKey, problem = canonicalPEM(k.PrivateKey)
	return problem
}

// Bounds of RSA keys, in bits; and of their DER form, in bytes, so that an oversized key costs no arithmetic.
const (
	minRSABits = 2048
	maxRSABits = 8192
	maxDER     = 8 << 10
)

// canonicalPEM reads exactly one RSA private key, and writes it as Google does.
func canonicalPEM(text string) (string, *keyProblem) {
	text = strings.NewReplacer(`\r`, "", `\n`, "\n", "\r", "").Replace(text) // PEM holds no backslash: these are escapes that were escaped twice
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil || !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN") || len(bytes.TrimSpace(rest)) > 0:
		return "", &keyProblem{"invalid_private_key", "The key's private_key is not exactly one PEM block. Its line breaks may have been lost; paste the key file as it is."}
	case len(block.Headers) > 0 || strings.Contains(block.Type, "ENCRYPTED"):
		return "", &keyProblem{"invalid_private_key", "The key's private_key is encrypted with a passphrase. Paste the key file as Google handed it out."}
	case len(block.Bytes) > maxDER:
		return "", &keyProblem{"invalid_private_key", "The key's private_key is larger than any key of Google's."}
	}
	key := parseRSA(block)
	switch {
	case key == nil:
		return "", &keyProblem{"invalid_private_key", "The key's private_key is not an RSA private key (PKCS #8 or PKCS #1). It may have been cut off."}
	case key.N.BitLen() < minRSABits || key.N.BitLen() > maxRSABits:
		return "", &keyProblem{"invalid_private_key", "The key's private_key must have from 2048 to 8192 bits."}
	}
	return string(pem.EncodeToMemory(block)), nil
}

// parseRSA returns the key of a PEM block, or nil.
func parseRSA(block *pem.Block) *rsa.PrivateKey {
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err == nil {
			return key
		}
	case "PRIVATE KEY":
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := parsed.(*rsa.PrivateKey); ok && err == nil {
			return key
		}
	}
	return nil
}

// encode is the file as compact JSON on one line, because not everything that carries variables carries line breaks.
func (k keyFile) encode() string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(k); err != nil { // A struct of strings always marshals.
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// maxWrappings bounds how many layers are taken off: a quoted base64 of a UTF-16 file has three.
const maxWrappings = 5

// unwrap takes off what clipboards, shells and editors put around a key file: byte order marks, UTF-16, quotes and base64. It returns
// the text as far as it got; whether that is a key file is for the parser to say.
func unwrap(text string) string {
	for range maxWrappings {
		text = strings.TrimSpace(strings.TrimPrefix(fromUTF16(text), "\ufeff"))
		if strings.HasPrefix(text, "{") {
			return text
		}
		inner, ok := unquote(text)
		if !ok {
			inner, ok = fromBase64(text)
		}
		if !ok {
			return text
		}
		text = inner
	}
	return text
}

// fromUTF16 turns UTF-16 into UTF-8, with a byte order mark or recognised by the NUL beside an ASCII character.
func fromUTF16(text string) string {
	var order binary.ByteOrder
	switch {
	case len(text) < 2 || len(text)%2 != 0:
		return text
	case strings.HasPrefix(text, "\xff\xfe"), text[0] != 0 && text[1] == 0:
		order = binary.LittleEndian
	case strings.HasPrefix(text, "\xfe\xff"), text[0] == 0 && text[1] != 0:
		order = binary.BigEndian
	default:
		return text
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16([]byte(text[2*i : 2*i+2]))
	}
	return string(utf16.Decode(units))
}

// unquote takes off one pair of quotes; double ones may be those of a JSON string.
func unquote(text string) (string, bool) {
	if len(text) < 2 || text[0] != text[len(text)-1] || (text[0] != '"' && text[0] != '\'') {
		return "", false
	}
	var inner string
	if json.Unmarshal([]byte(text), &inner) == nil {
		return inner, true
	}
	return text[1 : len(text)-1], true
}

// fromBase64 decodes base64 in either alphabet, wrapped in lines or not, padded or not.
func fromBase64(text string) (string, bool) {
	packed := strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	packed = strings.NewReplacer("-", "+", "_", "/").Replace(packed)
	decoded, err := base64.RawStdEncoding.DecodeString(packed)
	return string(decoded), err == nil && len(decoded) > 0
}
