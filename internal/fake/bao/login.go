package bao

import (
	"net/http"
)

// AppRole is a role that machines log in with.
type AppRole struct {
	RoleID    string
	SecretIDs map[string]int // secret id → how often it may be used; 0: as often as one likes
	Policies  []string
	Life      Life
}

// AddAppRole adds a role to a namespace.
func (s *Server) AddAppRole(namespace string, role AppRole) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespaces[namespace].roles[role.RoleID] = &role
}

// AddServiceAccount lets whoever has a JWT log in with a role, as a Kubernetes service account does, and have a policy.
func (s *Server) AddServiceAccount(namespace, role, jwt, policy string, life Life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := s.namespaces[namespace]
	if ns.accounts[role] == nil {
		ns.accounts[role] = map[string]string{}
	}
	ns.accounts[role][jwt] = policy
	ns.lives[role] = life
}

// RemoveServiceAccount takes a JWT's access away.
func (s *Server) RemoveServiceAccount(namespace, role, jwt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.namespaces[namespace].accounts[role], jwt)
}

// loginAppRole answers a login with role id and secret id. A secret id that has been used as often as it may is gone.
func (s *Server) loginAppRole(x *exchange, ns *namespace) reply {
	if x.method != http.MethodPost {
		return failure(http.StatusMethodNotAllowed, "unsupported operation")
	}
	var in struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if refusal := x.body(&in); refusal.status != 0 {
		return refusal
	}
	role := ns.roles[in.RoleID]
	switch {
	case in.RoleID == "":
		return failure(http.StatusBadRequest, "missing role_id")
	case role == nil:
		return failure(http.StatusBadRequest, "invalid role or secret ID")
	case in.SecretID == "":
		return failure(http.StatusBadRequest, "missing secret_id")
	}
	uses, found := role.SecretIDs[in.SecretID]
	if !found {
		return failure(http.StatusBadRequest, "invalid role or secret ID")
	}
	switch uses {
	case 0:
	case 1:
		delete(role.SecretIDs, in.SecretID)
	default:
		role.SecretIDs[in.SecretID] = uses - 1
	}
	return s.envelope(http.StatusOK, nil, s.auth(s.issue(x.namespace, "approle", role.Life, role.Policies)))
}

// loginKubernetes answers a login with the token of a service account.
func (s *Server) loginKubernetes(x *exchange, ns *namespace) reply {
	if x.method != http.MethodPost {
		return failure(http.StatusMethodNotAllowed, "unsupported operation")
	}
	var in struct {
		Role string `json:"role"`
		JWT  string `json:"jwt"`
	}
	if refusal := x.body(&in); refusal.status != 0 {
		return refusal
	}
	accounts, known := ns.accounts[in.Role]
	switch {
	case in.Role == "":
		return failure(http.StatusBadRequest, "missing role")
	case in.JWT == "":
		return failure(http.StatusBadRequest, "missing jwt")
	case !known:
		return failure(http.StatusBadRequest, "invalid role name "+quoted(in.Role))
	}
	policy, found := accounts[in.JWT]
	if !found {
		return failure(http.StatusForbidden, "permission denied")
	}
	return s.envelope(http.StatusOK, nil, s.auth(s.issue(x.namespace, "kubernetes", ns.lives[in.Role], []string{policy})))
}
