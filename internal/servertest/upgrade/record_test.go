package upgrade_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/pgtest"
)

// TestRecord makes an installation for TestUpgrade, with the program of any version:
//
//	FORGECROFT_RECORD=bin/forgecroft FORGECROFT_RECORD_AS=schema-5-sqlite go test ./internal/servertest/upgrade -run TestRecord
//
// A name that ends in -postgres makes one on PostgreSQL. Do it for both whenever a migration is released.
func TestRecord(t *testing.T) {
	program, name := os.Getenv("FORGECROFT_RECORD"), os.Getenv("FORGECROFT_RECORD_AS")
	if program == "" {
		t.Skip("nothing to record")
	}
	if !filepath.IsAbs(program) {
		t.Fatal("the program's path has to be absolute")
	}
	h := installed{dir: t.TempDir(), data: dataDir}
	members := []string{ownerKeyFile, answersFile}
	if strings.HasSuffix(name, "-postgres") {
		h.database = pgtest.New(t)
		members = append(members, dumpFile)
	}
	var asked []question
	h.serve(t, program, func(i installation) { asked = i.furnish() })
	h.serve(t, program, func(i installation) {
		for n, q := range asked {
			asked[n].Status, asked[n].Answer = i.ask(q)
		}
	})
	text, err := json.MarshalIndent(asked, "", " ")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(h.dir, answersFile), text, 0o600))
	if h.database != "" {
		dump, err := exec.Command("pg_dump", "--inserts", "--no-owner", "--no-privileges", strings.Replace(h.database, "//forgecroft@", "//postgres@", 1)).Output()
		check(t, err)
		check(t, os.WriteFile(filepath.Join(h.dir, dumpFile), dump, 0o600))
	}
	files, err := filepath.Glob(filepath.Join(h.dir, dataDir, "*"))
	check(t, err)
	for _, file := range files {
		if base := filepath.Base(file); base != "lock" {
			members = append(members, filepath.Join(dataDir, base))
		}
	}
	pack(t, h.dir, members, filepath.Join("testdata", name+".tar.gz"))
}

// pack writes an archive: the same bytes for the same files.
func pack(t *testing.T, dir string, members []string, to string) {
	t.Helper()
	slices.Sort(members)
	f, err := os.Create(to)
	check(t, err)
	compressed, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	check(t, err)
	w := tar.NewWriter(compressed)
	for _, name := range members {
		content, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		check(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600, ModTime: time.Unix(0, 0)}))
		_, err = w.Write(content)
		check(t, err)
	}
	check(t, w.Close())
	check(t, compressed.Close())
	check(t, f.Close())
}
