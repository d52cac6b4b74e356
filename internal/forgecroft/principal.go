package forgecroft

import "time"

import "slices"

// Role is what an API key may do within its scope. Compared byte for byte.
type Role string

// The roles, each including less than the next, but for runner.
const (
	RoleReader Role = "reader" // read metadata
	RoleRunner Role = "runner" // delivery, and reading the workspaces it delivers for
	RoleMember Role = "member" // reader + runner + create, change, verify, attach, delete
	RoleAdmin  Role = "admin"  // member + API keys, never above itself, + audit
	RoleOwner  Role = "owner"  // admin + instance matters
)

// Roles lists all roles, the weakest first.
func Roles() []Role { return []Role{RoleReader, RoleRunner, RoleMember, RoleAdmin, RoleOwner} }

// Valid reports whether r is a role.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// rank orders roles for "never above itself".
func (r Role) rank() int { return slices.Index(Roles(), r) }

// AtMost reports whether r is not above other.
func (r Role) AtMost(other Role) bool { return r.Valid() && r.rank() <= other.rank() }

// Permission is one thing that can be allowed. Every route and every broker method names exactly one.
type Permission string

// The permissions.
const (
	PermRead          Permission = "read"           // metadata of projects, credential configs, types
	PermReadWorkspace Permission = "read_workspace" // metadata of workspaces and the preview of their environment
	PermWrite         Permission = "write"          // create, change, attach, delete
	PermVerify        Permission = "verify"         // ask the provider
	PermDeliver       Permission = "deliver"        // release secrets to a run
	PermKeys          Permission = "keys"           // list, create and revoke API keys
	PermAudit         Permission = "audit"          // read the audit trail
	PermInstance      Permission = "instance"       // vault keys, backups
	PermSelf          Permission = "self"           // whoami: any valid key
)

// Allows reports whether the role holds the permission.
func (r Role) Allows(p Permission) bool {
	switch p {
	case PermSelf:
		return r.Valid()
	case PermReadWorkspace:
		return r.Valid()
	case PermRead:
		return r == RoleReader || r == RoleMember || r == RoleAdmin || r == RoleOwner
	case PermDeliver:
		return r == RoleRunner || r == RoleMember || r == RoleAdmin || r == RoleOwner
	case PermWrite, PermVerify:
		return r == RoleMember || r == RoleAdmin || r == RoleOwner
	case PermKeys, PermAudit:
		return r == RoleAdmin || r == RoleOwner
	case PermInstance:
		return r == RoleOwner
	default:
		return false
	}
}

// KeyScope is what an API key may reach: the organization (both empty), a project, or a workspace with its project.
type KeyScope struct {
	ProjectID   string
	WorkspaceID string
}

// Kind is [ScopeOrganization], [ScopeProject] or [ScopeWorkspace].
func (s KeyScope) Kind() string {
	switch {
	case s.WorkspaceID != "":
		return ScopeWorkspace
	case s.ProjectID != "":
		return ScopeProject
	default:
		return ScopeOrganization
	}
}

// Location is where an object lies: its organization and, where it has one, its project and workspace.
type Location struct {
	OrganizationID string
	ProjectID      string // empty: organization level
	WorkspaceID    string // empty: not inside a workspace
}

// Principal is who calls. It is handed from the edge to the broker as an argument, never through a context.
type Principal struct {
	KeyID          string
	KeyName        string
	OrganizationID string
	Role           Role
	Scope          KeyScope
	EndsAt         time.Time // when its API key ends, which no key that it makes outlives; zero: never, or the key stands for a sign-on
}

// Reaches reports whether l lies inside the principal's scope: what it may change, if its role allows.
func (p Principal) Reaches(l Location) bool {
	if p.OrganizationID == "" || l.OrganizationID != p.OrganizationID {
		return false
	}
	switch p.Scope.Kind() {
	case ScopeOrganization:
		return true
	case ScopeProject:
		return l.ProjectID == p.Scope.ProjectID
	default:
		return l.WorkspaceID == p.Scope.WorkspaceID
	}
}

// Sees reports whether l may be read: what lies in scope, and what scope inherits from above. A key of a project sees the
// organization's credential configs, because its workspaces may use them; a key of a workspace also sees its project.
func (p Principal) Sees(l Location) bool {
	if p.Reaches(l) {
		return true
	}
	if p.OrganizationID == "" || l.OrganizationID != p.OrganizationID || l.WorkspaceID != "" {
		return false
	}
	return l.ProjectID == "" || l.ProjectID == p.Scope.ProjectID
}
