package aws

import (
	"context"
	"net/url"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// CallerIdentity asks who keys belong to (STS GetCallerIdentity), which needs no permission. An empty region means us-east-1, or
// the operator's endpoint signed as us-east-1.
func (c *Client) CallerIdentity(ctx context.Context, keys Keys, region string) (Identity, error) {
	var identity Identity
	params := url.Values{"Action": {"GetCallerIdentity"}}
	err := c.call(ctx, keys, region, params, func(reply provider.Reply) error {
		found, err := parseCallerIdentity(reply.Body)
		if err != nil || !isXML(reply) {
			return wrongShape()
		}
		identity = found
		return nil
	})
	if err != nil {
		return Identity{}, err
	}
	return identity, nil
}
