package store

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// session is where SQL runs: any connection for a single read, or the one of a transaction.
type session interface {
	query(ctx context.Context, text string, args []any, each func(*row)) error
}

// reader implements [forgecroft.Reader] on a session. Every method is one statement, so that what it returns is one consistent state.
type reader struct {
	session
	now func() time.Time
}

// one returns the only row of a statement, or absent.
func one[T any](ctx context.Context, s session, absent error, scan func(*row) T, text string, args ...any) (T, error) {
	var result T
	found := false
	err := s.query(ctx, text, args, func(r *row) { result, found = scan(r), true })
	if err == nil && !found {
		err = absent
	}
	return result, err
}

// all returns all rows of a statement.
func all[T any](ctx context.Context, s session, scan func(*row) T, text string, args ...any) ([]T, error) {
	result := []T{}
	err := s.query(ctx, text, args, func(r *row) { result = append(result, scan(r)) })
	return result, err
}

// conditions collects what a list is narrowed by. It holds SQL that the package wrote; clients' text goes into args only.
type conditions struct {
	text strings.Builder
	args []any
}

// narrow starts with the arguments that the statement has already.
func narrow(args ...any) *conditions { return &conditions{args: args} }

// and adds a condition that ends where its parameter belongs.
func (c *conditions) and(condition string, value any) {
	c.text.WriteString(" AND " + condition + " " + c.bind(value))
}

// bind adds an argument and returns its parameter.
func (c *conditions) bind(value any) string {
	c.args = append(c.args, value)
	return "$" + strconv.Itoa(len(c.args))
}

// equal adds a condition unless the value is empty.
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.and(column+" =", value)
	}
}

// among binds ids and returns the list of their parameters.
func (c *conditions) among(ids []string) string {
	parameters := make([]string, len(ids))
	for i, id := range ids {
		parameters[i] = c.bind(id)
	}
	return "(" + strings.Join(parameters, ", ") + ")"
}

// contains looks for part of a name, any case.
func (c *conditions) contains(part string) {
	if part != "" {
		c.and("search_name LIKE", "%"+likeEscaper.Replace(searchable(part))+"%")
		c.text.WriteString(` ESCAPE '\'`)
	}
}

// after continues a list behind an id.
func (c *conditions) after(id string) {
	if id != "" {
		c.and("id <", id)
	}
}

// likeEscaper takes their meaning from the wildcards of LIKE.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
