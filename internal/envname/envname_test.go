package envname_test

import (
	"testing"

	"github.com/forgecroft/forgecroft/internal/envname"
)

// TestReserved names variables that start programs, lead to code, or redirect a tool, as their documentation has them.
func TestReserved(t *testing.T) {
	for _, name := range []string{
		"PATH", "ld_preload", "LD_AUDIT", "BASH_ENV", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS", "NODE_REPL_EXTERNAL_MODULE", "BUN_OPTIONS", "JAVA_TOOL_OPTIONS",
		"DOTNET_STARTUP_HOOKS", "CORECLR_PROFILER_PATH", "LUA_INIT_5_4", "PSModulePath", "GIT_SSH_COMMAND", "SSH_ASKPASS", "AWS_PAGER", "GH_PAGER", "SYSTEMD_PAGER", "MANPAGER",
		"KUBE_EDITOR", "GIT_EDITOR", "EDITOR", "LESS", "KUBECTL_EXTERNAL_DIFF", "HELM_PLUGINS", "CC", "MAKEFLAGS", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "RUSTC_WRAPPER",
		"ANSIBLE_LIBRARY", "TERRAGRUNT_TFPATH", "TG_TF_PATH", "TG_AUTH_PROVIDER_CMD", "TFENV_REMOTE", "TOFUENV_REMOTE", "TENV_REMOTE_CONF", "PULUMI_PYTHON_CMD", "GOFLAGS",
		"GOTOOLCHAIN", "TF_CLI_ARGS_plan", "TF_PLUGIN_CACHE_DIR", "TF_LOG_PATH", "OPENSSL_CONF", "HTTPS_PROXY", "AWS_ENDPOINT_URL_STS", "FORGECROFT_API_KEY",
	} {
		if envname.ReservedReason(name) == "" {
			t.Errorf("%s may be set by a credential", name)
		}
	}
}

// TestNotReserved names variables that credentials and settings of runs need, close to reserved ones.
func TestNotReserved(t *testing.T) {
	for _, name := range []string{
		"TF_VAR_path", "TF_TOKEN_app_terraform_io", "AWS_REGION", "GITHUB_TOKEN", "CARGO_REGISTRY_TOKEN", "YARN_NPM_AUTH_TOKEN", "NPM_TOKEN", "TFENV_GITHUB_TOKEN",
		"TENV_GITHUB_TOKEN", "MISE_GITHUB_TOKEN", "HELM_KUBETOKEN", "INFRACOST_API_KEY", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_BACKEND_URL", "DOTNET_CLI_TELEMETRY_OPTOUT",
		"PAGERDUTY_TOKEN", "PATH_TO_KEY", "LDAP_PASSWORD", "GITLAB_TOKEN", "TG_NON_INTERACTIVE", "KUBE_TOKEN", "DATADOG_API_KEY", "VAULT_TOKEN",
	} {
		if reason := envname.ReservedReason(name); reason != "" {
			t.Errorf("%s is refused: %s", name, reason)
		}
	}
}
