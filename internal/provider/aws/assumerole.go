package aws

import (
	"context"
	"net/url"
	"strconv"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// AssumeRoleInput is what [Client.AssumeRole] asks for. Its values were validated by the caller; STS validates them again.
type AssumeRoleInput struct {
	RoleARN         string
	SessionName     string
	ExternalID      string // empty: none is sent, which only the test of a trust policy wants
	DurationSeconds int    // 900 to 43200; 0: what STS gives by default, an hour
}

// AssumeRole gets short-lived keys of a role. An AccessDenied is [provider.Invalid]: the keys are fine, the role does not trust them
// or wants another external ID. An empty region means the default one of the role's partition.
func (c *Client) AssumeRole(ctx context.Context, keys Keys, region string, in AssumeRoleInput) (Session, error) {
	params := url.Values{"Action": {"AssumeRole"}, "RoleArn": {in.RoleARN}, "RoleSessionName": {in.SessionName}}
	if in.ExternalID != "" {
		params.Set("ExternalId", in.ExternalID)
	}
	if in.DurationSeconds != 0 {
		params.Set("DurationSeconds", strconv.Itoa(in.DurationSeconds))
	}
	return c.session(ctx, keys, region, params, func(body []byte) ([]assumeRoleResult, error) {
		var reply assumeRoleReply
		err := decodeXML(body, &reply)
		return reply.Result, err
	})
}

// assumeRoleWithWebIdentity trades a token of an OIDC issuer for keys of a role. The call is not signed.
func (c *Client) assumeRoleWithWebIdentity(ctx context.Context, region, roleARN, sessionName, token string) (Session, error) {
	params := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "RoleArn": {roleARN}, "RoleSessionName": {sessionName}, "WebIdentityToken": {token},
	}
	return c.session(ctx, Keys{}, region, params, func(body []byte) ([]assumeRoleResult, error) {
		var reply webIdentityReply
		err := decodeXML(body, &reply)
		return reply.Result, err
	})
}

// session makes a call that answers with keys; decode reads its body.
func (c *Client) session(
	ctx context.Context, keys Keys, region string, params url.Values, decode func([]byte) ([]assumeRoleResult, error),
) (Session, error) {
	roleARN := params.Get("RoleArn")
	if _, ok := accountOfARN(roleARN); !ok {
		return Session{}, provider.Refused(codeRoleARN, "The role's ARN is malformed. It looks like arn:aws:iam::123456789012:role/name.")
	}
	if region == "" {
		id, _ := PartitionOfARN(roleARN)
		region = DefaultRegion(id)
	}
	var session Session
	err := c.call(ctx, keys, region, params, func(reply provider.Reply) error {
		results, err := decode(reply.Body)
		if err != nil || !isXML(reply) {
			return wrongShape()
		}
		found, err := parseSession(results, roleARN, c.now(), c.OwnEndpoint())
		if err != nil {
			return wrongShape()
		}
		session = found
		return nil
	})
	if err != nil {
		return Session{}, err
	}
	return session, nil
}
