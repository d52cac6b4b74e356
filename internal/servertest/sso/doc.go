// Package sso signs people on to the console by a real OpenID provider, which is a program for Node. Its tests are all it has.
package sso
