package broker

import "golang.org/x/text/unicode/norm"

// normal brings a name to Unicode normalization form C (UAX 15), so that two names that look the same are the same.
func normal(name string) string { return norm.NFC.String(name) }

// normalPointer is normal for a member that may be absent.
func normalPointer(name *string) *string {
	if name == nil {
		return nil
	}
	n := normal(*name)
	return &n
}
