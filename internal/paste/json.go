package paste

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// object is a JSON object of a provider, as far as it tells what it is.
type object struct {
	Type        string  `json:"type"`
	AccessKey   *awsKey `json:"AccessKey"`   // aws iam create-access-key
	Credentials *awsKey `json:"Credentials"` // aws sts assume-role, get-session-token
	awsKey              // a credential process
	Result      *struct {
		Value string `json:"value"`
	} `json:"result"` // Cloudflare's answer to the creation of a token
}

// awsKey is a key in an answer of AWS.
type awsKey struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
}

// readJSON reads a key file of Google, or an answer of AWS or Cloudflare that holds a key. A key file is kept as it is, byte for byte.
func readJSON(text string) (Found, bool, error) {
	if !strings.HasPrefix(text, "{") {
		return Found{}, false, nil
	}
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return broken(text)
	}
	switch o.Type {
	case "service_account":
		return Found{GCPServiceAccount, "a Google service account key", map[string]string{"service_account_key": text}}, true, nil
	case "authorized_user":
		return Found{}, false, Error("These are a person's Google credentials (gcloud auth application-default login). Runs need the key of a service account.")
	case "external_account", "impersonated_service_account":
		return Found{}, false, Error("This Google configuration refers to credentials elsewhere and holds no key. Paste the JSON of a service account key.")
	}
	for _, key := range []*awsKey{o.AccessKey, o.Credentials, &o.awsKey} {
		if key == nil || key.AccessKeyID == "" {
			continue
		}
		f := Found{Type: AWSStatic, Form: "an answer of AWS", Values: map[string]string{}}
		f.put("access_key_id", key.AccessKeyID)
		f.put("secret_access_key", key.SecretAccessKey)
		f.put("session_token", key.SessionToken)
		return f, true, nil
	}
	if o.Result != nil && o.Result.Value != "" {
		return Found{CloudflareToken, "an answer of Cloudflare", map[string]string{"api_token": o.Result.Value}}, true, nil
	}
	return Found{}, false, Error("This JSON is neither a service account key of Google nor an answer of AWS or Cloudflare that holds a key.")
}

// broken takes a key file whose JSON cannot be read for what it is: its type repairs what can be repaired, and says what cannot.
func broken(text string) (Found, bool, error) {
	if strings.Contains(text, `"service_account"`) {
		return Found{GCPServiceAccount, "a Google service account key", map[string]string{"service_account_key": text}}, true, nil
	}
	return Found{}, false, Error("This begins like JSON, but cannot be read as such. It may be cut off.")
}

// readEncoded reads a key file in base64, as secrets of CI systems hold it.
func readEncoded(text string) (Found, bool, error) {
	plain, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil || !strings.HasPrefix(strings.TrimSpace(string(plain)), "{") {
		return Found{}, false, nil
	}
	return readJSON(strings.TrimSpace(string(plain)))
}
