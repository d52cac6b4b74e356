package aws

import (
	"encoding/xml"
	"net/http"
)

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// stsError is an error answer.
type stsError struct {
	status  int
	code    string
	message string
}

type errorReply struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

type identityResult struct {
	Arn     string
	UserID  string `xml:"UserId"`
	Account string
}

type callerIdentityReply struct {
	XMLName   xml.Name       `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Result    identityResult `xml:"GetCallerIdentityResult"`
	RequestID string         `xml:"ResponseMetadata>RequestId"`
}

type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type assumedRoleUser struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	Arn           string
}

type sessionResult struct {
	AssumedRoleUser assumedRoleUser
	Credentials     credentials
}

type assumeRoleReply struct {
	XMLName   xml.Name      `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	Result    sessionResult `xml:"AssumeRoleResult"`
	RequestID string        `xml:"ResponseMetadata>RequestId"`
}

type webIdentityReply struct {
	XMLName   xml.Name      `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
	Result    sessionResult `xml:"AssumeRoleWithWebIdentityResult"`
	RequestID string        `xml:"ResponseMetadata>RequestId"`
}

func (s *Server) writeError(w http.ResponseWriter, failure *stsError) {
	s.writeXML(w, failure.status, errorReply{
		Namespace: namespace, Type: "Sender", Code: failure.code, Message: failure.message, RequestID: requestID(),
	})
}

func (s *Server) writeXML(w http.ResponseWriter, status int, reply any) {
	body, err := xml.MarshalIndent(reply, "", "  ")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amzn-Requestid", requestID())
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
