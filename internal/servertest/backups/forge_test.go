//go:build unix

package backups_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/backup"
)

// isRecords reports whether a member holds the vault's records.
func isRecords(name string) bool { return strings.HasPrefix(name, "vault.") }

// mixHalves makes an archive of the tables of one and the records of another, with a manifest to match.
func mixHalves(t *testing.T, tables, records []member) []member {
	t.Helper()
	m, other := manifestOf(t, tables), manifestOf(t, records)
	m.Keys = other.Keys
	mixed := make([]member, len(tables))
	copy(mixed, tables)
	for i := range mixed {
		if isRecords(mixed[i].header.Name) {
			mixed[i] = records[i]
		}
	}
	for i := range m.Members {
		if isRecords(m.Members[i].Name) {
			m.Members[i] = other.Members[i]
		}
	}
	text, err := json.Marshal(m)
	check(t, err)
	mixed[0].content = text
	return mixed
}

// manifestOf reads the manifest of an archive.
func manifestOf(t *testing.T, members []member) backup.Manifest {
	t.Helper()
	var m backup.Manifest
	check(t, json.Unmarshal(members[0].content, &m))
	return m
}
