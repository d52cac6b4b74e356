package aws

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Keys sign a call. They print and log as redacted.
type Keys struct {
	AccessKeyID     string `json:"-"`
	SecretAccessKey string `json:"-"`
	SessionToken    string `json:"-"` // empty for long-term keys
}

// Format implements [fmt.Formatter]: no verb shows a key.
func (Keys) Format(f fmt.State, _ rune) { io.WriteString(f, "aws.Keys(redacted)") }

// LogValue implements [slog.LogValuer].
func (Keys) LogValue() slog.Value { return slog.StringValue("redacted") }

// Identity is who STS says that keys belong to.
type Identity struct {
	Account string // 12 digits
	ARN     string // arn:aws:iam::…:user/…, :root, or arn:aws:sts::…:assumed-role/… and federated-user/…
	UserID  string
}

// Session is a set of short-lived keys of a role.
type Session struct {
	Keys           Keys
	Expires        time.Time // UTC
	AssumedRoleARN string    // arn:aws:sts::…:assumed-role/<role>/<session name>; empty if a compatible server names none
}
