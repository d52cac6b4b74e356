package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// ColumnKind is what a column holds.
type ColumnKind string

// The kinds of columns. Every value but a key may be nil beside.
const (
	Text    ColumnKind = "text"    // string
	Integer ColumnKind = "integer" // int64
	Blob    ColumnKind = "blob"    // []byte
)

// Column is one column of a table.
type Column struct {
	Name string     `json:"name"`
	Kind ColumnKind `json:"kind"`
}

// Table is what a dump holds of one table: all columns of all rows.
type Table struct {
	Name    string
	Columns []Column
	order   string // columns of the key, by which rows are dumped

	// later is a column that points at other rows of the same table, with the columns that name a row. Rows are loaded without it, and get it when
	// all are there.
	later string
	key   []string
}

// Index is the place of a column, or -1.
func (t Table) Index(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// Tables lists all tables with what is worth keeping, each after those that it refers to. Leases and sessions are not: they belong to processes and
// browsers that are at work.
func Tables() []Table {
	return []Table{
		table("organizations", "id", "id name created_at:i"),
		table("instance", "singleton", "singleton:i id keys_reference created_at:i"),
		table("projects", "organization_id, id", "organization_id id name search_name description revision:i created_at:i updated_at:i"),
		table("workspaces", "organization_id, id",
			"organization_id id project_id name search_name description revision:i last_delivered_at:i created_at:i updated_at:i checksum:i"),
		configsTable(),
		table("attachments", "organization_id, workspace_id, position", "organization_id workspace_id position:i credential_config_id"),
		table("secret_versions", "organization_id, credential_config_id, version",
			"organization_id credential_config_id version:i reference fields created_by created_at:i"),
		table("api_keys", "id",
			"id organization_id name role project_id workspace_id subject hash:b hint created_by created_at:i expires_at:i revoked_at:i last_used_at:i checksum:i"),
		table("audit_events", "organization_id, sequence",
			"organization_id sequence:i id time:i actor_key_id actor_name action object_type object_id outcome request_id remote_addr details digest:b previous:b hash:b"),
		table("audit_checkpoints", "organization_id, sequence, time", "organization_id sequence:i time:i hash:b key_id signature:b"),
		table("intents", "reference", "reference kind organization_id not_before:i created_at:i attempts:i"),
		table("idempotency_records", "organization_id, api_key_id, route, idempotency_key",
			"organization_id api_key_id route idempotency_key fingerprint:b result:b created_at:i"),
	}
}

// configsTable is the one table whose rows point at each other.
func configsTable() Table {
	t := table("credential_configs", "organization_id, id",
		"organization_id id project_id name search_name description type secret_version:i reference fields public_values secret_size:i secrets_stored_at:i "+
			"external_id source_id verification verification_version:i verification_valid:i last_attempt last_delivered_at:i revision:i created_by created_at:i updated_at:i checksum:i")
	t.later, t.key = "source_id", []string{"organization_id", "id"}
	return t
}

// table reads a description of columns: names, with :i for an integer and :b for bytes.
func table(name, order, columns string) Table {
	t := Table{Name: name, order: order}
	for _, c := range strings.Fields(columns) {
		column := Column{c, Text}
		if short, integer := strings.CutSuffix(c, ":i"); integer {
			column = Column{short, Integer}
		} else if short, blob := strings.CutSuffix(c, ":b"); blob {
			column = Column{short, Blob}
		}
		t.Columns = append(t.Columns, column)
	}
	return t
}

// names lists the columns for a statement.
func (t Table) names() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Schema is the number of the newest migration: what a dump of this version fits.
func Schema() int64 {
	newest := int64(0)
	files, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil { // The pattern is well-formed.
		panic(err)
	}
	for _, file := range files {
		number, _, _ := strings.Cut(strings.TrimPrefix(file, "migrations/sqlite/"), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

// Snapshot is one consistent state of all tables.
type Snapshot struct{ session session }

// Snapshot runs fn on the newest committed state. Writes go on meanwhile and are not seen.
func (s *Store) Snapshot(ctx context.Context, fn func(Snapshot) error) error {
	return s.pool.snapshot(ctx, func(session session) error {
		if lasting := s.pool.dialect.lasting; lasting != "" {
			if err := session.(*conn).control(ctx, lasting); err != nil { // The pool's sessions are connections.
				return fmt.Errorf("preparing to read all tables: %w", err)
			}
		}
		return fn(Snapshot{session})
	})
}

// Rows calls each with every row of a table, in the order of its key. The values belong to the table's columns, in their order, and are valid
// during the call only; each ends the reading by an error.
func (s Snapshot) Rows(ctx context.Context, t Table, each func(values []any) error) error {
	values := make([]any, len(t.Columns))
	read := func(r *row) {
		for i, c := range t.Columns {
			value := r.take()
			if err := c.check(value); err != nil {
				r.err = fmt.Errorf("table %s: %w", t.Name, err)
				return
			}
			values[i] = value
		}
		r.err = each(values)
	}
	if err := s.session.query(ctx, acrossTenants+"SELECT "+t.names()+" FROM "+t.Name+" ORDER BY "+t.order, nil, read); err != nil {
		return fmt.Errorf("reading all of table %s: %w", t.Name, err)
	}
	return nil
}

// check refuses a value that is not of the column's kind.
func (c Column) check(value any) error {
	ok := value == nil
	switch c.Kind {
	case Text:
		_, is := value.(string)
		ok = ok || is
	case Integer:
		_, is := value.(int64)
		ok = ok || is
	case Blob:
		_, is := value.([]byte)
		ok = ok || is
	}
	if !ok {
		return fmt.Errorf("column %s holds a %T where a %s belongs", c.Name, value, c.Kind)
	}
	return nil
}

// errNotEmpty refuses to load into tables that hold something.
var errNotEmpty = errors.New("the database holds data already; load into an empty one")

// Load fills empty tables in one transaction: all of it is there afterwards, or nothing. fill calls insert for every row, table after table in the order
// of [Tables]; like every update it may be run more than once. The store must be opened anew afterwards, because it remembers what it was.
func (s *Store) Load(ctx context.Context, fill func(insert func(t Table, values []any) error) error) error {
	return s.Update(ctx, func(ftx forgecroft.Tx) error {
		l := &loader{ctx: ctx, exec: ftx.(execer)} // Every transaction of this package is one.
		if err := l.checkEmpty(ftx.(session)); err != nil {
			return err
		}
		if err := fill(l.insert); err != nil {
			return err
		}
		return l.link()
	})
}

// execer is a transaction that runs statements.
type execer interface {
	exec(ctx context.Context, text string, args ...any) (int64, error)
}

// loader fills tables.
type loader struct {
	ctx   context.Context
	exec  execer
	links []link
}

// link is a reference between rows of the same table that waits until all are there.
type link struct {
	text string
	args []any
}

// checkEmpty looks into every table.
func (l *loader) checkEmpty(s session) error {
	for _, t := range Tables() {
		rows := int64(0)
		if err := s.query(l.ctx, acrossTenants+"SELECT count(*) FROM "+t.Name, nil, func(r *row) { rows = r.int() }); err != nil {
			return err
		}
		if rows > 0 {
			return fmt.Errorf("table %s has %d rows: %w", t.Name, rows, errNotEmpty)
		}
	}
	return nil
}

// insert adds one row.
func (l *loader) insert(t Table, values []any) error {
	if len(values) != len(t.Columns) {
		return fmt.Errorf("table %s has %d columns, not %d", t.Name, len(t.Columns), len(values))
	}
	row := make([]any, len(values))
	copy(row, values)
	for i, c := range t.Columns {
		if err := c.check(values[i]); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		if c.Name == t.later && values[i] != nil {
			l.links = append(l.links, t.linkOf(values, values[i]))
			row[i] = nil
		}
	}
	if _, err := l.exec.exec(l.ctx, t.insertion(), row...); err != nil {
		return fmt.Errorf("loading a row of table %s: %w", t.Name, err)
	}
	return nil
}

// insertion is the statement that adds a row.
func (t Table) insertion() string {
	places := make([]string, len(t.Columns))
	for i := range places {
		places[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO " + t.Name + " (" + t.names() + ") VALUES (" + strings.Join(places, ", ") + ")"
}

// linkOf is the statement that gives a row its reference.
func (t Table) linkOf(values []any, to any) link {
	made := link{"UPDATE " + t.Name + " SET " + t.later + " = $1 WHERE ", []any{to}}
	for i, name := range t.key {
		if i > 0 {
			made.text += " AND "
		}
		made.text += name + " = $" + strconv.Itoa(i+2)
		made.args = append(made.args, values[t.Index(name)])
	}
	return made
}

// link adds the references that waited.
func (l *loader) link() error {
	for _, made := range l.links {
		if _, err := l.exec.exec(l.ctx, made.text, made.args...); err != nil {
			return fmt.Errorf("loading a reference between rows: %w", err)
		}
	}
	return nil
}
