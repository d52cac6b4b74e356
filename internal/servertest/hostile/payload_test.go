package hostile_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// payload is a hostile value for a member of a body.
type payload struct {
	name string
	json string // as it stands in the body
	text string // the same as a Go string, if it is one
}

// texts makes payloads of strings, named by themselves.
func texts(values ...string) []payload {
	var list []payload
	for _, v := range values {
		list = append(list, named(v, v))
	}
	return list
}

// named makes a payload of a string that would be a poor name.
func named(name, value string) payload {
	encoded, _ := json.Marshal(value) // A string can always be encoded.
	return payload{name, string(encoded), value}
}

// literal makes a payload that no Go string stands for.
func literal(name, text string) payload { return payload{name: name, json: text} }

// payloads is everything that is sent to every member of every body. trap is the address of a listener that nobody may call.
func payloads(trap string) []payload {
	return slices.Concat(displayTexts(), identifiers(), texts(variableNames()...), values(), amazon(), addresses(trap), cloudflare(), notStrings())
}

// displayTexts are for names and descriptions.
func displayTexts() []payload {
	return append(
		texts(" ", "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "a/b", ".", "..", "con", "nul", "__proto__", "constructor",
			"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</textarea><svg/onload=alert(1)>", "javascript:alert(1)",
			"{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "${jndi:ldap://169.254.169.254/a}", "${env:HOME}", "${file(\"/etc/passwd\")}",
			"'; DROP TABLE x;--", "%' OR 1=1", "1 UNION SELECT * FROM secret_versions", "') OR ('1'='1", "*)(uid=*))(|(uid=*", "admin)(&)",
			"=cmd|'/c calc'!A1", "@SUM(1+1)", "a\r\nSet-Cookie: x=y", "a\nlevel=ERROR msg=forged", "a\x00b", "\u202egnp.exe", "\u2066a\u2069",
			"a\u200bdmin", "\ufeffadmin", "\u0430dmin", "\u00e9", "e\u0301", "\x1b[2J\x1b]0;x\a", "a\u2028b", "\x7f", "\u0085", "\ufffe", "\U000e0041",
			"%s%s%s%n%x%p", "%00", "%0d%0aX: y", "$(id)", "`id`", "| id", "; id", "& id", "-rf", "--help", "\\x00", "\\u0000"),
		named("empty", ""), named("tabs", "\t\t"), named("most bytes of a name", strings.Repeat("n", 256)), named("a byte too many for a name", strings.Repeat("n", 257)),
		named("most bytes of a description", strings.Repeat("d", 2048)), named("a byte too many for a description", strings.Repeat("d", 2049)),
		named("wide characters", strings.Repeat("\U0001f600", 64)), named("combining characters", "a"+strings.Repeat("\u0301", 120)),
		named("1 MiB", strings.Repeat("m", 1<<20)),
		literal("lone surrogate", `"a\ud800b"`), literal("low surrogate first", `"\udc00\ud800"`), literal("invalid UTF-8", "\"a\xffb\""), literal("overlong UTF-8", "\"\xc0\xaf\""),
		literal("raw control character", "\"a\x01b\""), literal("raw line end", "\"a\nb\""), literal("bad escape", `"\x41"`), literal("unterminated", `"a`),
	)
}

// identifiers are for members that name an object.
func identifiers() []payload {
	return append(
		texts("%2e%2e", "a%2F..%2Fb", "a%00b", "%252e%252e", "x;id=y", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
			"019A3B5E-7C1D-7000-8000-000000000001", "019a3b5e-7c1d-7000-8000-000000000001/", "019a3b5e-7c1d-7000-8000-000000000001?x",
			"{019a3b5e-7c1d-7000-8000-000000000001}", "urn:uuid:019a3b5e-7c1d-7000-8000-000000000001", "019a3b5e7c1d70008000000000000001", "0", "-1"),
		named("10 KiB", strings.Repeat("i", 10<<10)),
	)
}

// variableNames must not be set by a credential, or are no names.
func variableNames() []string {
	return strings.Fields(`
		LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_DEBUG DYLD_INSERT_LIBRARIES DYLD_LIBRARY_PATH
		GCONV_PATH LOCPATH NLSPATH HOSTALIASES LOCALDOMAIN RES_OPTIONS RESOLV_HOST_CONF TZDIR MALLOC_TRACE
		PATH HOME XDG_CONFIG_HOME TMPDIR USER SHELL IFS CDPATH PS4 SHELLOPTS BASHOPTS GLOBIGNORE BASH_ENV ENV ZDOTDIR PROMPT_COMMAND BASH_FUNC_x%%
		PYTHONPATH PYTHONSTARTUP PYTHONHOME PERL5OPT PERL5LIB RUBYOPT RUBYLIB NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS
		JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS
		GIT_SSH_COMMAND GIT_SSH GIT_CONFIG_COUNT GIT_EXEC_PATH GIT_ASKPASS SSH_ASKPASS GIT_PROXY_COMMAND GIT_EXTERNAL_DIFF PAGER EDITOR VISUAL
		TF_CLI_ARGS TF_CLI_ARGS_plan TF_CLI_CONFIG_FILE TERRAFORM_CONFIG TF_PLUGIN_CACHE_DIR TF_REATTACH_PROVIDERS TF_DATA_DIR TF_WORKSPACE TF_ENCRYPTION
		TF_LOG TF_LOG_PATH TF_LOG_CORE TF_LOG_PROVIDER TF_LOG_PROVIDER_AWS
		HTTP_PROXY https_proxy ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE AWS_CA_BUNDLE
		AWS_ENDPOINT_URL AWS_ENDPOINT_URL_STS AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_EC2_METADATA_SERVICE_ENDPOINT
		CLOUDFLARE_BASE_URL GOOGLE_COMPUTE_CUSTOM_ENDPOINT CLOUDSDK_CONFIG GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES
		GODEBUG GOTRACEBACK GOMEMLIMIT GOCOVERDIR SSLKEYLOGFILE FORGECROFT_API_KEY FORGECROFT_API_URL
		1A A=B A-B A.B Ａ ÄB path Ld_Preload`)
}

// values are for secrets.
func values() []payload {
	return []payload{
		named("line end alone", "\n"), named("CRLF", "a\r\nb"), named("trailing line end", "a\n"), named("spaces", "   "), named("= and quotes", `a="b"='c'`),
		named("64 KiB", strings.Repeat("v", 64<<10)), named("64 KiB and a byte", strings.Repeat("v", 64<<10+1)), named("128 KiB", strings.Repeat("v", 128<<10)),
		named("NUL at the end", "a\x00"), named("NUL in front", "\x00a"), named("many NULs", strings.Repeat("\x00", 1000)), named("backslashes", strings.Repeat(`\`, 1000)),
	}
}

// amazon are for the fields of the two types of AWS.
func amazon() []payload {
	return append(
		texts("AKIA0123456789ABCDEFG", "AKIA0123456789ABCDE", "akiaiosfodnn7example", "AKIAIOSFODNN7EXAMPLE\r\nX-Evil: 1",
			"arn:aws:iam::123:role/x", "arn:aws-cn:iam::123456789012:role/x", "arn:aws-us-gov:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/*",
			"arn:aws:iam::123456789012:role/a b", "arn:aws:iam::123456789012:role/ä", "arn:aws:iam::１２３456789012:role/x", "arn:aws:sts::123456789012:assumed-role/x/y",
			"us-east-1.evil.example", "us-east-1#", "us-east-1@", "us-east-1/", "us-east-1:22", "US-EAST-1", "us-east-1\n", "aws-global", "1", "43201"),
		named("ARN of 2049 characters", "arn:aws:iam::123456789012:role/"+strings.Repeat("r", 2049-31)),
	)
}

// addresses are where a server must not be sent.
func addresses(trap string) []payload {
	return texts("http://"+trap+"/", "https://"+trap+"/token", trap, "//"+trap+"/",
		"http://169.254.169.254/latest/meta-data/iam/security-credentials/", "http://[fd00:ec2::254]/latest/", "http://metadata.google.internal/computeMetadata/v1/",
		"https://oauth2.googleapis.com.evil.example/token", "https://oauth2.googleapis.com@"+trap+"/", "https://"+trap+"/#oauth2.googleapis.com", "https://oauth2.googleapis.com:22/token",
		"file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/", "https://[::]/",
		"https://[fe80::1%25eth0]/", "ldap://"+trap+"/x", "unix:///var/run/docker.sock")
}

// cloudflare are for the fields of its type.
func cloudflare() []payload {
	return append(
		texts("Bearer x", "cfut_short", "tok en", "0123456789abcdef0123456789abcdef01234", "../user", "0123456789abcdef0123456789abcde", "０123456789abcdef0123456789abcdef"),
		named("4 KiB", strings.Repeat("t", 4<<10)),
	)
}

// notStrings are other kinds of JSON.
func notStrings() []payload {
	return []payload{
		literal("null", `null`), literal("true", `true`), literal("zero", `0`), literal("negative zero", `-0`), literal("fraction", `900.5`), literal("exponent", `1e3`),
		literal("2^63", `9223372036854775808`), literal("2^64", `18446744073709551616`), literal("1e999999", `1e999999`), literal("digits", strings.Repeat("9", 10_000)), literal("NaN", `NaN`),
		literal("array", `["a"]`), literal("empty array", `[]`), literal("object", `{"a":"b"}`), literal("empty object", `{}`), literal("same member twice", `{"a":1,"a":2}`),
		literal("array of null", `[null]`), literal("array of numbers", `[1,2]`), literal("same id twice", `["019a3b5e-7c1d-7000-8000-000000000001","019a3b5e-7c1d-7000-8000-000000000001"]`),
		literal("40 deep", strings.Repeat("[", 40)+strings.Repeat("]", 40)), literal("20000 deep", strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)),
		literal("20000 deep, never closed", strings.Repeat(`{"a":`, 20_000)), literal("2000 elements", "["+strings.Repeat("1,", 2000)+"1]"), literal("comment", `"a"/**/`),
	}
}

// TestPayloads holds the list to the numbers of the goal: at least 200 payloads, each there once.
func TestPayloads(t *testing.T) {
	seen := map[string]bool{}
	all := payloads("127.0.0.1:1")
	for _, p := range all {
		if seen[p.json] {
			t.Errorf("%.40q is there twice", p.json)
		}
		seen[p.json] = true
	}
	if len(all) < 200 {
		t.Errorf("there are %d payloads, want 200", len(all))
	}
}
