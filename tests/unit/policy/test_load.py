"""Loading: every mistake has a line, a column, a path and a way out; and what is right is read right."""

# ruff: noqa: E501 (a table is read by its rows)
from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import Injection, Limits, PolicyError, Proxy
from tests.unit.policy.conftest import FILE, HOME, FakeRegistries, make_policy, make_request, problems_of

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

DOCUMENTED = """\
version: 1
use: [claude-code, git-read, pip-install, ./team.yaml]   # presets by name, files by path (relative to this file)

secrets:                        # names; values are fetched outside the sandbox when first needed
  anthropic: {env: ANTHROPIC_API_KEY}
  github:
    file: ~/.config/outward/github-token
    expose: GITHUB_TOKEN        # the sandbox gets this variable, holding a placeholder of the same shape
  jira: {command: [op, read, "op://dev/jira/token"], ttl: 15m}

destinations:
  - name: anthropic             # optional; default is the host
    host: api.anthropic.com
    allow:
      - POST /v1/messages
      - POST /v1/messages/count_tokens
    inject:
      - {header: x-api-key, secret: anthropic}

  - host: api.github.com
    allow: ["GET,HEAD /repos/acme/**", POST /repos/acme/web/pulls]
    ask:   ["PUT /repos/acme/web/pulls/*/merge"]
    deny:  ["* /gists/**", "* /gists"]
    inject:
      - {header: authorization, value: "Bearer {github}"}

  - host: internal.example.com
    connect_to: 127.0.0.1:8443  # dial this address instead of DNS; also the way to permit a private address
    ca: ./internal-ca.yaml      # trusted for this destination, besides the system roots
    allow: ["* /**"]

  - host: "*.corp.example"      # any depth below corp.example; never corp.example itself
    tls: passthrough            # not intercepted: host and SNI are checked, nothing can be injected
    allow: connect

workspace:
  mode: review                  # write | read | review (writes go to a layer; review, apply or discard afterwards)
  hide: ["secrets/**"]          # besides the built-in list
  show: [".env.example"]        # exceptions to the built-in list

sandbox:
  backend: bubblewrap           # bubblewrap | docker | podman | gvisor | microvm | none
  limits: {memory: 4G, cpus: 2, pids: 512, time: 2h}
  read: [~/src/shared-lib]      # more paths, read-only; the hide list applies inside them too
  write: [~/.cache/myproject]   # more paths, read-write
  tools: path
  env: {set: {FOO: bar}, pass: [LANG, TERM]}
"""


def test_the_documented_example():
    registries = FakeRegistries(pip=("https://pip.registry.example/simple",))
    policy = make_policy(DOCUMENTED, registries=registries, team="version: 1\n", **{"internal-ca": CERTIFICATE})
    assert registries.asked == ["pip"]
    assert policy.secrets["anthropic"].expose == "ANTHROPIC_API_KEY"  # the preset says so
    assert policy.secrets["github"].argument == HOME / ".config/outward/github-token"
    assert policy.secrets["jira"].argument == ("op", "read", "op://dev/jira/token")
    assert policy.secrets["jira"].ttl == 900
    by_name = {destination.name: destination for destination in policy.destinations}
    assert by_name["api.github.com"].inject == (
        Injection("header", ("github",), name="authorization", template="Bearer {github}"),
    )
    assert by_name["internal.example.com"].connect_to == ("127.0.0.1", 8443)
    assert by_name["internal.example.com"].ca == CERTIFICATE
    assert by_name["*.corp.example"].tls == "passthrough"
    assert policy.workspace.mode == "review"
    assert policy.workspace.hide == ("secrets/**",)
    assert policy.sandbox.limits == Limits(memory=4 << 30, cpus=2.0, pids=512, time=7200.0)
    assert policy.sandbox.read == (HOME / "src/shared-lib",)
    assert policy.sandbox.env_set == {"FOO": "bar"}
    assert policy.sandbox.env_pass == ("LANG", "TERM")
    assert {file.name for file in policy.files} == {
        "policy.yaml",
        "claude-code.yaml",
        "git-read.yaml",
        "pip-install.yaml",
        "team.yaml",
        "internal-ca.yaml",
    }
    assert policy.decide(make_request("GET https://pip.registry.example/simple/six")).allowed


def wrapped(destination: str) -> str:
    return f"version: 1\nsecrets: {{key: {{env: KEY}}}}\ndestinations:\n  - {destination}\n"


