package provider_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/provider"
)

func TestParseObject(t *testing.T) {
	tests := []struct {
		name string
		body string
		want bool
	}{
		{"empty object", `{}`, true},
		{"nested", `{"a":{"b":[1,{"c":null}]},"d":true} `, true},
		{"same name at two levels", `{"a":{"a":1}}`, true},
		{"two cases are two names", `{"a":1,"A":2}`, true},
		{"repeated member", `{"a":1,"a":2}`, false},
		{"repeated member, escaped", `{"a":1,"\u0061":2}`, false},
		{"repeated deep inside", `{"x":[{"a":1,"a":2}]}`, false},
		{"trailing data", `{"a":1}{"b":2}`, false},
		{"trailing bracket", `{"a":1}]`, false},
		{"array", `[1]`, false},
		{"null", `null`, false},
		{"string", `"a"`, false},
		{"nothing", ``, false},
		{"cut off", `{"a":`, false},
		{"HTML", `<html></html>`, false},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", false},
		{"too deep", strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := provider.ParseObject([]byte(tt.body))
			if got := err == nil; got != tt.want {
				t.Errorf("ParseObject(%q): %v, want success %v", tt.body, err, tt.want)
			}
		})
	}
}

func TestObjectMembers(t *testing.T) {
	object, err := provider.ParseObject([]byte(`{"t":"x","n":5,"f":1.5,"b":true,"o":{"i":1},"l":[{"i":1}],"z":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := object.Text("t"); !ok || got != "x" {
		t.Errorf(`Text("t") = %q, %v`, got, ok)
	}
	if got, ok := object.Int("n"); !ok || got != 5 {
		t.Errorf(`Int("n") = %d, %v`, got, ok)
	}
	if got, ok := object.Bool("b"); !ok || !got {
		t.Errorf(`Bool("b") = %v, %v`, got, ok)
	}
	for _, name := range []string{"T", "n", "z", "absent"} {
		if got, ok := object.Text(name); ok {
			t.Errorf("Text(%q) = %q, want none", name, got)
		}
	}
	if got, ok := object.Int("f"); ok {
		t.Errorf(`Int("f") = %d, want none`, got)
	}
	if list, ok := object.Objects("l"); !ok || len(list) != 1 {
		t.Errorf(`Objects("l") = %v, %v`, list, ok)
	}
}

// FuzzParseObject: what is accepted is JSON that any other reader accepts too, and errors never quote the input.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"a":[{}]}`, `nul`, "{\"\xff\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := provider.ParseObject(body)
		if err != nil {
			if object != nil || err.Error() != "not a strict JSON object" {
				t.Errorf("object %v with error %v", object, err)
			}
			return
		}
		if !json.Valid(body) {
			t.Errorf("accepted what is not JSON: %q", body)
		}
	})
}
