package aws

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// serve reads one request, as a form in the body or in the query.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		s.writeError(w, &stsError{http.StatusBadRequest, "InvalidRequest", "The body could not be read."})
		return
	}
	params, err := url.ParseQuery(string(body))
	if err != nil {
		s.writeError(w, &stsError{http.StatusBadRequest, "MalformedQueryString", "The query string is malformed."})
		return
	}
	for name, values := range r.URL.Query() {
		params[name] = values
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{Action: params.Get("Action"), Params: params}
	if given, ok := parseSignature(r.Header.Get("Authorization")); ok {
		call.AccessKeyID, call.Region = given.accessKeyID, given.region
	}
	failure := s.act(w, r, body, params)
	if failure != nil {
		call.Code = failure.code
		s.writeError(w, failure)
	}
	s.calls = append(s.calls, call)
}

// act does what was asked, or says why not. The caller holds the lock.
func (s *Server) act(w http.ResponseWriter, r *http.Request, body []byte, params url.Values) *stsError {
	action := params.Get("Action")
	if action == "AssumeRoleWithWebIdentity" {
		return s.assumeRoleWithWebIdentity(w, params)
	}
	if s.unknown[action] || action != "GetCallerIdentity" && action != "AssumeRole" {
		return &stsError{http.StatusBadRequest, "InvalidAction", "Could not find operation " + action + " for version 2011-06-15"}
	}
	caller, failure := s.authenticate(r, body)
	if failure != nil {
		return failure
	}
	if action == "AssumeRole" {
		return s.assumeRole(w, caller, params)
	}
	s.writeXML(w, http.StatusOK, callerIdentityReply{
		Result: identityResult{Arn: caller.arn, UserID: caller.userID, Account: caller.account}, RequestID: requestID(),
	})
	return nil
}

