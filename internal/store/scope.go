package store

import (
	"context"
	"regexp"
	"strconv"
	"strings"
)

// everyTenant is what a connection is set to for the few statements that work for all organizations.
const everyTenant = "*"

// reach says whose rows a statement may touch.
type reach struct {
	tenants  bool // it names tables of tenants
	argument int  // the argument, from 1, that is the organization; 0: it is for all
}

var (
	tenantTable   = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE) (?:projects|workspaces|credential_configs|attachments|secret_versions|api_keys|audit_events|audit_checkpoints|idempotency_records)\b`)
	tenantCompare = regexp.MustCompile(`organization_id = \$([0-9]+)`)
	tenantInsert  = regexp.MustCompile(`INSERT INTO \w+ \(([^)]*)\)`)
)

// reachOf reads from a statement of this package whose rows it is about. The rule that a statement on a tenant's table names its organization is
// a test (TestTenancy); here it feeds the second wall.
func reachOf(text string) reach {
	if !tenantTable.MatchString(text) {
		return reach{}
	}
	if found := tenantInsert.FindStringSubmatch(text); found != nil {
		for i, column := range strings.Split(found[1], ",") {
			if strings.TrimSpace(column) == "organization_id" {
				return reach{true, i + 1}
			}
		}
	}
	if found := tenantCompare.FindStringSubmatch(text); found != nil {
		n, _ := strconv.Atoi(found[1]) // The pattern takes digits only.
		return reach{true, n}
	}
	return reach{tenants: true}
}

// enter sets the connection to the organization that a statement is about. A connection mostly stays with one, so that this mostly costs nothing.
func (c *conn) enter(ctx context.Context, r reach, args []any) error {
	if c.dialect.scope == "" || !r.tenants {
		return nil
	}
	tenant := everyTenant
	if r.argument > 0 {
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
