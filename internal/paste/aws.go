package paste

import (
	"encoding/csv"
	"fmt"
	"regexp"
	"strings"
)

var (
	awsKeyID  = regexp.MustCompile(`^(?:AKIA|ASIA)[A-Z0-9]{16}$`)
	awsSecret = regexp.MustCompile(`^[A-Za-z0-9/+]{40}$`)
)

// awsFields maps what files of AWS call a field, in lower case, to the field of aws_static; empty: it is not needed.
var awsFields = map[string]string{
	"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key", "aws_session_token": "session_token", "aws_security_token": "session_token",
	"aws_region": "region", "aws_default_region": "region", "region": "region",
	"output": "", "aws_default_output": "", "aws_credential_expiration": "", "aws_pager": "",
}

// readCSV reads the file that the AWS console offers when a key or a user is made: a line of headings, then a line for each key.
func readCSV(text string) (Found, bool, error) {
	first, _, _ := strings.Cut(strings.ToLower(text), "\n")
	if !strings.Contains(first, ",") {
		return Found{}, false, nil
	}
	hasID := strings.Contains(first, "access key id")
	if !hasID && strings.Contains(first, "console login link") {
		return Found{}, false, Error("This file of the AWS console holds a password for people, and no access key. Create an access key for the user, and paste its file.")
	}
	if !hasID {
		return Found{}, false, nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		return Found{}, false, Error("This looks like a CSV file of the AWS console, but cannot be read: a quote may be missing.")
	}
	switch {
	case len(rows) < 2:
		return Found{}, false, Error("This holds the headings of a CSV file only. Paste the line with the key as well.")
	case len(rows) > 2:
		return Found{}, false, Error(fmt.Sprintf("This file holds %d keys. Paste the headings and one of them.", len(rows)-1))
	}
	f := Found{Type: AWSStatic, Form: "a CSV file of the AWS console", Values: map[string]string{}}
	for i, heading := range rows[0] {
		name := map[string]string{"access key id": "access_key_id", "secret access key": "secret_access_key"}[strings.ToLower(strings.TrimSpace(heading))]
		if name != "" && i < len(rows[1]) {
			f.put(name, rows[1][i])
		}
	}
	return f, true, nil
}

// put keeps a value, unless it is empty.
func (f *Found) put(name, value string) {
	if value = strings.TrimSpace(value); name != "" && value != "" {
		f.Values[name] = value
	}
}

// profile is a section of ~/.aws/credentials or ~/.aws/config.
type profile struct {
	name   string // empty: lines without a heading
	values map[string]string
}

var (
	heading  = regexp.MustCompile(`^\[\s*(?:profile\s+)?([^\]]*?)\s*\]$`)
	awsPlain = regexp.MustCompile(`(?m)^\s*aws_(?:access_key_id|secret_access_key)\s*=`)
)

// readProfile reads a section of the shared files of the AWS tools (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
func readProfile(text string) (Found, bool, error) {
	if !heading.MatchString(firstLine(text)) && !awsPlain.MatchString(text) {
		return Found{}, false, nil
	}
	var keyed []profile
	profiles := profiles(text)
	for _, p := range profiles {
		if p.values["aws_access_key_id"] != "" || p.values["aws_secret_access_key"] != "" {
			keyed = append(keyed, p)
		}
	}
	switch {
	case len(keyed) > 1:
		return Found{}, false, Error(fmt.Sprintf("This holds the keys of %d profiles: %s. Paste one section.", len(keyed), names(keyed)))
	case len(keyed) == 0:
		return Found{}, false, keyless(profiles)
	}
	f := Found{Type: AWSStatic, Form: "a profile of the AWS tools", Values: map[string]string{}}
	for name, value := range keyed[0].values {
		f.put(awsFields[name], value)
	}
	return f, true, nil
}

// keyless says what profiles without keys are.
func keyless(profiles []profile) Error {
	for _, p := range profiles {
		switch {
		case p.values["role_arn"] != "":
			return "This profile assumes a role and holds no key of its own. Make a credential of the kind AWS role, with the key that may assume it as its source."
		case p.values["sso_session"] != "" || p.values["sso_start_url"] != "":
			return "This profile signs on through IAM Identity Center and holds no key. Runs need a role to assume, or a key of their own."
		case p.values["credential_process"] != "":
			return "This profile gets its keys from a program. Run it, and paste what it prints."
		}
	}
	return errUnknown
}

// profiles splits a file into sections.
func profiles(text string) []profile {
	all := []profile{{values: map[string]string{}}}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if m := heading.FindStringSubmatch(line); m != nil {
			all = append(all, profile{m[1], map[string]string{}})
			continue
		}
		name, value, set := strings.Cut(line, "=")
		if set && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			all[len(all)-1].values[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return all
}

// names lists the names of profiles.
func names(profiles []profile) string {
	var all []string
	for _, p := range profiles {
		all = append(all, fmt.Sprintf("%q", p.name))
	}
	return strings.Join(all, ", ")
}

// firstLine is the first line that is no comment.
func firstLine(text string) string {
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
			return line
		}
	}
	return ""
}

// readPair finds a key id and a secret that stand somewhere among other words, as copied from a page.
func readPair(text string) (Found, bool, error) {
	var ids, secrets []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n,;:|\"'=", r) }) {
		switch {
		case awsKeyID.MatchString(word):
			ids = append(ids, word)
		case awsSecret.MatchString(word):
			secrets = append(secrets, word)
		}
	}
	switch {
	case len(ids) == 1 && len(secrets) == 1:
		return Found{AWSStatic, "an AWS access key", map[string]string{"access_key_id": ids[0], "secret_access_key": secrets[0]}}, true, nil
	case len(ids) == 1 && len(secrets) == 0:
		return Found{}, false, Error("This is the id of an AWS access key without its secret. Paste both.")
	case len(ids) > 1:
		return Found{}, false, Error("This holds the ids of several AWS access keys. Paste one key.")
	case len(secrets) == 1:
		return Found{}, false, Error("This looks like the secret of an AWS access key without its id. Paste both.")
	}
	return Found{}, false, nil
}
