package forgecroft_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// TestSecretShowsNothing tries every way by which a value usually slips out.
func TestSecretShowsNothing(t *testing.T) {
	const value = "canary-EXAMPLE-7f3a"
	secret := forgecroft.NewSecret(value)
	type holder struct {
		Name   string
		Secret forgecroft.Secret
		Values forgecroft.Values
	}
	h := holder{"x", secret, forgecroft.Values{"k": secret}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("message", "secret", secret, "holder", h, "pointer", &h)
	slog.New(slog.NewTextHandler(&log, nil)).Info("message", "secret", secret, "holder", h)
	marshalled, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	keyed, err := json.Marshal(map[forgecroft.Secret]int{secret: 1})
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{"log": log.String(), "json": string(marshalled), "json key": string(keyed), "error": fmt.Errorf("x: %v", secret).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p"} {
		outputs[verb] = fmt.Sprintf(verb+verb+verb, secret, h, &h)
	}
	for name, output := range outputs {
		for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
			if strings.Contains(output, form) {
				t.Errorf("%s shows the value: %s", name, output)
			}
		}
	}
	if got := secret.Reveal(); got != value {
		t.Errorf("Reveal: got %q, want %q", got, value)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "values")
		values := forgecroft.Values{}
		for name, value := range plain {
			values[name] = forgecroft.NewSecret(value)
		}
		decoded, err := forgecroft.DecodeValues(values.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if len(decoded) != len(plain) {
			t.Fatalf("got %d values, want %d", len(decoded), len(plain))
		}
		for name, value := range plain {
			if got := decoded[name].Reveal(); got != value {
				t.Fatalf("value of %q: got %q, want %q", name, got, value)
			}
		}
	})
}

func TestDecodeValuesRefusesGarbage(t *testing.T) {
	good := forgecroft.Values{"canary": forgecroft.NewSecret("canary")}.Encode().Reveal()
	for _, text := range []string{"", "canary", `{"a":"canary"}`, good[:4], good[:len(good)-1], good + "x", "fcv1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "fcv1\x02\x01a\x01b\x01a\x01b"} {
		_, err := forgecroft.DecodeValues(forgecroft.NewSecret(text))
		if err == nil {
			t.Errorf("%q was accepted", text)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error repeats the input: %v", err)
		}
	}
}
