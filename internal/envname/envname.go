// Package envname knows which names an environment variable of a delivery may have. The server checks them when secrets are stored and again
// when they are delivered, and the run wrapper checks them once more before it starts a process; so the list lies below both.
package envname

import (
	"strings"
	"sync"
)

// MaxLength is the longest name, in bytes.
const MaxLength = 128

// reserved are variables that take over the process which receives them: its loader, its shell, its interpreter, the
// tools it starts, where it connects to, or what it logs. A credential must not set them. Names with a trailing * are prefixes.
// Grouped by what they take over; the groups name the reason in the refusal.
var reserved = []struct {
	reason string
	names  []string
}{
	{"it changes which code the loader or the C library runs", []string{
		"LD_*", "DYLD_*", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_HOST_CONF", "TZDIR", "MALLOC_*",
		"GLIBC_TUNABLES", "NIS_PATH",
	}},
	{"it changes where programs and files are looked for", []string{
		"PATH", "HOME", "XDG_*", "TMPDIR", "TMP", "TEMP", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TERM", "TERMINFO", "TERMINFO_DIRS",
	}},
	{"it makes a shell run code or parse differently", []string{
		"IFS", "CDPATH", "PS1", "PS2", "PS4", "SHELLOPTS", "BASHOPTS", "GLOBIGNORE", "BASH_ENV", "ENV", "ZDOTDIR", "PROMPT_COMMAND", "BASH_FUNC_*", "BASH_XTRACEFD",
		"FPATH",
	}},
	// Of tools that also read credentials from variables, only the names that start programs or lead to code are here:
	// CARGO_REGISTRY_TOKEN, TFENV_GITHUB_TOKEN and their like are what generic_env is for.
	{"it makes an interpreter run code", []string{
		"PYTHON*", "PERL5*", "PERLLIB", "RUBYOPT", "RUBYLIB", "RUBYSHELL", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE", "BUNDLE_PATH", "NODE_OPTIONS", "NODE_PATH",
		"NODE_REPL_*", "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED", "BUN_OPTIONS", "BUN_INSTALL*", "DENO_DIR", "NPM_CONFIG_SCRIPT_SHELL", "NPM_CONFIG_USERCONFIG",
		"NPM_CONFIG_GLOBALCONFIG", "NPM_CONFIG_PREFIX", "NPM_CONFIG_NODE_OPTIONS", "YARN_YARN_PATH", "YARN_PLUGINS", "YARN_RC_FILENAME", "JAVA_TOOL_OPTIONS",
		"_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_HOME", "MAVEN_OPTS", "GRADLE_OPTS", "CLASSPATH", "LUA_INIT*", "LUA_PATH*", "LUA_CPATH*", "PHPRC", "PHP_INI_SCAN_DIR",
		"DOTNET_STARTUP_HOOKS", "DOTNET_ADDITIONAL_DEPS", "DOTNET_SHARED_STORE", "DOTNET_ROOT*", "DOTNET_HOST_PATH", "CORECLR_*", "COR_ENABLE_PROFILING", "COR_PROFILER*",
		"COMPLUS_*", "ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ERL_LIBS", "R_PROFILE*", "R_ENVIRON*", "R_LIBS*", "JULIA_LOAD_PATH", "JULIA_DEPOT_PATH", "JULIA_PROJECT",
		"PSMODULEPATH",
	}},
	{"it makes a tool start another program", []string{
		"GIT_*", "SSH_ASKPASS*", "SSH_AUTH_SOCK", "SUDO_ASKPASS", "*PAGER", "*EDITOR", "VISUAL", "BROWSER", "LESS", "LESSOPEN", "LESSCLOSE", "LESSKEY*", "MORE",
		"EXINIT", "VIMINIT", "KUBECTL_EXTERNAL_DIFF", "KUBECTL_KUBERC", "KUBERC", "KREW_ROOT", "HELM_PLUGINS", "HELM_BIN", "HELM_CONFIG_HOME", "HELM_DATA_HOME",
		"HELM_CACHE_HOME", "CC", "CXX", "LD", "AR", "PKG_CONFIG*", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "RUSTC*", "RUSTFLAGS", "CARGO_HOME", "CARGO_BUILD_*",
		"CARGO_TARGET_*", "COMSPEC", "PATHEXT", "TAR_OPTIONS", "RSYNC_RSH", "CVS_RSH", "SVN_SSH", "CURL_HOME", "WGETRC", "ANSIBLE_*",
	}},
	{"it changes which tool Terragrunt, tenv or their like run, or where they get it from", []string{
		"TERRAGRUNT_TFPATH", "TG_TF_PATH", "TERRAGRUNT_AUTH_PROVIDER_CMD", "TG_AUTH_PROVIDER_CMD", "TERRAGRUNT_CONFIG", "TG_CONFIG", "TERRAGRUNT_SOURCE*", "TG_SOURCE*",
		"TERRAGRUNT_DOWNLOAD", "TG_DOWNLOAD_DIR", "TERRAGRUNT_WORKING_DIR", "TG_WORKING_DIR", "TENV_REMOTE*", "TENV_ROOT", "TFENV_REMOTE*", "TFENV_ROOT", "TFENV_CONFIG_DIR",
		"TFENV_INSTALL_DIR", "TOFUENV_REMOTE*", "TOFUENV_ROOT", "TOFUENV_URL_TEMPLATE", "TGENV_REMOTE*", "ATMOS_REMOTE*", "ATMOS_BASE_PATH", "ATMOS_CLI_CONFIG_PATH",
		"ATMOS_COMPONENTS_*", "ASDF_DIR", "ASDF_DATA_DIR", "ASDF_CONFIG_FILE", "MISE_DATA_DIR", "MISE_CONFIG*", "MISE_GLOBAL_CONFIG_FILE",
	}},
	{"it changes what Terraform, OpenTofu or Pulumi runs, or makes it log secrets", []string{
		"TF_CLI_*", "TERRAFORM_CONFIG", "TF_REATTACH_PROVIDERS", "TF_DATA_DIR", "TF_WORKSPACE", "TF_ENCRYPTION",
		"TF_LOG*", "TF_ACC*", "TF_APPEND_USER_AGENT", "TF_TEMP_LOG_PATH", "TF_PLUGIN_*", "PULUMI_HOME", "PULUMI_DEBUG_*",
		"PULUMI_*_CMD", "PULUMI_DEV*",
	}},
	{"it redirects traffic or weakens the trust in TLS", []string{
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE",
		"AWS_ENDPOINT_URL*", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT*", "CLOUDFLARE_BASE_URL", "GOOGLE_*_CUSTOM_ENDPOINT", "CLOUDSDK_*", "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "GCE_METADATA_HOST",
	}},
	{"it changes how Go programs run, or makes them write secrets down", []string{
		"GOFLAGS", "GOROOT", "GOPATH", "GOBIN", "GOENV", "GOTOOLCHAIN", "GOPROXY", "GOSUMDB", "GOINSECURE", "GOVCS", "CGO_*", "GODEBUG", "GOTRACEBACK", "GOMEMLIMIT", "GOGC", "GOMAXPROCS", "GOCOVERDIR", "SSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES",
	}},
	{"it belongs to Forgecroft itself", []string{"FORGECROFT_*"}},
}

