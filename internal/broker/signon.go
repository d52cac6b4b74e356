package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// SignOnRule gives a role to the members of a group at the identity provider.
type SignOnRule struct {
	Group   string
	Role    forgecroft.Role
	Project string // id or name of the project that the role is for; empty: the whole organization
}

// ParseSignOnRules reads rules as an operator writes them, separated by commas: group=role, or group=role@project.
func ParseSignOnRules(text string) ([]SignOnRule, error) {
	var rules []SignOnRule
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		i := strings.LastIndex(part, "=") // Groups may hold one, as LDAP's names do.
		if i < 1 {
			return nil, fmt.Errorf("%q: a rule is group=role, or group=role@project", part)
		}
		role, project, narrow := strings.Cut(part[i+1:], "@")
		rule := SignOnRule{Group: strings.TrimSpace(part[:i]), Role: forgecroft.Role(strings.TrimSpace(role)), Project: strings.TrimSpace(project)}
		switch {
		case !rule.Role.Valid():
			return nil, fmt.Errorf("%q: the role must be one of %v", part, forgecroft.Roles())
		case narrow && rule.Project == "":
			return nil, fmt.Errorf("%q: the project's name is missing", part)
		case narrow && rule.Role == forgecroft.RoleOwner:
			return nil, fmt.Errorf("%q: an owner's scope is the whole organization", part)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// errNoGroup refuses a person whom no rule gives a role.
var errNoGroup = forgecroft.Errorf(forgecroft.KindForbidden, "no_group", "You are signed on, but none of your groups has access here. Ask the people who run Forgecroft which group you need.")

// SignOn begins a session for a person whom an identity provider has proven, with the role that the rules give to their groups; the highest counts, and of two
// equal ones the wider. It returns the session's token, which is kept nowhere. previous is as in [Broker.SignIn].
//
// A session stands for an API key. A person's is made at their first sign-on, is known to nobody, and ends with the session at the latest; when their role has
// changed it is revoked, with all of their sessions, and another one made. Without a role it is [forgecroft.KindForbidden], with a denial in the trail.
func (b *Broker) SignOn(ctx context.Context, call Call, p forgecroft.Person, previous string) (forgecroft.Secret, error) {
	organizations, err := b.store.Organizations(ctx)
	if err != nil {
		return forgecroft.Secret{}, err
	}
	if len(organizations) != 1 { // The first start makes it, and nothing makes another.
		return forgecroft.Secret{}, fmt.Errorf("signing on: there are %d organizations", len(organizations))
	}
	p.Name = personName(p)
	call.Principal = forgecroft.Principal{OrganizationID: organizations[0].ID, KeyName: p.Name}
	rule, err := b.ruleFor(ctx, call.OrganizationID, p.Groups)
	if errors.Is(err, forgecroft.KindForbidden) {
		err = b.deny(ctx, call, act{"session.create", forgecroft.PermSelf, "session", ""}, err)
	}
	if err != nil {
		return forgecroft.Secret{}, err
	}
	key, err := b.personKey(ctx, call, p, rule)
	if err != nil {
		return forgecroft.Secret{}, fmt.Errorf("signing on: %w", err)
	}
	call.Principal = key.Principal()
	return b.startSession(ctx, call, previous, beginning{
		confirmed: p.AuthenticatedAt.UTC().Truncate(time.Microsecond),
		notes:     map[string]any{"method": "single_sign_on", "issuer": p.Issuer, "group": rule.Group, "role": string(rule.Role)},
	})
}

// maxPersonName bounds what a provider may call a person.
const maxPersonName = 120

// personName is what the trail calls a person: what the provider does, if that is a name, and else the subject's hash.
func personName(p forgecroft.Person) string {
	name := normal(strings.TrimSpace(p.Name))
	probe := forgecroft.APIKey{Name: name, Role: forgecroft.RoleReader}
	if len(name) <= maxPersonName && probe.Validate(time.Time{}) == nil {
		return name
	}
	return "person " + forgecroft.SubjectOf(p.Issuer, p.Subject)[:12]
}

// scopedRule is a rule whose project was looked up.
type scopedRule struct {
	SignOnRule
	scope forgecroft.KeyScope
}

// above reports whether the rule gives more than another: a higher role, or the same in the whole organization instead of a project.
func (r scopedRule) above(other scopedRule) bool {
	if r.Role == other.Role {
		return r.scope.ProjectID == "" && other.scope.ProjectID != ""
	}
	return !r.Role.AtMost(other.Role)
}

// ruleFor finds the rule that counts for somebody with these groups. One about a project that is not there counts for nothing.
func (b *Broker) ruleFor(ctx context.Context, organizationID string, groups []string) (scopedRule, error) {
	var best scopedRule
	for _, rule := range b.signOn {
		if !slices.Contains(groups, rule.Group) {
			continue
		}
		scope, found, err := b.ruleScope(ctx, organizationID, rule)
		if err != nil {
			return best, err
		}
		if candidate := (scopedRule{rule, scope}); found && candidate.above(best) {
			best = candidate
		}
	}
	if !best.Role.Valid() {
		return best, errNoGroup
	}
	return best, nil
}

// ruleScope looks the project of a rule up, by id or name.
func (b *Broker) ruleScope(ctx context.Context, organizationID string, rule SignOnRule) (scope forgecroft.KeyScope, found bool, err error) {
	if rule.Project == "" {
		return scope, true, nil
	}
	filter := forgecroft.ProjectFilter{Name: normal(rule.Project)}
	if forgecroft.ValidID(rule.Project) {
		filter = forgecroft.ProjectFilter{ID: rule.Project}
	}
	projects, err := b.store.Projects(ctx, organizationID, filter, forgecroft.Page{Limit: 1})
	if err != nil || len(projects) == 0 {
		return scope, false, err
	}
	return forgecroft.KeyScope{ProjectID: projects[0].ID}, true, nil
}

// personKey finds, extends or makes the API key that a person's sessions stand for.
func (b *Broker) personKey(ctx context.Context, call Call, p forgecroft.Person, rule scopedRule) (k forgecroft.APIKey, err error) {
	subject, now := forgecroft.SubjectOf(p.Issuer, p.Subject), b.instant()
	expires := now.Add(forgecroft.SessionTerm)
	err = b.store.Update(ctx, func(tx forgecroft.Tx) error {
		old, err := tx.SubjectKey(ctx, call.OrganizationID, subject)
		switch {
		case err == nil && old.Role == rule.Role && old.Scope == rule.scope:
			k = old
			k.Name, k.ExpiresAt = p.Name, expires
			return tx.ExtendAPIKey(ctx, call.OrganizationID, old.ID, p.Name, expires)
		case err == nil:
			if err := b.endPersonKey(ctx, tx, call, old, now); err != nil {
				return err
			}
		case !errors.Is(err, forgecroft.KindNotFound):
			return err
		}
		k = forgecroft.APIKey{
			ID: b.newID(), OrganizationID: call.OrganizationID, Name: p.Name, Role: rule.Role, Scope: rule.scope, Subject: subject,
			CreatedAt: now, ExpiresAt: expires,
		}
		return b.makePersonKey(ctx, tx, &k)
	})
	return k, err
}

// endPersonKey revokes the key of a person whose role has changed.
func (b *Broker) endPersonKey(ctx context.Context, tx forgecroft.Tx, call Call, old forgecroft.APIKey, now time.Time) error {
	e := &entry{objectID: old.ID}
	e.note("name", old.Name)
	e.note("reason", "the person's role at the identity provider has changed")
	if err := tx.RevokeAPIKey(ctx, call.OrganizationID, old.ID, now); err != nil {
		return err
	}
	return b.append(ctx, tx, call, act{"api_key.revoke", "", "api_key", ""}, forgecroft.OutcomeAllowed, e)
}

// makePersonKey stores the key of a person. What it would take to use it by itself is thrown away here.
func (b *Broker) makePersonKey(ctx context.Context, tx forgecroft.Tx, k *forgecroft.APIKey) error {
	if _, err := b.mint(k); err != nil {
		return err
	}
	k.CreatedBy = k.ID
	e := &entry{objectID: k.ID}
	e.note("name", k.Name)
	e.note("role", string(k.Role))
	e.note("scope", k.Scope.Kind())
	e.note("method", "single_sign_on")
	if err := tx.CreateAPIKey(ctx, *k); err != nil {
		return err
	}
	return b.append(ctx, tx, Call{Principal: k.Principal()}, act{"api_key.create", "", "api_key", ""}, forgecroft.OutcomeAllowed, e)
}
