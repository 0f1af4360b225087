"""The fields of a secret, and of each source: part of the one table of fields (:mod:`.fields`).

What a source is told follows from the shapes alone (:meth:`outward.policy.build.Builder.build`): a path becomes absolute, the
name of a secret must exist, and ``field`` says which part of what is fetched the secret is.
"""

from __future__ import annotations

from typing import Final

from outward.policy import texts
from outward.policy.shapes import ByKind, Choice, Field, Flag, List, Number, Record, Table, Text

NAME: Final = Text("a name of letters, digits, - _ .", r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
VARIABLE: Final = Text("the name of an environment variable", r"[A-Za-z_][A-Za-z0-9_]*", private=True)
LINE: Final = Text("one line of text", parse=texts.plain_line)
PATH: Final = Text("a path", parse=texts.file_name)
DURATION: Final = Text("a duration such as 90s, 15m, 2h or 1d", r"[1-9][0-9]{0,8}[smhd]", texts.seconds)
SERVICE: Final = Text("an address such as https://vault.corp.example:8200", r"https?://[^\x00-\x20/?#@%]+/?")
ANOTHER: Final = NAME._replace(accepted="the name of another secret", parse=texts.SecretName)

PART: Final = Text("the name of a field", r"[^\x00-\x1f]+", texts.PartName)
OF_AN_OBJECT: Final = Field(PART, "field of a value that is a JSON object; default: the whole value")
LABEL: Final = Text("a name of letters, digits and -_./@:+=", r"[A-Za-z0-9\-_./@:+=]+")

VAULT: Final = Record(
    "vault",
    {
        "path": Field(
            Text("a path of the API, such as secret/data/dev/github", r"[^\x00-\x20?#%]+", texts.api_path),
            "where it is, as `vault read` takes it; with version 2 of the KV engine `data/` is after the mount",
            required=True,
        ),
        "field": Field(PART, "field that is the value", required=True),
        "version": Field(Number(1, 1 << 31), "version of a secret of the KV engine's version 2; default: the last"),
        "address": Field(SERVICE, "address; default: `VAULT_ADDR`, else `https://127.0.0.1:8200`"),
        "namespace": Field(LABEL, "namespace; default: `VAULT_NAMESPACE`"),
        "ca": Field(PATH, "PEM file of a root to trust besides the system's; default: `VAULT_CACERT`"),
        "auth": Field(
            Choice(("token", "approle", "kubernetes")),
            "log-in; default `token`: that of `VAULT_TOKEN` or `~/.vault-token`",
        ),
        "mount": Field(LABEL, "where the log-in is mounted; default: the name of `auth`"),
        "role_id": Field(ANOTHER, "with `approle`: the secret that is the role's id"),
        "secret_id": Field(ANOTHER, "with `approle`: the secret that is the secret id"),
        "role": Field(LABEL, "with `kubernetes`: the role"),
        "jwt": Field(PATH, "with `kubernetes`: the file with the token; default: that of the pod"),
    },
)

AWS: Final = Record(
    "aws",
    {
        "secret": Field(LABEL, "name or ARN of a secret of the Secrets Manager"),
        "parameter": Field(LABEL, "name or ARN of a parameter of the Systems Manager"),
        "field": OF_AN_OBJECT,
        "region": Field(LABEL, "region; default: that of `AWS_REGION` or the profile"),
        "profile": Field(LABEL, "profile of the AWS configuration; default: `AWS_PROFILE`"),
    },
    one_of=("secret", "parameter"),
)

GCP: Final = Record(
    "gcp",
    {
        "project": Field(LABEL, "project", required=True),
        "secret": Field(LABEL, "name of a secret of the Secret Manager", required=True),
        "version": Field(Text("a version, in quotes", LABEL.pattern), "version; default `latest`"),
        "field": OF_AN_OBJECT,
    },
)

AZURE: Final = Record(
    "azure",
    {
        "vault": Field(
            Text("a name of a vault, or its address", r"[A-Za-z0-9-]+|https://[A-Za-z0-9.-]+/?"),
            "name of the Key Vault, or its address `https://NAME.vault.azure.net`",
            required=True,
        ),
        "secret": Field(LABEL, "name of the secret", required=True),
        "version": Field(LABEL, "version; default: the last"),
        "field": OF_AN_OBJECT,
        "auth": Field(
            Choice(("client_secret", "workload_identity", "managed_identity", "cli")),
            "log-in; default: by the `AZURE_…` variables that are set, else by `az`",
        ),
        "client_id": Field(LABEL, "who logs in; default: `AZURE_CLIENT_ID`, or the machine's only identity"),
    },
)

BITWARDEN: Final = Record(
    "bitwarden",
    {
        "item": Field(
            Text("an id, or a text that one item alone has", r"[^\x00-\x1f\-][^\x00-\x1f]*"),
            "item of the password manager, for `bw`",
        ),
        "secret": Field(
            Text("the id of a secret", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
            "id of a secret of the Secrets Manager, for `bws`",
        ),
        "field": Field(
            PART, "field of the item, or of a secret that is a JSON object; default: password, or the whole"
        ),
    },
    one_of=("item", "secret"),
)

KUBERNETES: Final = Record(
    "kubernetes",
    {
        "namespace": Field(LABEL, "namespace", required=True),
        "secret": Field(LABEL, "name of the Secret", required=True),
        "key": Field(PART, "key of its data", required=True),
        "context": Field(
            Text("a name of a context", r"[^\x00-\x1f]+"), "context of the kubeconfig; default: the current one"
        ),
        "kubeconfig": Field(
            PATH, "kubeconfig; default: `KUBECONFIG`, else `~/.kube/config`, else the pod's own account"
        ),
    },
)

TOKEN: Final = Text("a word of visible ASCII characters", r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 §3.3: one of several scopes."""

OAUTH: Final = Record(
    "oauth",
    {
        "token_url": Field(
            Text("an address such as https://auth.corp.example/oauth/token", r"https?://[^\x00-\x20#@%]+"),
            "address that gives tokens",
            required=True,
        ),
        "client_id": Field(LINE, "name of the client", required=True),
        "client_secret": Field(ANOTHER, "secret that is the client's; without it the client is public"),
        "refresh_token": Field(
            ANOTHER, "secret that is the first refresh token; without it the grant is `client_credentials`"
        ),
        "auth": Field(Choice(("basic", "post")), "where the client's secret stands; default `basic`"),
        "scopes": Field(List(TOKEN, least=1), "what is asked for; default: what the service gives"),
        "audience": Field(LINE, "`audience`, where the service wants it"),
        "resource": Field(LINE, "`resource` (RFC 8707), where the service wants it"),
        "ca": Field(PATH, "PEM file of a root to trust besides the system's"),
    },
)

GITHUB_APP: Final = Record(
    "github_app",
    {
        "app": Field(
            ByKind({"number": Number(1, 1 << 53), "text": LABEL}), "id or client id of the app", required=True
        ),
        "private_key": Field(ANOTHER, "secret that is the app's private key, in PEM", required=True),
        "installation": Field(
            ByKind(
                {
                    "number": Number(1, 1 << 53),
                    "text": Text("a repository such as acme/web", r"[A-Za-z0-9\-]+/(?!\.{1,2}$)[A-Za-z0-9\-_.]+"),
                }
            ),
            "id of the installation, or a repository where the app is installed",
            required=True,
        ),
        "repositories": Field(
            List(Text("a repository without its owner", r"[A-Za-z0-9\-_.]+"), least=1),
            "the only repositories that the token is for; default: all of the installation",
        ),
        "permissions": Field(
            Table(Text("a permission such as contents", r"[a-z_]+"), Choice(("read", "write", "admin"))),
            "the only permissions that the token has; default: all of the installation",
        ),
        "url": Field(
            Text("an address such as https://github.corp.example/api/v3", r"https?://[^\x00-\x20?#@%]+"),
            "address of the API of GitHub Enterprise; default: that of github.com",
        ),
    },
)

AWS_STS: Final = Record(
    "aws_sts",
    {
        "role": Field(
            Text("the ARN of a role", r"arn:[a-z\-]+:iam::[0-9]{12}:role/[\x21-\x7e]+"), "role", required=True
        ),
        "access_key": Field(ANOTHER, "secret that is the id of the access key to ask with"),
        "secret_key": Field(ANOTHER, "with `access_key`: the secret that is its key"),
        "session_token": Field(ANOTHER, "with `access_key`: the secret that is its session token, if it has one"),
        "web_identity": Field(ANOTHER, "secret that is a token of an identity provider, to ask with instead"),
        "region": Field(LABEL, "region; default: `AWS_REGION`"),
        "duration": Field(DURATION, "how long the credentials are good, from 15m to 12h; default 1h"),
        "session_name": Field(Text("2 to 64 letters, digits and _=,.@+-", r"[\w+=,.@\-]{2,64}"), "default `outward`"),
        "external_id": Field(LINE, "external id that the role's trust policy asks for"),
        "policy": Field(
            Text("an IAM policy in JSON, in quotes", parse=texts.json_object),
            "session policy: the limit of the session",
        ),
        "policy_arns": Field(
            List(Text("the ARN of a policy", r"arn:[a-z\-]+:iam::\w+:policy/[\x21-\x7e]+"), least=1),
            "managed policies that are the limit of the session",
        ),
    },
    one_of=("access_key", "web_identity"),
)
AWS_STS_PARTS: Final = ("access_key_id", "secret_access_key", "session_token")
"""What the set consists of: a secret ``aws`` of this source is the secrets ``aws.access_key_id`` and so on."""

GCP_TOKEN: Final = Record(
    "gcp_token",
    {
        "key": Field(ANOTHER, "secret that is the JSON key file of a service account", required=True),
        "impersonate": Field(
            Text("a service account", r"[A-Za-z0-9\-._]+@[A-Za-z0-9\-.]+"),
            "service account that the token is for instead",
        ),
        "scopes": Field(List(TOKEN, least=1), "default: `https://www.googleapis.com/auth/cloud-platform`"),
        "lifetime": Field(DURATION, "how long a token is good; default and, mostly, longest: 1h"),
    },
)

SOURCES: Final = {
    # By the key that names the source: those of this version.
    "env": Field(VARIABLE, "variable of the environment in which outward is started"),
    "file": Field(PATH, "file that holds the value; relative to the policy file, `~` is the home directory"),
    "command": Field(
        List(Text("an argument", parse=texts.argument), least=1),
        "command that prints the value; no shell is involved",
    ),
    "keyring": Field(
        ByKind(
            {
                "text": NAME,
                "mapping": Record(
                    "an entry of the system keyring",
                    {
                        "service": Field(LINE, "what the entry is for, as who made it has it", required=True),
                        "username": Field(LINE, "whose it is", required=True),
                    },
                ),
            }
        ),
        "a name of `outward secret`; or an entry of the system keyring",
    ),
    "vault": Field(VAULT, "HashiCorp Vault or OpenBao"),
    "aws": Field(AWS, "AWS Secrets Manager, or a parameter of the Systems Manager"),
    "gcp": Field(GCP, "Google Cloud Secret Manager"),
    "azure": Field(AZURE, "Azure Key Vault"),
    "onepassword": Field(
        Text("a reference such as op://vault/item/field", r"op://[^\x00-\x1f]+"),
        "reference to a field of 1Password, read by `op`",
    ),
    "bitwarden": Field(BITWARDEN, "Bitwarden's password manager (`bw`) or Secrets Manager (`bws`)"),
    "kubernetes": Field(KUBERNETES, "Secret of a Kubernetes cluster"),
    "oauth": Field(OAUTH, "access tokens by OAuth 2"),
    "github_app": Field(GITHUB_APP, "tokens of an installation of a GitHub App"),
    "aws_sts": Field(AWS_STS, "temporary credentials of an AWS role, three values"),
    "gcp_token": Field(GCP_TOKEN, "access tokens of a Google service account"),
    "captured": Field(
        Flag(only=True), "what a log-in inside the sandbox brings (`capture` of a rule), for each agent its own"
    ),
}

SECRET: Final = Record(
    "a secret",
    {
        **SOURCES,
        "ttl": Field(DURATION, "how long a fetched value is used, at most"),
        "expose": Field(VARIABLE, "variable inside the sandbox that receives the placeholder"),
        "placeholder": Field(
            Text("8 or more visible ASCII characters", r"[\x21-\x7e]{8,}", private=True),
            "fixed placeholder instead of a generated one",
        ),
    },
    one_of=tuple(SOURCES),
)
