package aws

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/forgecroft/forgecroft/internal/provider"
)

// Lists stand for single elements below, so that an element sent twice is noticed instead of the last one winning.

type callerIdentityReply struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Result  []struct {
		Account []string
		Arn     []string
		UserID  []string `xml:"UserId"`
	} `xml:"GetCallerIdentityResult"`
}

type assumeRoleReply struct {
	XMLName xml.Name           `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	Result  []assumeRoleResult `xml:"AssumeRoleResult"`
}

type webIdentityReply struct {
	XMLName xml.Name           `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
	Result  []assumeRoleResult `xml:"AssumeRoleWithWebIdentityResult"`
}

type assumeRoleResult struct {
	Credentials []struct {
		AccessKeyID     []string `xml:"AccessKeyId"`
		SecretAccessKey []string
		SessionToken    []string
		Expiration      []string
	}
	AssumedRoleUser []struct {
		Arn []string
	}
}

// errShape is any answer that is not exactly what STS sends. It never quotes the answer.
var errShape = errors.New("not the shape of an STS answer")

// wrongShape is the outcome of an answer with status 200 that is not a success of STS (PRV-6).
func wrongShape() *provider.Error {
	return provider.Unclear(provider.CodeProtocol,
		"The answer is not one that AWS STS sends. Something else may have answered in its place; check the endpoint and the way out.")
}

// isXML reports whether an answer says that it is XML. STS itself says text/xml; compatible servers say application/xml.
func isXML(reply provider.Reply) bool {
	return reply.MediaType() == "text/xml" || reply.MediaType() == "application/xml"
}

// decodeXML reads one document and refuses anything after it, and document type declarations.
func decodeXML(body []byte, into any) error {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(into); err != nil {
		return errShape
	}
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		text, blank := token.(xml.CharData)
		if err != nil || !blank || len(bytes.TrimSpace(text)) > 0 {
			return errShape
		}
	}
	if bytes.Contains(body, []byte("<!")) {
		return errShape
	}
	return nil
}

// only returns the single, non-empty element of list.
func only(list []string) (string, bool) {
	if len(list) != 1 || list[0] == "" {
		return "", false
	}
	return list[0], true
}

// arnShape is what STS returns as the caller: an identity of IAM or STS, of one account.
var arnShape = regexp.MustCompile(`^arn:(aws[a-z-]{0,12}):(iam|sts)::([0-9]{12}):(root|[a-z-]+/[\x21-\x7e]{1,1000})$`)

// accountOfARN returns the account that an identity's ARN names; false if it is not such an ARN.
func accountOfARN(arn string) (string, bool) {
	fields := arnShape.FindStringSubmatch(arn)
	if fields == nil {
		return "", false
	}
	if _, known := lookupPartition(fields[1]); !known {
		return "", false
	}
	return fields[3], true
}

// parseCallerIdentity reads the body of a successful GetCallerIdentity.
func parseCallerIdentity(body []byte) (Identity, error) {
	var reply callerIdentityReply
	if err := decodeXML(body, &reply); err != nil || len(reply.Result) != 1 {
		return Identity{}, errShape
	}
	result := reply.Result[0]
	account, okAccount := only(result.Account)
	arn, okARN := only(result.Arn)
	userID, okUser := only(result.UserID)
	of, ok := accountOfARN(arn)
	if !okAccount || !okARN || !okUser || !ok || of != account {
		return Identity{}, errShape
	}
	return Identity{Account: account, ARN: arn, UserID: userID}, nil
}

var (
	keyIDShape = regexp.MustCompile(`^\w{16,128}$`)
	tokenShape = regexp.MustCompile(`^[\x21-\x7e]+$`)
)

// parseSession reads the result of an AssumeRole action. The keys must expire after now, and be of the role that was asked for. Compatible
// servers (MinIO) leave the role user out or empty; unnamed says that this is allowed.
func parseSession(results []assumeRoleResult, roleARN string, now time.Time, unnamed bool) (Session, error) {
	if len(results) != 1 || len(results[0].Credentials) != 1 {
		return Session{}, errShape
	}
	arn, ok := assumedRole(results[0], roleARN, unnamed)
	if !ok {
		return Session{}, errShape
	}
	given := results[0].Credentials[0]
	id, okID := only(given.AccessKeyID)
	secret, okSecret := only(given.SecretAccessKey)
	token, okToken := only(given.SessionToken)
	expiration, okExpiration := only(given.Expiration)
	if !okID || !okSecret || !okToken || !okExpiration {
		return Session{}, errShape
	}
	if !keyIDShape.MatchString(id) || !tokenShape.MatchString(secret) || !tokenShape.MatchString(token) {
		return Session{}, errShape
	}
	expires, err := time.Parse(time.RFC3339, expiration)
	if err != nil || !expires.After(now) {
		return Session{}, errShape
	}
	return Session{
		Keys:           Keys{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token},
		Expires:        expires.UTC(),
		AssumedRoleARN: arn,
	}, nil
}

// assumedRole returns the ARN that an answer names, which must be of the role; empty if none is named and that is allowed.
func assumedRole(result assumeRoleResult, roleARN string, unnamed bool) (string, bool) {
	var named []string
	for _, user := range result.AssumedRoleUser {
		named = append(named, user.Arn...)
	}
	if unnamed && strings.Join(named, "") == "" {
		return "", true
	}
	arn, ok := only(named)
	return arn, ok && len(result.AssumedRoleUser) == 1 && sessionOf(arn, roleARN)
}

// sessionOf reports whether an assumed-role ARN is of a role: same account, same role name. Paths are not part of such ARNs.
func sessionOf(arn, roleARN string) bool {
	account, ok := accountOfARN(arn)
	wanted, wantedOK := accountOfARN(roleARN)
	name := roleARN[strings.LastIndexByte(roleARN, '/')+1:]
	return ok && wantedOK && account == wanted && strings.Contains(arn, ":assumed-role/"+name+"/")
}

// parseError returns the code and message of an error answer.
func parseError(body []byte) (code, message string, err error) {
	var reply struct {
		XMLName xml.Name
		Error   []struct {
			Code    []string
			Message []string
		}
		Code    []string // of an S3-like server, which sends Error as the root
		Message []string
	}
	if err := decodeXML(body, &reply); err != nil {
		return "", "", err
	}
	codes, messages := reply.Code, reply.Message
	if reply.XMLName.Local == "ErrorResponse" && len(reply.Error) == 1 {
		codes, messages = reply.Error[0].Code, reply.Error[0].Message
	} else if reply.XMLName.Local != "Error" {
		return "", "", errShape
	}
	code, ok := only(codes)
	if !ok {
		return "", "", errShape
	}
	message, _ = only(messages)
	return code, message, nil
}
