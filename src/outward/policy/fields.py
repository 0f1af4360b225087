"""The fields of the policy file, in one table: validation, error texts, JSON Schema and reference all follow from it.

Only what a field is and means may stand here; secrets have a table of their own (:mod:`.secret_fields`). What several fields
mean together is in :mod:`outward.policy.build`.
"""

from __future__ import annotations

from typing import Final

from outward.policy import texts
from outward.policy.secret_fields import ANOTHER, DURATION, LINE, NAME, PATH, SECRET
from outward.policy.shapes import ByKey, ByKind, Choice, Field, Flag, List, Number, Record, Table, Text

SIZE: Final = Text("a size such as 512M or 4G", r"[1-9][0-9]{0,8}[KMGT]", texts.octets)
METHODS: Final = rf"(?:\*|{texts.METHOD}(?:,{texts.METHOD})*)"
HOST: Final = Text('a host name, "*.suffix", or an IP address', r"\S+", texts.host_pattern)
HEADER: Final = Text("the name of a header", texts.FIELD_NAME, texts.matched_header)
CLIENTS: Final = ("npm", "pip", "cargo", "apt")

AGENT: Final = Record(
    "an agent", {"secret": Field(NAME, "secret whose value is the proxy password of this agent", required=True)}
)

RULE: Final = ByKind(
    {
        "text": Text('"METHODS PATH" such as "GET,HEAD /repos/**"', rf"{METHODS} +/\S*", texts.rule_line),
        "mapping": Record(
            "a rule",
            {
                "methods": Field(
                    List(Text("a method in capitals", rf"(?:\*|{texts.METHOD})"), least=1), "methods", required=True
                ),
                "path": Field(
                    Text("a path such as /repos/**", r"/\S*", texts.path_glob), "glob over the path", required=True
                ),
                "query": Field(
                    Table(Text("the name of a parameter", r"[\s\S]+"), Text("a value")),
                    "values that parameters must have",
                ),
                "headers": Field(Table(HEADER, Text("a value")), "values that headers must have"),
                "capture": Field(
                    Table(Text("the name of a field", r"[A-Za-z0-9_.\-]{1,64}"), NAME),
                    "fields of the answer, and for each the `captured` secret that its value becomes",
                ),
            },
        ),
    }
)
RULES: Final = List(RULE)

INJECT: Final = ByKey(
    "an injection",
    {
        "header": Record(
            "an injection",
            {
                "header": Field(
                    Text("the name of a header", texts.FIELD_NAME, texts.injected_header),
                    "header that is set",
                    required=True,
                ),
                "secret": Field(NAME, "secret that is the whole value"),
                "value": Field(
                    Text('a text such as "Bearer {github}"', parse=texts.template), "text with secrets in braces"
                ),
            },
            one_of=("secret", "value"),
        ),
        "basic": Record(
            "an injection",
            {
                "basic": Field(
                    Record(
                        "basic",
                        {
                            "username": Field(
                                Text("a user name", parse=texts.username), "user; some servers ignore it", required=True
                            ),
                            "secret": Field(NAME, "secret that is the password", required=True),
                        },
                    ),
                    "HTTP Basic authentication",
                    required=True,
                )
            },
        ),
        "placeholder": Record(
            "an injection",
            {
                "placeholder": Field(
                    NAME, "secret whose placeholder is swapped where the client put it", required=True
                ),
                "in": Field(
                    List(Choice(("header", "basic", "query", "body")), least=1),
                    "where it is swapped; default: header and basic",
                ),
            },
        ),
        "query": Record(
            "an injection",
            {
                "query": Field(
                    Text("the name of a parameter", r"[!-~]+", texts.named),
                    "parameter of the query that is set, instead of any that the client sends",
                    required=True,
                ),
                "secret": Field(NAME, "secret that is its value", required=True),
            },
        ),
        "sigv4": Record(
            "an injection",
            {
                "sigv4": Field(
                    Record(
                        "sigv4",
                        {
                            "access_key": Field(ANOTHER, "secret that is the id of the access key", required=True),
                            "secret_key": Field(ANOTHER, "secret that is its key", required=True),
                            "session_token": Field(ANOTHER, "secret that is its session token, if it has one"),
                            "service": Field(
                                Text("a name such as s3", r"[a-z0-9\-]+"),
                                "service; default: what the client says, else the host",
                            ),
                            "region": Field(Text("a name such as eu-central-1", r"[a-z0-9\-]+"), "region; likewise"),
                        },
                    ),
                    "AWS Signature Version 4, in place of the client's own",
                    required=True,
                )
            },
        ),
        "oauth1": Record(
            "an injection",
            {
                "oauth1": Field(
                    Record(
                        "oauth1",
                        {
                            "consumer_key": Field(ANOTHER, "secret that is the consumer's key", required=True),
                            "consumer_secret": Field(ANOTHER, "secret that is the consumer's secret", required=True),
                            "token": Field(ANOTHER, "secret that is the token"),
                            "token_secret": Field(ANOTHER, "secret that is the token's secret"),
                            "method": Field(
                                Choice(("HMAC-SHA1", "HMAC-SHA256")),
                                "how it is signed; default: as the client does, else `HMAC-SHA1`",
                            ),
                        },
                    ),
                    "a signature of OAuth 1.0a (RFC 5849), in place of the client's own",
                    required=True,
                )
            },
        ),
        "cookie": Record(
            "an injection",
            {
                "cookie": Field(
                    Text("the name of a cookie", texts.FIELD_NAME, texts.named), "cookie that is set", required=True
                ),
                "secret": Field(NAME, "secret that is its value", required=True),
            },
        ),
    },
)

