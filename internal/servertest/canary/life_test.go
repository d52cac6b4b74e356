package canary_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// misuse sends secrets and API keys in requests that are wrong in the ways in which people get them wrong.
func (h *house) misuse(t *testing.T) {
	t.Helper()
	for name, body := range h.secrets {
		path := "/credential-configs/" + h.configs[name] + "/secrets"
		inner := strings.TrimSuffix(strings.TrimPrefix(body, `{"data":`), "}")
		for _, wrong := range []string{
			body[:len(body)-3], body + "x", body + body, inner, "[" + body + "]", strings.Replace(body, "data", "Data", 1), strings.Replace(body, `":"`, `":["`, 2), `{"data":` + jsonText(inner) + "}",
			strings.Replace(inner, "{", `{"no_such_field":1,`, 1), `{"data":` + strings.Replace(inner, "{", `{"no-such-field":1,`, 1) + "}", strings.Replace(body, `":"`, `":"\u0000`, 1), strings.Replace(body, `":"`, "\":\"\xff", 1),
		} {
			if reply := h.call(t, "POST", path, wrong); reply.Status < 400 || reply.Status >= 500 {
				t.Errorf("storing %s wrongly: %d %s", name, reply.Status, reply.Body)
			}
		}
		for other, id := range h.configs {
			if other != "variables" && other[0] != name[0] && (other != "static" || name != "temporary") && (other != "temporary" || name != "static") {
				h.call(t, "POST", "/credential-configs/"+id+"/secrets", body) // The secrets of another type.
			}
		}
		h.call(t, "POST", path, body, "Content-Type", "text/plain")
		h.call(t, "POST", path, body, "If-Match", `"999"`)
		h.call(t, "PATCH", "/credential-configs/"+h.configs[name], body)
		h.call(t, "POST", "/api-keys", body)
	}
	odd := h.canary("a secret in the wrong place")
	for _, path := range []string{"/projects?name=%s", "/projects?q=%s", "/projects?api_key=%s", "/projects/%s", "/%s", "/audit-events?actor=%s", "/audit-events?cursor=%s"} {
		for _, secret := range []string{odd, h.OwnerKey} {
			h.call(t, "GET", fmt.Sprintf(path, url.QueryEscape(secret)), "")
		}
	}
	h.call(t, "GET", "/whoami", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("x:"+h.OwnerKey)))
	h.call(t, "GET", "/whoami", "", "Authorization", h.OwnerKey)
	h.call(t, "GET", "/whoami", "", "Authorization", "Bearer "+h.OwnerKey+"x")
	h.call(t, "GET", "/whoami", "", "Cookie", "key="+h.OwnerKey, "X-Request-Id", odd, "User-Agent", odd)
	h.call(t, "POST", "/workspaces/"+h.workspaces(t)[0]+"/environment", `{"run_id":`+jsonText(odd)+"}")
	h.misuseKey(t)
}

// jsonText is a text as JSON has it.
func jsonText(text string) string {
	quoted, _ := json.Marshal(text) // A string can always be encoded.
	return string(quoted)
}

// misuseKey makes an API key, which is in clear in one answer, uses it well and badly, and revokes it.
func (h *house) misuseKey(t *testing.T) {
	t.Helper()
	const body = `{"name":"ci","role":"reader"}`
	made := h.MustCall(t, h.OwnerKey, "POST", "/api-keys", body, "Idempotency-Key", "once")
	key, id := member(t, made.Body, "key"), member(t, made.Body, "id")
	h.scanner.Add("an API key", key[len("fc_live_")+33:])
	if h.scanner.Find([]byte(made.Body)) == nil {
		t.Error("the new API key is not in its answer: the scanner looks for the wrong thing")
	}
	if again := h.call(t, "POST", "/api-keys", body, "Idempotency-Key", "once"); again.Status != http.StatusConflict {
		t.Errorf("making the same API key again: %d %s", again.Status, again.Body)
	}
	h.call(t, "GET", "/whoami", "", "Authorization", "Bearer "+key)
	h.call(t, "POST", "/projects", `{"name":"denied"}`, "Authorization", "Bearer "+key)
	h.call(t, "GET", "/projects?key="+key, "")
	if gone := h.call(t, "DELETE", "/api-keys/"+id, ""); gone.Status != http.StatusNoContent {
		t.Errorf("revoking: %d %s", gone.Status, gone.Body)
	}
	h.call(t, "GET", "/whoami", "", "Authorization", "Bearer "+key)
}

