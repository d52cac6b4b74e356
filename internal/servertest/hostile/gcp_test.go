package hostile_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/sdk"
)

// TestServiceAccountKeys stores key files that would send a client somewhere, start a program, read a file, or are no key of a service account.
func TestServiceAccountKeys(t *testing.T) {
	w := mustMakeWorld(t)
	good := map[string]string{}
	mustDecode(t, w.keyFile, &good)
	file := func(member, value string) string {
		members := maps.Clone(good)
		members[member] = value
		text, _ := json.Marshal(members) // Strings can always be encoded.
		return string(text)
	}
	insert := func(text string) string {
		return "{" + text + "," + strings.TrimPrefix(strings.TrimSpace(w.keyFile), "{")
	}
	files := map[string]string{ // :: name → key file
		"executable":      `{"type":"external_account","audience":"x","token_url":"https://sts.googleapis.com/v1/token","credential_source":{"executable":{"command":"/bin/sh -c id"}}}`,
		"file":            `{"type":"external_account","credential_source":{"file":"/etc/shadow"}}`,
		"URL":             fmt.Sprintf(`{"type":"external_account","credential_source":{"url":"http://%s/"}}`, w.trap.address),
		"AWS environment": `{"type":"external_account","credential_source":{"environment_id":"aws1","region_url":"http://169.254.169.254/"}}`,
		"impersonation":   fmt.Sprintf(`{"type":"impersonated_service_account","service_account_impersonation_url":"http://%s/","source_credentials":%s}`, w.trap.address, w.keyFile),
		"a person":        `{"type":"authorized_user","client_id":"x","client_secret":"` + secret + `","refresh_token":"` + secret + `"}`,
		"GDCH":            `{"type":"gdch_service_account","token_uri":"http://` + w.trap.address + `/"}`,
		"unknown type":    file("type", "x"), "no type": file("type", ""), "type in another case": strings.Replace(w.keyFile, `"type"`, `"Type"`, 1),
		"universe": file("universe_domain", "evil.example"), "CRLF in e-mail": file("client_email", good["client_email"]+"\r\nX: y"),
		"foreign e-mail": file("client_email", "a@evil.example"), "similar e-mail": file("client_email", "a@gserviceaccount.com.evil.example"), "key id": file("private_key_id", "x"),
		"no key": file("private_key", ""), "public key": file("private_key", "-----BEGIN PUBLIC KEY-----\n"+secret+"\n-----END PUBLIC KEY-----\n"),
		"two keys":      file("private_key", good["private_key"]+good["private_key"]),
		"encrypted key": file("private_key", strings.ReplaceAll(good["private_key"], "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")),
		"elliptic key":  file("private_key", mustMakeEllipticKey(t)),
		"broken key":    file("private_key", "-----BEGIN PRIVATE KEY-----\n"+secret+"\n-----END PRIVATE KEY-----\n"),
		"member twice":  insert(fmt.Sprintf(`"token_uri":"http://%s/"`, w.trap.address)),
		"type twice":    insert(`"type":"external_account"`),
		"number":        insert(`"universe_domain":1`),
		"deep":          insert(`"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)),
		"no JSON":       secret, "cut off": w.keyFile[:len(w.keyFile)/2], "array": "[" + w.keyFile + "]", "two files": w.keyFile + w.keyFile, "NUL": w.keyFile + "\x00",
	}
	for _, p := range addresses(w.trap.address) {
		files["token_uri "+p.text] = file("token_uri", p.text)
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) { w.refuseKeyFile(t, good["private_key"], text) })
	}
	w.mustHaveAskedNobody(t)
}

// refuseKeyFile wants 422 without a piece of the key, or of the file.
func (w *world) refuseKeyFile(t *testing.T, key, file string) {
	t.Helper()
	text, _ := json.Marshal(file) // A string can always be encoded.
	path := "/credential-configs/" + w.configs["gcp_service_account"] + "/secrets"
	reply := w.MustCall(t, w.OwnerKey, "POST", path, `{"data":{"service_account_key":`+string(text)+`}}`)
	var p sdk.Problem
	mustDecode(t, reply.Body, &p)
	if complaint := judge(reply); complaint != "" || reply.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Field != "data.service_account_key" {
		t.Fatalf("%s: got %d %.400s, want 422 about the key", complaint, reply.Status, reply.Body)
	}
	for _, line := range strings.Split(strings.TrimSpace(key), "\n")[1:] {
		if strings.Contains(reply.Body, line) || strings.Contains(w.Log.String(), line) {
			t.Fatalf("a line of the private key is shown: %s", reply.Body)
		}
	}
	if strings.Contains(reply.Body, secret) || strings.Contains(reply.Body, w.trap.address) || strings.Contains(reply.Body, "169.254") {
		t.Errorf("the refusal quotes the file: %s", reply.Body)
	}
}

// TestDroppedMembers stores a key file with members that clients could act on: it is accepted, and they are gone.
func TestDroppedMembers(t *testing.T) {
	w := mustMakeWorld(t)
	hostile := strings.Replace(w.keyFile, "{", fmt.Sprintf(`{"Token_URI":"http://%[1]s/","credential_source":{"url":"http://%[1]s/"},"token_url":"http://%[1]s/",`, w.trap.address), 1)
	text, _ := json.Marshal("\ufeff" + hostile) // A string can always be encoded.
	config := w.configs["gcp_service_account"]
	w.mustCreate(t, "/credential-configs/"+config+"/secrets", `{"data":{"delivery":"key","service_account_key":`+string(text)+`}}`)
	workspace := w.mustCreate(t, "/workspaces", fmt.Sprintf(`{"name":"google","project_id":%q,"credential_config_ids":[%q]}`, w.ids["projects"], config))
	if r := w.MustCall(t, w.OwnerKey, "POST", "/credential-configs/"+config+"/verify", ""); r.Status != 200 || !strings.Contains(r.Body, `"valid":true`) {
		t.Errorf("verify: %d %s", r.Status, r.Body)
	}
	r := w.MustCall(t, w.OwnerKey, "POST", "/workspaces/"+workspace+"/environment", "")
	if r.Status != 200 || !strings.Contains(r.Body, "PRIVATE KEY") || strings.Contains(r.Body, w.trap.address) {
		t.Errorf("delivery: %d, with the key %v, with the trap %v", r.Status, strings.Contains(r.Body, "PRIVATE KEY"), strings.Contains(r.Body, w.trap.address))
	}
}

// mustMakeEllipticKey makes a key of a kind that Google never hands out.
func mustMakeEllipticKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