// authenticate verifies the signature and returns the caller, with AWS's own errors in AWS's own order.
func (s *Server) authenticate(r *http.Request, body []byte) (*key, *stsError) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, &stsError{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	}
	given, ok := parseSignature(header)
	if !ok {
		return nil, &stsError{http.StatusBadRequest, "IncompleteSignature", "Authorization header is incomplete."}
	}
	if s.disabled[given.region] {
		return nil, &stsError{
			http.StatusForbidden, "RegionDisabledException",
			"STS is not activated in this region for account. Your account administrator can activate STS in this region using the IAM Console.",
		}
	}
	unknown := &stsError{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	k, ok := s.keys[given.accessKeyID]
	if !ok || s.notEnabled[given.region] || k.inactive || r.Header.Get("X-Amz-Security-Token") != k.token {
		return nil, unknown
	}
	if k.fresh > 0 {
		k.fresh--
		return nil, unknown
	}
	if !given.matches(r, body, k.secret) || given.service != "sts" {
		return nil, &stsError{
			http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. " +
				"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
		}
	}
	if failure := s.checkTime(given, r.Header.Get("X-Amz-Date")); failure != nil {
		return nil, failure
	}
	if !k.expires.IsZero() && !s.now().Before(k.expires) {
		return nil, &stsError{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"}
	}
	return k, nil
}

func (s *Server) checkTime(given signature, stamp string) *stsError {
	signed, err := time.Parse(timeLayout, stamp)
	if err != nil || !strings.HasPrefix(stamp, given.date) {
		return &stsError{
			http.StatusForbidden, "SignatureDoesNotMatch",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
		}
	}
	now := s.now().UTC()
	earliest, latest := now.Add(-clockTolerance), now.Add(clockTolerance)
	switch {
	case signed.Before(earliest):
		return &stsError{
			http.StatusForbidden, "SignatureDoesNotMatch",
			"Signature expired: " + stamp + " is now earlier than " + earliest.Format(timeLayout) + " (" + now.Format(timeLayout) + " - 15 min.)",
		}
	case signed.After(latest):
		return &stsError{
			http.StatusForbidden, "SignatureDoesNotMatch",
			"Signature not yet current: " + stamp + " is still later than " + latest.Format(timeLayout) + " (" + now.Format(timeLayout) + " + 15 min.)",
		}
	}
	return nil
}

// assumeRole hands out a session if the role trusts the caller.
func (s *Server) assumeRole(w http.ResponseWriter, caller *key, params url.Values) *stsError {
	life, failure := duration(params)
	if failure != nil {
		return failure
	}
	arn, name := params.Get("RoleArn"), params.Get("RoleSessionName")
	if len(name) < 2 || len(name) > 64 {
		return &stsError{
			http.StatusBadRequest, "ValidationError",
			"1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must have length between 2 and 64",
		}
	}
	if !strings.HasPrefix(arn, "arn:"+strings.Split(caller.arn, ":")[1]+":iam::") { // another partition's
		return &stsError{http.StatusBadRequest, "ValidationError", "Request ARN is invalid"}
	}
	role, ok := s.roles[arn]
	if s.denials[arn] > 0 {
		s.denials[arn]--
		ok = false
	}
	if !ok || !trusts(role, caller) || role.ExternalID != "" && params.Get("ExternalId") != role.ExternalID {
		return &stsError{
			http.StatusForbidden, "AccessDenied",
			"User: " + caller.arn + " is not authorized to perform: sts:AssumeRole on resource: " + arn,
		}
	}
	if caller.token != "" && life > time.Hour {
		return &stsError{
			http.StatusBadRequest, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
		}
	}
	return s.handOut(w, role, name, life, false)
}

// assumeRoleWithWebIdentity is unsigned: the token is the proof.
func (s *Server) assumeRoleWithWebIdentity(w http.ResponseWriter, params url.Values) *stsError {
	life, failure := duration(params)
	if failure != nil {
		return failure
	}
	role, ok := s.roles[params.Get("RoleArn")]
	if !ok || role.WebIdentityToken == "" || params.Get("WebIdentityToken") != role.WebIdentityToken {
		return &stsError{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	}
	return s.handOut(w, role, params.Get("RoleSessionName"), life, true)
}

// handOut makes the session and writes the answer.
func (s *Server) handOut(w http.ResponseWriter, role Role, name string, life time.Duration, web bool) *stsError {
	if life > max(role.MaxSession, time.Hour) {
		return &stsError{http.StatusBadRequest, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
	}
	account := strings.Split(role.ARN, ":")[4]
	short := role.ARN[strings.LastIndexByte(role.ARN, '/')+1:]
	arn := "arn:" + strings.Split(role.ARN, ":")[1] + ":sts::" + account + ":assumed-role/" + short + "/" + name
	userID := "AROA" + strings.ToUpper(short) + "EXAMPLE:" + name
	id, k := s.newSession(account, arn, userID, life)
	result := sessionResult{
		Credentials: credentials{
			AccessKeyID: id, SecretAccessKey: k.secret, SessionToken: k.token, Expiration: k.expires.Format(time.RFC3339),
		},
		AssumedRoleUser: assumedRoleUser{AssumedRoleID: userID, Arn: arn},
	}
	if web {
		s.writeXML(w, http.StatusOK, webIdentityReply{Result: result, RequestID: requestID()})
		return nil
	}
	s.writeXML(w, http.StatusOK, assumeRoleReply{Result: result, RequestID: requestID()})
	return nil
}

// duration reads DurationSeconds: 900 to 43200, an hour by default.
func duration(params url.Values) (time.Duration, *stsError) {
	text := params.Get("DurationSeconds")
	if text == "" {
		return time.Hour, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 900 || seconds > 43200 {
		return 0, &stsError{
			http.StatusBadRequest, "ValidationError",
			"1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200",
		}
	}
	return time.Duration(seconds) * time.Second, nil
}

// trusts reports whether a role's trust policy names the caller: its account, its own ARN, or the role whose session it is.
func trusts(role Role, caller *key) bool {
	iam := "arn:" + strings.Split(caller.arn, ":")[1] + ":iam::" + caller.account
	names := []string{caller.account, iam + ":root", caller.arn}
	if _, rest, ok := strings.Cut(caller.arn, ":assumed-role/"); ok {
		short, _, _ := strings.Cut(rest, "/")
		names = append(names, iam+":role/"+short)
	}
	return slices.ContainsFunc(role.Trusted, func(trusted string) bool { return slices.Contains(names, trusted) })
}