PROXY_URL: Final = r"(?:http|https|socks5|socks5h)://(?:[^/?#\s]*@)?[^/?#@\s]+/?"
PROXY: Final = ByKind(
    {
        "text": Text(
            "a URL such as http://proxy.corp.example:3128, or none",
            rf"none|{PROXY_URL}",
            texts.proxy_choice,
            private=True,
        ),
        "mapping": Record(
            "a proxy",
            {
                "url": Field(
                    Text("a URL such as http://proxy.corp.example:3128", PROXY_URL, texts.proxy_url, private=True),
                    "the proxy: http, https, socks5, or socks5h, which leaves names to it",
                    required=True,
                ),
                "username": Field(Text("a user name", parse=texts.username), "user of the proxy, with `secret`"),
                "secret": Field(NAME, "secret that is the user's password"),
                "ca": Field(PATH, "PEM file of a root to trust for an https proxy itself, besides the system's"),
                "no_proxy": Field(
                    List(Text("a host, or an IP network such as 10.0.0.0/8", r"\S+", texts.bypass)),
                    "hosts, with all names below them, and addresses to which no proxy is used",
                ),
            },
        ),
    }
)

DESTINATION: Final = Record(
    "a destination",
    {
        "name": Field(LINE, "name in rules and records; default: the host"),
        "host": Field(HOST, 'exact name, or `"*.suffix"` for any depth below the suffix and never the suffix itself'),
        "registry": Field(
            Choice(CLIENTS), "instead of `host`: every registry from which this package manager fetches on this machine"
        ),
        "port": Field(Number(1, 65535), "default 443, or 80 with `scheme: http`"),
        "scheme": Field(Choice(("https", "http")), "default `https`"),
        "allow": Field(
            ByKind({"list": RULES, "text": Choice(("connect",))}),
            "rules that allow; `connect` only with `tls: passthrough`",
        ),
        "ask": Field(RULES, "rules that ask a person; stronger than allow"),
        "deny": Field(RULES, "rules that deny; stronger than everything"),
        "inject": Field(List(INJECT), "credentials for the requests that this destination allows"),
        "tls": Field(Choice(("intercept", "passthrough")), "default `intercept`"),
        "connect_to": Field(
            Text("an address with its port, such as 127.0.0.1:8443", r"\S+", texts.dialled),
            "dialled instead of the host",
        ),
        "proxy": Field(PROXY, "proxy that the way leads through, or `none`; default: that of the policy"),
        "ca": Field(PATH, "PEM file of a root to trust for this destination, besides the system's"),
        "client_certificate": Field(
            Record(
                "a client certificate",
                {
                    "cert": Field(
                        PATH, "PEM file of the certificate, with those between it and the root", required=True
                    ),
                    "key": Field(NAME, "secret that is its private key (PEM, not encrypted)", required=True),
                },
            ),
            "certificate by which the server knows us (mutual TLS)",
        ),
        "allow_private": Field(Flag(), "whether the host may resolve to private addresses; default `false`"),
        "client_credentials": Field(
            Choice(("strip", "pass")), "what becomes of credentials that the client sends; default `strip`"
        ),
        "redact": Field(Flag(), "whether secrets are taken out of what comes back; default `true`"),
        "canaries": Field(
            Record(
                "canaries",
                {
                    "body": Field(
                        Choice(("deny", "record")),
                        "a placeholder of another secret in a body; default `deny`",
                        required=True,
                    )
                },
            ),
            "what becomes of placeholders that do not belong there",
        ),
        "agents": Field(List(NAME), "only for these agents; an empty list is for none"),
        "i_understand_this_allows_everything": Field(Flag(only=True), 'needed for `host: "*"`'),
    },
    one_of=("host", "registry"),
)

