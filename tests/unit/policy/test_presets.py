"""The presets: each loads, allows what its client needs, and nothing that publishes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import Code, PolicyError, Request
from outward.policy import Policy, load
from outward.policy.load import PRESETS, preset_names
from tests.support.changed import changed
from tests.unit.policy.conftest import HOME, FakeRegistries, make_request

CLIENT_OF = {"npm-install": "npm", "pip-install": "pip", "cargo-fetch": "cargo", "apt-install": "apt"}
REGISTRIES = FakeRegistries(
    npm=("https://npm.registry.example/",),
    pip=("https://pip.registry.example/simple", "https://files.registry.example"),
    cargo=("https://index.registry.example/",),
    apt=("http://apt.registry.example/debian",),
)


def preset(*names: str) -> Policy:
    return load(None, presets=names, registries=REGISTRIES, home=HOME)


def test_the_promised_presets_are_there():
    promised = {"claude-code", "codex", "gemini-cli", "git-read", "github-read", *CLIENT_OF}
    assert promised <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_loads_and_says_what_it_is_for(name):
    policy = preset(name)
    assert policy.destinations
    assert policy.warnings == ()
    assert policy.files == (PRESETS / f"{name}.yaml",)
    assert (PRESETS / f"{name}.yaml").read_text().startswith("# ")


SUBSCRIPTIONS = {"claude-subscription": "claude-code", "codex-subscription": "codex"}
"""Instead of the presets with a key."""


def test_all_presets_that_do_not_share_a_host_load_together():
    for left_out in (set(SUBSCRIPTIONS), set(SUBSCRIPTIONS.values())):
        names = set(preset_names()) - left_out
        assert len(preset(*names).destinations) >= len(names)


def test_a_key_and_a_subscription_at_one_host_are_refused():
    with pytest.raises(PolicyError):
        preset("claude-subscription", "claude-code")


TOKENS = {"access_token", "refresh_token", "id_token", "raw_key", "authorization_code"}


@pytest.mark.parametrize("name", [*SUBSCRIPTIONS, "github-login"])
def test_what_log_ins_bring_is_captured(name):
    policy = preset(name)
    captures = {field: secret for d in policy.destinations for rule in d.rules for field, secret in rule.capture}
    assert {"access_token", "refresh_token"} <= captures.keys() & TOKENS
    assert {policy.secrets[secret].source for secret in captures.values()} == {"captured"}
    bound = {secret for d in policy.destinations for injection in d.inject for secret in injection.secrets}
    assert bound | {"github-login"} >= set(captures.values()), "github-login is bound by the policy that uses it"


ALLOWED = {
    "claude-code": [
        "POST https://api.anthropic.com/v1/messages?beta=true",
        "POST https://api.anthropic.com/v1/messages/count_tokens",
        "HEAD https://api.anthropic.com/api/hello",
        "GET https://api.anthropic.com/api/claude_code/settings",
        "GET https://api.anthropic.com/api/claude_code/policy_limits",
    ],
    "codex": ["GET https://api.openai.com/v1/responses", "POST https://api.openai.com/v1/responses"],
    "claude-subscription": [
        "POST https://api.anthropic.com/v1/messages?beta=true",
        "POST https://platform.claude.com/v1/oauth/token",
        "GET https://api.anthropic.com/api/oauth/profile",
    ],
    "codex-subscription": [
        "POST https://auth.openai.com/oauth/token",
        "POST https://auth.openai.com/api/accounts/deviceauth/usercode",
        "POST https://chatgpt.com/backend-api/codex/responses",
    ],
    "github-login": ["POST https://github.com/login/device/code", "POST https://github.com/login/oauth/access_token"],
    "gemini-cli": [
        "POST https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        "POST https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
    ],
    "git-read": [
        "GET https://github.com/acme/web.git/info/refs?service=git-upload-pack",
        "POST https://github.com/acme/web.git/git-upload-pack",
        "GET https://gitlab.com/acme/group/web.git/info/refs?service=git-upload-pack",
    ],
    "github-read": ["GET https://api.github.com/repos/acme/web"],
    "npm-install": ["GET https://npm.registry.example/left-pad", "GET https://npm.registry.example/@scope%2Fname"],
    "pip-install": ["GET https://pip.registry.example/simple/six/", "GET https://files.registry.example/a/b.whl"],
    "cargo-fetch": ["GET https://index.registry.example/se/rd/serde"],
    "apt-install": ["GET http://apt.registry.example/debian/dists/x/InRelease"],
}

REFUSED = {
    "claude-code": [
        "POST https://api.anthropic.com/api/event_logging/v2/batch",
        "POST https://api.anthropic.com/v1/files",
        "GET https://api.anthropic.com/v1/messages/batches",
        "POST https://api.anthropic.com/v1/messages/batches",
        "POST https://platform.claude.com/v1/oauth/token",
    ],
    "claude-subscription": [
        "GET https://platform.claude.com/oauth/authorize",
        "POST https://api.anthropic.com/v1/files",
    ],
    "codex-subscription": [
        "POST https://chatgpt.com/backend-api/conversation",
        "POST https://auth.openai.com/api/accounts/login",
    ],
    "github-login": ["GET https://github.com/acme/web", "POST https://github.com/acme/web.git/git-receive-pack"],
    "codex": ["POST https://api.openai.com/v1/files", "GET https://chatgpt.com/backend-api/codex/models"],
    "gemini-cli": [
        "POST https://generativelanguage.googleapis.com/upload/v1beta/files",
        "POST https://generativelanguage.googleapis.com/v1beta/models/x%2Fy:generateContent",
        "POST https://play.googleapis.com/log",
    ],
    "git-read": [
        "GET https://github.com/acme/web.git/info/refs?service=git-receive-pack",
        "GET https://github.com/acme/web.git/info/refs",
        "GET https://github.com/acme/web.git/info/refs?service=git-upload-pack&service=git-receive-pack",
        "POST https://github.com/acme/web.git/git-receive-pack",
    ],
    "github-read": ["POST https://api.github.com/gists", "PUT https://api.github.com/repos/a/b/contents/c"],
    "npm-install": ["PUT https://npm.registry.example/left-pad"],
    "pip-install": ["POST https://pip.registry.example/legacy/"],
    "cargo-fetch": ["PUT https://index.registry.example/api/v1/crates/new"],
    "apt-install": ["GET https://apt.registry.example/debian/dists/x/InRelease"],
}


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in ALLOWED.items() for line in lines])
def test_what_the_client_needs_is_allowed(name, line):
    assert preset(name).decide(make_request(line)).allowed


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in REFUSED.items() for line in lines])
def test_what_the_client_does_not_need_is_refused(name, line):
    assert not preset(name).decide(make_request(line)).allowed


def test_codex_is_refused_its_list_of_models_in_words():
    """A connection that is refused as a whole it would try again for nine seconds."""
    policy = preset("codex")
    assert policy.decide_host("codex", "chatgpt.com", 443).allowed
    (models,) = [destination for destination in policy.destinations if destination.host == "chatgpt.com"]
    assert models.rules == ()
    assert not policy.decide_host("codex", "ab.chatgpt.com", 443).allowed


methods = st.one_of(st.sampled_from(["PUT", "POST", "PATCH", "DELETE", "MKCOL", "get", "CONNECT"]), st.text(max_size=8))


@pytest.mark.parametrize("name", CLIENT_OF)
@given(data=st.data())
def test_package_presets_allow_nothing_but_reading(name, data):
    policy = preset(name)
    destination = data.draw(st.sampled_from(policy.destinations))
    method = data.draw(methods.filter(lambda method: method not in {"GET", "HEAD"}))
    path = "/" + data.draw(st.text("abc/.%2F", max_size=10))
    request = Request("default", method, destination.scheme, destination.host, destination.port, path, path.lower())
    assert policy.decide(request).code is Code.METHOD_NOT_ALLOWED
    assert policy.decide(changed(request, method="GET")).allowed


@pytest.mark.parametrize("name", CLIENT_OF)
def test_only_the_package_manager_that_is_used_is_asked(name):
    registries = FakeRegistries(**{CLIENT_OF[name]: ("https://mirror.example",)})
    policy = load(None, presets=[name], registries=registries, home=HOME)
    assert registries.asked == [CLIENT_OF[name]]
    assert [destination.host for destination in policy.destinations] == ["mirror.example"]


def test_no_preset_asks_for_private_addresses_or_passes_credentials():
    for destination in (each for name in preset_names() for each in preset(name).destinations):
        assert not destination.allow_private
        assert destination.client_credentials == "strip"
        assert destination.tls == "intercept"


def test_no_registry_is_named_in_the_sources():
    """Their names come from the machine: a mirror must be enough, and this repository names none."""
    for file in Path(PRESETS).glob("*-install.yaml"):
        assert "host:" not in file.read_text()
