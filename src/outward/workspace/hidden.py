"""What is hidden from agents, wherever it lies in what they see. This table is the only place that says so.

A pattern without a slash is a name at any depth; with slashes it is the end of a path. ``*`` stays within a name. Case does
not matter.
"""

from __future__ import annotations

from typing import Final

HIDDEN: Final[dict[str, tuple[str, ...]]] = {
    "environment files": (".env", ".env.*", "*.env", ".envrc", "local.settings.json"),
    "private keys": (
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ecdsa_sk",
        "id_ed25519",
        "id_ed25519_sk",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.keystore",
        "*.ppk",
        "*.kdbx",
        ".ssh",
        ".gnupg",
        ".password-store",
    ),
    "version control and forges": (
        ".git-credentials",
        ".config/git/credentials",
        ".config/gh",
        ".config/hub",
        ".config/glab-cli",
    ),
    "log-ins and packages": (
        ".netrc",
        "_netrc",
        ".npmrc",
        "etc/npmrc",
        ".pypirc",
        ".config/pypoetry/auth.toml",
        ".cargo/credentials",
        ".cargo/credentials.toml",
        ".gem/credentials",
        ".m2/settings.xml",
        ".m2/settings-security.xml",
        ".gradle/gradle.properties",
        ".composer/auth.json",
        ".nuget/NuGet/NuGet.Config",
        ".htpasswd",
        ".pgpass",
        ".my.cnf",
        ".mylogin.cnf",
    ),
    "clouds": (
        ".aws",
        ".azure",
        ".oci",
        ".boto",
        ".s3cfg",
        ".config/gcloud",
        ".config/rclone",
        ".config/doctl",
        ".config/op",
        "rclone.conf",
        ".vault-token",
        ".terraformrc",
        ".terraform.d/credentials.tfrc.json",
        "*.tfstate",
        "*.tfstate.backup",
        "credentials.json",
        "application_default_credentials.json",
        "client_secret*.json",
        "service-account*.json",
        "service_account*.json",
        "serviceaccount*.json",
        "*-service-account.json",
        "*_service_account.json",
        "*firebase-adminsdk*.json",
    ),
    "containers": (".kube", "kubeconfig", "*.kubeconfig", ".docker/config.json", ".dockercfg", "auth.json"),
    "secrets of frameworks": ("secrets.yml", "secrets.yaml", "secrets.toml", "secrets.json"),
    "agents' own log-ins": (
        ".claude/.credentials.json",
        ".claude.json",
        ".gemini/oauth_creds.json",
        ".gemini/google_accounts.json",
    ),
    "histories": (".bash_history", ".zsh_history", ".psql_history", ".python_history", ".node_repl_history"),
}

EXAMPLES: Final = (
    # Look like the above and are meant to be read.
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    ".env.defaults",
    "*.example.env",
    "*.sample.env",
)

BESIDE: Final = (".env", ".envrc", "local.settings.json")
"""What is likely to come where something is hidden already: secrets of one part of a project lie together."""

SNIFFED: Final = ("*.pem", "*.crt", "*.cer")
"""Certificates, unless a private key is inside: hidden when :data:`PRIVATE_KEY` is in the file."""

PRIVATE_KEY: Final = b"PRIVATE KEY-----"
SNIFF_LIMIT: Final = 1 << 20
"""Octets that are looked at. Longer files are bundles of public certificates, but nothing proves it: they are hidden."""