WORKSPACE: Final = Record(
    "workspace",
    {
        "mode": Field(Choice(("write", "read", "review")), "default `write`"),
        "hide": Field(List(LINE), "globs of files that the sandbox does not see, besides the built-in list"),
        "show": Field(List(LINE), "globs of exceptions to the built-in list"),
        "allow_write": Field(List(LINE), "globs of what the agent may write although it takes effect outside"),
    },
)

LIMITS: Final = Record(
    "limits",
    {
        "memory": Field(SIZE, "memory of the whole sandbox"),
        "cpus": Field(Number(0.01, 4096, fraction=True), "processors"),
        "pids": Field(Number(1, 4194304), "processes and threads"),
        "files": Field(Number(256, 1048576), "open files, of each process"),
        "disk": Field(SIZE, "what the sandbox writes"),
        "time": Field(DURATION, "after which the sandbox is ended"),
    },
)

SANDBOX: Final = Record(
    "sandbox",
    {
        "backend": Field(
            Choice(("bubblewrap", "docker", "podman", "gvisor", "microvm", "none")), "default `bubblewrap`"
        ),
        "seccomp": Field(
            Choice(("default", "nested")),
            "system calls: default `default`; `nested` for agents with a sandbox of their own",
        ),
        "limits": Field(LIMITS, "what the sandbox may use"),
        "read": Field(List(PATH), "more paths, read-only; the hide list applies inside them too"),
        "write": Field(List(PATH), "more paths, read-write"),
        "tools": Field(Choice(("path", "system")), "tool chains of the caller's PATH (default), or only the system's"),
        "env": Field(
            Record(
                "env",
                {
                    "set": Field(
                        Table(
                            Text("the name of an environment variable", r"[A-Za-z_][A-Za-z0-9_]*"),
                            Text("a value", r"[^\x00]*"),
                        ),
                        "variables to set",
                    ),
                    "pass": Field(
                        List(Text("the name of an environment variable", r"[A-Za-z_][A-Za-z0-9_]*")),
                        "variables of the caller that come in",
                    ),
                },
            ),
            "nothing of the caller's environment enters unless it is listed",
        ),
    },
)

POLICY: Final = Record(
    "a policy",
    {
        "version": Field(Number(1, 1), "version of the language", required=True),
        "use": Field(List(LINE), "presets by name, files by path (relative to this file)"),
        "secrets": Field(Table(NAME, SECRET), "names, and where the values come from"),
        "agents": Field(Table(NAME, AGENT), "agents that name themselves to a gateway"),
        "proxy": Field(
            PROXY, "proxy that the way out leads through, or `none`; default: what the caller's environment says"
        ),
        "destinations": Field(List(DESTINATION), "what may be reached; order never matters"),
        "workspace": Field(WORKSPACE, "what the sandbox sees of the workspace"),
        "sandbox": Field(SANDBOX, "how the agent is confined"),
    },
)


def json_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the policy file, for editors. The loader checks more: what fields mean together."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outward policy",
        **POLICY.schema(),
    }
