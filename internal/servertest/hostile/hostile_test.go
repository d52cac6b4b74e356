// Package hostile_test sends what an attacker would to every place of the API where a client's value goes: members of bodies, ids, queries, headers, and the
// bytes of HTTP itself. The places come from the served OpenAPI document, so that a new member is covered when it appears.
package hostile_test

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest"
	"github.com/forgecroft/forgecroft/sdk"
)

// codeForm is that of the codes that clients may rely on.
var codeForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// TestBodies sends every payload to every member of every body.
func TestBodies(t *testing.T) {
	w := mustMakeWorld(t)
	slots, hostile := w.slots(t), payloads(w.trap.address)
	if len(slots) < 30 {
		t.Fatalf("the document has only %d places for a client's value", len(slots))
	}
	var accepted sync.Map // operation, with the credential type → whether it ever accepted a request
	t.Run("slots", func(t *testing.T) {
		for _, s := range slots {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				for _, p := range hostile {
					if status := w.send(t, s, p.name, p.json, p.text); status < 300 {
						accepted.Store(path.Dir(s.name), true)
					}
					if s.secret {
						w.send(t, s, p.name+" with a canary", withCanary(p), "")
					}
				}
			})
		}
	})
	for _, s := range slots {
		if _, ok := accepted.Load(path.Dir(s.name)); !ok {
			t.Errorf("%s accepted nothing: the rest of its requests is wrong, too, and hides what it does with the values", path.Dir(s.name))
		}
	}
	w.mustHaveAskedNobody(t)
}

// withCanary is a payload that holds the canary, too.
func withCanary(p payload) string {
	if p.text == "" {
		return strings.Replace(p.json, `"a`, `"`+secret+"a", 1)
	}
	text, _ := json.Marshal(p.text + secret) // A string can always be encoded.
	return string(text)
}

// send sends one request, judges the answer, and returns its status.
func (w *world) send(t *testing.T, s slot, name, value, text string) int {
	t.Helper()
	reply := w.MustCall(t, w.OwnerKey, s.method, s.path, s.body(value))
	if complaint := judge(reply); complaint != "" {
		t.Errorf("%s: %s: %d %.400s", name, complaint, reply.Status, reply.Body)
	}
	if delivery := reply.Status == 200 && strings.HasSuffix(s.path, "/environment"); !delivery && strings.Contains(reply.Body, secret) {
		t.Errorf("%s: the answer shows a secret: %.400s", name, reply.Body)
	}
	if reply.Status >= 400 && len(text) > 256 && strings.Contains(reply.Body, text[:100]) {
		t.Errorf("%s: the answer shows more than a little of what was refused: %.400s", name, reply.Body)
	}
	return reply.Status
}

// judge says what is wrong with an answer to a hostile request: success is fine, and so is a refusal that says which.
func judge(r servertest.Reply) string {
	if r.Status < 400 {
		return ""
	}
	var p sdk.Problem
	err := json.Unmarshal([]byte(r.Body), &p)
	switch {
	case r.Status >= 500:
		return "the server failed"
	case r.Header.Get("Content-Type") != "application/problem+json":
		return "the refusal is no problem document but " + r.Header.Get("Content-Type")
	case err != nil:
		return fmt.Sprintf("the refusal cannot be read: %v", err)
	case !codeForm.MatchString(p.Code) || p.Status != r.Status || p.RequestID == "" || p.RequestID != r.Header.Get("X-Request-Id"):
		return fmt.Sprintf("the refusal lacks a code, its status or its request id: %+v", p)
	case len(r.Body) > 16<<10:
		return fmt.Sprintf("the refusal has %d bytes", len(r.Body))
	case strings.ContainsFunc(r.Body, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == 0x202e || c == 0x2028 }):
		return "the refusal holds control characters"
	}
	return ""
}