// Valid reports whether name is a name at all: [A-Za-z_][A-Za-z0-9_]* (IEEE Std 1003.1, section 3.216 "Name"), of at most [MaxLength] bytes.
func Valid(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= MaxLength
}

// index is the table in a form that is quick to look up.
type index struct {
	exact    map[string]string // name → reason
	patterns []pattern
}

// pattern is a reserved name with one * in it.
type pattern struct{ prefix, suffix, reason string }

// lookup builds the index once: every delivery asks for each of its variables.
var lookup = sync.OnceValue(func() index {
	x := index{exact: map[string]string{}}
	for _, group := range reserved {
		for _, name := range group.names {
			if prefix, suffix, wild := strings.Cut(name, "*"); wild {
				x.patterns = append(x.patterns, pattern{prefix, suffix, group.reason})
			} else {
				x.exact[name] = group.reason
			}
		}
	}
	return x
})

// ReservedReason says why a name is reserved, compared in any case, or "" if it is not.
func ReservedReason(name string) string {
	upper, x := strings.ToUpper(name), lookup()
	if reason, found := x.exact[upper]; found {
		return reason
	}
	for _, p := range x.patterns {
		if len(upper) >= len(p.prefix)+len(p.suffix) && strings.HasPrefix(upper, p.prefix) && strings.HasSuffix(upper, p.suffix) {
			return p.reason
		}
	}
	return ""
}

// Reserved returns every reserved name or pattern with its reason, for documentation.
func Reserved() map[string]string {
	reasons := map[string]string{} // name or pattern → reason
	for _, group := range reserved {
		for _, name := range group.names {
			reasons[name] = group.reason
		}
	}
	return reasons
}
