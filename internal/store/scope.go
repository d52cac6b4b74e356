package store

import (
	"context"
	"regexp"
	"strconv"
	"strings"
)

// What a connection is set to for statements that are about no single organization.
const (
	everyTenant = "*" // for the few that work for all of them
	noTenant    = "-" // for one that names none, which is a mistake: it finds nothing
)

// acrossTenants begins the text of a statement that works for all organizations. Without it, one that forgets to name an organization meets the second wall.
const acrossTenants = "/* all organizations */ "

// reach says whose rows a statement may touch.
type reach struct {
	tenants  bool // it names tables of tenants
	all      bool // it says that it is for all organizations
	argument int  // the argument, from 1, that is the organization; 0: none is
}

var (
	tenantTable   = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE) (?:projects|workspaces|credential_configs|attachments|secret_versions|api_keys|audit_events|audit_checkpoints|idempotency_records)\b`)
	tenantCompare = regexp.MustCompile(`organization_id = \$([0-9]+)`)
	tenantInsert  = regexp.MustCompile(`INSERT INTO \w+ \(([^)]*)\)`)
)

// reachOf reads from a statement of this package whose rows it is about. The rule that a statement on a tenant's table names its organization is
// a test (TestTenancy); here it feeds the second wall, which is closed for a statement that breaks the rule.
func reachOf(text string) reach {
	if strings.HasPrefix(text, acrossTenants) {
		return reach{tenants: true, all: true}
	}
	if !tenantTable.MatchString(text) {
		return reach{}
	}
	if found := tenantInsert.FindStringSubmatch(text); found != nil {
		for i, column := range strings.Split(found[1], ",") {
			if strings.TrimSpace(column) == "organization_id" {
				return reach{tenants: true, argument: i + 1}
			}
		}
	}
	if found := tenantCompare.FindStringSubmatch(text); found != nil {
		n, _ := strconv.Atoi(found[1]) // The pattern takes digits only.
		return reach{tenants: true, argument: n}
	}
	return reach{tenants: true}
}

// enter sets the connection to the organization that a statement is about. A connection mostly stays with one, so that this mostly costs nothing.
func (c *conn) enter(ctx context.Context, r reach, args []any) error {
	if c.dialect.scope == "" || !r.tenants {
		return nil
	}
	tenant := noTenant
	switch {
	case r.all:
		tenant = everyTenant
	case r.argument > 0:
		tenant, _ = args[r.argument-1].(string)
	}
	if tenant == c.tenant && tenant != "" {
		return nil
	}
	c.tenant = ""
	if _, err := c.exec(ctx, c.dialect.scope, tenant); err != nil {
		return err
	}
	c.tenant = tenant
	return nil
}
