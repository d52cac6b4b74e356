package leak_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/servertest/leak"
)

// TestScannerFinds plants a secret in each encoding, whole and in pieces, among other bytes: what finds nothing proves nothing.
func TestScannerFinds(t *testing.T) {
	const planted = `Zq8"\<&>é/+ %41~kW3vXy7RtPb2`
	var s leak.Scanner
	s.Add("the secret", planted)
	noise := bytes.Repeat([]byte("noise "), 100)
	if names := s.Find(noise); names != nil {
		t.Fatalf("finds %v where nothing is", names)
	}
	if names := s.Find([]byte(strings.Trim(fmt.Sprint([]byte(planted[:4])), "[]"))); names != nil {
		t.Errorf("finds %v in four numbers, of which any file may hold some", names)
	}
	plant := func(encoded []byte) []byte { return slices.Concat(noise, encoded, noise) }
	forms := leak.Encodings(planted)
	if len(forms) < 18 {
		t.Errorf("looks for %d encodings", len(forms))
	}
	for name, encoded := range forms {
		t.Run(name, func(t *testing.T) {
			if s.Find(plant(encoded)) == nil {
				t.Error("is not found")
			}
			if len(encoded) >= 2*leak.Window && s.Find(plant(encoded[1:])) == nil {
				t.Error("is not found when its beginning is cut off")
			}
		})
	}
	for offset := range 3 {
		text := strings.Repeat("x", offset) + planted + "yz"
		if s.Find(plant([]byte(base64.StdEncoding.EncodeToString([]byte(text))))) == nil || s.Find(plant([]byte(base64.URLEncoding.EncodeToString([]byte(text))))) == nil {
			t.Errorf("is not found in base64 of a text where it begins at %d", offset)
		}
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(plant([]byte(planted)))
	_ = z.Close()
	if s.Find(plant(zipped.Bytes())) == nil {
		t.Error("is not found in a gzip member")
	}
}

// TestScannerFindsInFiles plants a secret in a file of a tree.
func TestScannerFindsInFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b", "c"), []byte("xEXAMPLE-of-a-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s leak.Scanner
	s.Add("the secret", "EXAMPLE-of-a-secret")
	inner := &testing.T{}
	if s.CheckTree(inner, dir); !inner.Failed() {
		t.Error("a planted secret is not found")
	}
}
