package main

import (
	"errors"
	"net"
	"net/http"

	"github.com/forgecroft/forgecroft/internal/fake/aws"
	"github.com/forgecroft/forgecroft/internal/fake/cloudflare"
	"github.com/forgecroft/forgecroft/internal/fake/gcp"
)

// Who is known to the fakes at the beginning.
const (
	accountID     = "111122223333"
	accessKeyID   = "AKIAIOSFODNN7EXAMPLE"
	secretKey     = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" // Amazon's own example
	forgecroftARN = "arn:aws:iam::" + accountID + ":user/forgecroft"
	deployRole    = "arn:aws:iam::" + accountID + ":role/deploy"
	openRole      = "arn:aws:iam::" + accountID + ":role/open-door"
	gcpProject    = "shop-example"
	serviceEmail  = "deployer@" + gcpProject + ".iam.gserviceaccount.com"
	goodToken     = "cfut_EXAMPLEexampleEXAMPLEexampleEXAMPLEexamp0123abcd"
	tokenID       = "0123456789abcdef0123456789abcdef"
	greeting      = "hello from the EXAMPLE vault"
)

// clouds are the fakes, each on a port of its own.
type clouds struct {
	aws        *aws.Server
	gcp        *gcp.Server
	cloudflare *cloudflare.Server
	serviceKey []byte // the key file of the Google service account

	awsURL, gcpURL, cloudflareURL string
	servers                       []*http.Server
}

// openClouds starts the fakes with a user, a service account and a token.
func openClouds() (*clouds, error) {
	c := &clouds{aws: aws.New(nil), gcp: gcp.New(nil), cloudflare: cloudflare.New(nil)}
	c.aws.AddUser(aws.User{Account: accountID, Name: "forgecroft", AccessKeyID: accessKeyID, SecretAccessKey: secretKey})
	c.cloudflare.AddToken(cloudflare.Token{Value: goodToken, ID: tokenID})
	var err error
	if c.serviceKey, err = c.gcp.CreateAccount("deployer", gcpProject); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		url     *string
		path    string
		handler http.Handler
	}{
		{&c.awsURL, "", c.aws}, {&c.gcpURL, "/token", c.gcp}, {&c.cloudflareURL, "", c.cloudflare},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		*f.url = "http://" + listener.Addr().String() + f.path
		server := &http.Server{Handler: f.handler}
		c.servers = append(c.servers, server)
		go server.Serve(listener) // ends with close
	}
	return c, nil
}

// close takes the fakes down.
func (c *clouds) close() error {
	errs := make([]error, 0, len(c.servers))
	for _, s := range c.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