MISTAKES = {
    # name: the text; line, column and path of its one problem; a word of the message, of what was found, of the way out
    "no version": ("destinations: []", 1, 1, "version", "missing", "", "version: 1"),
    "another version": ("version: 2", 1, 10, "version", "must be 1", "2", "1"),
    "quoted version": ('version: "1"', 1, 10, "version", "must be 1", "'1'", "1"),
    "not a mapping": ("- version", 1, 1, "", "must be a mapping", "a list", "version"),
    "unknown key": ("version: 1\ndestination: []", 2, 1, "destination", "mean 'destinations'", "'destination'", "secrets"),
    "nothing": ("version: 1\nsecrets:", 2, 9, "secrets", "must be a mapping", "nothing", "env"),
    "empty": ("", 1, 1, "", "empty", "", "version: 1"),
    "only comments": ("# nothing\n", 1, 1, "", "empty", "", "version: 1"),
    "not YAML": ("version: [1", 1, 12, "", "not YAML", "", ""),
    "tab": ("version: 1\nuse:\n\t- x", 3, 1, "", "not YAML", "", ""),
    "control character": ("version: 1 # \x07", 1, 14, "", "character", "", ""),
    "star without quotes": ("version: 1\nuse: [* /x]", 2, 8, "", "not YAML", "", "quotes"),
    "byte order mark": ("\ufeffversion: 1", 1, 1, "", "byte order mark", "", "UTF-8"),
    "two documents": ("version: 1\n---\nversion: 1", 2, 1, "", "one document", "", ""),
    "key twice": ("version: 1\nuse: []\nuse: []", 3, 1, "", "twice, first in line 2", "use", ""),
    "anchor": ("version: 1\nuse: &a []", 2, 6, "", "anchors", "&a", ""),
    "alias": ("version: 1\nuse: [*a]", 2, 7, "", "anchors", "*a", ""),
    "tag": ("version: !!int 1", 1, 10, "", "tags", "", ""),
    "merge": ("version: 1\n<<: {}", 2, 1, "", "merge", "<<", ""),
    "mapping as key": ("version: 1\n? [a]\n: b", 2, 3, "", "key must be", "a list", ""),
    "secret in place of its source": ("version: 1\nsecrets: {a: sk-ant-test-1}", 2, 14, "secrets.a", "mapping", "a text", "env"),
    "two sources": ("version: 1\nsecrets: {a: {env: A, file: b}}", 2, 14, "secrets.a", "exactly one", "env and file", "command"),
    "no source": ("version: 1\nsecrets: {a: {ttl: 5m}}", 2, 14, "secrets.a", "exactly one", "none", "env, file, command"),
    "an app as text": ("version: 1\nsecrets: {a: {github_app: x}}", 2, 27, "secrets.a.github_app", "mapping", "a text", "private_key"),
    "a client with nothing": ("version: 1\nsecrets: {a: {oauth: {token_url: 'https://x/t', client_id: c}}}", 2, 22, "secrets.a.oauth", "needs its secret", "", "client_secret"),
    "auth of a public client": ("version: 1\nsecrets: {b: {env: B}, a: {oauth: {token_url: 'https://x/t', client_id: c, refresh_token: b, auth: post}}}", 2, 35, "secrets.a.oauth", "there is none", "", "client_secret"),
    "half an access key": ("version: 1\nsecrets: {b: {env: B}, a: {aws_sts: {role: 'arn:aws:iam::123456789012:role/r', access_key: b}}}", 2, 37, "secrets.a.aws_sts", "an id and a key", "", "secret_key"),
    "no role": ("version: 1\nsecrets: {b: {env: B}, a: {aws_sts: {role: r, web_identity: b}}}", 2, 44, "secrets.a.aws_sts.role", "", "'r'", "ARN"),
    "a session policy that is none": ("version: 1\nsecrets: {b: {env: B}, a: {aws_sts: {role: 'arn:aws:iam::123456789012:role/r', web_identity: b, policy: '[]'}}}", 2, 105, "secrets.a.aws_sts.policy", "JSON object", "'[]'", "in JSON"),
    "three values in one variable": ("version: 1\nsecrets: {b: {env: B}, a: {aws_sts: {role: 'arn:aws:iam::123456789012:role/r', web_identity: b}, expose: X}}", 2, 106, "secrets.a.expose", "for one value", "", "set"),
    "a set as a secret": ("version: 1\nsecrets: {b: {env: B}, a: {aws_sts: {role: 'arn:aws:iam::123456789012:role/r', web_identity: b}}}\nagents: {x: {secret: a}}", 3, 22, "agents.x.secret", "no secret 'a'", "", "a.access_key_id"),
    "an installation upwards": ("version: 1\nsecrets: {b: {env: B}, a: {github_app: {app: 5, private_key: b, installation: acme/..}}}", 2, 79, "secrets.a.github_app.installation", "", "'acme/..'", "acme/web"),
    "a permission to own": ("version: 1\nsecrets: {b: {env: B}, a: {github_app: {app: 5, private_key: b, installation: 7, permissions: {contents: own}}}}", 2, 106, "secrets.a.github_app.permissions.contents", "", "'own'", "read"),
    "vault as text": ("version: 1\nsecrets: {a: {vault: sk-ant-test-1}}", 2, 22, "secrets.a.vault", "mapping", "a text", "path, field"),
    "vault without field": ("version: 1\nsecrets: {a: {vault: {path: secret/data/x}}}", 2, 22, "secrets.a.vault.field", "missing", "", "field"),
    "vault misspelt": ("version: 1\nsecrets: {a: {vault: {path: x, field: y, namspace: z}}}", 2, 42, "secrets.a.vault.namspace", "mean 'namespace'", "'namspace'", "address"),
    "vault's path from the root": ("version: 1\nsecrets: {a: {vault: {path: /secret/x, field: y}}}", 2, 29, "secrets.a.vault.path", "dot segments", "'/secret/x'", "secret/data"),
    "vault's path upwards": ("version: 1\nsecrets: {a: {vault: {path: secret/../sys/x, field: y}}}", 2, 29, "secrets.a.vault.path", "dot segments", "", ""),
    "vault's path with a query": ("version: 1\nsecrets: {a: {vault: {path: 'secret/x?list=true', field: y}}}", 2, 29, "secrets.a.vault.path", "", "", "secret/data"),
    "vault's address": ("version: 1\nsecrets: {a: {vault: {path: x, field: y, address: 'https://u:p@v'}}}", 2, 51, "secrets.a.vault.address", "", "", "https://vault.corp"),
    "approle without a role": ("version: 1\nsecrets: {a: {vault: {path: x, field: y, auth: approle}}}", 2, 22, "secrets.a.vault", "approle needs 'role_id'", "", ""),
    "a role without approle": ("version: 1\nsecrets: {a: {env: A}, b: {vault: {path: x, field: y, role_id: a}}}", 2, 35, "secrets.b.vault", "goes with auth: approle", "auth: token", ""),
    "vault's role of no secret": ("version: 1\nsecrets: {b: {vault: {path: x, field: y, auth: approle, role_id: a}}}", 2, 66, "secrets.b.vault.role_id", "no secret 'a'", "", "b"),
    "a secret that needs itself": (
        "version: 1\nsecrets: {a: {vault: {path: x, field: y, auth: approle, role_id: a}}}", 2, 14, "secrets.a", "needed to fetch itself", "a", "",
    ),
    "a secret of AWS and a parameter": ("version: 1\nsecrets: {a: {aws: {secret: x, parameter: y}}}", 2, 20, "secrets.a.aws", "exactly one", "secret and parameter", ""),
    "a version that is a number": ("version: 1\nsecrets: {a: {gcp: {project: p, secret: s, version: 7}}}", 2, 53, "secrets.a.gcp.version", "must be a text", "7", "in quotes"),
    "a vault of Azure in the clear": ("version: 1\nsecrets: {a: {azure: {vault: 'http://x.vault.azure.net', secret: s}}}", 2, 30, "secrets.a.azure.vault", "", "", "address"),
    "a reference that is none": ("version: 1\nsecrets: {a: {onepassword: dev/x}}", 2, 28, "secrets.a.onepassword", "", "'dev/x'", "op://"),
    "an item that is an option": ("version: 1\nsecrets: {a: {bitwarden: {item: --help}}}", 2, 33, "secrets.a.bitwarden.item", "", "'--help'", "id"),
    "a Secret without key": ("version: 1\nsecrets: {a: {kubernetes: {namespace: n, secret: s}}}", 2, 27, "secrets.a.kubernetes.key", "missing", "", "key"),
    "variable": ("version: 1\nsecrets: {a: {env: sk-ant-test-1}}", 2, 20, "secrets.a.env", "", "not shown", "variable"),
    "duration": ("version: 1\nsecrets: {a: {env: A, ttl: 5x}}", 2, 28, "secrets.a.ttl", "", "'5x'", "15m"),
    "command as text": ("version: 1\nsecrets: {a: {command: op read}}", 2, 24, "secrets.a.command", "list", "'op read'", "argument"),
    "empty command": ("version: 1\nsecrets: {a: {command: []}}", 2, 24, "secrets.a.command", "list", "a list", "argument"),
    "short placeholder": ("version: 1\nsecrets: {a: {env: A, placeholder: abc}}", 2, 36, "secrets.a.placeholder", "", "not shown", "8"),
    "a proxy without scheme": ("version: 1\nproxy: proxy.corp.example:3128", 2, 8, "proxy", "", "not shown", "http://proxy.corp.example:3128, or none"),
    "another kind of proxy": ("version: 1\nproxy: socks4://a:1", 2, 8, "proxy", "", "not shown", "none"),
    "a proxy without port": ("version: 1\nproxy: http://proxy.corp.example", 2, 8, "proxy", "a host and a port", "not shown", "3128"),
    "a password in a proxy's address": ("version: 1\nproxy: http://u:sk-ant-test-1@a:1", 2, 8, "proxy", "belongs in a secret: {url, username, secret}", "not shown", "3128"),
    "a slash in a password in a proxy's address": ("version: 1\nproxy: {url: 'http://u:sk-ant/test@a:1'}", 2, 14, "proxy.url", "", "not shown", "3128"),
    "a user in a proxy's address": ("version: 1\nproxy: {url: 'http://sk-ant-test-1@a:1'}", 2, 14, "proxy.url", "belongs", "not shown", "3128"),
    "a proxy with a path": ("version: 1\nproxy: http://a:1/path", 2, 8, "proxy", "", "not shown", "3128"),
    "a proxy without url": ("version: 1\nproxy: {no_proxy: [a]}", 2, 8, "proxy.url", "missing", "", "url:"),
    "an unknown key of a proxy": ("version: 1\nproxy: {url: 'http://a:1', user: b}", 2, 28, "proxy.user", "mean 'username'", "'user'", "secret"),
    "a proxy's user without password": ("version: 1\nproxy: {url: 'http://a:1', username: b}", 2, 8, "proxy", "go together", "", "secret"),
    "a proxy's unknown secret": ("version: 1\nproxy: {url: 'http://a:1', username: b, secret: c}", 2, 49, "proxy.secret", "no secret 'c'", "", "secrets"),
    "an authority of a proxy in the clear": ("version: 1\nproxy: {url: 'http://a:1', ca: ca.pem}", 2, 8, "proxy", "", "", "https://"),
    "a star in no_proxy": ("version: 1\nproxy: {url: 'http://a:1', no_proxy: ['*.b']}", 2, 39, "proxy.no_proxy[0]", "without a star", "'*.b'", "network"),
    "a host and port in no_proxy": ("version: 1\nproxy: {url: 'http://a:1', no_proxy: ['b:1']}", 2, 39, "proxy.no_proxy[0]", "not a host", "'b:1'", "network"),
    "a broken network in no_proxy": ("version: 1\nproxy: {url: 'http://a:1', no_proxy: [10.0.0.0/33]}", 2, 39, "proxy.no_proxy[0]", "address", "'10.0.0.0/33'", "network"),
    "a proxy to an address": (wrapped("{host: a.example, connect_to: '10.0.0.1:1', proxy: 'http://a:1', allow: [GET /]}"), 4, 56, "destinations[0].proxy", "dialled directly", "", ""),
    "one variable for two": (
        "version: 1\nsecrets: {a: {env: A, expose: X}, b: {env: B, expose: X}}", 2, 38, "secrets.b", "'expose'", "", "",
    ),
    "one placeholder in another": (
        "version: 1\nsecrets: {a: {env: A, placeholder: abcdefgh}, b: {env: B, placeholder: xabcdefghx}}",
        2, 50, "secrets.b", "'placeholder'", "", "",
    ),
    "agent without secret": ("version: 1\nagents: {ci: {}}", 2, 14, "agents.ci.secret", "missing", "", "secret"),
    "agent with unknown secret": ("version: 1\nagents: {ci: {secret: x}}", 2, 23, "agents.ci.secret", "no secret 'x'", "", ""),
    "no host": (wrapped("{allow: []}"), 4, 5, "destinations[0]", "exactly one", "none", "host, registry"),
    "host and registry": (wrapped("{host: a.b, registry: npm}"), 4, 5, "destinations[0]", "exactly one", "host and registry", ""),
    "bad host": (wrapped("host: a..b"), 4, 11, "destinations[0].host", "not a host name", "'a..b'", "*.suffix"),
    "star inside a host": (wrapped('host: "a.*.b"'), 4, 11, "destinations[0].host", "star", "'a.*.b'", ""),
    "star without a dot": (wrapped('host: "*example.com"'), 4, 11, "destinations[0].host", "star", "", ""),
    "below an address": (wrapped('host: "*.10.0.0.1"'), 4, 11, "destinations[0].host", "address", "", ""),
    "part of an address": (wrapped('host: "*.0.0.1"'), 4, 11, "destinations[0].host", "ambiguous", "", ""),
    "every host": (wrapped('host: "*"'), 4, 5, "destinations[0]", "every host", "*", "i_understand_this_allows_everything"),
    "not understood": (
        wrapped('{host: a.b, i_understand_this_allows_everything: false}'),
        4, 54, "destinations[0].i_understand_this_allows_everything", "must be true", "false", "true",
    ),
    "port": (wrapped("{host: a.b, port: 0}"), 4, 23, "destinations[0].port", "", "0", "from 1 to 65535"),
    "scheme": (wrapped("{host: a.b, scheme: htps}"), 4, 25, "destinations[0].scheme", "mean 'https'", "'htps'", "http"),
    "boolean": (wrapped("{host: a.b, redact: no}"), 4, 25, "destinations[0].redact", "", "'no'", "true or false"),
    "lower-case method": (wrapped('{host: a.b, allow: ["get /"]}'), 4, 25, "destinations[0].allow[0]", "", "'get /'", "METHODS PATH"),
    "rule without path": (wrapped("{host: a.b, allow: [GET]}"), 4, 25, "destinations[0].allow[0]", "", "'GET'", "METHODS PATH"),
    "rule without method": (wrapped("{host: a.b, deny: [/x]}"), 4, 24, "destinations[0].deny[0]", "", "'/x'", "METHODS PATH"),
    "space in a path": (wrapped('{host: a.b, deny: ["GET /a b"]}'), 4, 24, "destinations[0].deny[0]", "", "'GET /a b'", ""),
    "query in a path": (wrapped('{host: a.b, deny: ["GET /a?b"]}'), 4, 24, "destinations[0].deny[0]", "no query", "", ""),
    "bad escape": (wrapped('{host: a.b, deny: ["GET /%zz"]}'), 4, 24, "destinations[0].deny[0]", "percent", "", ""),
    "hidden dots": (wrapped('{host: a.b, deny: ["GET /..%2f"]}'), 4, 24, "destinations[0].deny[0]", "dot segment", "", ""),
    "number as a rule": (wrapped("{host: a.b, ask: [5]}"), 4, 23, "destinations[0].ask[0]", "", "5", "METHODS PATH"),
    "rule is not a list": (wrapped("{host: a.b, deny: GET /}"), 4, 23, "destinations[0].deny", "list", "'GET /'", ""),
    "long rule without path": (wrapped("{host: a.b, ask: [{methods: [GET]}]}"), 4, 23, "destinations[0].ask[0].path", "missing", "", ""),
    "long rule misspelt": (
        wrapped("{host: a.b, ask: [{methods: [GET], path: /, qury: {}}]}"),
        4, 49, "destinations[0].ask[0].qury", "mean 'query'", "", "headers",
    ),
    "no methods": (wrapped("{host: a.b, ask: [{methods: [], path: /}]}"), 4, 33, "destinations[0].ask[0].methods", "list", "", ""),
    "connect without passthrough": (wrapped("{host: a.b, allow: connect}"), 4, 5, "destinations[0]", "passthrough", "", "GET /**"),
    "misspelt connect": (wrapped("{host: a.b, tls: passthrough, allow: conect}"), 4, 42, "destinations[0].allow", "mean 'connect'", "", ""),
    "passthrough with rules": (
        wrapped('{host: a.b, tls: passthrough, allow: ["GET /"]}'), 4, 5, "destinations[0]", "passthrough", "", "connect",
    ),
    "passthrough with deny": (
        wrapped('{host: a.b, tls: passthrough, allow: connect, deny: ["GET /"]}'), 4, 5, "destinations[0]", "'deny'", "", "",
    ),
    "passthrough with a secret": (
        wrapped("{host: a.b, tls: passthrough, allow: connect, inject: [{header: x, secret: key}]}"),
        4, 5, "destinations[0]", "'inject'", "", "",
    ),
    "passthrough without TLS": (
        wrapped("{host: a.b, tls: passthrough, allow: connect, scheme: http}"), 4, 5, "destinations[0]", "needs TLS", "", "",
    ),
    "no form": (wrapped("{host: a.b, inject: [{secret: key}]}"), 4, 26, "destinations[0].inject[0]", "exactly one form", "", "header"),
    "two forms": (
        wrapped("{host: a.b, inject: [{header: x, secret: key, placeholder: key}]}"),
        4, 26, "destinations[0].inject[0]", "exactly one form", "header and placeholder", "",
    ),
    "signature without its key": (
        wrapped("{host: a.b, inject: [{sigv4: {access_key: key}}]}"),
        4, 34, "destinations[0].inject[0].sigv4.secret_key", "'secret_key' is missing", "", "another secret",
    ),
    "signature by an unknown secret": (
        wrapped("{host: a.b, inject: [{sigv4: {access_key: key, secret_key: other}}]}"),
        4, 64, "destinations[0].inject[0].sigv4.secret_key", "no secret 'other'", "", "",
    ),
    "signature for all regions": (
        wrapped('{host: a.b, inject: [{sigv4: {access_key: key, secret_key: key, region: "*"}}]}'),
        4, 77, "destinations[0].inject[0].sigv4.region", "", "", "eu-central-1",
    ),
    "two signatures": (
        wrapped("{host: a.b, inject: [{sigv4: {access_key: key, secret_key: key}}, {basic: {username: a, secret: key}}]}"),
        4, 71, "destinations[0].inject[1]", "sets 'authorization' already", "", "",
    ),
    "signature and its token": (
        wrapped("{host: a.b, inject: [{sigv4: {access_key: key, secret_key: key}}, {header: X-Amz-Security-Token, secret: key}]}"),
        4, 71, "destinations[0].inject[1]", "sets 'x-amz-security-token' already", "", "",
    ),
    "signature of a changed body": (
        wrapped("{host: a.b, inject: [{oauth1: {consumer_key: key, consumer_secret: key}}, {placeholder: key, in: [body]}]}"),
        4, 79, "destinations[0].inject[1]", "cannot be changed", "", "header, basic, query",
    ),
    "parameter of a signature": (
        wrapped(
            "{host: a.b, inject: [{sigv4: {access_key: key, secret_key: key}}], "
            "allow: [{methods: [GET], path: /, query: {X-Amz-Expires: '5'}}]}"
        ),
        4, 25, "destinations[0].inject", "which `inject` replaces", "", "",
    ),
    "parameter twice": (
        wrapped("{host: a.b, inject: [{query: api.key, secret: key}, {query: API_KEY, secret: key}]}"),
        4, 57, "destinations[0].inject[1]", "sets the parameter 'api_key' already", "", "",
    ),
    "parameter spelt": (
        wrapped('{host: a.b, inject: [{query: "k%65y", secret: key}]}'),
        4, 34, "destinations[0].inject[0].query", "percent", "", "",
    ),
    "client certificate in the clear": (
        wrapped("{host: a.b, scheme: http, client_certificate: {cert: ./policy.yaml, key: key}}"),
        4, 51, "destinations[0].client_certificate", "needs TLS", "", "https",
    ),
    "cookie twice": (
        wrapped("{host: a.b, inject: [{cookie: sid, secret: key}, {cookie: SID, secret: key}]}"),
        4, 54, "destinations[0].inject[1]", "sets the cookie 'sid' already", "", "",
    ),
    "cookie and header": (
        wrapped("{host: a.b, inject: [{cookie: sid, secret: key}, {header: Cookie, secret: key}]}"),
        4, 54, "destinations[0].inject[1]", "sets the cookie 'sid' already", "", "",
    ),
    "header and cookie": (
        wrapped("{host: a.b, inject: [{header: Cookie, secret: key}, {cookie: sid, secret: key}]}"),
        4, 57, "destinations[0].inject[1]", "sets 'cookie' already", "", "",
    ),
    "parameter that a rule looks at": (
        wrapped("{host: a.b, allow: [{methods: [GET], path: /a, query: {Key: x}}], inject: [{query: key, secret: key}]}"),
        4, 79, "destinations[0].inject", "looks at the parameter 'Key'", "", "",
    ),
    "later place": (
        wrapped("{host: a.b, inject: [{placeholder: key, in: [path]}]}"),
        4, 50, "destinations[0].inject[0].in[0]", "", "'path'", "header | basic | query | body",
    ),
    "secret and value": (
        wrapped('{host: a.b, inject: [{header: x, secret: key, value: "{key}"}]}'),
        4, 26, "destinations[0].inject[0]", "exactly one", "secret and value", "",
    ),
    "unknown secret": (
        wrapped("{host: a.b, inject: [{header: x, secret: kee}]}"),
        4, 46, "destinations[0].inject[0].secret", "mean 'key'", "", "key",
    ),
    "unknown secret in a value": (
        wrapped('{host: a.b, inject: [{header: x, value: "{kee}"}]}'),
        4, 45, "destinations[0].inject[0].value", "mean 'key'", "", "",
    ),
    "value without secret": (
        wrapped("{host: a.b, inject: [{header: x, value: Bearer}]}"), 4, 45, "destinations[0].inject[0].value", "no secret", "", "",
    ),
    "left-over brace": (
        wrapped('{host: a.b, inject: [{header: x, value: "{key}}"}]}'), 4, 45, "destinations[0].inject[0].value", "brace", "", "",
    ),
    "line break in a value": (
        wrapped('{host: a.b, inject: [{header: x, value: "{key}\\r\\nx: y"}]}'),
        4, 45, "destinations[0].inject[0].value", "printable", "", "",
    ),
    "framing header": (
        wrapped("{host: a.b, inject: [{header: Content-Length, secret: key}]}"),
        4, 35, "destinations[0].inject[0].header", "belongs to the connection", "", "",
    ),
    "not a header": (
        wrapped('{host: a.b, inject: [{header: "x y", secret: key}]}'), 4, 35, "destinations[0].inject[0].header", "", "'x y'", "",
    ),
    "one header twice": (
        wrapped("{host: a.b, inject: [{header: authorization, secret: key}, {basic: {username: u, secret: key}}]}"),
        4, 64, "destinations[0].inject[1]", "sets 'authorization' already", "", "",
    ),
    "colon in a user": (
        wrapped('{host: a.b, inject: [{basic: {username: "a:b", secret: key}}]}'),
        4, 45, "destinations[0].inject[0].basic.username", "colon", "", "",
    ),
    "name to connect to": (wrapped("{host: a.b, connect_to: 'b.c:1'}"), 4, 29, "destinations[0].connect_to", "IP address", "", "8443"),
    "address without port": (wrapped("{host: a.b, connect_to: 127.0.0.1}"), 4, 29, "destinations[0].connect_to", "no port", "", ""),
    "missing certificate": (wrapped("{host: a.b, ca: ./ca.pem}"), 4, 21, "destinations[0].ca", "cannot be read", "", ""),
    "not a certificate": (wrapped("{host: a.b, ca: ./policy.yaml}"), 4, 21, "destinations[0].ca", "no certificate", "", "PEM"),
    "port of a registry": (wrapped("{registry: npm, port: 1}"), 4, 27, "destinations[0].port", "registry's address", "", ""),
    "unknown registry": (wrapped("{registry: npn}"), 4, 16, "destinations[0].registry", "mean 'npm'", "", "cargo"),
    "unknown preset": ("version: 1\nuse: [claude-cod]", 2, 7, "use[0]", "mean 'claude-code'", "'claude-cod'", "git-read"),
    "missing file": ("version: 1\nuse: [./none.yaml]", 2, 7, "use[0]", "cannot be read", "'./none.yaml'", ""),
    "itself": ("version: 1\nuse: [./policy.yaml]", 2, 7, "use[0]", "uses itself", "", ""),
    "another's home": ("version: 1\nsandbox: {read: [~root/x]}", 2, 18, "sandbox.read[0]", "another user", "'~root/x'", ""),
    "mode": ("version: 1\nworkspace: {mode: rw}", 2, 19, "workspace.mode", "", "'rw'", "write | read | review"),
    "size": ("version: 1\nsandbox: {limits: {memory: 4}}", 2, 28, "sandbox.limits.memory", "text", "4", "4G"),
    "no processors": ("version: 1\nsandbox: {limits: {cpus: 0}}", 2, 26, "sandbox.limits.cpus", "", "0", "number"),
    "too few files": ("version: 1\nsandbox: {limits: {files: 9}}", 2, 27, "sandbox.limits.files", "1048576", "9", "to 1048576"),
    "number as a value": ("version: 1\nsandbox: {env: {set: {A: 1}}}", 2, 26, "sandbox.env.set.A", "text", "1", "quotes"),
    "name of a variable": ("version: 1\nsandbox: {env: {set: {B C: x}}}", 2, 23, "sandbox.env.set.B C", "", "'B C'", "variable"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_told_with_its_place_and_a_way_out(name):
    text, line, column, path, message, found, accepted = MISTAKES[name]
    (problem,) = problems_of(text)
    assert (problem.file, problem.line, problem.column, problem.path) == (str(FILE), line, column, path)
    assert message in problem.message
    assert found in problem.found
    assert accepted in problem.accepted


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    problems = problems_of(
        """\
        version: 2
        sekrets: {}
        use: [nope]
        destinations:
          - {host: a..b, prt: 1, allow: [x]}
          - {host: b.example, inject: [{header: x, secret: none}]}
        """
    )
    assert [(problem.line, problem.path) for problem in problems] == [
        (1, "version"),
        (2, "sekrets"),
        (3, "use[0]"),
        (5, "destinations[0].host"),
        (5, "destinations[0].prt"),
        (5, "destinations[0].allow[0]"),
        (6, "destinations[1].inject[0].secret"),
    ]


def test_mistakes_in_used_files_are_told_with_their_file():
    problems = problems_of("version: 1\nuse: [./team.yaml]\nx: 1", team="version: 1\ny: 1")
    assert {(Path(problem.file).name, problem.path) for problem in problems} == {
        ("policy.yaml", "x"),
        ("team.yaml", "y"),
    }


def test_a_value_in_a_wrong_place_that_may_be_a_secret_is_not_repeated():
    for text in ("{a: sk-ant-test-9}", "{a: {env: sk-ant-test-9}}", "{a: {env: A, placeholder: 'sk-ant-test-9 '}}"):
        with pytest.raises(PolicyError) as caught:
            make_policy(f"version: 1\nsecrets: {text}")
        assert "sk-ant-test-9" not in str(caught.value)


def test_files_that_use_each_other_are_a_problem():
    problems = problems_of(
        "version: 1\nuse: [./a.yaml]", a="version: 1\nuse: [./b.yaml]", b="version: 1\nuse: [./a.yaml]"
    )
    assert [(Path(problem.file).name, problem.message) for problem in problems] == [("b.yaml", "this file uses itself")]


def test_a_file_that_two_others_use_is_read_once():
    policy = make_policy(
        "version: 1\nuse: [./a.yaml, ./b.yaml]",
        a="version: 1\nuse: [./c.yaml]",
        b="version: 1\nuse: [./c.yaml]",
        c="version: 1\ndestinations: [{host: c.example, allow: ['GET /']}]",
    )
    assert [destination.host for destination in policy.destinations] == ["c.example"]


def test_only_the_file_that_was_named_says_how_the_agent_is_confined():
    problems = problems_of("version: 1\nuse: [./team.yaml]", team="version: 1\nsandbox: {tools: path}\nworkspace: {}")
    assert [problem.path for problem in problems] == ["sandbox", "workspace"]


SECRETS = [
    # Two definitions, and the one secret that they make, if they make one.
    ("{env: A}", "{env: A, expose: X}", ("A", None, "X")),
    ("{env: A, ttl: 5m}", "{env: A, expose: X}", ("A", 300, "X")),
    ("{env: A, ttl: 5m}", "{env: A, ttl: 6m}", None),
    ("{env: A}", "{env: B}", None),
    ("{env: A}", "{file: A}", None),
]


@pytest.mark.parametrize(("one", "two", "merged"), SECRETS)
def test_definitions_of_one_secret(one, two, merged):
    text, other = f"version: 1\nuse: [./team.yaml]\nsecrets: {{a: {one}}}", f"version: 1\nsecrets: {{a: {two}}}"
    if merged is None:
        (problem,) = problems_of(text, team=other)
        assert problem.path == "secrets.a"
        assert "team.yaml:2" in problem.message
    else:
        secret = make_policy(text, team=other).secrets["a"]
        assert (secret.argument, secret.ttl, secret.expose) == merged


def test_an_empty_list_matches_nothing():
    for text in (
        "destinations: []",
        "destinations: [{host: a.example, allow: []}]",
        "destinations: [{host: a.example}]",
    ):
        assert not make_policy(f"version: 1\n{text}").decide(make_request("GET https://a.example/")).allowed


def test_a_registry_becomes_one_destination_for_each_address():
    registries = FakeRegistries(
        npm=(
            "https://npm.registry.example/a/",
            "https://npm.registry.example/b/",
            "http://u:p@[::1]:4873/",
            "ftp://x",
            "https://",
        )
    )
    policy = make_policy("version: 1\ndestinations: [{registry: npm, allow: ['GET /**']}]", registries=registries)
    assert policy.registry_variables == {"npm_registry": "https://npm.registry.example/a/"}
    assert [(d.scheme, d.host, d.port) for d in policy.destinations] == [
        ("http", "::1", 4873),
        ("https", "npm.registry.example", 443),
    ]


def test_a_registry_that_is_not_found_allows_nothing_and_says_so():
    policy = make_policy("version: 1\ndestinations: [{registry: npm, allow: ['GET /**']}]")
    assert policy.destinations == ()
    assert "npm" in policy.warnings[0]


def test_a_secret_over_plain_http_is_told():
    text = "version: 1\nsecrets: {k: {env: K}}\ndestinations: [{host: a.example, scheme: %s, inject: [{header: x, secret: k}]}]"
    assert "unencrypted" in make_policy(text % "http").warnings[0]
    assert make_policy(text % "https").warnings == ()


def test_all_forms_of_injection():
    policy = make_policy(
        """\
        version: 1
        secrets: {k: {env: K}, l: {env: L}}
        destinations:
          - host: a.example
            inject:
              - {header: X-Key, secret: k}
              - {header: x-both, value: "{k}:{l}:{k}"}
              - {basic: {username: git, secret: k}}
              - {placeholder: k}
              - {placeholder: l, in: [basic]}
        """
    )
    assert policy.destinations[0].inject == (
        Injection("header", ("k",), name="x-key", template="{k}"),
        Injection("header", ("k", "l"), name="x-both", template="{k}:{l}:{k}"),
        Injection("basic", ("k",), username="git"),
        Injection("placeholder", ("k",), places=frozenset({"header", "basic"})),
        Injection("placeholder", ("l",), places=frozenset({"basic"})),
    )


def test_a_colon_inside_a_text_needs_no_quotes_in_braces():
    policy = make_policy(
        "version: 1\ndestinations: [{host: a.example, connect_to: 127.0.0.1:8443, allow: [POST /v1/models/*:go]}]"
    )
    assert policy.destinations[0].connect_to == ("127.0.0.1", 8443)
    assert policy.decide(make_request("POST https://a.example/v1/models/x:go")).allowed


def test_only_true_and_false_are_booleans():
    policy = make_policy("version: 1\nsandbox: {env: {pass: [no, yes, on, off, y]}}")
    assert policy.sandbox.env_pass == ("no", "yes", "on", "off", "y")


@given(
    st.text(st.one_of(st.sampled_from("{}[]:,-#&*!|>'\"%@` \n\tversion1"), st.characters(codec="utf-8")), max_size=60)
)
def test_any_text_is_a_policy_or_has_problems(text):
    with contextlib.suppress(PolicyError):  # and no other error
        assert make_policy(text).files


def test_deep_nesting_is_a_problem_and_no_crash():
    for opening in ("[" * 5000, "{a: " * 5000, "- " * 5000):
        assert problems_of(f"version: 1\nuse: {opening}" if opening[0] != "-" else opening)


def test_the_proxy_of_the_policy_is_that_of_every_destination_without_its_own():
    policy = make_policy(
        """\
        version: 1
        use: [./team.yaml]
        proxy: {url: 'https://proxy.corp.example', ca: ca.yaml, username: u, secret: pw, no_proxy: [.Corp.example, 10.1.0.0/8]}
        secrets: {pw: {env: PW}}
        destinations:
          - {host: a.example, allow: [GET /]}
          - {host: b.example, allow: [GET /], proxy: none}
          - {host: c.example, allow: [GET /], proxy: 'socks5h://[::1]:1080'}
          - {host: d.example, allow: [GET /], connect_to: '10.0.0.1:1'}
        """,
        team="version: 1\ndestinations: [{host: e.example, allow: [GET /]}]\n",
        ca=CERTIFICATE,
    )
    general = Proxy("https", "proxy.corp.example", 443, "u", "pw", CERTIFICATE, ("corp.example", "10.0.0.0/8"))
    assert policy.proxy == general
    assert {one.host: one.proxy for one in policy.destinations} == {
        "a.example": general,
        "b.example": "none",
        "c.example": Proxy("socks5h", "::1", 1080),
        "d.example": None,
        "e.example": general,
    }
    assert FILE.with_name("ca.yaml") in policy.files


def test_without_a_proxy_the_environment_decides():
    (destination,) = make_policy("version: 1\ndestinations: [{host: a.example, allow: [GET /]}]").destinations
    assert destination.proxy is None


def test_files_agree_on_the_proxy():
    team = "version: 1\nproxy: http://a:1\n"
    assert make_policy("version: 1\nuse: [./team.yaml]\nproxy: {url: 'http://A:1'}", team=team).proxy == Proxy(
        "http", "a", 1
    )
    (problem,) = problems_of("version: 1\nuse: [./team.yaml]\nproxy: none", team=team)
    assert "differently in /etc/outward/team.yaml:2" in problem.message
    assert (problem.line, problem.path) == (3, "proxy")


def test_one_host_has_one_way():
    one, other = "proxy: 'http://a:1'", "proxy: none"
    destinations = "version: 1\ndestinations:\n- {host: b, allow: [GET /x], %s}\n- {host: b, allow: [GET /x], %s}\n"
    assert len(make_policy(destinations % (one, one)).destinations) == 2
    (problem,) = problems_of(destinations % (one, other))
    assert "in two ways" in problem.message