// replace stores new versions, each twice under one idempotency key, and renames things.
func (h *house) replace(t *testing.T) {
	t.Helper()
	for name, id := range h.configs {
		body := h.secrets[name]
		if name == "variables" {
			text, _ := json.Marshal(map[string]any{"data": map[string]string{"TF_VAR_new": h.canary("a new variable")}}) // Strings can always be encoded.
			body = string(text)
		}
		for range 2 {
			if reply := h.call(t, "POST", "/credential-configs/"+id+"/secrets", body, "Idempotency-Key", "again-"+name); reply.Status != http.StatusCreated {
				t.Errorf("storing %s again: %d %s", name, reply.Status, reply.Body)
			}
		}
		h.call(t, "PATCH", "/credential-configs/"+id, fmt.Sprintf(`{"description":"what is for %s"}`, name))
	}
}

// delete deletes all configs. From then on not even what was sealed may be found: a key that is stolen later opens nothing.
func (h *house) delete(t *testing.T) {
	t.Helper()
	h.mustReadEverything(t)
	blobs := h.stores.sealed(t)
	for _, id := range h.workspaces(t) {
		h.call(t, "DELETE", "/workspaces/"+id, "")
	}
	names := slices.Sorted(maps.Keys(h.configs))
	names = append(slices.DeleteFunc(names, func(n string) bool { return n == "static" }), "static") // The role needs it.
	for _, name := range names {
		id := h.configs[name]
		if len(blobs[id]) < 64 {
			t.Fatalf("the vault holds nothing of %s", name)
		}
		if reply := h.call(t, "DELETE", "/credential-configs/"+id, ""); reply.Status != http.StatusNoContent {
			t.Errorf("deleting %s: %d %s", name, reply.Status, reply.Body)
		}
		h.call(t, "GET", "/credential-configs/"+id, "")
		h.scanner.Add("the sealed secrets of "+name, string(blobs[id][10:])) // In front stands the id of the key.
	}
	left := h.stores.sealed(t) // Replaced versions are, for a minute more.
	for name, id := range h.configs {
		if bytes.Equal(left[id], blobs[id]) {
			t.Errorf("the vault still holds the secrets of %s", name)
		}
	}
}

// mustReadEverything reads all that can be listed, and each object.
func (h *house) mustReadEverything(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/credential-types", "/projects", "/workspaces", "/api-keys", "/audit-checkpoints", "/vault/keys", "/whoami", "/metrics", "/docs", "/openapi.json", "/readyz"} {
		if reply := h.call(t, "GET", path, ""); reply.Status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, reply.Status, reply.Body)
		}
	}
	for _, id := range h.configs {
		h.call(t, "GET", "/credential-configs/"+id, "")
		h.call(t, "GET", "/credential-configs/"+id+"/secret-versions", "")
	}
	h.call(t, "POST", "/audit-checkpoints", "")
	events := 0
	for cursor := ""; ; {
		reply := h.call(t, "GET", "/audit-events?limit=200&cursor="+url.QueryEscape(cursor), "")
		if cursor == "" {
			reply = h.call(t, "GET", "/audit-events?limit=200", "")
		}
		events += strings.Count(reply.Body, `"previous_hash"`)
		if cursor = member(t, reply.Body, "next_cursor"); cursor == "" {
			break
		}
	}
	if events < 20 {
		t.Errorf("the audit trail has only %d events", events)
	}
}

// ringKey matches a key of the vault.
var ringKey = regexp.MustCompile(`fck1_([A-Za-z0-9_-]{43})_`)

// mustHideKeys makes the scanner look for the vault's keys outside of their file, which holds no other secret.
func (h *house) mustHideKeys(t *testing.T) {
	t.Helper()
	file, err := os.ReadFile(h.keys)
	if err != nil {
		t.Fatal(err)
	}
	h.scanner.Check(t, "the key file", file)
	keys := ringKey.FindAllStringSubmatch(string(file), -1)
	if len(keys) < 2 {
		t.Fatalf("the key file has %d keys, want those before and after the rotation", len(keys))
	}
	for i, key := range keys {
		raw, err := base64.RawURLEncoding.DecodeString(key[1])
		if err != nil {
			t.Fatal(err)
		}
		h.scanner.Add(fmt.Sprintf("key %d of the vault", i), key[1])
		h.scanner.Add(fmt.Sprintf("key %d of the vault, in bytes", i), string(raw))
	}
}
