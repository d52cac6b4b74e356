//go:build linux

package store_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/forgecroft/forgecroft/internal/pgtest"
)

// TestSchema compares the tables with the golden files, which are there to be read.
func TestSchema(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		db := rawDatabase(t, closedFile(t), "")
		defer db.Close()
		compareSchema(t, "schema.sqlite.golden.sql", schemaOfSQLite(t, db))
	})
	t.Run("postgres", func(t *testing.T) {
		url := pgtest.New(t)
		openPostgres(t, url)
		db := rawDatabase(t, "", url)
		defer db.Close()
		compareSchema(t, "schema.postgres.golden.sql", schemaOfPostgres(t, db))
	})
}

// compareSchema compares tables with a golden file.
func compareSchema(t *testing.T, golden, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, golden); got != string(want) {
		t.Error("the tables are not those of " + golden + "; run with -update and look at the difference")
	}
}

// schemaHead begins a golden file.
const schemaHead = "-- The tables after all migrations. Made by: go test ./internal/store -run TestSchema -update\n"

// schemaOfSQLite describes all tables, as SQLite keeps what made them.
func schemaOfSQLite(t *testing.T, db *sql.DB) string {
	t.Helper()
	return schemaHead + "\n" + strings.Join(texts(t, db, `SELECT sql || ';' || char(10) FROM sqlite_schema
		WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'goose%' AND tbl_name NOT LIKE 'sqlite%' ORDER BY tbl_name, type DESC, name`), "\n")
}

// schemaOfPostgres describes all tables from PostgreSQL's catalog: columns, constraints, indexes, and who sees which rows.
func schemaOfPostgres(t *testing.T, db *sql.DB) string {
	t.Helper()
	tables := texts(t, db, `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname NOT LIKE 'goose%' ORDER BY relname`)
	text := schemaHead
	for _, table := range tables {
		text += "\nCREATE TABLE " + table + " (\n    " + strings.Join(append(
			texts(t, db, `SELECT attname || ' ' || format_type(atttypid, atttypmod)
					|| CASE WHEN collname IS NOT NULL AND collname <> 'default' THEN ' COLLATE "' || collname || '"' ELSE '' END
					|| CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
					|| coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '')
				FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum LEFT JOIN pg_collation ON pg_collation.oid = attcollation
				WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, table),
			texts(t, db, `SELECT 'CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype <> 'n' ORDER BY conname`, table)...,
		), ",\n    ") + "\n);\n"
		for _, more := range []string{
			`SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = $1
				AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass) ORDER BY indexname`,
			`SELECT 'ALTER TABLE ' || relname || ' ENABLE ROW LEVEL SECURITY' FROM pg_class WHERE oid = $1::regclass AND relrowsecurity`,
			`SELECT 'ALTER TABLE ' || relname || ' FORCE ROW LEVEL SECURITY' FROM pg_class WHERE oid = $1::regclass AND relforcerowsecurity`,
			`SELECT 'CREATE POLICY ' || policyname || ' ON ' || tablename || ' FOR ' || cmd || ' USING ' || qual || coalesce(' WITH CHECK ' || with_check, '')
				FROM pg_policies WHERE schemaname = current_schema() AND tablename = $1 ORDER BY policyname`,
			`SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY tgname`,
		} {
			for _, line := range texts(t, db, more, table) {
				text += line + ";\n"
			}
		}
	}
	return text
}

// texts runs a query with one column.
func texts(t *testing.T, db *sql.DB, query string, args ...any) (found []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		found = append(found, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
